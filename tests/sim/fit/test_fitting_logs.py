"""A log of known truth, from its lines to a scenario that the simulator takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from loadgen.traces import Reading, Trace
from loadgen.traffic import Constant, read_traffic
from sim.fit import Fit, FitError, fit, observe_trace
from sim.fit.writing import scenario_text, traffic_text
from sim.scenarios import Scenario

RPS, SECONDS, ERRORS = 40.0, 1_800, 0.01
LOG_FORMAT = '$msec "$request" $status $request_time'


def write_log(file: Path, *, errors: float = ERRORS, checkout_errors: float | None = None, seed: int = 1) -> Path:
    """Write half an hour of Poisson traffic: 70 % /orders/…, 30 % checkouts; 80 ms, sigma 0.4, 3 % 600 ms longer."""
    chance = np.random.default_rng(seed)
    n = chance.poisson(RPS * SECONDS)
    began_s = np.sort(chance.uniform(0, SECONDS, n))
    took_s = 0.08 * np.exp(0.4 * chance.standard_normal(n)) + np.where(chance.random(n) < 0.03, 0.6, 0.0)
    checkout = chance.random(n) < 0.3
    share = np.where(checkout, errors if checkout_errors is None else checkout_errors, errors)
    failed = chance.random(n) < share
    lines = sorted(
        (1_795_478_400 + at_s + took, f'"{"POST /checkout" if pay else f"GET /orders/{k}"} HTTP/1.1"', bad, took)
        for k, (at_s, took, pay, bad) in enumerate(zip(began_s, took_s, checkout, failed, strict=True))
    )
    file.write_text(
        "".join(f"{ended:.3f} {request} {503 if bad else 200} {took:.3f}\n" for ended, request, bad, took in lines),
        encoding="utf-8",
    )
    return file


def fitted(file: Path) -> Fit:
    return fit(observe_trace(Trace([file], Reading(log_format=LOG_FORMAT)), file.name))


def test_every_parameter_comes_back_from_a_log(tmp_path: Path) -> None:
    found = fitted(write_log(tmp_path / "access.log"))
    # 72,000 requests: rate ±0.4 %, errors 720 ±27, shares of routes ±0.17 %, a tail of 2,160 answers ±2 %
    assert found.traffic.rps == pytest.approx(RPS, rel=0.015)
    assert found.traffic.shape == Constant()
    assert found.failures is not None
    assert found.failures.low <= ERRORS <= found.failures.high
    assert found.stable.base_errors == pytest.approx(ERRORS, rel=0.15)
    latency = found.stable.latency
    assert latency.median_ms == pytest.approx(80, rel=0.01)
    assert latency.sigma == pytest.approx(0.4, rel=0.02)
    assert latency.tail_share == pytest.approx(0.03, rel=0.1)
    assert latency.tail_ms == pytest.approx(600, rel=0.02)
    mix = {route.name.split("/")[1]: route.weight for route in found.traffic.routes}
    assert mix["checkout"] / sum(mix.values()) == pytest.approx(0.3, abs=0.007)
    assert found.seen.burstiness == pytest.approx(1, abs=0.15)
    assert found.warnings == ()


def test_the_scenario_is_one_that_the_simulator_takes(tmp_path: Path) -> None:
    found = fitted(write_log(tmp_path / "access.log"))
    text = scenario_text(found, "orders")
    scenario = Scenario.model_validate(yaml.safe_load(text))
    assert scenario == found.scenario("orders")
    assert scenario.release == scenario.stable == found.stable
    (tmp_path / "traffic.yaml").write_text(traffic_text(found), encoding="utf-8")
    assert read_traffic(tmp_path / "traffic.yaml") == found.traffic


def test_a_moving_rate_is_written_out_and_read_back(tmp_path: Path) -> None:
    rows = [f"{1_795_478_400 + k / (5 if k < 3_000 else 20):.3f},/,200,20" for k in range(15_000)]
    log = tmp_path / "log.csv"
    log.write_text("time,path,status,duration_ms\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = fit(observe_trace(Trace([log]), "log.csv"))
    again = Scenario.model_validate(yaml.safe_load(scenario_text(found)))
    assert again == found.scenario()
    assert again.traffic.curve(700).requests == pytest.approx(found.traffic.curve(700).requests)


def test_a_route_that_fails_more_than_the_others_is_named(tmp_path: Path) -> None:
    found = fitted(write_log(tmp_path / "access.log", errors=0.002, checkout_errors=0.03))
    (warning,) = [warning for warning in found.warnings if "POST /checkout" in warning]
    assert "base_errors knows no routes" in warning


def test_what_nothing_tells_is_said_and_not_made_up(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("time,path\n" + "".join(f"{1_795_478_400 + k},/\n" for k in range(600)), encoding="utf-8")
    found = fit(observe_trace(Trace([log]), "log.csv"))
    assert (found.failures, found.latency) == (None, None)
    assert any("nothing tells which requests failed" in warning for warning in found.warnings)
    assert any("nothing tells how long answers took" in warning for warning in found.warnings)


def test_segments_are_shares_that_add_up_to_one(tmp_path: Path) -> None:
    # of 700 requests three in seven are from the EU, one in seven tells nothing
    where = ["eu", "us", "eu", "us", "eu", "us", ""]
    log = tmp_path / "log.csv"
    rows = "".join(f"{1.8e9 + k:.0f},/,{where[k % 7]}\n" for k in range(700))
    log.write_text("time,path,segment\n" + rows, encoding="utf-8")
    found = fit(observe_trace(Trace([log]), "log.csv", segment="region"))
    assert found.service.segments == {"region": {"eu": 0.428572, "us": 0.428571, "other": 0.142857}}


def test_bursts_within_seconds_are_told(tmp_path: Path) -> None:
    # ten requests at once every tenth of a second of the five: variance over mean of a second is far above 1
    chance = np.random.default_rng(3)
    instants = np.sort(np.repeat(chance.uniform(0, 600, 1_200), 10))
    log = tmp_path / "log.csv"
    log.write_text("time,path\n" + "".join(f"{1.8e9 + at_s:.3f},/\n" for at_s in instants), encoding="utf-8")
    found = fit(observe_trace(Trace([log]), "log.csv"))
    assert found.seen.burstiness == pytest.approx(10, rel=0.2)
    assert any("as burstily as Poisson's" in warning for warning in found.warnings)


def test_an_empty_log_cannot_be_fitted(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    with pytest.raises(FitError, match="there is no request in it"):
        fitted(tmp_path / "a.log")

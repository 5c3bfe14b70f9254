"""`gamebird fit`: what it prints, writes and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gamebird.cli.main import main
from sim.scenarios import Scenario


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten minutes of 20 requests/s in 50 ms or so, one in a hundred a 500."""
    chance = np.random.default_rng(1)
    times_s = np.sort(chance.uniform(0, 600, 12_000))
    took_ms = 50 * np.exp(0.3 * chance.standard_normal(12_000))
    rows = (
        f"{1.8e9 + at_s:.3f},/orders/{k},{500 if k % 100 == 0 else 200},{ms:.3f}"
        for k, (at_s, ms) in enumerate(zip(times_s, took_ms, strict=True))
    )
    file = tmp_path / "orders.csv"
    file.write_text("time,path,status,duration_ms\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_the_report_says_every_part_and_how_well_it_fits(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", log) == 0
    shown = capsys.readouterr().out
    assert "orders.csv: 12,000 requests in 600 s" in shown
    assert "rate        20/s" in shown
    assert "errors      1.0000%" in shown
    assert "no tail" in shown
    assert "KS 0.0" in shown
    assert "p95" in shown
    assert "100.00%  GET /orders/" in shown


def test_the_json_holds_a_scenario_and_the_figures(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", log, "--name", "Orders API", "--output", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rate"]["shape"] == "constant"
    assert found["errors"]["share"] == 0.01
    assert found["latency"]["median_ms"] == pytest.approx(50, rel=0.02)
    assert Scenario.model_validate(found["scenario"]).name == "orders-api"


def test_the_files_are_a_scenario_and_traffic(log: Path, tmp_path: Path) -> None:
    scenario, traffic = tmp_path / "s.yaml", tmp_path / "t.yaml"
    assert run("fit", log, "--to", scenario, "--traffic-to", traffic) == 0
    assert "stable: {base_errors: 0.01, latency: {median_ms:" in scenario.read_text(encoding="utf-8")
    assert traffic.read_text(encoding="utf-8").startswith("# Fitted from orders.csv.\nrps: 2")


def test_a_poor_fit_is_a_no_when_strict(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", log, "--strict") == 0
    text = log.read_text(encoding="utf-8").replace("/orders/", "/o/")
    log.write_text("\n".join(line.rpartition(",")[0] for line in text.splitlines()) + "\n", encoding="utf-8")
    assert run("fit", log, "--strict") == 1
    assert "careful: nothing tells how long answers took" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ((), 2, "name an access log or --prometheus URL"),
        (("nowhere.log",), 2, "nowhere.log: cannot be read: No such file"),
        (("LOG", "--shape", "flat"), 2, "--shape is 'flat'; it needs one of auto, constant"),
        (("LOG", "--shape", "diurnal"), 2, "orders.csv covers 0.167 h; a day's shape needs 24 h of it"),
        (("LOG", "--to", "/nowhere/s.yaml"), 2, "/nowhere/s.yaml: cannot be written: No such file"),
        (("--prometheus", "localhost:9090"), 2, "it needs a URL such as http://127.0.0.1:9090"),
        (("--prometheus", "http://127.0.0.1:9", "--window", "1s"), 2, "--window is '1s'; it needs 5m to 366d"),
        (("--prometheus", "http://127.0.0.1:9"), 3, "http://127.0.0.1:9/api/v1/label/__name__/values cannot be asked"),
    ],
)
def test_what_cannot_be_fitted_is_told_in_one_line(
    words: tuple[str, ...], code: int, complaint: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", *[str(log) if word == "LOG" else word for word in words]) == code
    assert complaint in capsys.readouterr().err

"""A cohort's runs: each has a fate of its own, whoever is played beside it and wherever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from controller.manifests.policies import Policy
from sim.flock.blocks import run_block
from sim.flock.places import Places
from sim.flock.stage import Stage, set_stage
from sim.outcomes.table import MeasurementTable, Outcome, RunTable
from sim.releases import Release
from sim.scenarios import Outage, Prometheus, Scenario

FORGIVING = {"more": "count: 6\n      failureLimit: 4"}


def rows(table: RunTable | MeasurementTable, keep: np.ndarray | slice = slice(None)) -> dict[str, bytes]:
    return {
        field.name: getattr(table, field.name)[keep].tobytes() for field in fields(table) if field.name != "metrics"
    }


def play(stage: Stage, runs: Any, **how: Any) -> RunTable:
    return run_block(stage, seed=3, cohort=1, runs=np.asarray(runs), **how)[0]


def test_a_run_has_the_same_fate_whoever_is_played_beside_it(stage_of: Callable[..., Stage]) -> None:
    """At the threshold runs part at every look: half are lost early, the others go on."""
    stage = stage_of({"rps": 8.0, "errors": 0.1})
    everybody = play(stage, range(200))
    assert 20 < (everybody.outcome == Outcome.ABORTED).sum() < 180
    few = np.array([3, 50, 51, 199])
    assert rows(play(stage, few)) == rows(everybody, few)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_any_size_give_the_same_rows(block: int, stage_of: Callable[..., Stage]) -> None:
    stage = stage_of({"rps": 8.0, "errors": 0.1}, **FORGIVING)
    assert rows(play(stage, range(40), block=block)) == rows(play(stage, range(40), block=500))


def test_runs_that_may_meet_again_fare_as_those_that_may_not(stage_of: Callable[..., Stage]) -> None:
    """Six looks that forgive four failures: 2^6 paths without joins. The looks are the same on all of them."""
    stage = stage_of({"rps": 8.0, "errors": 0.1}, **FORGIVING)
    apart = Places(stage.deployment, seed=3, cohort=1, joins=False)
    assert rows(play(stage, range(150))) == rows(play(stage, range(150), places=apart))


def test_every_run_of_a_plain_failure_is_aborted_at_the_first_look(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of({"rps": 50.0, "errors": 0.9})
    table = play(stage, range(50))
    assert (table.outcome == Outcome.ABORTED).all()
    assert (table.step == 2).all()
    assert [table.metrics[metric] for metric in set(table.metric.tolist())] == ["errors"]
    # Two minutes of pause from the order to the router, which takes about a second until users come.
    assert ((table.detected_s > 110) & (table.detected_s < 121)).all()
    assert ((table.recovered_s > 0) & (table.recovered_s < 30)).all()
    assert (table.weight_max == 50.0).all()


def test_counts_are_what_the_weights_and_the_rate_promise(stage_of: Callable[..., Stage]) -> None:
    """The canary gets half of 50 requests/s from its first request until the last user has left it."""
    stage = stage_of({"rps": 50.0, "errors": 0.9})
    table = play(stage, range(400))
    # Of 400 runs at 25/s the one whose first user came soonest came within some 0.1 ms.
    held_s = float(table.detected_s.max() + table.recovered_s[0])
    expected = 50.0 * 0.5 * held_s
    assert abs(table.canary_requests.mean() - expected) < 4 * np.sqrt(expected / 400)
    # 90 % fail by the release; of the others 0.2 % anyway.
    bad = expected * (0.9 + 0.1 * 0.002)
    assert abs(table.bad_requests.mean() - bad) < 4 * np.sqrt(bad / 400) + 1
    lasts_s = float(table.ended_s[0] + table.recovered_s[0])
    assert abs(table.requests.mean() - 50.0 * lasts_s) < 4 * np.sqrt(50.0 * lasts_s / 400)
    assert (table.bad_requests <= table.canary_requests).all()
    assert (table.canary_requests < table.requests).all()


def test_a_metrics_server_that_is_out_is_an_error_in_every_run(stage_of: Callable[..., Stage]) -> None:
    """Errors are asked again every 10 s, and the fifth in a row ends the analysis; the release is aborted."""
    stage = stage_of({"prometheus": Prometheus(outages=(Outage(from_s=350.0, for_s=900.0),))})
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(5), measurements=True)
    assert (table.outcome == Outcome.ABORTED).all()
    assert measured is not None
    assert len(measured.run) == 5 * 5
    assert (measured.phase == 3).all()
    assert np.isnan(measured.value).all()


def test_a_run_that_waits_for_its_first_data_is_told_from_one_that_has_some(stage_of: Callable[..., Stage]) -> None:
    """At one request in 50 s some canaries have met no user yet: 0 / 0 is NaN, which is no success."""
    stage = stage_of(
        {"rps": 0.02, "errors": 0.0}, query="sum(rate(http_requests_total[1m])) / sum(rate(http_requests_total[1m]))"
    )
    _, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(60), measurements=True)
    assert measured is not None
    first = measured.analysis == 0
    nothing = np.isnan(measured.value[first])
    assert 0 < nothing.sum() < first.sum()
    assert (measured.phase[first] == 1).all()  # a share of 1 is no success either: this condition wants less than 5 %


def test_measurements_come_with_the_requests_behind_them(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of({"rps": 50.0, "errors": 0.0})
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(30), measurements=True)
    assert (table.outcome == Outcome.PROMOTED).all()
    assert measured is not None
    assert len(measured.run) == 30 * 3
    assert (np.diff(measured.run) >= 0).all()
    # Two minutes of 50 requests/s are 6,000; a sample is up to 15 s old, which the window is stretched over.
    assert abs(measured.requests.mean() - 6_000) < 60
    assert (measured.phase == 0).all()


def test_a_floor_that_is_not_met_is_waited_for_and_then_pauses(
    policy_of: Callable[..., Policy], scenario_of: Callable[..., Scenario]
) -> None:
    """One request a second makes 120 in a window; a floor of 1,000 is never met, and after ten minutes it pauses."""
    policy = policy_of(annotations='{gamebird.dev/min-requests: "1000"}')
    stage = set_stage(policy, scenario_of(rps=1.0, errors=0.0))
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(10), measurements=True)
    assert measured is not None
    assert (measured.phase == 4).all()
    assert (table.outcome == Outcome.PAUSED).all()


def test_series_that_are_born_with_the_first_error_leave_the_ratio_empty_before(
    stage_of: Callable[..., Stage],
) -> None:
    """No 5xx series at all: an empty answer, on which `result[0]` is an error and not a success."""
    late = Release(series_5xx="first-error")
    stage = stage_of({"rps": 20.0, "release": late, "stable": late})
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(10), measurements=True)
    assert measured is not None
    assert (measured.phase == 3).all()
    assert (table.outcome == Outcome.ABORTED).all()


def test_a_proxy_counts_what_no_pod_is_there_to_answer(stage_of: Callable[..., Stage]) -> None:
    """Canaries that crash after 20 s now and then leave their half of the traffic without a pod: nginx answers 503."""
    query = (
        'sum(rate(nginx_ingress_controller_requests{service="orders-canary",status="503"}[2m])) / '
        "sum(rate(nginx_ingress_controller_requests[2m]))"
    )
    stage = stage_of(
        {"rps": 20.0, "release": Release(crash_after_s=20.0), "stable": Release()},
        query=query,
        condition="result[0] < 2",
    )
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(10), measurements=True)
    assert measured is not None
    assert (measured.value > 0.0).all()
    assert (measured.value < 0.5).all()
    assert (table.canary_requests < table.requests / 2).all()


def test_a_policy_that_measures_nothing_promotes_whatever_comes(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of({"errors": 0.9}, steps="[{setWeight: 50}, {pause: {duration: 60}}]")
    table, measured = run_block(stage, seed=3, cohort=1, runs=np.arange(4), measurements=True)
    assert (table.outcome == Outcome.PROMOTED).all()
    assert (table.metric == -1).all()
    assert (table.bad_requests > 0.8 * table.canary_requests).all()
    assert measured is not None
    assert len(measured.run) == 0

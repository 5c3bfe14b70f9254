"""Judging again: recordings of a few runs, worked out by hand, against the limits of the example's policy.

The example measures error-rate and latency-p95 three times, a minute apart, in each of three analyses, and the first
failure of either aborts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.outcomes.rejudging import OPEN, Rejudged, RejudgeError, rejudge
from sim.outcomes.table import MeasurementTable, Outcome, RunTable
from sim.scenarios import Scenario

A, P = Outcome.ABORTED, Outcome.PROMOTED
SUCCESSFUL, FAILED, INCONCLUSIVE, ERROR, MISSING = range(5)
MakeTable = Callable[..., RunTable]
Recorded = tuple[float, float, int]  # value, requests, phase


@pytest.fixture(scope="module")
def policy(root: Path) -> Policy:
    folder = root / "examples" / "orders-api"
    return load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()


def _kept(runs: Sequence[Sequence[Recorded]]) -> MeasurementTable:
    """Return error-rate as recorded, look by look, three looks to an analysis; latency-p95 is fine throughout."""
    rows = [
        (run, metric, look // 3, 300.0 * (look // 3) + 60.0 * (look % 3), *one)
        for run, looks in enumerate(runs)
        for look, error in enumerate(looks)
        for metric, one in ((0, error), (1, (0.1, 5_000.0, SUCCESSFUL)))
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return MeasurementTable(
        run=columns[0],
        metric=columns[1],
        analysis=columns[2],
        t_s=columns[3],
        value=columns[4],
        requests=columns[5],
        phase=columns[6],
        metrics=("error-rate", "latency-p95"),
    )


def _again(
    policy: Policy, table: RunTable, runs: Sequence[Sequence[Recorded]], **changes: str | int | None
) -> Rejudged:
    scenario = Scenario(traffic=Traffic(rps=100))
    wanted: dict[str, str | int | None] = {"metric": "error-rate", "success": None, "failure": None}
    wanted |= {"requests_min": None, **changes}
    return rejudge(policy, {"release": (scenario, table, _kept(runs))}, **wanted)  # type: ignore[arg-type]


def _good(value: float = 0.004, requests: float = 3_000.0) -> Recorded:
    return (value, requests, SUCCESSFUL)


def _bad(value: float = 0.02, requests: float = 3_000.0) -> Recorded:
    return (value, requests, FAILED)


def test_the_same_conditions_change_nothing(policy: Policy, make_table: MakeTable) -> None:
    again = _again(policy, make_table([P, A]), [[_good()] * 9, [_good(), _bad()]], success="result[0] < 0.01")
    assert again.releases[0].outcome.tolist() == [P, A]
    assert again.exact


def test_a_stricter_threshold_aborts_at_the_first_measurement_over_it(policy: Policy, make_table: MakeTable) -> None:
    runs = [[_good()] * 9, [_good()] * 4 + [_good(0.007)] + [_good()] * 4]
    again = _again(policy, make_table([P, P]), runs, success="result[0] < 0.005")
    assert again.releases[0].outcome.tolist() == [P, A]
    assert again.exact
    assert "every outcome" in again.notice.lower()


def test_a_laxer_threshold_leaves_open_what_an_aborted_run_would_have_done(
    policy: Policy, make_table: MakeTable
) -> None:
    again = _again(policy, make_table([A, P]), [[_good(), _bad()], [_good()] * 9], success="result[0] < 0.03")
    assert again.releases[0].outcome.tolist() == [OPEN, P]
    assert not again.exact
    assert "50.0%" in again.notice
    row = again.summary().loc["release"]
    assert (row["caught_before"], row["caught_least"], row["caught_most"], row["open"]) == (0.5, 0.0, 0.5, 0.5)


def test_an_abort_of_another_metric_stands(policy: Policy, make_table: MakeTable) -> None:
    # The run was aborted after its first look, by the other metric; this one was fine and is fine.
    again = _again(policy, make_table([A]), [[_good()]], success="result[0] < 0.03")
    assert again.releases[0].outcome.tolist() == [A]


def test_a_failure_condition_taken_away_and_a_success_condition_put_in_its_place_is_one_judgement(
    policy: Policy, make_table: MakeTable
) -> None:
    again = _again(policy, make_table([P]), [[_good(0.007)] * 9], success="", failure="result[0] >= 0.005")
    assert again.releases[0].outcome.tolist() == [A]


def test_between_two_conditions_a_rollout_waits_for_a_person(policy: Policy, make_table: MakeTable) -> None:
    # Neither below 0.005 nor from 0.01 on: inconclusive, and a limit of 0 is passed by the first of them.
    again = _again(
        policy, make_table([P]), [[_good(0.007)] * 9], success="result[0] < 0.005", failure="result[0] >= 0.01"
    )
    assert again.releases[0].outcome.tolist() == [Outcome.PAUSED]


def test_a_floor_that_every_measurement_meets_changes_nothing(policy: Policy, make_table: MakeTable) -> None:
    again = _again(policy, make_table([P, A]), [[_good()] * 9, [_bad()]], requests_min=3_000)
    assert again.releases[0].outcome.tolist() == [P, A]


def test_below_a_floor_the_metric_would_have_been_asked_again_and_that_is_open(
    policy: Policy, make_table: MakeTable
) -> None:
    again = _again(policy, make_table([P]), [[_good()] * 2 + [_good(requests=200.0)] + [_good()] * 6], requests_min=300)
    assert again.releases[0].outcome.tolist() == [OPEN]


def test_a_failure_that_is_proof_below_the_floor_still_aborts(policy: Policy, make_table: MakeTable) -> None:
    # 20 of 200 failed. A release that fails 1 % shows as much with a chance of about 1e-14: far below odds of 0.001.
    again = _again(policy, make_table([A]), [[_bad(0.1, 200.0)]], requests_min=300)
    assert again.releases[0].outcome.tolist() == [A]


def test_a_floor_without_a_metric_is_one_for_every_metric(policy: Policy, make_table: MakeTable) -> None:
    # 9,000 requests behind the error rate, 5,000 behind the latency: only the latter are too few.
    table, runs = make_table([P]), [[_good(requests=9_000.0)] * 9]
    assert _again(policy, table, runs, requests_min=6_000).releases[0].outcome.tolist() == [P]
    assert _again(policy, table, runs, metric=None, requests_min=6_000).releases[0].outcome.tolist() == [OPEN]


def test_an_unknown_number_of_requests_never_meets_a_floor(policy: Policy, make_table: MakeTable) -> None:
    again = _again(policy, make_table([P]), [[_good(requests=math.nan)] * 9], requests_min=1)
    assert again.releases[0].outcome.tolist() == [OPEN]


def test_an_answer_without_a_sample_stays_the_error_that_it_was(policy: Policy, make_table: MakeTable) -> None:
    # result[0] of an empty vector is an error for any threshold; a NaN would have been a failure.
    looks: list[Recorded] = [(math.nan, math.nan, ERROR), *[_good()] * 9]
    again = _again(policy, make_table([P]), [looks], success="result[0] < 0.03")
    assert again.releases[0].outcome.tolist() == [P]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "error-ratio"}, "the policy has error-rate, latency-p95"),
        ({"success": "result[0] <"}, "cannot be read"),
        ({"success": "result[1] < 0.01"}, "looks at more than"),
        ({"success": "len(result) > 0"}, "looks at more than"),
        ({"requests_min": -1}, "needs 0 or more"),
        ({"metric": None, "success": "result[0] < 0.03"}, "name it, one of error-rate, latency-p95"),
    ],
)
def test_what_cannot_be_judged_again_is_refused_with_what_would_do(
    policy: Policy, make_table: MakeTable, changes: dict[str, str | int | None], said: str
) -> None:
    with pytest.raises(RejudgeError, match=said):
        _again(policy, make_table([P]), [[_good()] * 9], **changes)

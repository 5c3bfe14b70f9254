"""What many simulated runs say of a game day, on tables small enough to be read."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.gameday_files import Expectation
from experiments.prediction.predicting import Range, predict_from
from experiments.verdicts import Verdict
from sim.outcomes.table import Outcome, RunTable

NAN = float("nan")


def table_of(outcomes: list[Outcome], detected: list[float], bad: list[float], weight: list[float]) -> RunTable:
    runs = len(outcomes)
    return RunTable(
        run=np.arange(runs),
        cohort=np.arange(runs) % 2,
        outcome=np.array([int(outcome) for outcome in outcomes]),
        ended_s=np.full(runs, 600.0),
        detected_s=np.array(detected),
        recovered_s=np.where(np.isnan(detected), NAN, 1.0),
        step=np.zeros(runs, dtype=np.int64),
        metric=np.full(runs, -1),
        weight_max=np.array(weight),
        canary_requests=np.full(runs, 100.0),
        requests=np.full(runs, 1000.0),
        bad_requests=np.array(bad),
        metrics=("error-rate",),
    )


ABORTED, PROMOTED, STUCK = Outcome.ABORTED, Outcome.PROMOTED, Outcome.STUCK


def test_the_verdict_is_the_most_frequent_one_and_every_one_that_occurred_is_told() -> None:
    table = table_of([ABORTED, PROMOTED, ABORTED, STUCK], [60, NAN, 70, NAN], [5, 9, 6, 0], [10, 100, 10, 0])
    said = predict_from(table, Expectation(verdict="aborted"), seed=7)
    assert said.verdict is Verdict.ABORTED
    assert dict(said.verdicts) == {Verdict.ABORTED: 0.5, Verdict.PROMOTED: 0.25, Verdict.DEGRADED: 0.25}
    assert (said.runs, said.cohorts, said.seed, said.as_expected) == (4, 2, 7, 0.5)


def test_an_expectation_holds_in_a_run_only_if_all_that_is_named_was_seen_to_hold() -> None:
    # 1: detected in time at 10 %. 2: too late. 3: at 30 %. 4: promoted, so never detected. One of four is as expected.
    table = table_of([ABORTED, ABORTED, ABORTED, PROMOTED], [60, 700, 60, NAN], [5, 5, 5, 5], [10, 10, 30, 100])
    expect = Expectation(verdict="aborted", detected_within_s=600.0, weight_max=10.0)
    assert predict_from(table, expect, seed=1).as_expected == 0.25


def test_an_interval_holds_nine_tenths_of_what_was_simulated() -> None:
    # Of 1, 2, … 100 bad requests: the 5th, the 50th and the 95th.
    runs = 100
    table = table_of([ABORTED] * runs, [float(n) for n in range(runs)], [n + 1.0 for n in range(runs)], [10.0] * runs)
    said = predict_from(table, Expectation(verdict="aborted"), seed=1)
    assert said.bad_requests == Range(low=5.0, median=50.0, high=95.0)
    assert sum(said.bad_requests.holds(n + 1.0) for n in range(runs)) == 91


def test_a_release_that_no_user_met_was_not_detected_in_no_time() -> None:
    table = table_of([ABORTED, PROMOTED], [NAN, NAN], [0, 3], [0, 100])
    said = predict_from(table, Expectation(verdict="aborted"), seed=1)
    assert said.detection_s is None
    assert predict_from(table, Expectation(verdict="aborted", detected_within_s=60.0), seed=1).as_expected == 0.0


def test_no_runs_are_no_prediction() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        predict_from(table_of([], [], [], []), Expectation(verdict="aborted"), seed=1)

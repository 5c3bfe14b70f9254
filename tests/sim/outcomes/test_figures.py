"""Figures of a release: worked out by hand on tables that hold a handful of runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sim.outcomes.figures import NO_METRIC, Figures, figures_of
from sim.outcomes.table import Outcome, RunTable

A, P, W, S = Outcome.ABORTED, Outcome.PROMOTED, Outcome.PAUSED, Outcome.STUCK
MakeTable = Callable[..., RunTable]


def _figures(table: RunTable, kind: str = "bad") -> Figures:
    return figures_of(table, name="one", kind=kind, about="", release="5 % errors")  # type: ignore[arg-type]


def test_outcomes_are_shares_of_all_runs_and_add_up(make_table: MakeTable) -> None:
    figures = _figures(make_table([A, A, A, P, W, S, S, S, S, S]))
    shares = {name: one.value for name, one in figures.outcomes.items()}
    assert shares == {"promoted": 0.1, "aborted": 0.3, "paused": 0.1, "stuck": 0.5}
    assert figures.caught.value == 0.3


def test_detection_is_told_of_aborted_runs_alone(make_table: MakeTable) -> None:
    # Detected after 10, 20 and 60 s: the median is 20, the p95 the third value. The promoted run has none.
    table = make_table([A, A, A, P], detected_s=[10.0, 60.0, 20.0, np.nan], ended_s=[1.0, 1.0, 1.0, 900.0])
    figures = _figures(table)
    assert figures.detection_s is not None
    assert (figures.detection_s.median.value, figures.detection_s.p95.value) == (20.0, 60.0)
    assert figures.to_promote_s is not None
    assert figures.to_promote_s.median.value == 900.0


def test_what_never_happened_is_absent_and_not_zero(make_table: MakeTable) -> None:
    figures = _figures(make_table([P, P]))
    assert figures.detection_s is None
    assert figures.recovery_s is None
    assert figures.by_step == {}


def test_an_abort_before_the_first_request_has_no_detection_time(make_table: MakeTable) -> None:
    assert _figures(make_table([A], detected_s=[np.nan])).detection_s is None


def test_steps_and_metrics_share_out_the_aborts(make_table: MakeTable) -> None:
    table = make_table([A, A, A, P], step=[2, 2, 5, 9], metric=[1, 1, -1, -1])
    figures = _figures(table)
    assert {step: one.value for step, one in figures.by_step.items()} == {2: 0.5, 5: 0.25}
    assert {name: one.value for name, one in figures.by_metric.items()} == {"latency-p95": 0.5, NO_METRIC: 0.25}


def test_users_hurt_is_the_share_of_all_requests_and_nobody_asking_hurts_nobody(make_table: MakeTable) -> None:
    # 50 of 1,000 and 30 of 3,000 are 5 % and 1 %; the run without a request counts as 0: a mean of 2 %.
    table = make_table([P, P, P], bad_requests=[50.0, 30.0, 0.0], requests=[1_000.0, 3_000.0, 0.0])
    hurt = _figures(table).users_hurt
    assert hurt.mean.value == pytest.approx(0.02)
    assert (hurt.worst, hurt.weight_max) == (0.05, 1.0)


def test_a_table_without_runs_is_refused_by_the_name_of_its_release(make_table: MakeTable) -> None:
    with pytest.raises(ValueError, match="one: no run was finished"):
        _figures(make_table([]))


def test_an_abort_of_a_good_release_is_a_false_one(make_table: MakeTable) -> None:
    assert _figures(make_table([A]), kind="good").false_abort
    assert not _figures(make_table([A]), kind="bad").false_abort

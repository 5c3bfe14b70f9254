"""Intervals that know the cohorts: against cases worked out by hand and against clusters of a known law."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists
from scipy import stats

from sim.outcomes.intervals import design_effect, mean, quantile, share, student

Clusters = Callable[..., tuple[np.ndarray, np.ndarray]]


def _interval(hits: list[int] | np.ndarray, cohort: list[int] | np.ndarray) -> tuple[float, float, float]:
    found = share(np.asarray(hits, dtype=bool), np.asarray(cohort))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.value, found.high


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 49, 99, 9_999])
def test_the_quantile_of_student_is_within_two_thousandths_of_another_library(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-3)


def test_independent_runs_have_the_interval_of_wilson() -> None:
    # 50 of 100, each run a cohort of its own: the design effect is 1 (100/99 between cohorts, mixed with 1). With
    # t(99) = 1.98422, z² = 3.93711: middle 0.5; half = 1.98422/1.0393711 · sqrt(0.25/100 + 3.93711/40000)
    # = 1.909058 · sqrt(0.0025984) = 1.909058 · 0.0509747 = 0.09731.  With 100/99 in the design effect: 0.0977.
    low, value, high = _interval([1, 0] * 50, range(100))  # type: ignore[arg-type]
    assert value == 0.5
    assert (low, high) == (pytest.approx(0.4023, abs=6e-4), pytest.approx(0.5977, abs=6e-4))


def test_cohorts_that_decide_everything_count_as_one_run_each() -> None:
    # 10 cohorts of 100 runs, 5 of them caught as a whole. Between cohorts: 10/9 · 10·50² / 1000² = 0.0277778;
    # independent runs: 0.25/1000 = 0.00025. Their ratio is 111, limited to the size of a cohort, 100.
    found, size = np.array([100.0] * 5 + [0.0] * 5), np.full(10, 100.0)
    assert design_effect(found, size) == pytest.approx(100.0)


def test_the_imaginary_run_whose_cohort_went_with_it_is_one_among_the_rarer_kind() -> None:
    # 4 cohorts of 10 runs, one hit each: no variance between cohorts. The mix is (4·0 + 10) / (4 + 1) = 2.
    assert design_effect(np.ones(4), np.full(4, 10.0)) == pytest.approx(2.0)


@pytest.mark.parametrize("caught", [0, 1])
def test_where_all_runs_agree_the_cohorts_are_counted_and_not_the_runs(caught: int) -> None:
    # 100 cohorts of 100 runs: as if 100 runs had agreed. Wilson at 0 of 100: z²/(100 + z²) = 3.93711/103.93711.
    low, value, high = _interval(np.full(10_000, caught), np.repeat(np.arange(100), 100))
    expected = 3.93711 / 103.93711
    if caught:
        assert (low, value, high) == (pytest.approx(1 - expected, abs=1e-5), 1.0, 1.0)
    else:
        assert (low, value, high) == (0.0, 0.0, pytest.approx(expected, abs=1e-5))


def test_one_cohort_alone_says_almost_nothing_however_many_runs_it_has() -> None:
    low, _, high = _interval([1, 0] * 500, [0] * 1_000)
    assert high - low > 0.9


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.2, 1.0])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.97])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(clusters: Clusters, p: float, rho: float) -> None:
    held = 0
    for seed in range(200):
        hits, cohort = clusters(seed, cohorts=100, runs_each=50, p=p, rho=rho)
        low, _, high = _interval(hits, cohort)
        held += low <= p <= high
    # At 90 % (small shares of whole cohorts are the hardest case) 200 trials have a deviation of 4.2.
    assert held >= 180 - 3 * 4.2


def test_many_runs_of_both_kinds_without_cohorts_cost_next_to_nothing(clusters: Clusters) -> None:
    hits, cohort = clusters(1, cohorts=100, runs_each=100, p=0.5, rho=0.0)
    low, _, high = _interval(hits, cohort)
    plain = 2 * 1.96 * math.sqrt(0.25 / 10_000)  # 0.0196
    assert high - low < 1.25 * plain


@given(lists(integers(0, 20), min_size=2, max_size=30))
def test_an_interval_is_never_empty_and_holds_its_own_estimate(found: list[int]) -> None:
    hits = np.concatenate([np.arange(20) < number for number in found])
    low, value, high = _interval(hits, np.repeat(np.arange(len(found)), 20))
    assert 0 <= low <= value <= high <= 1
    assert low < high


def test_no_run_has_no_share_no_mean_and_no_quantile() -> None:
    nothing = np.zeros(0)
    assert share(nothing.astype(bool), nothing.astype(int)) is None
    assert mean(nothing, nothing.astype(int)) is None
    assert quantile(nothing, nothing.astype(int), 0.5) is None


def test_a_quantile_is_a_value_that_occurred() -> None:
    # Of 1..10 the median is the 5th value, the smallest that half of them do not exceed; the p95 is the 10th.
    values = np.arange(1.0, 11.0)
    found = [quantile(values, np.arange(10), q) for q in (0.5, 0.95)]
    assert [one.value for one in found if one is not None] == [5.0, 10.0]


def test_a_p95_of_ten_runs_has_no_upper_end() -> None:
    found = quantile(np.arange(10.0), np.arange(10), 0.95)
    assert found is not None
    assert found.high is None


@pytest.mark.parametrize(("q", "truth"), [(0.5, math.log(2)), (0.95, math.log(20))])
def test_the_interval_of_a_quantile_holds_the_truth_about_as_often_as_it_says(q: float, truth: float) -> None:
    held = 0
    for seed in range(200):
        chance = np.random.default_rng(seed)
        cohort = np.repeat(np.arange(40), 25)
        found = quantile(chance.exponential(size=1_000), cohort, q)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 190 - 3 * 3.1  # 95 %: a deviation of 3.1


def test_the_mean_is_as_sure_as_its_cohorts_are_alike() -> None:
    # Two cohorts of two runs, totals 2 and 6, mean 2. Variance: 2/1 · ((2-4)² + (6-4)²) / 16 = 1; t(1) = 12.706.
    found = mean(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    assert found is not None
    assert (found.value, found.low, found.high) == (2.0, 0.0, pytest.approx(2 + 12.7062, abs=1e-3))


def test_one_cohort_does_not_bound_a_mean() -> None:
    found = mean(np.array([1.0, 3.0]), np.array([7, 7]))
    assert found is not None
    assert (found.value, found.low, found.high) == (2.0, None, None)

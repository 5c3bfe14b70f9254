"""Range functions, worked out by hand: what is in a window, how a rate is stretched, what a reset costs."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest

from promql.engine import evaluate, evaluate_range
from promql.storage import STALE_NAN

EVERY_15_S = [(t, v) for t, v in zip(range(0, 301, 15), range(0, 21 * 3, 3), strict=True)]
"""0, 3, 6, … at 0 s, 15 s, …, 300 s: 0.2 a second."""


def test_a_rate_over_even_samples_is_their_slope(store_of: Any, numbers: Any) -> None:
    store = store_of({"x_total": EVERY_15_S})
    assert numbers(evaluate("rate(x_total[1m])", 300.0, store)) == [pytest.approx(0.2)]
    # (240, 300] holds 255 … 300: four samples that rose by 9 in 45 s, stretched over 60 s to 12.
    assert numbers(evaluate("increase(x_total[1m])", 300.0, store)) == [pytest.approx(12.0)]


def test_a_window_leaves_its_left_edge_out(store_of: Any, numbers: Any) -> None:
    store = store_of({"x": EVERY_15_S})
    assert numbers(evaluate("count_over_time(x[1m])", 300.0, store)) == [4.0]
    assert numbers(evaluate("count_over_time(x[60001ms])", 300.0, store)) == [5.0]


def test_an_instant_selector_looks_back_less_than_five_minutes(store_of: Any, numbers: Any) -> None:
    store = store_of({"x": [(0.0, 7.0)]})
    assert numbers(evaluate("x", 299.999, store)) == [7.0]
    assert numbers(evaluate("x", 300.0, store)) == []


def test_one_sample_gives_no_rate(store_of: Any, numbers: Any) -> None:
    store = store_of({"x_total": [(0.0, 7.0)]})
    assert numbers(evaluate("rate(x_total[5m])", 10.0, store)) == []


def test_a_reset_adds_what_the_counter_had_reached(store_of: Any, numbers: Any) -> None:
    # 10, 20, 5, 15 in 30 s: 15 - 10 + 20 = 25. The mean interval is 10 s; to the left 30 s are missing (more than
    # 11 s, so half an interval counts), to the right nothing: 25 × (30 + 5) / 30.
    store = store_of({"x_total": [(30.0, 10.0), (40.0, 20.0), (50.0, 5.0), (60.0, 15.0)]})
    assert numbers(evaluate("increase(x_total[1m])", 60.0, store)) == [pytest.approx(25 * 35 / 30)]
    assert numbers(evaluate("resets(x_total[1m])", 60.0, store)) == [1.0]
    # A gauge's delta knows no resets: 15 - 10 = 5.
    assert numbers(evaluate("delta(x_total[1m])", 60.0, store)) == [pytest.approx(5 * 35 / 30)]


def test_a_counter_is_not_stretched_back_below_zero(store_of: Any, numbers: Any) -> None:
    # 1 and 11 at 50 s and 60 s: at one a second it was zero 1 s before the first sample, so 1 s is added, not 5 s.
    store = store_of({"x_total": [(50.0, 1.0), (60.0, 11.0)]})
    assert numbers(evaluate("increase(x_total[1m])", 60.0, store)) == [pytest.approx(10 * 11 / 10)]


def test_irate_takes_the_last_two_samples_and_a_reset_starts_from_zero(store_of: Any, numbers: Any) -> None:
    store = store_of({"x_total": [(0.0, 100.0), (10.0, 110.0), (20.0, 4.0)]})
    assert numbers(evaluate("irate(x_total[1m])", 20.0, store)) == [pytest.approx(0.4)]
    assert numbers(evaluate("irate(x_total[1m])", 19.0, store)) == [pytest.approx(1.0)]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("sum_over_time(x[1m])", 15.0),
        ("avg_over_time(x[1m])", 3.75),
        ("min_over_time(x[1m])", 1.0),
        ("max_over_time(x[1m])", 8.0),
        ("first_over_time(x[1m])", 2.0),
        ("last_over_time(x[1m])", 4.0),
        ("present_over_time(x[1m])", 1.0),
        # Of 1, 2, 4, 8 the middle lies halfway between 2 and 4.
        ("quantile_over_time(0.5, x[1m])", 3.0),
        ("changes(x[1m])", 3.0),
        # Mean 3.75; squares of the distances 3.0625, 7.5625, 18.0625, 0.0625 are 28.75 in all.
        ("stdvar_over_time(x[1m])", 28.75 / 4),
        ("stddev_over_time(x[1m])", math.sqrt(28.75 / 4)),
        # Times -22.5 … 22.5 about their mean: (-22.5·2 - 7.5·1 + 7.5·8 + 22.5·4) / (2·22.5² + 2·7.5²) = 97.5/1125.
        ("deriv(x[1m])", 97.5 / 1125),
        # The line at its mean, 22.5 s before the end, is 3.75; a minute after the end it is 82.5 s further.
        ("predict_linear(x[1m], 60)", 3.75 + 82.5 * 97.5 / 1125),
    ],
)
def test_functions_over_time(store_of: Any, numbers: Any, query: str, wanted: float) -> None:
    store = store_of({"x": [(15.0, 2.0), (30.0, 1.0), (45.0, 8.0), (60.0, 4.0)]})
    assert numbers(evaluate(query, 60.0, store)) == [pytest.approx(wanted)]


def test_a_marker_in_a_window_is_passed_over_by_every_function(store_of: Any, numbers: Any) -> None:
    whole = store_of({"x_total": [(10.0, 1.0), (20.0, 5.0), (40.0, 2.0), (50.0, 6.0)]})
    marked = store_of({"x_total": [(10.0, 1.0), (20.0, 5.0), (30.0, STALE_NAN), (40.0, 2.0), (50.0, 6.0)]})
    for name in ("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "sum_over_time", "deriv"):
        query = f"{name}(x_total[1m])"
        assert numbers(evaluate(query, 55.0, marked)) == numbers(evaluate(query, 55.0, whole)), name


def test_nan_is_a_value_that_spreads_and_that_min_and_max_avoid(store_of: Any, numbers: Any) -> None:
    store = store_of({"x": [(10.0, 1.0), (20.0, math.nan), (30.0, 3.0)]})
    assert math.isnan(numbers(evaluate("sum_over_time(x[1m])", 30.0, store))[0])
    assert numbers(evaluate("max_over_time(x[1m])", 30.0, store)) == [3.0]
    assert numbers(evaluate("min_over_time(x[1m])", 30.0, store)) == [1.0]
    # NaN sorts lowest: of NaN, 1, 3 the middle is 1.
    assert numbers(evaluate("quantile_over_time(0.5, x[1m])", 30.0, store)) == [1.0]


def test_offset_and_at_move_the_window(store_of: Any, numbers: Any) -> None:
    store = store_of({"x": EVERY_15_S})
    assert numbers(evaluate("x offset 1m", 300.0, store)) == [48.0]
    assert numbers(evaluate("x offset -1m", 240.0, store)) == [60.0]
    assert numbers(evaluate("x @ 150", 300.0, store)) == [30.0]
    assert numbers(evaluate("x @ 150 offset 15s", 300.0, store)) == [27.0]
    assert numbers(evaluate("sum_over_time(x[30s] @ end())", 150.0, store)) == [27.0 + 30.0]


def test_a_subquery_is_aligned_to_its_step_and_feeds_any_range_function(store_of: Any, numbers: Any) -> None:
    store = store_of({"x": EVERY_15_S})
    # (100, 160] every 20 s: 120, 140, 160 see the samples of 120 s (24), 135 s (27) and 150 s (30).
    assert numbers(evaluate("sum_over_time(x[1m:20s])", 160.0, store)) == [81.0]
    # The default step is a minute: 60 s (12) and 120 s (24) of (40, 160].
    assert numbers(evaluate("sum_over_time(x[2m:])", 160.0, store)) == [36.0]
    assert numbers(evaluate("max_over_time(rate(x[1m])[2m:30s])", 300.0, store)) == [pytest.approx(0.2)]


def test_a_range_query_is_an_instant_query_at_every_step(store_of: Any) -> None:
    store = store_of({"x_total": EVERY_15_S, 'y{a="b"}': [(100.0, 1.0), (130.0, 4.0)]})
    for query in ("rate(x_total[1m])", "y", "sum_over_time(y[1m])", "x_total + on() y", "time()", "x_total @ end()"):
        whole = evaluate_range(query, 0.0, 300.0, 20.0, store)
        for step, t_ms in enumerate(whole.times_ms.tolist()):
            if "end()" in query:
                continue
            instant = evaluate(query, t_ms / 1000, store)
            there = [index for index in range(len(whole.labels)) if whole.present[0, index, step]]
            found = {whole.labels[index]: whole.values[0, index, step] for index in there}
            wanted = {
                labels: instant.values[0, at] for at, labels in enumerate(instant.labels) if instant.present[0, at]
            }
            assert found == pytest.approx(wanted, nan_ok=True), (query, t_ms)


def test_a_range_selector_alone_gives_its_samples(store_of: Any) -> None:
    store = store_of({"x": [(10.0, 1.0), (20.0, STALE_NAN), (30.0, 3.0)]})
    (series,) = evaluate("x[25s]", 30.0, store).series
    found = [(t, v) for t, v, p in zip(series.times_ms, series.values[0], series.present[0], strict=True) if p]
    assert found == [(10_000, 1.0), (30_000, 3.0)]


def test_a_rate_of_something_that_is_no_counter_by_name_is_remarked_on(store_of: Any) -> None:
    result = evaluate("1 +\n rate(queue_depth[1m])", 300.0, store_of({"queue_depth": EVERY_15_S}))
    assert result.annotations.infos == (
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
        '"queue_depth" (2:7)',
    )
    assert evaluate("rate(x_total[1m])", 300.0, store_of({"x_total": EVERY_15_S})).annotations.infos == ()


def test_windows_that_overlap_a_thousandfold_are_not_held_all_at_once(store_of: Any) -> None:
    """11,000 steps over windows of 2,000 samples are 22 million values; whole they would be 176 MB and more."""
    store = store_of({"x": [(float(t), float(t % 7)) for t in range(2000)]})
    tracemalloc.start()
    result = evaluate_range("quantile_over_time(0.5, x[2000s])", 1000.0, 2099.0, 0.1, store)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100e6
    assert result.values.shape == (1, 1, 10_991)
    # At 1999 s all samples are in: 0 … 6 in turn, whose middle is 3.
    assert result.values[0, 0, 9990] == 3.0

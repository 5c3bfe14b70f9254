"""Aggregations, operators and functions of instant vectors, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from promql.engine import ErrorKind, Limits, PromQLError, evaluate, evaluate_range

PODS = {
    'load{pod="a",zone="x"}': [(0.0, 1.0)],
    'load{pod="b",zone="x"}': [(0.0, 2.0)],
    'load{pod="c",zone="y"}': [(0.0, 6.0)],
    'limit{zone="x"}': [(0.0, 10.0)],
    'limit{zone="y"}': [(0.0, 12.0)],
}


def answers(result: Any) -> dict[str, float]:
    return {",".join(f"{n}={v}" for n, v in labels): value for labels, value in result.vector()}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("sum(load)", {"": 9.0}),
        ("sum by (zone) (load)", {"zone=x": 3.0, "zone=y": 6.0}),
        ("sum without (pod) (load)", {"zone=x": 3.0, "zone=y": 6.0}),
        ("avg(load)", {"": 3.0}),
        ("count(load)", {"": 3.0}),
        ("group(load)", {"": 1.0}),
        ("min by (zone) (load)", {"zone=x": 1.0, "zone=y": 6.0}),
        ("max by (zone) (load)", {"zone=x": 2.0, "zone=y": 6.0}),
        # Distances from the mean 3: 2, 1, 3.
        ("stdvar(load)", {"": 14 / 3}),
        ("stddev(load)", {"": math.sqrt(14 / 3)}),
        ("quantile(0.5, load)", {"": 2.0}),
        ("topk(1, load)", {"__name__=load,pod=c,zone=y": 6.0}),
        ("bottomk(1, load)", {"__name__=load,pod=a,zone=x": 1.0}),
        ('count_values("n", load > bool 1)', {"n=0": 1.0, "n=1": 2.0}),
        ("load / on (zone) group_left limit", {"pod=a,zone=x": 0.1, "pod=b,zone=x": 0.2, "pod=c,zone=y": 0.5}),
        ("limit / on (zone) sum by (zone) (load)", {"zone=x": 10 / 3, "zone=y": 2.0}),
        ("limit and on (zone) (load > 5)", {"__name__=limit,zone=y": 12.0}),
        ("limit unless on (zone) (load > 5)", {"__name__=limit,zone=x": 10.0}),
        (
            "(load > 5) or limit",
            {"__name__=load,pod=c,zone=y": 6.0, "__name__=limit,zone=x": 10.0, "__name__=limit,zone=y": 12.0},
        ),
        ("load > 1 < 5", {"__name__=load,pod=b,zone=x": 2.0}),
        ("10 < limit", {"__name__=limit,zone=y": 12.0}),
        ("-limit", {"zone=x": -10.0, "zone=y": -12.0}),
        ("limit % 7", {"zone=x": 3.0, "zone=y": 5.0}),
        ("clamp(load, 1.5, 5)", {"pod=a,zone=x": 1.5, "pod=b,zone=x": 2.0, "pod=c,zone=y": 5.0}),
        ("clamp(load, 5, 1)", {}),
        ("absent(load)", {}),
        ('absent(nothing{a="b",c=~"d"})', {"a=b": 1.0}),
        ("absent(sum(nothing))", {"": 1.0}),
        ("vector(scalar(load))", {"": math.nan}),
        ("vector(scalar(sum(load)))", {"": 9.0}),
        (
            'label_replace(limit, "area", "$1-$2", "zone", "(.)()")',
            {"__name__=limit,area=x-,zone=x": 10.0, "__name__=limit,area=y-,zone=y": 12.0},
        ),
        # The pattern is anchored, so nothing is replaced.
        ('label_replace(limit{zone="x"}, "area", "q", "__name__", "lim")', {"__name__=limit,zone=x": 10.0}),
        ('label_join(limit{zone="x"}, "both", "-", "zone", "nothing")', {"__name__=limit,both=x-,zone=x": 10.0}),
        ("day_of_week(vector(1700000000))", {"": 2.0}),  # 14 November 2023 was a Tuesday
        ("days_in_month(vector(1707000000))", {"": 29.0}),  # February 2024
        ("day_of_year(vector(1704067200))", {"": 1.0}),  # 1 January 2024
        ("month(vector(-1))", {"": 12.0}),
        ("round(limit / 8, 0.5)", {"zone=x": 1.5, "zone=y": 1.5}),  # 1.25 and 1.5; halves go up
        ("sgn(limit - 11)", {"zone=x": -1.0, "zone=y": 1.0}),
        ("timestamp(limit)", {"zone=x": 0.0, "zone=y": 0.0}),
        ("timestamp(limit + 0)", {"zone=x": 30.0, "zone=y": 30.0}),
    ],
)
def test_instant_vectors(store_of: Any, query: str, wanted: dict[str, float]) -> None:
    assert answers(evaluate(query, 30.0, store_of(PODS))) == pytest.approx(wanted, nan_ok=True)


def test_sorting_puts_nan_last_both_ways(store_of: Any, numbers: Any) -> None:
    store = store_of({'x{p="1"}': [(0.0, math.nan)], 'x{p="2"}': [(0.0, 3.0)], 'x{p="3"}': [(0.0, 5.0)]})
    assert [str(value) for value in numbers(evaluate("sort(x)", 0.0, store))] == ["3.0", "5.0", "nan"]
    assert [str(value) for value in numbers(evaluate("sort_desc(x)", 0.0, store))] == ["5.0", "3.0", "nan"]
    assert [str(value) for value in numbers(evaluate("sort_desc(x) + 1", 0.0, store))] == ["6.0", "4.0", "nan"]
    assert [str(value) for value in numbers(evaluate("topk(2, x)", 0.0, store))] == ["5.0", "3.0"]
    assert [str(value) for value in numbers(evaluate("bottomk(3, x)", 0.0, store))] == ["3.0", "5.0", "nan"]


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("histogram_count(load)", None, ""),  # a plain number is no native histogram
        ("load + limit", None, ""),  # nothing matches: an empty answer, no error
        ("limit + on () load", ErrorKind.EXECUTION, "found duplicate series for the match group {} on the right"),
        ("load + on (zone) limit", ErrorKind.EXECUTION, "many-to-one matching must be explicit"),
        ("load + on (zone) group_left () load", ErrorKind.EXECUTION, "many-to-many matching not allowed"),
        ('label_replace(load, "pod", "z", "", "")', ErrorKind.EXECUTION, "same labelset"),
        ('-{__name__=~"load|other",pod="a"}', ErrorKind.EXECUTION, "same labelset"),
        ('label_replace(load, "pod", "z", "pod", "(")', ErrorKind.EXECUTION, "invalid regular expression"),
        ("topk(NaN, load)", ErrorKind.EXECUTION, "Parameter value is NaN"),
        ("sum(", ErrorKind.BAD_DATA, 'invalid parameter "query"'),
    ],
)
def test_errors_are_typed_and_worded(store_of: Any, query: str, kind: ErrorKind | None, message: str) -> None:
    store = store_of({**PODS, 'other{pod="a",zone="x"}': [(0.0, 1.0)]})
    if kind is None:
        assert evaluate(query, 30.0, store).vector() == []
        return
    with pytest.raises(PromQLError, match=message) as caught:
        evaluate(query, 30.0, store)
    assert caught.value.kind is kind


def test_series_that_never_meet_may_share_their_labels(store_of: Any) -> None:
    store = store_of({"a": [(0.0, 1.0)], "b": [(600.0, 2.0)]})
    result = evaluate_range('-{__name__=~"a|b"}', 0.0, 600.0, 300.0, store)
    assert result.labels == ((),)
    assert result.values[0, 0, [0, 2]].tolist() == [-1.0, -2.0]
    assert result.present[0, 0].tolist() == [True, False, True]


BUCKETS = {
    'h_bucket{le="1"}': [(0.0, 10.0)],
    'h_bucket{le="2"}': [(0.0, 30.0)],
    'h_bucket{le="4"}': [(0.0, 38.0)],
    'h_bucket{le="+Inf"}': [(0.0, 40.0)],
}


@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("0.25", 1.0),  # rank 10 is the end of the first bucket
        ("0.5", 1.5),  # rank 20 lies halfway through the second
        ("0.125", 0.5),  # the first bucket begins at zero
        ("0.99", 4.0),  # beyond the last finite bound nothing more is known
        ("-1", -math.inf),
        ("2", math.inf),
        ("NaN", math.nan),
    ],
)
def test_a_quantile_is_interpolated_inside_its_bucket(store_of: Any, numbers: Any, q: str, wanted: float) -> None:
    result = evaluate(f"histogram_quantile({q}, h_bucket)", 0.0, store_of(BUCKETS))
    assert numbers(result) == [pytest.approx(wanted, nan_ok=True)]
    assert bool(result.annotations.warnings) == (q in ("-1", "2", "NaN"))


def test_the_share_between_two_values_is_interpolated_too(store_of: Any, numbers: Any) -> None:
    # Half of the second bucket's 20, and all 8 of the third, of 40.
    assert numbers(evaluate("histogram_fraction(1.5, 4, h_bucket)", 0.0, store_of(BUCKETS))) == [18 / 40]


def test_falling_buckets_are_lifted_and_remarked_on(store_of: Any, numbers: Any) -> None:
    store = store_of({**BUCKETS, 'h_bucket{le="3"}': [(0.0, 20.0)]})
    result = evaluate("histogram_quantile(0.9, h_bucket)", 0.0, store)
    # Rank 36: le=3 is lifted to 30, so the rank lies 6/8 through the bucket from 3 to 4.
    assert numbers(result) == [3.75]
    assert "needed to be fixed for monotonicity" in result.annotations.infos[0]


def test_buckets_without_a_bound_are_named_and_without_infinity_there_is_no_quantile(store_of: Any) -> None:
    result = evaluate(
        "histogram_quantile(0.5, x)", 0.0, store_of({'x{le="big"}': [(0.0, 1.0)], 'x{le="1"}': [(0.0, 1.0)]})
    )
    assert [str(value) for _, value in result.vector()] == ["nan"]
    assert result.annotations.warnings == (
        'PromQL warning: bucket label "le" is missing or has a malformed value of "big" (1:25)',
    )


def test_scalars_and_strings_are_answers_too(store_of: Any) -> None:
    store = store_of({})
    assert evaluate("1 + 2 * 3 ^ 2 % 4", 5.0, store).scalar() == 3.0
    assert evaluate("time()", 5.0, store).scalar() == 5.0
    assert evaluate("1 < bool 2", 5.0, store).scalar() == 1.0
    assert evaluate('"a"', 5.0, store).text == "a"
    assert math.isnan(evaluate("scalar(nothing)", 5.0, store).scalar())


def test_too_much_is_refused(store_of: Any) -> None:
    store = store_of(PODS)
    with pytest.raises(PromQLError, match="too many samples"):
        evaluate("sum(load)", 30.0, store, limits=Limits(samples_max=2))
    with pytest.raises(PromQLError, match="timed out") as caught:
        evaluate("sum(load)", 30.0, store, limits=Limits(timeout_s=-1.0))
    assert caught.value.kind is ErrorKind.TIMEOUT
    with pytest.raises(PromQLError, match="canceled") as caught:
        evaluate("sum(load)", 30.0, store, limits=Limits(canceled=lambda: True))
    assert caught.value.kind is ErrorKind.CANCELED
    with pytest.raises(PromQLError, match="11,000 points"):
        evaluate_range("load", 0.0, 12_000.0, 1.0, store)
    # A subquery's steps count as well: 10^9 of them here.
    with pytest.raises(PromQLError, match="too many samples"):
        evaluate("max_over_time(vector(1)[1000000s:1ms])", 2_000_000.0, store)


@pytest.mark.parametrize(
    "query", ["abs(" * 490 + "limit" + ")" * 490, "max_over_time(" * 240 + "limit" + "[5m:1m])" * 240]
)
def test_the_deepest_queries_are_answered(store_of: Any, numbers: Any, query: str) -> None:
    assert len(evaluate(query, 30.0, store_of({'limit{zone="x"}': [(t, 1.0) for t in range(0, 31, 15)]})).vector()) <= 1


def test_a_time_beyond_all_clocks_selects_nothing(store_of: Any) -> None:
    for query in ("limit @ 1e18", "rate(limit[5m] @ -1e18)", "limit offset 290y"):
        assert evaluate(query, 30.0, store_of(PODS)).vector() == []


def test_samples_count_while_they_are_held_and_no_longer(store_of: Any) -> None:
    """Each sum reads three samples and keeps one, so ten sums in a row never hold more than five."""
    query = " + ".join(["sum(load)"] * 10)
    assert evaluate(query, 30.0, store_of(PODS), limits=Limits(samples_max=6)).vector() == [((), 90.0)]


def test_a_tree_that_was_built_is_evaluated_like_its_text(store_of: Any, numbers: Any) -> None:
    from promql.syntax import parse

    assert numbers(evaluate(parse("sum(load)"), 30.0, store_of(PODS))) == [9.0]

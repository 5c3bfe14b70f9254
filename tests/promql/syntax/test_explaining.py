"""A query explained in words: what it reads, what it divides, what its value rests on."""

from __future__ import annotations

import pytest

from promql.syntax import parse
from promql.syntax.explaining import explain


def test_a_ratio_is_explained() -> None:
    found = explain(parse("1 - sum(rate(r_total{code='500'}[5m])) / sum(rate(r_total[5m]))"))
    assert found.reads == ('r_total{code="500"}: the samples of 5m', "r_total: the samples of 5m")
    assert found.divides == ('sum(rate(r_total{code="500"}[5m])) by sum(rate(r_total[5m]))',)
    assert found.count == "sum(increase(r_total[5m]))"
    assert found.requests == "the denominator of the ratio, as an increase over the same window"
    assert found.shape == 'the share of all but sum(increase(r_total{code="500"}[5m]))'


def test_a_query_without_requests_says_why() -> None:
    found = explain(parse("max(queue_depth)"))
    assert found.count is None
    assert found.requests == "queue_depth is a gauge by its name: a level, with no requests behind it"


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("a", "a: the latest sample, at most 5m old"),
        ("a offset 1h", "a: the latest sample, at most 5m old, 1h before the time asked for"),
        ("rate(a[5m] offset -1m)", "a: the samples of 5m, 1m after the time asked for"),
        ("max_over_time(rate(a[5m])[1h:])", "a: the samples of 1h5m"),
        ("a @ 1000", "a: the latest sample, at most 5m old, counted from 1000"),
        ("rate(a[5m] @ end() offset 1m)", "a: the samples of 5m, 1m before, counted from the end of the query"),
    ],
)
def test_the_stretch_of_time_is_told(text: str, reads: str) -> None:
    assert explain(parse(text)).reads == (reads,)

"""Which series and which times a query reads, worked out from its text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql.syntax import longest_window_s, may_overlap, parse, readings, selectors, to_text
from promql.syntax.reading import divisions, passes, reach_s, selects_within
from promql.syntax.tree import AtBound, Matcher, MatchOp, VectorSelector


def selector(text: str) -> VectorSelector:
    expr = parse(text)
    assert isinstance(expr, VectorSelector)
    return expr


def test_selectors_are_found_in_the_order_of_the_text() -> None:
    found = selectors(parse("sum(rate(a{x='1'}[5m])) / b + scalar(c)"))
    assert [to_text(one) for one in found] == ['a{x="1"}', "b", "c"]


@pytest.mark.parametrize(
    ("text", "from_s", "until_s"),
    [
        ("a", 300, 0),  # the latest sample, at most five minutes old
        ("a offset 1h", 3900, 3600),
        ("rate(a[5m])", 300, 0),
        ("rate(a[5m] offset -1m)", 240, -60),
        # A subquery over an hour, each step of which looks five minutes back.
        ("max_over_time(rate(a[5m])[1h:])", 3900, 0),
        ("max_over_time(rate(a[5m] offset 1m)[1h:30s] offset 10m)", 600 + 3600 + 60 + 300, 600 + 60),
        ("max_over_time(a[1h:])", 3900, 0),
        ("max_over_time(max_over_time(rate(a[1m])[10m:])[1h:])", 60 + 600 + 3600, 0),
    ],
)
def test_the_stretch_that_a_selector_reads_is_known(text: str, from_s: float, until_s: float) -> None:
    (reading,) = readings(parse(text))
    assert (reading.from_s, reading.until_s, reading.at) == (from_s, until_s, None)


def test_a_time_after_an_at_sign_counts_from_there() -> None:
    first, second = readings(parse("rate(a[5m] @ 1000 offset 1m) + max_over_time(b[1h:] @ end())"))
    assert (first.at, first.from_s, first.until_s, first.window_s) == (1000.0, 360, 60, 300)
    assert (second.at, second.from_s, second.until_s, second.window_s) == (AtBound.END, 3900, 0, None)


def test_the_longest_window_is_that_of_the_widest_read() -> None:
    assert longest_window_s(parse("sum(rate(a[5m])) / sum(rate(b[10m] offset 1h))")) == 600
    assert longest_window_s(parse("max_over_time(rate(a[5m])[1h:])")) == 3900
    assert longest_window_s(parse("a + 1")) == 0
    assert longest_window_s(parse("1 + 1")) == 0


def test_the_reach_is_how_much_history_a_store_must_hold() -> None:
    assert reach_s(parse("rate(a[5m] offset 1h)")) == 3900
    assert reach_s(parse("rate(a[5m] offset 1h) + b @ 0")) == 3900
    assert reach_s(parse("a"), lookback_s=60) == 60


def test_divisions_are_listed_from_the_outside_in() -> None:
    found = divisions(parse("(a / b) / 1000"))
    assert [(to_text(one.dividend), to_text(one.divisor)) for one in found] == [("(a / b)", "1000"), ("a", "b")]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a{x='1'}", "a", True),
        ("a{x='1'}", "a{x='2'}", False),
        ("a{x='1'}", "a{y='2'}", True),
        ("a{x=~'1|2'}", "a{x=~'2|3'}", True),
        ("a{x=~'1|2'}", "a{x=~'3|4'}", False),
        ("a{x='500'}", "a{x=~'5..'}", True),
        ("a{x='200'}", "a{x=~'5..'}", False),
        ("a{x='500'}", "a{x!~'5..'}", False),
        ("a{x=~'5..'}", "a{x!~'5..'}", False),
        ("a{x=~'5..'}", "a{x=~'4..'}", True),  # really apart, but that is not seen
        ("a{x=''}", "a{x=~'.+'}", False),
        ("{__name__=~'a|b'}", "c", False),
    ],
)
def test_selectors_that_cannot_overlap_are_told_apart(one: str, other: str, overlap: bool) -> None:
    assert may_overlap(selector(one), selector(other)) is overlap
    assert may_overlap(selector(other), selector(one)) is overlap


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        ("a{x='1'}", "a", True),
        ("a", "a{x='1'}", False),
        ("a{x='1',y='2'}", "a{y='2'}", True),
        ("a{x='500'}", "a{x=~'5..'}", True),
        ("a{x=~'500|503'}", "a{x=~'5..'}", True),
        ("a{x=~'500|403'}", "a{x=~'5..'}", False),
        ("a{x=~'5..'}", "a{x=~'5..|4..'}", False),  # really within, but that is not seen
        ("a{x='1'}", "a{x!='2'}", True),
        ("a{x=~'5..'}", "a{x!=''}", True),
        ("a{x=~'5..'}", "a{x=~'.*'}", True),
        ("a{y='1'}", "a{x=~'.+'}", False),
    ],
)
def test_a_selector_within_another_is_seen(inner: str, outer: str, within: bool) -> None:
    assert selects_within(selector(inner), selector(outer)) is within


VALUES = ["", "1", "2", "500", "503"]
matchers = st.builds(
    Matcher,
    st.sampled_from(["x", "y"]),
    st.sampled_from(MatchOp),
    st.sampled_from([*VALUES, "5..", "1|2", "1|", ".*", ".+", "500|503"]),
)
selections = st.lists(matchers, max_size=3).map(lambda some: VectorSelector(tuple(some)))


@settings(max_examples=300, deadline=None)
@given(one=selections, other=selections)
def test_what_is_said_of_two_selectors_holds_for_every_series(one: VectorSelector, other: VectorSelector) -> None:
    def selects(which: VectorSelector, series: dict[str, str]) -> bool:
        return all(passes(matcher, series[matcher.name]) for matcher in which.matchers)

    every = [{"x": x, "y": y} for x in VALUES for y in VALUES]
    if not may_overlap(one, other):
        assert not any(selects(one, series) and selects(other, series) for series in every)
    if selects_within(one, other):
        assert all(selects(other, series) for series in every if selects(one, series))

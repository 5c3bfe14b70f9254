"""Matchers' patterns are RE2, anchored, and never slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promql.syntax.regexes import RegexError, alternatives, compile_regex, full_match


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("5..", "500", True),
        ("5..", "5000", False),  # both ends are anchored
        ("a|ab", "ab", True),
        ("a.b", "a\nb", True),  # a dot is any character
        ("", "", True),
        (".+", "", False),
        ("(?i)GET", "get", True),
        ("\\pL+", "äß", True),
        ("a.c", "a\udcffc", True),  # a byte that is no UTF-8 is some character
    ],
)
def test_a_pattern_matches_the_whole_value(pattern: str, value: str, matches: bool) -> None:
    assert full_match(pattern, value) is matches


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=a)", "(a)\\1", "a{1001}", "[a", "\\C", "\udcff"])
def test_what_re2_does_not_know_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(RegexError) as caught:
        compile_regex(pattern)
    assert str(caught.value)


def test_a_pattern_that_holds_up_backtracking_engines_is_quick() -> None:
    started = time.perf_counter()
    assert not full_match("(a+)+b", "a" * 5000)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("a", ("a",)),
        ("a|b|a", ("a", "b")),
        ("(a|b)", ("a", "b")),
        ("(?:a|b)", ("a", "b")),
        ("a\\.b|c", ("a.b", "c")),
        ("a|", ("a", "")),
        ("", ("",)),
        ("a.b", None),
        ("(a)|(b)", None),
        ("a(b|c)", None),
        ("(?i)a", None),
        ("(?i:a)", None),
        ("\\d", None),
    ],
)
def test_the_values_of_a_short_list_are_known(pattern: str, values: tuple[str, ...] | None) -> None:
    assert alternatives(pattern) == values


@given(words=st.lists(st.text("ab.-1", max_size=4), min_size=1, max_size=4), other=st.text("ab.-1", max_size=4))
def test_listed_values_are_exactly_those_that_match(words: list[str], other: str) -> None:
    pattern = "|".join(map(re.escape, words))
    listed = alternatives(pattern)
    assert listed is not None
    assert (other in listed) is full_match(pattern, other)
    assert all(full_match(pattern, word) for word in words)

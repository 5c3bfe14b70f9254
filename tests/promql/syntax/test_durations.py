"""Durations that are worked out are worth what Prometheus 3 takes them for; nothing of their text stays in the tree."""

from __future__ import annotations

import pytest

from promql.syntax import PromQLSyntaxError, parse, to_text
from promql.syntax.tree import Binary, MatrixSelector, Subquery, VectorSelector


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m * 2", 600.0),
        ("1h - 30s - 30s", 3540.0),
        ("2 ^ 3 ^ 2 * 1", 512.0),  # from the right: 2 ^ 9
        ("-2 ^ 2 + 10s", 6.0),  # -(2^2) + 10
        ("(-2) ^ 2 + 10s", 14.0),
        ("-2 * -5", 10.0),
        ("-(2 + 3) * -3", 15.0),
        ("7 % 4 + 1", 4.0),
        ("10s / 4", 2.5),
        ("1s / 3", 0.333),
        ("MAX_OF(1m, 90s + 5)", 95.0),
        ("min_of(max_of(1, 2), 3)", 2.0),
        ("+(5m)", 300.0),
        ("--5m", 300.0),
    ],
)
def test_a_range_is_worth_its_expression(text: str, seconds: float) -> None:
    expr = parse(f"a[{text}]")
    assert isinstance(expr, MatrixSelector)
    assert expr.range_s == seconds
    assert parse(to_text(expr)) == expr


def test_the_step_of_a_subquery_may_be_worked_out_too() -> None:
    expr = parse("a[1m * 10:(15s + 15s)] offset (1m)")
    assert isinstance(expr, Subquery)
    assert (expr.range_s, expr.step_s, expr.offset_s) == (600.0, 30.0, 60.0)


@pytest.mark.parametrize(
    ("text", "offset_s"),
    [
        ("(1m) - 3", 57.0),
        ("(2s) ^ 2 ^ 2", 16.0),
        ("--1m - 3", 57.0),
        ("+-1m - 3", -63.0),
        ("((1m))", 60.0),
        ("-(-1m)", 60.0),
    ],
)
def test_behind_parentheses_or_two_signs_operators_belong_to_the_offset(text: str, offset_s: float) -> None:
    expr = parse(f"a offset {text}")
    assert isinstance(expr, VectorSelector)
    assert expr.offset_s == offset_s


@pytest.mark.parametrize(
    ("text", "offset_s"),
    [
        ("1m - 3", 60.0),
        ("-1m * 2", -60.0),
        ("min_of(1m, 2m) - 3", 60.0),
        ("-(1m) - 3", -60.0),
        ("-max_of(1, 2) ^ 2", -2.0),
    ],
)
def test_otherwise_they_belong_to_the_query(text: str, offset_s: float) -> None:
    expr = parse(f"a offset {text}")
    assert isinstance(expr, Binary)
    assert isinstance(expr.left, VectorSelector)
    assert expr.left.offset_s == offset_s


@pytest.mark.parametrize(
    ("query", "column", "words"),
    [
        ("a[5m + ]", 8, "expected a duration"),
        ("a[(5m]", 6, '")"'),
        ("a[()]", 4, "expected a duration"),
        ("a[min_of(5m)]", 12, '","'),
        ("a[5m / (1 - 1)]", 6, "divided by zero"),
        ("a[5 % 0]", 5, "divided by zero"),
        ("a[5m - 10m]", 3, "at least 1ms"),
        ("a[0 * 5]", 3, "at least 1ms"),
        ("a[1e9 * 1e9]", 3, "out of range"),
        ("a[10 ^ 1000]", 6, "out of range"),
        ("a[(-1) ^ 0.5]", 8, "out of range"),
        ("a[" + "(" * 1_000 + "1]", 104, "nested more than 100 deep"),
        ("a[2 atan2 1]", 5, ""),
    ],
)
def test_a_duration_that_is_worth_nothing_is_refused_at_its_place(query: str, column: int, words: str) -> None:
    with pytest.raises(PromQLSyntaxError) as caught:
        parse(query)
    assert caught.value.column == column
    assert words in caught.value.message

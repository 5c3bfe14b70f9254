"""What texts mean: the tree that each piece of PromQL 3 becomes."""

from __future__ import annotations

import math

import pytest

from promql.syntax import PromQLSyntaxError, parse, value_type
from promql.syntax.functions import ValueType
from promql.syntax.parser import NESTING_MAX, TEXT_MAX
from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AggregateOp,
    AtBound,
    Binary,
    BinaryOp,
    Call,
    Expr,
    Group,
    Matcher,
    Matching,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    UnaryOp,
    VectorSelector,
)


def named(name: str, *others: Matcher) -> VectorSelector:
    return VectorSelector((Matcher(METRIC_NAME, MatchOp.EQUAL, name), *others))


def number(value: float) -> NumberLiteral:
    return NumberLiteral(value)


A, B, C = named("a"), named("b"), named("c")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1_000_000", 1e6),
        ("0x1F", 31.0),
        ("017", 15.0),  # a leading zero makes it octal, as in Go
        ("018", 18.0),  # unless it cannot be
        ("Inf", math.inf),
        ("-inf", -math.inf),
        ("+iNF", math.inf),
        ("1e-400", 0.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1y1w1d1h1m1s1ms", 365 * 86400 + 7 * 86400 + 86400 + 3600 + 60 + 1 + 0.001),
        ("--1", 1.0),
    ],
)
def test_a_number_is_read_as_prometheus_reads_it(text: str, value: float) -> None:
    assert parse(text) == number(value)


def test_nan_equals_nan_as_a_literal_so_that_trees_can_be_compared() -> None:
    assert parse("NaN") == parse("nan")
    assert hash(parse("NaN")) == hash(parse("nan"))


@pytest.mark.parametrize("text", ["1e", "1__0", "1_", "0x", "1.5.5", "1e400", "0x8000000000000000", "1.5m", "5mm"])
def test_a_bad_number_is_refused(text: str) -> None:
    with pytest.raises(PromQLSyntaxError, match=r"bad (number|duration)"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\tb"', "a\tb"),
        ("'it\\'s'", "it's"),
        ("`a\\tb`", "a\\tb"),
        ('"\\x41\\102\\u00e9\\U0001F600"', "ABé😀"),
        ('"\\xff"', "\udcff"),  # a byte that is no UTF-8
        ('"é"', "é"),
        ('"a # no comment"', "a # no comment"),
    ],
)
def test_a_string_is_unquoted_with_gos_escapes(text: str, value: str) -> None:
    assert parse(text) == StringLiteral(value)


@pytest.mark.parametrize("text", ['"a', '"a\nb"', "`a", '"\\q"', '"\\400"', '"\\ud800"', "'\\\"'"])
def test_a_bad_string_is_refused(text: str) -> None:
    with pytest.raises(PromQLSyntaxError):
        parse(text)


def test_a_selector_keeps_its_matchers_in_order_with_the_name_first() -> None:
    expected = named(
        "up",
        Matcher("job", MatchOp.EQUAL, "a"),
        Matcher("status", MatchOp.NOT_MATCHES, "5.."),
        Matcher("by", MatchOp.NOT_EQUAL, ""),
    )
    assert parse('up{job=\'a\', status!~"5..", by!="",}') == expected


def test_names_may_stand_in_quotes_inside_the_braces() -> None:
    expected = VectorSelector((Matcher(METRIC_NAME, MatchOp.EQUAL, "foo.bar"), Matcher("my label", MatchOp.EQUAL, "x")))
    assert parse('{"foo.bar", "my label"="x"}') == expected


@pytest.mark.parametrize(
    "name", ["sum", "by", "without", "offset", "and", "or", "unless", "start", "end", "step", "fill"]
)
def test_most_keywords_can_be_metrics(name: str) -> None:
    assert parse(name) == named(name)
    assert parse(f"{name} + {name}") == Binary(BinaryOp.ADD, named(name), named(name))


def test_keywords_are_read_in_any_case_and_names_keep_theirs() -> None:
    assert parse("SUM BY (Pod) (a) OR b") == parse("sum by (Pod) (a) or b")
    assert parse("SUM") == named("SUM")
    assert parse("sum:X") == named("sum:X")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a offset 5m", VectorSelector(A.matchers, offset_s=300)),
        ("a offset -90", VectorSelector(A.matchers, offset_s=-90)),
        ("a @ 100.5 offset 1m", VectorSelector(A.matchers, offset_s=60, at=100.5)),
        ("a offset 1m @ 100.5", VectorSelector(A.matchers, offset_s=60, at=100.5)),
        ("a @ start()", VectorSelector(A.matchers, at=AtBound.START)),
        ("a @ END()", VectorSelector(A.matchers, at=AtBound.END)),
        ("a @ -1", VectorSelector(A.matchers, at=-1.0)),
        ("a[5m]", MatrixSelector(A, 300)),
        ("a[90]", MatrixSelector(A, 90)),
        ("a[ 0.25 ] offset 1h", MatrixSelector(VectorSelector(A.matchers, offset_s=3600), 0.25)),
        ("a[5m] @ end()", MatrixSelector(VectorSelector(A.matchers, at=AtBound.END), 300)),
        ("a[5m:]", Subquery(A, 300)),
        ("a[5m:30s] offset 1m @ 7", Subquery(A, 300, 30, 60, 7.0)),
        ("a offset 1m [5m:]", Subquery(VectorSelector(A.matchers, offset_s=60), 300)),
        ("(a + b)[1h:1m]", Subquery(Paren(Binary(BinaryOp.ADD, A, B)), 3600, 60)),
    ],
)
def test_ranges_offsets_and_times_are_read(text: str, expected: Expr) -> None:
    assert parse(text) == expected


def joined(op: str, left: Expr, right: Expr) -> Binary:
    return Binary(BinaryOp(op), left, right)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * c", joined("+", A, joined("*", B, C))),
        ("a - b - c", joined("-", joined("-", A, B), C)),
        ("a ^ b ^ c", joined("^", A, joined("^", B, C))),
        ("a or b and c", joined("or", A, joined("and", B, C))),
        ("a and b unless c", joined("unless", joined("and", A, B), C)),
        ("a == b + c", joined("==", A, joined("+", B, C))),
        ("a atan2 b * c", joined("*", joined("atan2", A, B), C)),
        ("-a ^ b", Unary(UnaryOp.MINUS, joined("^", A, B))),
        ("-a * b", joined("*", Unary(UnaryOp.MINUS, A), B)),
        ("a ^ -b ^ c", joined("^", A, Unary(UnaryOp.MINUS, joined("^", B, C)))),
        ("2 ^ -1 * 3", joined("*", joined("^", number(2), number(-1)), number(3))),
        ("a + b offset 5m", joined("+", A, VectorSelector(B.matchers, offset_s=300))),
        ("a offset 2 ^ 2", joined("^", VectorSelector(A.matchers, offset_s=2), number(2))),
        ("-a offset 5m", Unary(UnaryOp.MINUS, VectorSelector(A.matchers, offset_s=300))),
        ("-1 ^ 2", Unary(UnaryOp.MINUS, joined("^", number(1), number(2)))),
        ("slo:a-b:c", joined("-", named("slo:a"), named("b:c"))),
    ],
)
def test_operators_bind_as_in_prometheus(text: str, expected: Expr) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "matching", "return_bool"),
    [
        ("a == bool b", Matching(), True),
        ("a + on (x, y) b", Matching(on=True, labels=("x", "y")), False),
        ("a + ignoring (x,) b", Matching(labels=("x",)), False),
        ("a and on () b", Matching(on=True), False),
        ("a * on (x) group_left b", Matching(on=True, labels=("x",), group=Group.LEFT), False),
        ('a > bool on (x) group_right ("z") b', Matching(True, ("x",), Group.RIGHT, ("z",)), True),
        ("a + ignoring () b", Matching(), False),
    ],
)
def test_modifiers_of_operators_are_kept(text: str, matching: Matching, return_bool: bool) -> None:
    expr = parse(text)
    assert isinstance(expr, Binary)
    assert (expr.matching, expr.return_bool) == (matching, return_bool)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(a)", Aggregate(AggregateOp.SUM, A)),
        ("sum by (x) (a)", Aggregate(AggregateOp.SUM, A, ("x",))),
        ("sum(a) by (x, y,)", Aggregate(AggregateOp.SUM, A, ("x", "y"))),
        ('avg without ("x.y", on) (a)', Aggregate(AggregateOp.AVG, A, ("x.y", "on"), True)),
        ("topk(3, a) by (x)", Aggregate(AggregateOp.TOPK, A, ("x",), param=number(3))),
        ('count_values("v", a)', Aggregate(AggregateOp.COUNT_VALUES, A, param=StringLiteral("v"))),
        ("time()", Call("time", ())),
        ("clamp(a, 0, 1)", Call("clamp", (A, number(0), number(1)))),
        ("rate((a[5m]))", Call("rate", (Paren(MatrixSelector(A, 300)),))),
    ],
)
def test_calls_and_aggregations_are_read(text: str, expected: Expr) -> None:
    assert parse(text) == expected


def test_every_node_knows_its_place_in_the_text() -> None:
    text = "sum(rate(a{x='y'}[5m] offset 1m)) by (z) / -b"
    expr = parse(text)
    assert isinstance(expr, Binary)
    assert text[expr.span.start : expr.span.end] == text
    assert text[expr.op_span.start : expr.op_span.end] == "/"
    total, negated = expr.left, expr.right
    assert text[total.span.start : total.span.end] == "sum(rate(a{x='y'}[5m] offset 1m)) by (z)"
    assert text[negated.span.start : negated.span.end] == "-b"
    assert isinstance(total, Aggregate)
    rate = total.expr
    assert isinstance(rate, Call)
    matrix = rate.args[0]
    assert text[matrix.span.start : matrix.span.end] == "a{x='y'}[5m] offset 1m"
    assert isinstance(matrix, MatrixSelector)
    matcher = matrix.selector.matchers[1]
    assert text[matcher.span.start : matcher.span.end] == "x='y'"
    assert matrix.selector.span == Span(9, 17)


def test_comments_and_line_ends_are_blanks() -> None:
    assert parse("# first\nsum( # total\n  a # the metric\n)") == Aggregate(AggregateOp.SUM, A)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 1", ValueType.SCALAR),
        ("1 + a", ValueType.VECTOR),
        ("-a", ValueType.VECTOR),
        ("(a[5m])", ValueType.MATRIX),
        ("a[5m:]", ValueType.MATRIX),
        ("scalar(a)", ValueType.SCALAR),
        ("vector(1)", ValueType.VECTOR),
        ("'a'", ValueType.STRING),
    ],
)
def test_the_type_of_a_value_is_known(text: str, expected: ValueType) -> None:
    assert value_type(parse(text)) is expected


@pytest.mark.parametrize("opening", ["(", "abs(", "-", "sum(", "a + (", "a[5m:] + ("])
def test_nesting_by_the_thousand_is_refused_by_a_sentence(opening: str) -> None:
    levels = 90_000 // (len(opening) + 1)
    closing = ")" if opening.endswith("(") else ""
    with pytest.raises(PromQLSyntaxError, match=f"deeper than {NESTING_MAX} levels"):
        parse(opening * levels + "a" + closing * levels)


def test_a_tree_at_the_limit_can_be_compared_hashed_and_typed() -> None:
    for text in ("(" * 499 + "a" + ")" * 499, " + ".join("a" * 500), "abs(" * 499 + "a" + ")" * 499):
        assert parse(text) == parse(text)
        assert hash(parse(text)) == hash(parse(text))
        assert value_type(parse(text)) is ValueType.VECTOR


def test_a_text_that_is_too_long_is_refused_unread() -> None:
    assert parse("a" + " " * (TEXT_MAX - 1)) == A
    with pytest.raises(PromQLSyntaxError, match="at most"):
        parse("a" * (TEXT_MAX + 1))


def test_a_number_with_ten_thousand_digits_is_no_trouble() -> None:
    assert isinstance(parse("0." + "1" * 10_000), NumberLiteral)
    with pytest.raises(PromQLSyntaxError, match="out of range"):
        parse("9" * 10_000 + "s")

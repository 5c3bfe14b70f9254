"""What is refused, and that the message names the place and what would do."""

from __future__ import annotations

import pickle

import pytest

from promql.syntax import PromQLSyntaxError, parse


def refused(text: str) -> PromQLSyntaxError:
    with pytest.raises(PromQLSyntaxError) as caught:
        parse(text)
    return caught.value


def test_an_error_shows_the_line_with_a_caret_under_the_place() -> None:
    error = refused("sum(rate(a[5m]))\n  / sum(rat(b[5m]))")
    assert (error.line, error.column, error.position) == (2, 9, 25)
    assert str(error).splitlines() == [
        "2:9: unknown function rat()",
        "    / sum(rat(b[5m]))",
        "          ^^^",
    ]


def test_an_error_at_the_end_points_behind_the_text() -> None:
    assert str(refused("sum(a) +")).splitlines() == [
        "1:9: unexpected the end of the query, expected an expression",
        "  sum(a) +",
        "          ^",
    ]


def test_a_tab_before_the_place_does_not_shift_the_caret() -> None:
    lines = str(refused("\ta + )")).splitlines()
    assert lines[2].index("^") == lines[1].index(")")
    assert lines[2].startswith("  \t")


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    error = refused(" + ".join(["abc"] * 100) + " + ) + abc" + " + abc" * 50)
    _, line, caret = str(error).splitlines()
    assert len(line) < 120
    assert line[caret.index("^")] == ")"


def test_an_error_can_be_pickled_for_another_process() -> None:
    error = refused("a b")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "the query is empty"),
        ("a b", 3, 'unexpected "b", expected an operator'),
        ("(a", 1, "is not closed"),
        ("a)", 2, "no parenthesis is open"),
        ("a{b='c'", 8, "braces are not closed"),
        ("a{b}", 4, "expected one of = != =~ !~"),
        ("a{b=c}", 5, "expected a string"),
        ("a = b", 3, "equality is =="),
        ("{}", 1, "at least one matcher"),
        ("{a=~'.*'}", 1, "at least one matcher"),
        ("a{b=~'('}", 3, "bad regular expression"),
        ("a{b=~'(?=c)'}", 3, "bad regular expression"),
        ("a{__name__='b'}", 3, "set twice"),
        ("rate(a)", 6, "rate() needs a range vector here, this is an instant vector"),
        ("sum(a[5m])", 5, "sum needs an instant vector here, this is a range vector"),
        ("abs(a, b)", 1, "abs() takes 1 argument, got 2"),
        ("round()", 1, "takes 1 to 2 arguments, got 0"),
        ("label_join(a)", 1, "takes at least 3 arguments, got 1"),
        ("topk(a)", 1, "topk takes 2 arguments, got 1"),
        ("abs(a,)", 6, "trailing comma"),
        ("RATE(a[5m])", 1, "did you mean rate()?"),
        ("1 == 1", 3, "== bool"),
        ("1 and a", 3, "and needs instant vectors on both sides"),
        ("a + bool b", 5, "bool belongs to comparisons"),
        ("a and on(x) group_left b", 13, "group_left is not allowed with and"),
        ("a * on(x) group_left(x) b", 11, "must not stand in on and group_left"),
        ("a + on(x) 1", 3, "need instant vectors on both sides"),
        ("a[5m] + 1", 1, "+ needs a scalar or an instant vector here, this is a range vector"),
        ("'a' + 1", 1, "this is a string"),
        ("-'a'", 2, "this is a string"),
        ("(a)[5m]", 4, "a subquery, [5m:]"),
        ("a offset 5m [5m]", 13, "offset belongs behind the range"),
        ("a @ 1 [5m]", 7, "@ belongs behind the range"),
        ("a[0s]", 3, "at least 1ms"),
        ("a[-5m]", 3, "at least 1ms"),
        ("a[5m:0]", 6, "at least 1ms"),
        ("sum(a) offset 5m", 8, "offset must follow a selector or a subquery"),
        ("a offset 5m offset 5m", 13, "may not be set twice"),
        ("a @ 1 @ 2", 7, "may not be set twice"),
        ("a @ foo", 5, "expected a time"),
        ("1[5m:]", 1, "a subquery needs an instant vector"),
        ("sum by (1) (a)", 9, "expected a label"),
        ("a; b", 2, "unexpected ';'"),
        ("a & b", 3, "unexpected '&'"),
        ("[5m]", 1, "expected an expression"),
        ("on", 1, "is a keyword"),
    ],
)
def test_a_fault_is_named_at_its_place(text: str, column: int, message: str) -> None:
    error = refused(text)
    assert message in error.message
    assert error.column == column


@pytest.mark.parametrize(
    ("text", "column", "construct"),
    [
        ("{{schema:1}}", 2, "native histogram"),
        ("a </ b", 3, "native histograms"),
        ("info(a)", 1, "info() is experimental"),
        ("limitk(1, a)", 1, "limitk is experimental"),
        ("sort_by_label(a, 'b')", 1, "sort_by_label() is experimental"),
        ("holt_winters(a[5m], 0.5, 0.5)", 1, "double_exponential_smoothing"),
        ("a[step()]", 3, "step() hangs on the range query"),
        ("a offset -RANGE()", 11, "range() hangs on the range query"),
        ("a[5m] anchored", 7, "anchored is not known here"),
        ("a + fill(0) b", 5, "fill is experimental"),
    ],
)
def test_what_prometheus_knows_and_we_do_not_is_called_by_its_name(text: str, column: int, construct: str) -> None:
    error = refused(text)
    assert construct in error.message
    assert error.column == column

"""A printed tree reads back as the same tree, also one that was built by hand and needs parentheses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promql.syntax import Expr, PromQLSyntaxError, parse, rewrite, to_text
from promql.syntax.printing import duration_text
from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AggregateOp,
    AtBound,
    Binary,
    BinaryOp,
    Call,
    Group,
    Matcher,
    Matching,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    UnaryOp,
    VectorSelector,
)

# Text may hold anything that UTF-8 can, and single bytes that it cannot (lone surrogates from U+DC80).
anything = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\udc80\udcff\"'\\\n\t`{}#"), max_size=8)
labels = st.sampled_from(["a", "by", "on", "without", "inf", "le", "foo.bar", "ä", "__name__"])
seconds = st.integers(1, 10**9).map(lambda milliseconds: milliseconds / 1000)
times = st.none() | st.sampled_from(AtBound) | st.integers(-(10**12), 10**12).map(lambda ms: ms / 1000)
offsets = st.just(0.0) | seconds | seconds.map(lambda s: -s)
plain_matchers = st.builds(Matcher, labels | anything, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), anything)
regex_matchers = st.builds(
    Matcher, labels, st.just(MatchOp.MATCHES), st.sampled_from(["5..", "a|b", "(?i)x.*", "\\d+"])
)
names = st.builds(
    lambda name: Matcher(METRIC_NAME, MatchOp.EQUAL, name),
    st.sampled_from(["up", "a:b", "sum", "by", "on", "inf", "atan2", "foo.bar", "ä", "5m", "group_left"]),
)
selectors = st.builds(
    lambda name, others, offset_s, at: VectorSelector((name, *others), offset_s, at),
    names | regex_matchers,
    st.lists(plain_matchers | regex_matchers, max_size=3),
    offsets,
    times,
)
numbers = st.floats(allow_nan=True, allow_infinity=True).map(NumberLiteral)
label_lists = st.lists(labels, max_size=3, unique=True).map(tuple)
matrices = st.builds(lambda s, r: MatrixSelector(s, r), selectors, seconds)


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """Vectors made of vectors."""
    on_or_ignoring = st.builds(Matching, st.booleans(), label_lists)
    grouped = st.builds(
        lambda labels, group, include: Matching(True, labels, group, tuple(x for x in include if x not in labels)),
        label_lists,
        st.sampled_from([Group.LEFT, Group.RIGHT]),
        label_lists,
    )
    arithmetic = st.sampled_from([op for op in BinaryOp if not op.is_set and not op.is_comparison])
    comparisons = st.sampled_from([op for op in BinaryOp if op.is_comparison])
    sets = st.sampled_from([op for op in BinaryOp if op.is_set])
    simple = st.sampled_from([op for op in AggregateOp if not op.takes_param])
    return st.one_of(
        st.builds(Binary, arithmetic, inner | numbers, inner),
        st.builds(Binary, arithmetic, inner, inner | numbers),
        st.builds(Binary, arithmetic, inner, inner, grouped | on_or_ignoring),
        st.builds(Binary, comparisons, inner, inner | numbers, return_bool=st.booleans()),
        st.builds(Binary, sets, inner, inner, on_or_ignoring),
        st.builds(Unary, st.sampled_from(UnaryOp), inner),
        st.builds(Paren, inner),
        st.builds(Aggregate, simple, inner, label_lists, st.booleans()),
        st.builds(lambda k, e: Aggregate(AggregateOp.TOPK, e, param=k), numbers, inner),
        st.builds(lambda name, e: Aggregate(AggregateOp.COUNT_VALUES, e, param=StringLiteral(name)), anything, inner),
        st.builds(lambda e: Call("abs", (e,)), inner),
        st.builds(lambda e, low, high: Call("clamp", (e, low, high)), inner, numbers, numbers),
        st.builds(lambda m: Call("rate", (m,)), matrices),
        st.builds(
            lambda e, r, s, o, at: Call("max_over_time", (Subquery(e, r, s, o, at),)),
            inner,
            seconds,
            st.none() | seconds,
            offsets,
            times,
        ),
    )


vectors = st.recursive(selectors, grown, max_leaves=12)


def without_parens(expr: Expr) -> Expr:
    return rewrite(expr, lambda node: node.expr if isinstance(node, Paren) else node)


@settings(max_examples=400, deadline=None)
@given(expr=vectors)
def test_a_tree_built_by_hand_reads_back_as_itself_but_for_added_parentheses(expr: Expr) -> None:
    assert without_parens(parse(to_text(expr))) == without_parens(expr)


@settings(max_examples=400, deadline=None)
@given(expr=vectors)
def test_printing_and_reading_a_tree_that_was_read_changes_nothing(expr: Expr) -> None:
    read = parse(to_text(expr))
    assert parse(to_text(read)) == read
    assert to_text(parse(to_text(read))) == to_text(read)


@settings(deadline=None)
@given(number=numbers)
def test_every_number_survives_printing(number: NumberLiteral) -> None:
    assert parse(to_text(number)) == number


@settings(deadline=None)
@given(value=anything)
def test_every_string_survives_printing(value: str) -> None:
    assert parse(to_text(StringLiteral(value))) == StringLiteral(value)


def test_random_texts_that_are_accepted_survive_printing(query_texts: Callable[[int, int], Iterator[str]]) -> None:
    survived = 0
    for text in query_texts(40, 10_000):
        try:
            expr = parse(text)
        except PromQLSyntaxError:
            continue
        assert parse(to_text(expr)) == expr, text
        survived += 1
    assert survived > 2000


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("sum(rate(a{b='c',}[300s])) by(le)", 'sum by (le) (rate(a{b="c"}[5m]))'),
        ("a OFFSET 90s @ end( )", "a @ end() offset 1m30s"),
        ("{__name__='up'}", "up"),
        ("{'foo.bar',a='b'}", '{"foo.bar",a="b"}'),
        ("a+on(x)group_left b", "a + on (x) group_left () b"),
        ("1e3*5m", "1000 * 5m"),
        ("a[1d1ms:]", "a[1d1ms:]"),
        ("- a", "-a"),
        ("'it\\'s'", '"it\'s"'),
        ("NaN + -inf", "NaN + -Inf"),
        ("sum without(a)(b)", "sum without (a) (b)"),
    ],
)
def test_the_spelling_is_prometheus_own(text: str, printed: str) -> None:
    assert to_text(parse(text)) == printed


def test_parentheses_are_added_where_a_tree_built_by_hand_needs_them() -> None:
    a = parse("a")
    total = Binary(BinaryOp.ADD, a, a)
    assert to_text(Binary(BinaryOp.MUL, total, total)) == "(a + a) * (a + a)"
    assert to_text(Binary(BinaryOp.SUB, a, total)) == "a - (a + a)"
    assert to_text(Binary(BinaryOp.POW, NumberLiteral(-1), NumberLiteral(-2))) == "(-1) ^ -2"
    assert to_text(Unary(UnaryOp.MINUS, total)) == "-(a + a)"
    assert to_text(Call("max_over_time", (Subquery(total, 300),))) == "max_over_time((a + a)[5m:])"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0s"), (0.001, "1ms"), (59.5, "59s500ms"), (3600, "1h"), (90000, "1d1h"), (-90, "-1m30s"), (604800, "7d")],
)
def test_durations_are_written_in_their_largest_units(value: float, text: str) -> None:
    assert duration_text(value) == text
    parsed = parse(text)
    assert isinstance(parsed, NumberLiteral)
    assert math.isclose(parsed.value, value)

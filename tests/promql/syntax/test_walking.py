"""Trees can be gone over, folded and built anew, however deep they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promql.syntax import Expr, parse, rewrite, to_text, walk
from promql.syntax.tree import METRIC_NAME, Call, Matcher, MatchOp, NumberLiteral, VectorSelector
from promql.syntax.walking import fold


def test_walking_goes_from_outer_to_inner_in_the_order_of_the_text() -> None:
    names = [type(node).__name__ for node in walk(parse("sum(rate(a[5m])) / topk(2, -b)"))]
    assert names == [
        *("Binary", "Aggregate", "Call", "MatrixSelector", "VectorSelector"),
        *("Aggregate", "NumberLiteral", "Unary", "VectorSelector"),
    ]


def test_a_rewrite_that_changes_nothing_gives_the_very_tree() -> None:
    expr = parse("sum by (x) (rate(a[5m] offset 1m)) / clamp_min((b), 1) > bool 5")
    assert rewrite(expr, lambda node: node) is expr


def test_a_rewrite_reaches_selectors_inside_ranges_and_subqueries() -> None:
    def renamed(node: Expr) -> Expr:
        if not isinstance(node, VectorSelector):
            return node
        return replace(node, matchers=(Matcher(METRIC_NAME, MatchOp.EQUAL, "z"), *node.matchers[1:]))

    expr = parse("max_over_time(rate(a{x='1'}[5m])[1h:]) + sum by (x) (b offset 1m)")
    assert to_text(rewrite(expr, renamed)) == 'max_over_time(rate(z{x="1"}[5m])[1h:]) + sum by (x) (z offset 1m)'
    assert to_text(expr) == 'max_over_time(rate(a{x="1"}[5m])[1h:]) + sum by (x) (b offset 1m)'


def test_a_rewrite_sees_inner_nodes_already_changed() -> None:
    def doubled(node: Expr) -> Expr:
        if isinstance(node, NumberLiteral):
            return NumberLiteral(node.value * 2)
        return node.args[0] if isinstance(node, Call) and node.function == "vector" else node

    assert rewrite(parse("vector(2) + vector(3)"), doubled) == parse("4 + 6")


def test_a_range_cannot_be_given_anything_but_a_selector() -> None:
    with pytest.raises(TypeError, match="nothing but a selector"):
        rewrite(parse("rate(a[5m])"), lambda node: parse("1") if isinstance(node, VectorSelector) else node)


def test_a_fold_counts_depth_without_recursion() -> None:
    def depth(node: Expr, inner: tuple[int, ...]) -> int:
        return 1 + max(inner, default=0)

    assert fold(parse("(" * 400 + "a + b" + ")" * 400), depth) == 402

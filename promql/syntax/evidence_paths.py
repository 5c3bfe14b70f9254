"""Look through what people put around a metric: parentheses, × 100, guards against no data, filters.

What is left is the part of a query that its value rests on. Used to find the requests behind a value and the
shape of a ratio; the query itself is never changed here.
"""

from __future__ import annotations

from promql.syntax.tree import (
    Aggregate,
    Binary,
    BinaryOp,
    Call,
    Expr,
    Paren,
    Unary,
    VectorSelector,
    children,
)
from promql.syntax.walking import walk

THROUGH = frozenset(
    (
        *("abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10"),
        *("clamp", "clamp_min", "clamp_max", "scalar", "vector", "sort", "sort_desc"),
        *("label_replace", "label_join"),
    )
)
"""Functions whose result rests on their first argument and on no other series."""

COUNTER_FUNCTIONS = frozenset(("rate", "irate", "increase"))


def is_constant(expr: Expr) -> bool:
    """Return whether the expression reads no series at all: `100`, `vector(0)`, `time()`."""
    return not any(isinstance(node, VectorSelector) for node in walk(expr))


def without_parens(expr: Expr) -> Expr:
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def bare(expr: Expr) -> Expr:
    """Return the part that the value rests on: inside parentheses, signs, scaling, filters and guards.

    Of `x or vector(0)`, `1 - x`, `x > 5` and `x and on() (y > 0)` that is x. A binary expression that comes back
    joins two parts that both read series, and is no `and` or `unless`.
    """
    while True:
        match expr:
            case Paren() | Unary():
                expr = expr.expr
            case Call() if expr.function in THROUGH and expr.args and not is_constant(expr):
                expr = expr.args[0]
            case Binary() if (inner := one_sided(expr)) is not None:
                expr = inner
            case _:
                return expr


def one_sided(node: Binary) -> Expr | None:
    """Return the one side that the value rests on, or None if there are two or none."""
    left, right = is_constant(node.left), is_constant(node.right)
    if left != right:
        return node.right if left else node.left
    return node.left if not left and node.op in (BinaryOp.AND, BinaryOp.UNLESS) else None


def is_derived(expr: Expr) -> bool:
    """Return whether the expression holds a ratio or a quantile, so that its value is no count of anything."""
    waiting = [expr]
    while waiting:
        node = bare(waiting.pop())
        if isinstance(node, Binary) and node.op is BinaryOp.DIV:
            return True
        if isinstance(node, Call) and node.function == "histogram_quantile":
            return True
        waiting.extend(children(node))
    return False


def is_plain_sum(node: Expr) -> bool:
    """Return whether the expression is an aggregation of everything into one series without labels."""
    return isinstance(node, Aggregate) and not node.grouping and not node.without and not node.op.takes_param

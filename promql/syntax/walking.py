"""Go over a tree without recursion: see every node, fold it into one value, or build it anew.

The parser lets a tree be as deep as its limit, which is more than Python's own stack takes; so all that looks at
whole trees in this package stands on `fold` or `walk`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar, assert_never

from promql.syntax.tree import (
    Aggregate,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
    children,
)

T = TypeVar("T")


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield the expression and everything in it, outer before inner, in the order of the text."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(children(node)))


def fold(expr: Expr, combine: Callable[[Expr, tuple[T, ...]], T]) -> T:
    """Return `combine(node, values of its children)` of the whole, worked out from the leaves up."""
    done: list[T] = []
    waiting: list[tuple[Expr, int]] = [(expr, -1)]
    while waiting:
        node, inside = waiting.pop()
        if inside < 0:
            parts = children(node)
            waiting.append((node, len(parts)))
            waiting.extend((part, -1) for part in reversed(parts))
            continue
        values = tuple(done[len(done) - inside :])
        del done[len(done) - inside :]
        done.append(combine(node, values))
    return done[0]


def rewrite(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return the tree with every node replaced by what `change` gives for it, inner nodes first.

    Nodes whose parts did not change are kept as they are, so `rewrite(expr, lambda node: node) is expr`. A change
    must keep the kind of value; inside a range, a selector must stay one.
    """
    return fold(expr, lambda node, parts: change(with_children(node, parts)))


def with_children(node: Expr, parts: tuple[Expr, ...]) -> Expr:
    """Return the node with these expressions directly inside it, in the order of `children`."""
    if all(old is new for old, new in zip(children(node), parts, strict=True)):
        return node
    match node:
        case MatrixSelector():
            if not isinstance(parts[0], VectorSelector):
                raise TypeError("a range can hold nothing but a selector")
            return replace(node, selector=parts[0])
        case Subquery() | Unary() | Paren():
            return replace(node, expr=parts[0])
        case Call():
            return replace(node, args=parts)
        case Aggregate():
            param = None if node.param is None else parts[0]
            return replace(node, param=param, expr=parts[-1])
        case Binary():
            return replace(node, left=parts[0], right=parts[1])
        case NumberLiteral() | StringLiteral() | VectorSelector():
            return node
        case _:
            assert_never(node)

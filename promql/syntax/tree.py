"""The tree of a PromQL query: typed, frozen, with the place of every node in the text.

Nodes are values. They can be built by hand, compared (places do not count), hashed and used as keys. Times
are float seconds. Nothing here reads text or checks types: `parse` gives only trees that Prometheus would
accept, a tree built by hand may be nonsense. The engine, the printer and everything that reasons about
queries stand on this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias, assert_never

from promql.syntax.functions import FUNCTIONS, ValueType

METRIC_NAME = "__name__"
"""The label that holds a series' metric name."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters from `start` up to, not including, `end` of the query's text."""

    start: int
    end: int


NOWHERE = Span(0, 0)
"""The place of a node that was built by hand."""


class MatchOp(StrEnum):
    """How a matcher compares a label's value; a label that is missing has the value ''."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


class AtBound(StrEnum):
    """`@ start()` and `@ end()`: the ends of the range query, or the instant of an instant query."""

    START = "start"
    END = "end"


At: TypeAlias = float | AtBound | None
"""The @ modifier: a time in unix seconds, a bound of the query, or None where there is none."""


class BinaryOp(StrEnum):
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    POW = "^"
    ATAN2 = "atan2"
    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    LESS = "<"
    GREATER_EQUAL = ">="
    LESS_EQUAL = "<="
    AND = "and"
    OR = "or"
    UNLESS = "unless"

    @property
    def is_comparison(self) -> bool:
        return self in _COMPARISONS

    @property
    def is_set(self) -> bool:
        return self in _SET_OPERATORS


_COMPARISONS = frozenset(
    (
        BinaryOp.EQUAL,
        BinaryOp.NOT_EQUAL,
        BinaryOp.GREATER,
        BinaryOp.LESS,
        BinaryOp.GREATER_EQUAL,
        BinaryOp.LESS_EQUAL,
    )
)
_SET_OPERATORS = frozenset((BinaryOp.AND, BinaryOp.OR, BinaryOp.UNLESS))


class UnaryOp(StrEnum):
    PLUS = "+"
    MINUS = "-"


class AggregateOp(StrEnum):
    SUM = "sum"
    AVG = "avg"
    COUNT = "count"
    MIN = "min"
    MAX = "max"
    GROUP = "group"
    STDDEV = "stddev"
    STDVAR = "stdvar"
    TOPK = "topk"
    BOTTOMK = "bottomk"
    QUANTILE = "quantile"
    COUNT_VALUES = "count_values"

    @property
    def takes_param(self) -> bool:
        return self in (AggregateOp.TOPK, AggregateOp.BOTTOMK, AggregateOp.QUANTILE, AggregateOp.COUNT_VALUES)


class Group(StrEnum):
    """Which side of a binary operator may have many series for one of the other side."""

    NONE = ""
    LEFT = "group_left"
    RIGHT = "group_right"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label. Regular expressions (RE2) are anchored at both ends."""

    name: str
    op: MatchOp
    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


class _Node:
    """Equality and hash of trees, worked out without recursion: a tree may be deeper than Python's stack.

    `_own` names the fields that count and that hold no expression.
    """

    __slots__ = ()
    _own: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or _flat(self) == _flat(other)

    def __hash__(self) -> int:
        return hash(_flat(self))


@dataclass(frozen=True, slots=True, eq=False)
class NumberLiteral(_Node):
    """A number; `as_duration` remembers that it was written as one (`5m` is 300)."""

    _own: ClassVar[tuple[str, ...]] = ("value",)

    value: float
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    as_duration: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # All NaN literals are one object, so that trees that hold one are equal and hash alike.
        value = math.nan if self.value != self.value else float(self.value)
        object.__setattr__(self, "value", value)


@dataclass(frozen=True, slots=True, eq=False)
class StringLiteral(_Node):
    """A string. Bytes that are no UTF-8 (from `\\xff`) stand as lone surrogates, as `surrogateescape` makes."""

    _own: ClassVar[tuple[str, ...]] = ("value",)

    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class VectorSelector(_Node):
    """Series by their labels. A metric name is a matcher like any other, the first if it stood before the braces.

    A positive offset looks back.
    """

    _own: ClassVar[tuple[str, ...]] = ("matchers", "offset_s", "at")

    matchers: tuple[Matcher, ...]
    offset_s: float = 0.0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def metric(self) -> str | None:
        """The metric name that the selector asks for, if it asks for exactly one."""
        for matcher in self.matchers:
            if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL and matcher.value:
                return matcher.value
        return None


@dataclass(frozen=True, slots=True, eq=False)
class MatrixSelector(_Node):
    """A selector's samples over a range, left end open; offset and @ stand in the selector."""

    _own: ClassVar[tuple[str, ...]] = ("range_s",)

    selector: VectorSelector
    range_s: float
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Subquery(_Node):
    """An expression evaluated at every step of a range; `step_s` None means the server's default step."""

    _own: ClassVar[tuple[str, ...]] = ("range_s", "step_s", "offset_s", "at")

    expr: Expr
    range_s: float
    step_s: float | None = None
    offset_s: float = 0.0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Call(_Node):
    _own: ClassVar[tuple[str, ...]] = ("function",)

    function: str
    args: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(_Node):
    """An aggregation by `grouping`, or without it. `sum(x)` is `sum by () (x)`."""

    _own: ClassVar[tuple[str, ...]] = ("op", "grouping", "without")

    op: AggregateOp
    expr: Expr
    grouping: tuple[str, ...] = ()
    without: bool = False
    param: Expr | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """How series of two vectors find each other: `on` these labels only, or ignoring them (none, by default).

    `include` names the labels that group_left and group_right copy from the side that has one.
    """

    on: bool = False
    labels: tuple[str, ...] = ()
    group: Group = Group.NONE
    include: tuple[str, ...] = ()


PLAIN_MATCHING = Matching()


@dataclass(frozen=True, slots=True, eq=False)
class Binary(_Node):
    """`matching` means nothing between scalars, or between a scalar and a vector."""

    _own: ClassVar[tuple[str, ...]] = ("op", "matching", "return_bool")

    op: BinaryOp
    left: Expr
    right: Expr
    matching: Matching = PLAIN_MATCHING
    return_bool: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    op_span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Unary(_Node):
    _own: ClassVar[tuple[str, ...]] = ("op",)

    op: UnaryOp
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Paren(_Node):
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Expr: TypeAlias = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | Subquery
    | Call
    | Aggregate
    | Binary
    | Unary
    | Paren
)


def value_type(expr: Expr) -> ValueType:
    """Return what the expression evaluates to. Its parts are taken to be sound."""
    waiting: list[Expr] = [expr]
    is_joined = False
    while waiting:
        node = waiting.pop()
        match node:
            case Unary() | Paren():
                waiting.append(node.expr)
            case Binary():
                is_joined = True
                waiting.extend((node.left, node.right))
            case _:
                found = _own_type(node)
                if not is_joined:
                    return found
                if found is not ValueType.SCALAR:
                    return ValueType.VECTOR
    return ValueType.SCALAR


def _own_type(node: Expr) -> ValueType:
    match node:
        case StringLiteral():
            return ValueType.STRING
        case VectorSelector() | Aggregate():
            return ValueType.VECTOR
        case MatrixSelector() | Subquery():
            return ValueType.MATRIX
        case Call():
            return FUNCTIONS[node.function].returns
        case _:
            return ValueType.SCALAR


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly inside this one, in the order of the text."""
    match expr:
        case NumberLiteral() | StringLiteral() | VectorSelector():
            return ()
        case MatrixSelector():
            return (expr.selector,)
        case Subquery() | Unary() | Paren():
            return (expr.expr,)
        case Call():
            return expr.args
        case Aggregate():
            return (expr.expr,) if expr.param is None else (expr.param, expr.expr)
        case Binary():
            return (expr.left, expr.right)
        case _:
            assert_never(expr)


def _flat(root: object) -> tuple[object, ...]:
    """Return the tree as one flat tuple that only an equal tree gives."""
    flat: list[object] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        assert isinstance(node, _Node)
        parts = children(node)  # type: ignore[arg-type]  # every _Node is one of Expr
        flat.append(type(node))
        flat.append(len(parts))
        flat.extend([getattr(node, name) for name in node._own])
        waiting.extend(parts)
    return tuple(flat)

"""The words of PromQL that the parser and the printer must agree about: operators' precedence, and keywords."""

from __future__ import annotations

from promql.syntax.tree import BinaryOp

BINARY_PRECEDENCE: dict[BinaryOp, int] = {
    BinaryOp.OR: 1,
    BinaryOp.AND: 2,
    BinaryOp.UNLESS: 2,
    **{op: 3 for op in BinaryOp if op.is_comparison},
    BinaryOp.ADD: 4,
    BinaryOp.SUB: 4,
    BinaryOp.MUL: 5,
    BinaryOp.DIV: 5,
    BinaryOp.MOD: 5,
    BinaryOp.ATAN2: 5,
    BinaryOp.POW: 6,
}
"""Higher binds tighter. Only ^ groups from the right."""

UNARY_PRECEDENCE = 5
"""A sign binds as tight as *, so -a^b is -(a^b)."""

NO_METRIC = frozenset(("atan2", "bool", "group_left", "group_right", "ignoring", "on"))
"""Keywords that cannot stand for a metric of that name; all others can."""

NO_FUNCTION = frozenset(
    (
        *(op.value for op in BinaryOp),
        *("anchored", "bool", "by", "fill", "fill_left", "fill_right", "group_left", "group_right"),
        *("ignoring", "offset", "on", "smoothed", "without"),
    )
)
"""Keywords that cannot be called."""

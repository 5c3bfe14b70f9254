"""Whether a query's value is a share of counted requests, or a quantile of them: what an exact test can stand on.

`requests_behind` says how many requests there are; this module says whether the value tells how many of them
are meant. Only where both are certain may few requests already be proof, so the rules are narrower here: one
window, sums over everything, the numerator a part of the denominator, no irate (its value is that of the last
two samples, not of the window), no guard that bends the denominator by a request or more.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TypeAlias

from promql.syntax.evidence_paths import COUNTER_FUNCTIONS, is_constant, one_sided
from promql.syntax.metric_names import counts_failures, counts_requests
from promql.syntax.printing import number_text
from promql.syntax.reading import selectors, selects_within
from promql.syntax.requests import Counting, Unknown, is_single
from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AggregateOp,
    Binary,
    BinaryOp,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Unary,
    UnaryOp,
    VectorSelector,
)
from promql.syntax.walking import rewrite, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioShape:
    """The value is `scale` times the share of `numerator` in `denominator`, or, complemented, of all the others.

    Both are queries that count over the metric's own window. `scale` is 100 for a percentage.
    """

    numerator: Expr
    denominator: Expr
    scale: float = 1.0
    complemented: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileShape:
    """The value is `scale` times the q-quantile of a classic histogram; `observations` counts what is in it."""

    q: float
    observations: Expr
    scale: float = 1.0

    def slower_than(self, threshold: float) -> Expr:
        """Return a query for the number of observations above the threshold, which is in the value's unit.

        The answer is empty unless one of the histogram's buckets ends exactly there.
        """
        bound = Matcher("le", MatchOp.MATCHES, _bound_pattern(threshold / self.scale))

        def up_to_bound(node: Expr) -> Expr:
            if not isinstance(node, VectorSelector):
                return node
            others = tuple(matcher for matcher in node.matchers if matcher.name != "le")
            return replace(node, matchers=(*others, bound))

        return Binary(BinaryOp.SUB, self.observations, rewrite(self.observations, up_to_bound))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoShape:
    """The value is neither, or it is not certain; with the reason."""

    reason: str


Shape: TypeAlias = RatioShape | QuantileShape | NoShape


def ratio_shape(expr: Expr) -> Shape:
    """Return what share or quantile of counted requests the value is, or why it is none."""
    try:
        core, slope, intercept = _unscaled(expr)
        if isinstance(core, Call):
            return _quantile(core, slope, intercept)
        if isinstance(core, Binary):
            return _ratio(core, slope, intercept)
    except Unknown as unknown:
        return NoShape(reason=unknown.reason)
    return NoShape(reason="the value is neither a ratio nor a quantile")


def _unscaled(expr: Expr) -> tuple[Expr, float, float]:
    """Return a core, a slope and an intercept: the value is intercept + slope · core."""
    slope, intercept, node = 1.0, 0.0, expr
    while True:
        match node:
            case Paren():
                node = node.expr
            case Unary():
                slope = -slope if node.op is UnaryOp.MINUS else slope
                node = node.expr
            case Call(function="scalar" | "vector" | "sort" | "sort_desc"):
                node = node.args[0]
            case Call() if node.function != "histogram_quantile":
                raise Unknown(node, f"the value comes out of {node.function}(), and is no plain ratio or quantile")
            case Binary() if (inner := one_sided(node)) is not None:
                slope, intercept = _through(node, inner, slope, intercept)
                node = inner
            case _:
                return node, slope, intercept


def _through(node: Binary, inner: Expr, slope: float, intercept: float) -> tuple[float, float]:
    """Return slope and intercept as seen from the side of a binary expression that reads series."""
    if node.op.is_set or (node.op.is_comparison and not node.return_bool):
        return slope, intercept  # guards and filters leave the value as it is
    other_is_left = inner is node.right
    constant = _constant(node.left if other_is_left else node.right)
    match node.op:
        case BinaryOp.ADD:
            return slope, intercept + slope * constant
        case BinaryOp.SUB if other_is_left:
            return -slope, intercept + slope * constant
        case BinaryOp.SUB:
            return slope, intercept - slope * constant
        case BinaryOp.MUL:
            return slope * constant, intercept
        case BinaryOp.DIV if not other_is_left and constant:
            return slope / constant, intercept
        case _:
            raise Unknown(node, f"{node.op} bends the value")


def _constant(expr: Expr) -> float:
    """Return the number that an expression without series is; refused are those that need more than arithmetic."""
    node = expr
    sign = 1.0
    while isinstance(node, Paren | Unary) or (isinstance(node, Call) and node.function == "vector"):
        if isinstance(node, Unary) and node.op is UnaryOp.MINUS:
            sign = -sign
        node = node.args[0] if isinstance(node, Call) else node.expr
    if isinstance(node, NumberLiteral):
        return sign * node.value
    raise Unknown(node, "the value is scaled by more than a number")


# Ratios.


def _ratio(node: Binary, slope: float, intercept: float) -> Shape:
    if node.op is not BinaryOp.DIV:
        return NoShape(reason="the value is neither a ratio nor a quantile")
    dividend, factor = _unfactored(node.left)
    node, slope = replace(node, left=dividend), slope * factor
    if slope > 0 and intercept == 0:
        scale, complemented = slope, False
    elif slope < 0 and math.isclose(intercept, -slope):
        scale, complemented = intercept, True
    else:
        return NoShape(reason="the ratio is shifted or turned around, so its value is no share")
    window_s = _one_window(node)
    _must_be_plain(node.left, window_s)
    _must_be_plain(node.right, window_s)
    _must_be_part(node)
    counting = Counting()
    return RatioShape(
        numerator=counting.count(_unguarded(node.left)),
        denominator=counting.count(_unguarded(node.right)),
        scale=scale,
        complemented=complemented,
    )


def _unfactored(expr: Expr) -> tuple[Expr, float]:
    """Return a side of the ratio without numbers that it is multiplied with: `100 * bad / all`."""
    factor = 1.0
    while True:
        match expr:
            case Paren():
                expr = expr.expr
            case Binary(op=BinaryOp.MUL | BinaryOp.DIV) if (inner := one_sided(expr)) is not None:
                number = _constant(expr.right if inner is expr.left else expr.left)
                if expr.op is BinaryOp.DIV and (inner is expr.right or not number):
                    return expr, factor
                factor = factor * number if expr.op is BinaryOp.MUL else factor / number
                expr = inner
            case _:
                return expr, factor


def _one_window(node: Expr) -> float:
    """Return the window that every rate in the expression has; refuse mixed ones, irate and raw counters."""
    kinds: set[tuple[str, float, float, object]] = set()
    ranged = 0
    for part in walk(node):
        if isinstance(part, Call) and part.function in COUNTER_FUNCTIONS:
            matrix = part.args[0]
            if not isinstance(matrix, MatrixSelector):
                raise Unknown(part, f"{part.function} over something else than a selector")
            kinds.add((part.function, matrix.range_s, matrix.selector.offset_s, matrix.selector.at))
            ranged += 1
    if any(kind[0] == "irate" for kind in kinds):
        raise Unknown(node, "irate is the rate between the last two samples, not over the counted window")
    if ranged < len(selectors(node)):
        raise Unknown(node, "a series is read without rate or increase")
    if len(kinds) != 1:
        raise Unknown(node, "the parts are rates over different windows")
    function, range_s, _, _ = next(iter(kinds))
    return range_s if function == "rate" else 1.0


def _unguarded(expr: Expr) -> Expr:
    """Return the expression inside guards against no data and against a denominator of zero."""
    while True:
        match expr:
            case Paren():
                expr = expr.expr
            case Call(function="scalar" | "clamp_min"):
                expr = expr.args[0]
            case Binary() if (inner := one_sided(expr)) is not None and (
                expr.op.is_set or expr.op is BinaryOp.ADD or _is_filter(expr)
            ):
                expr = inner
            case _:
                return expr


def _is_filter(node: Binary) -> bool:
    return node.op.is_comparison and not node.return_bool


def _must_be_plain(expr: Expr, window_s: float) -> None:
    """Refuse what is no sum over everything, and guards that move a value by a request or more."""
    node = expr
    while True:
        match node:
            case Paren() | Call(function="scalar"):
                node = node.args[0] if isinstance(node, Call) else node.expr
                continue
            case Call(function="clamp_min"):
                _must_be_small(node.args[1], window_s)
                node = node.args[0]
                continue
            case Binary() if (inner := one_sided(node)) is not None:
                if node.op is BinaryOp.ADD:
                    _must_be_small(node.right if inner is node.left else node.left, window_s)
                elif not node.op.is_set and not _is_filter(node):
                    raise Unknown(node, f"{node.op} bends a side of the ratio")
                node = inner
                continue
            case Binary(op=BinaryOp.ADD):
                _must_be_plain(node.left, window_s)
                _must_be_plain(node.right, window_s)
                return
            case Aggregate(op=AggregateOp.SUM, grouping=(), without=False):
                return
            case _:
                raise Unknown(node, "a side of the ratio is no sum over all series, so the value may be one of many")


def _must_be_small(constant: Expr, window_s: float) -> None:
    requests = _constant(constant) * window_s
    if requests >= 1:
        reason = f"a guard stands in for {number_text(requests)} requests, so the value is no share of those counted"
        raise Unknown(constant, reason)


def _must_be_part(node: Binary) -> None:
    parts, wholes = selectors(_unguarded(node.left)), selectors(_unguarded(node.right))
    for part in parts:
        inside = any(selects_within(part, whole) for whole in wholes)
        named = counts_failures(part.metric) and any(counts_requests(whole.metric) for whole in wholes)
        fast = any(_is_bucket_of(part, whole) for whole in wholes)
        if not inside and not named and not fast:
            raise Unknown(part, "what is counted above is not seen to be a part of what is counted below")


def _is_bucket_of(part: VectorSelector, whole: VectorSelector) -> bool:
    """Return whether `part` is one bucket of the histogram whose observations `whole` counts."""
    if part.metric is None or whole.metric is None or not part.metric.endswith("_bucket"):
        return False
    if not any(matcher.name == "le" and matcher.op is MatchOp.EQUAL for matcher in part.matchers):
        return False
    everything = Matcher("le", MatchOp.EQUAL, "+Inf") in whole.matchers
    if whole.metric != (part.metric if everything else part.metric.removesuffix("_bucket") + "_count"):
        return False
    ours = tuple(matcher for matcher in part.matchers if matcher.name not in ("le", METRIC_NAME))
    theirs = tuple(matcher for matcher in whole.matchers if matcher.name not in ("le", METRIC_NAME))
    return selects_within(VectorSelector(ours), VectorSelector(theirs))


# Quantiles.


def _quantile(node: Call, slope: float, intercept: float) -> Shape:
    q = _constant(node.args[0]) if is_constant(node.args[0]) else math.nan
    if not 0 <= q <= 1:
        return NoShape(reason="the quantile is not a number from 0 to 1")
    if slope <= 0 or intercept != 0:
        return NoShape(reason="the quantile is shifted or turned around")
    _one_window(node.args[1])
    observations = Counting().observations(node.args[1])
    if not is_single(observations):
        return NoShape(reason="there is a quantile for each of many groups, and the value may be any of them")
    return QuantileShape(q=q, observations=observations, scale=slope)


def _bound_pattern(bound: float) -> str:
    """Return a pattern for the ways in which exporters write a bucket's bound: 1, 1.0; 0.35, 0.350."""
    plain = number_text(round(bound, 12))
    if "." in plain or "e" in plain:
        return re.escape(plain) + ("" if "e" in plain else "0*")
    return re.escape(plain) + r"(\.0*)?"

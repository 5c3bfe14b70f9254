"""What a query reads: which series it can select, over which stretch of time, and what it divides by what.

Everything is decided from the text alone and errs on one side, which each function names: series that are really
apart may be called overlapping, never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from promql.syntax.checks import matches_empty
from promql.syntax.regexes import alternatives, full_match
from promql.syntax.tree import (
    At,
    Binary,
    BinaryOp,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    Subquery,
    VectorSelector,
    children,
)
from promql.syntax.walking import walk

LOOKBACK_S = 300.0
"""How far back Prometheus looks for the latest sample of a series, unless it is told otherwise."""

DEFAULT_STEP_S = 60.0
"""The step of a subquery that names none: the server's evaluation interval, a minute unless it is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The samples that one selector of a query looks at, relative to the time that the query is asked for.

    Samples with `-from_s < t - asked <= -until_s` can be read. With `at`, they count from that time instead: a
    unix time, or the start or end of a range query. `window_s` is the range of the selector itself; None for an
    instant selector, which reads one sample, not older than the lookback.
    """

    selector: VectorSelector
    from_s: float
    until_s: float
    window_s: float | None
    at: At = None


@dataclass(frozen=True, slots=True)
class _Shift:
    """From where to where the times lie for which an inner expression is evaluated, looking back from `at`."""

    from_s: float = 0.0
    until_s: float = 0.0
    at: At = None


def readings(expr: Expr, *, lookback_s: float = LOOKBACK_S) -> tuple[Reading, ...]:
    """Return what each selector reads, in the order of the text."""
    found: list[Reading] = []
    waiting: list[tuple[Expr, _Shift]] = [(expr, _Shift())]
    while waiting:
        node, shift = waiting.pop()
        match node:
            case VectorSelector():
                found.append(_reading(node, shift, lookback_s, None))
            case MatrixSelector():
                found.append(_reading(node.selector, shift, node.range_s, node.range_s))
            case Subquery():
                inner = _moved(shift, node)
                waiting.append((node.expr, replace(inner, from_s=inner.from_s + node.range_s)))
            case _:
                waiting.extend((part, shift) for part in reversed(children(node)))
    return tuple(found)


def _moved(shift: _Shift, node: VectorSelector | Subquery) -> _Shift:
    base = shift if node.at is None else _Shift(at=node.at)
    return replace(base, from_s=base.from_s + node.offset_s, until_s=base.until_s + node.offset_s)


def _reading(selector: VectorSelector, shift: _Shift, back_s: float, window_s: float | None) -> Reading:
    moved = _moved(shift, selector)
    return Reading(
        selector=selector,
        from_s=moved.from_s + back_s,
        until_s=moved.until_s,
        window_s=window_s,
        at=moved.at,
    )


def selectors(expr: Expr) -> tuple[VectorSelector, ...]:
    """Return all selectors of the query, in the order of the text."""
    return tuple(node for node in walk(expr) if isinstance(node, VectorSelector))


def longest_window_s(expr: Expr) -> float:
    """Return how far back the samples lie that one answer rests on; 0 for a query that reads none.

    An instant selector counts as nothing: it reads the latest sample, however old the lookback lets it be. A
    window under @ a fixed time counts with its length only.
    """
    return max((one.from_s - one.until_s for one in readings(expr, lookback_s=0.0)), default=0.0)


def reach_s(expr: Expr, *, lookback_s: float = LOOKBACK_S) -> float:
    """Return how much history a store must hold to answer the query for now; @ a fixed time is left out."""
    return max((one.from_s for one in readings(expr, lookback_s=lookback_s) if one.at is None), default=0.0)


@dataclass(frozen=True, slots=True)
class Division:
    """What a query divides by what, without the parentheses around each."""

    dividend: Expr
    divisor: Expr
    node: Binary


def divisions(expr: Expr) -> tuple[Division, ...]:
    """Return every division in the query, outer ones first; dividing by a number is one as well."""
    return tuple(
        Division(node.left, node.right, node)
        for node in walk(expr)
        if isinstance(node, Binary) and node.op is BinaryOp.DIV
    )


def may_overlap(one: VectorSelector, other: VectorSelector) -> bool:
    """Return False only if no series can be selected by both, whatever the store holds."""
    names = {matcher.name for matcher in one.matchers} & {matcher.name for matcher in other.matchers}
    return not any(_apart(_of(one, name) + _of(other, name)) for name in names)


def selects_within(inner: VectorSelector, outer: VectorSelector) -> bool:
    """Return True only if every series that `inner` selects is selected by `outer` too, whatever the store holds.

    Times do not count: offsets and @ are not looked at.
    """
    return all(_implied(matcher, _of(inner, matcher.name)) for matcher in outer.matchers)


def _of(selector: VectorSelector, name: str) -> list[Matcher]:
    return [matcher for matcher in selector.matchers if matcher.name == name]


def passes(matcher: Matcher, value: str) -> bool:
    """Return whether a label's value passes the matcher; a missing label has the value ''."""
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.MATCHES:
            return full_match(matcher.value, value)
        case MatchOp.NOT_MATCHES:
            return not full_match(matcher.value, value)


def _values(matchers: Iterable[Matcher]) -> tuple[str, ...] | None:
    """Return the values that the matchers leave possible if they are a short list, else None."""
    known = [values for matcher in matchers if (values := _listed(matcher)) is not None]
    return min(known, key=len) if known else None


def _listed(matcher: Matcher) -> tuple[str, ...] | None:
    if matcher.op is MatchOp.EQUAL:
        return (matcher.value,)
    return alternatives(matcher.value) if matcher.op is MatchOp.MATCHES else None


def _apart(matchers: list[Matcher]) -> bool:
    """Return whether these matchers on one label cannot all be passed, as far as that is seen."""
    values = _values(matchers)
    if values is not None:
        return not any(all(passes(matcher, value) for matcher in matchers) for value in values)
    # status=~"5.." and status!~"5..": the same condition and its contrary.
    wanted = {matcher.value for matcher in matchers if matcher.op is MatchOp.MATCHES}
    return any(matcher.op is MatchOp.NOT_MATCHES and matcher.value in wanted for matcher in matchers)


def _implied(wanted: Matcher, given: list[Matcher]) -> bool:
    """Return whether whatever passes the given matchers (on the same label) passes the wanted one, if seen."""
    if any((matcher.op, matcher.value) == (wanted.op, wanted.value) for matcher in given):
        return True
    values = _values(given)
    if values is not None:
        possible = (value for value in values if all(passes(matcher, value) for matcher in given))
        return all(passes(wanted, value) for value in possible)
    # Any value passes: label=~".*", or label!="" where something is asked of the label that '' does not pass.
    if wanted.op is MatchOp.MATCHES and wanted.value == ".*":
        return True
    something = wanted.op is MatchOp.NOT_EQUAL and wanted.value == ""
    something = something or (wanted.op is MatchOp.MATCHES and wanted.value == ".+")
    return something and any(not matches_empty(matcher) for matcher in given)

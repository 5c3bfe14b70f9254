"""Say in words what a query reads, what it divides, and how many requests stand behind it.

For people at a command line and for reports; whoever needs the facts themselves takes them from `reading`,
`requests` and `shapes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from promql.syntax.printing import duration_text, number_text, to_text
from promql.syntax.reading import LOOKBACK_S, Reading, divisions, readings
from promql.syntax.requests import RequestCount, requests_behind
from promql.syntax.shapes import NoShape, QuantileShape, RatioShape, ratio_shape
from promql.syntax.tree import AtBound, Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What can be known of a query without running it, one sentence or phrase each.

    `count` is the query for the number of requests, or None; `requests` says where it comes from or why there is
    none.
    """

    reads: tuple[str, ...]
    divides: tuple[str, ...]
    count: str | None
    requests: str
    shape: str


def explain(expr: Expr, *, lookback_s: float = LOOKBACK_S) -> Explanation:
    """Return what the query reads and what its value rests on, in words."""
    behind = requests_behind(expr)
    counted = isinstance(behind, RequestCount)
    return Explanation(
        reads=tuple(dict.fromkeys(_reads(one, lookback_s) for one in readings(expr, lookback_s=lookback_s))),
        divides=tuple(f"{to_text(one.dividend)} by {to_text(one.divisor)}" for one in divisions(expr)),
        count=to_text(behind.query) if isinstance(behind, RequestCount) else None,
        requests="; ".join((behind.how, *behind.notes)) if isinstance(behind, RequestCount) else behind.reason,
        shape=_shape(expr) if counted else "no count, so no share of one",
    )


def _reads(reading: Reading, lookback_s: float) -> str:
    what = to_text(replace(reading.selector, offset_s=0.0, at=None))
    if reading.window_s is None and reading.from_s - reading.until_s == lookback_s:
        back = f"the latest sample, at most {duration_text(lookback_s)} old"
    else:
        back = f"the samples of {duration_text(reading.from_s - reading.until_s)}"
    if reading.until_s:
        side = "before" if reading.until_s > 0 else "after"
        back += f", {duration_text(abs(reading.until_s))} {side} the time asked for"
    if reading.at is not None:
        at = f"the {reading.at} of the query" if isinstance(reading.at, AtBound) else number_text(reading.at)
        back = f"{back.removesuffix(' the time asked for')}, counted from {at}"
    return f"{what}: {back}"


def _shape(expr: Expr) -> str:
    shape = ratio_shape(expr)
    match shape:
        case RatioShape():
            times = "" if shape.scale == 1 else f", times {number_text(shape.scale)}"
            others = "all but " if shape.complemented else ""
            return f"the share of {others}{to_text(shape.numerator)}{times}"
        case QuantileShape():
            times = "" if shape.scale == 1 else f", times {number_text(shape.scale)}"
            return f"the {number_text(shape.q)} quantile{times}"
        case NoShape():
            return f"no certain share or quantile: {shape.reason}"
        case _:
            assert_never(shape)

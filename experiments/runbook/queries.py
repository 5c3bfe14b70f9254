"""A query in words: what share or quantile it is, of which requests, in which window, and whose pods it looks at.

Words are given only where the syntax tree leaves no doubt; elsewhere the page says what the query reads and why that
is no plain share or quantile.
"""

from __future__ import annotations

from collections.abc import Iterable

from experiments.runbook.markdown import code_outside_tables as code
from experiments.runbook.markdown import plain
from promql.syntax.explaining import explain
from promql.syntax.printing import duration_text, number_text, to_text
from promql.syntax.reading import longest_window_s, selectors
from promql.syntax.shapes import QuantileShape, RatioShape, ratio_shape
from promql.syntax.tree import Expr, Matcher, MatchOp, VectorSelector

_STATUS_LABELS = frozenset(("status", "code", "status_code", "http_status", "response_code", "http_status_code"))
_FAILURES = frozenset(("5..", "5.*", "5\\d\\d", "5[0-9][0-9]", "5\\d{2}", "5[0-9]{2}", "5xx"))


def in_words(expr: Expr) -> tuple[str, ...]:
    """Return sentences on what the query's value is."""
    window = _window(expr)
    shape = ratio_shape(expr)
    match shape:
        case RatioShape():
            scaled = "" if shape.scale == 1 else f", times {number_text(shape.scale)}"
            return (f"{_ratio(shape, window)}{scaled}.",)
        case QuantileShape():
            share = number_text(round(100 * shape.q, 9))
            scaled = "" if shape.scale == 1 else f", times {number_text(shape.scale)}"
            selector = selectors(shape.observations)[0]
            return (
                f"The p{share}{_unit(selector)}{scaled}: {share} % of what {_counted(selector)} counted{window} "
                "was at most this.",
            )
    told = explain(expr)
    reads = "; ".join(map(code, told.reads))
    return (f"No plain share or quantile ({plain(shape.reason)}).", f"It reads {reads or 'no series'}.")


def canary_labels(expr: Expr, *, parts: Iterable[str], whole: str) -> tuple[str, ...]:
    """Return the matchers of the query that tell the canary from stable by their values.

    Args:
        parts: what such a value holds somewhere: the canary's hash, the word itself.
        whole: what such a value may be as a whole: the canary's Service; "" for none.
    """
    wanted = tuple(parts)
    found = [
        f"{matcher.name}{matcher.op}{_quoted(matcher.value)}"
        for selector in selectors(expr)
        for matcher in selector.matchers
        if matcher.op in (MatchOp.EQUAL, MatchOp.MATCHES)
        and (any(part in matcher.value for part in wanted) or matcher.value == (whole or None))
    ]
    return tuple(dict.fromkeys(found))


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _window(expr: Expr) -> str:
    window_s = longest_window_s(expr)
    return f" in the last {duration_text(window_s)}" if window_s else ""


def _ratio(shape: RatioShape, window: str) -> str:
    parts, wholes = selectors(shape.numerator), selectors(shape.denominator)
    if len(parts) == len(wholes) == 1 and parts[0].metric == wholes[0].metric:
        extra = [matcher for matcher in parts[0].matchers if matcher not in wholes[0].matchers]
        side = "without" if shape.complemented else "with"
        labels = ", ".join(code(f"{one.name}{one.op}{_quoted(one.value)}") for one in extra)
        known = " (answers of 5xx)" if len(extra) == 1 and _is_5xx(extra[0]) else ""
        return f"Of all that {_counted(wholes[0])} counted{window}, the share {side} {labels}{known}"
    others = "all but " if shape.complemented else ""
    part = " and ".join(_counted(one) for one in parts)
    whole = " and ".join(_counted(one) for one in wholes)
    return f"The share of {others}what {part} counted in what {whole} counted{window}"


def _is_5xx(matcher: Matcher) -> bool:
    return matcher.name in _STATUS_LABELS and matcher.op is MatchOp.MATCHES and matcher.value in _FAILURES


def _counted(selector: VectorSelector) -> str:
    """Return a selector as text, without the bucket that only the count of requests asks for."""
    return code(to_text(selector).replace(',le="+Inf"', "").replace('{le="+Inf"}', ""))


def _unit(selector: VectorSelector) -> str:
    name = selector.metric or ""
    return ", in seconds" if "_seconds" in name else ", in milliseconds" if "_milliseconds" in name else ""

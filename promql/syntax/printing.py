"""Print a tree as PromQL that reads back as the same tree.

Every tree that `parse` gave comes back equal. Trees that were built by hand get the parentheses that they need and
did not have. The spelling is Prometheus' own: grouping in front, `5m` for 300 seconds where a duration belongs.
"""

from __future__ import annotations

import math
import re
from typing import assert_never

from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AtBound,
    Binary,
    BinaryOp,
    Call,
    Expr,
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
    VectorSelector,
)
from promql.syntax.walking import fold
from promql.syntax.words import BINARY_PRECEDENCE, NO_METRIC, UNARY_PRECEDENCE

_ATOM = 9
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NUMBERS_BY_NAME = frozenset(("inf", "nan"))
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_NAMED_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_text(expr: Expr) -> str:
    """Return the query as text, on one line."""
    return fold(expr, _print)


def duration_text(seconds: float) -> str:
    """Return a duration as PromQL writes it: 5400 is 1h30m, 0.25 is 250ms."""
    sign, rest = ("-" if seconds < 0 else ""), round(abs(seconds) * 1000)
    parts = []
    for unit, size_ms in _UNITS_MS:
        count, rest = divmod(rest, size_ms)
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts) or "0s")


def number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def string_text(value: str) -> str:
    """Return a string in double quotes, with Go's escapes."""
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    if character in _NAMED_ESCAPES:
        return _NAMED_ESCAPES[character]
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return "\\ufffd" if character == "\ufffd" else character


def _print(node: Expr, parts: tuple[str, ...]) -> str:
    match node:
        case NumberLiteral():
            return duration_text(node.value) if _is_duration(node) else number_text(node.value)
        case StringLiteral():
            return string_text(node.value)
        case VectorSelector():
            return _selector(node) + _shift(node)
        case MatrixSelector():
            return f"{_selector(node.selector)}[{duration_text(node.range_s)}]{_shift(node.selector)}"
        case Subquery():
            step = "" if node.step_s is None else duration_text(node.step_s)
            inner = parts[0] if _strength(node.expr) == _ATOM else f"({parts[0]})"
            return f"{inner}[{duration_text(node.range_s)}:{step}]{_shift(node)}"
        case Call():
            return f"{node.function}({', '.join(parts)})"
        case Aggregate():
            return f"{node.op}{_grouping(node)}({', '.join(parts)})"
        case Paren():
            return f"({parts[0]})"
        case Unary():
            needs = _strength(node.expr) < UNARY_PRECEDENCE or isinstance(node.expr, NumberLiteral)
            needs = needs or (isinstance(node.expr, Binary) and node.expr.op is not BinaryOp.POW)
            return f"{node.op}({parts[0]})" if needs else f"{node.op}{parts[0]}"
        case Binary():
            return _binary(node, parts)
        case _:
            assert_never(node)


def _is_duration(node: NumberLiteral) -> bool:
    return node.as_duration and abs(node.value) < 1e12 and round(node.value, 3) == node.value


def _strength(node: Expr) -> int:
    """Return how tightly the node's text holds together: an operator's precedence, or _ATOM."""
    match node:
        case Binary():
            return BINARY_PRECEDENCE[node.op]
        case Unary():
            return UNARY_PRECEDENCE
        case NumberLiteral() if math.copysign(1, node.value) < 0:
            return UNARY_PRECEDENCE
        case _:
            return _ATOM


def _binary(node: Binary, parts: tuple[str, ...]) -> str:
    own = BINARY_PRECEDENCE[node.op]
    is_power = node.op is BinaryOp.POW
    left, right = _strength(node.left), _strength(node.right)
    left_open = left < own or (is_power and left == own)
    # A sign may stand behind any operator and reaches as far as a power does.
    signed = isinstance(node.right, Unary | NumberLiteral)
    right_open = not signed and (right < own or (not is_power and right == own))
    words = [f"({parts[0]})" if left_open else parts[0], str(node.op)]
    if node.return_bool:
        words.append("bool")
    words.extend(_matching(node.matching))
    words.append(f"({parts[1]})" if right_open else parts[1])
    return " ".join(words)


def _matching(matching: Matching) -> list[str]:
    words = []
    if matching.on or matching.labels or matching.group is not Group.NONE:
        words.append(f"{'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})")
    if matching.group is not Group.NONE:
        words.append(f"{matching.group} ({_labels(matching.include)})")
    return words


def _grouping(node: Aggregate) -> str:
    if not node.grouping and not node.without:
        return ""
    return f" {'without' if node.without else 'by'} ({_labels(node.grouping)}) "


def _labels(labels: tuple[str, ...]) -> str:
    plain = (_LABEL.fullmatch(label) and label.lower() not in _NUMBERS_BY_NAME | {"without"} for label in labels)
    return ", ".join(label if fits else string_text(label) for label, fits in zip(labels, plain, strict=True))


def _selector(node: VectorSelector) -> str:
    """Print the matchers; the first one stands before the braces if it is a metric name that may."""
    first, *others = node.matchers or (Matcher("", MatchOp.EQUAL, ""),)
    if not node.matchers:
        return "{}"
    if first.name != METRIC_NAME or first.op is not MatchOp.EQUAL or not first.value:
        return f"{{{','.join(map(_matcher, node.matchers))}}}"
    plain = _METRIC.fullmatch(first.value) and first.value.lower() not in NO_METRIC | _NUMBERS_BY_NAME
    if plain and all(matcher.name != METRIC_NAME for matcher in others):
        return first.value + (f"{{{','.join(map(_matcher, others))}}}" if others else "")
    return f"{{{','.join((string_text(first.value), *map(_matcher, others)))}}}"


def _matcher(matcher: Matcher) -> str:
    name = matcher.name if _LABEL.fullmatch(matcher.name) else string_text(matcher.name)
    return f"{name}{matcher.op}{string_text(matcher.value)}"


def _shift(node: VectorSelector | Subquery) -> str:
    text = ""
    if node.at is not None:
        text = f" @ {node.at}()" if isinstance(node.at, AtBound) else f" @ {number_text(node.at)}"
    return f"{text} offset {duration_text(node.offset_s)}" if node.offset_s else text

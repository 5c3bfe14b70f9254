"""The parameters of Prometheus' HTTP API as values: times, durations, limits and selectors, or a refusal.

Messages have the form in which Prometheus gives them, since people search for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from promql.storage.selecting import matching
from promql.syntax import PromQLSyntaxError, parse
from promql.syntax.tree import Matcher, VectorSelector

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS_S = (31_536_000.0, 604_800.0, 86_400.0, 3600.0, 60.0, 1.0, 0.001)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_TIME_MAX_S = 9.2e15
"""Times beyond what milliseconds in 64 bits hold are no times."""


class BadParameter(ValueError):
    """A parameter that is not what the API takes."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'invalid parameter "{name}": {reason}')
        self.name = name


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def time_s(name: str, text: str) -> float:
    """Return unix seconds, to the millisecond, of a number of seconds or an RFC 3339 time.

    Raises:
        BadParameter: it is neither.
    """
    if _FLOAT.fullmatch(text):
        seconds = float(text)
        if math.isfinite(seconds) and abs(seconds) < _TIME_MAX_S:
            whole = math.trunc(seconds)
            return whole + _rounded_ms(seconds - whole) / 1000
    elif (parts := _RFC3339.fullmatch(text)) is not None:
        date, clock, fraction, zone = parts.groups()
        offset = "+00:00" if zone in "Zz" else zone
        try:
            instant = datetime.fromisoformat(f"{date}T{clock}{offset}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return instant.timestamp() + int(f"{fraction or '.'}000"[1:4]) / 1000  # the rest is cut off
    raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid timestamp")


def _rounded_ms(fraction_s: float) -> int:
    """Round half away from zero, as the API does."""
    return int(math.copysign(math.floor(abs(fraction_s) * 1000 + 0.5), fraction_s))


def duration_s(name: str, text: str) -> float:
    """Return the seconds of a number or of a duration such as `1h30m`."""
    if _FLOAT.fullmatch(text):
        seconds = float(text)
        if abs(seconds) <= 9_223_372_036:
            return seconds
        raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid duration. It overflows int64")
    parts = _DURATION.fullmatch(text)
    if parts is None or not text or len(text) > 100:
        raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid duration")
    return sum(float(number) * unit_s for number, unit_s in zip(parts.groups(), _UNITS_S, strict=True) if number)


def limit(text: str) -> int | None:
    """Return how many results are wanted at most; None for all."""
    if not text:
        return None
    try:
        found = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) else None
    except ValueError:
        found = None
    if found is None:
        raise BadParameter("limit", f"strconv.Atoi: parsing {_quoted(text)}: invalid syntax")
    if found < 0:
        raise BadParameter("limit", "limit must be non-negative")
    return found or None


def selectors(texts: Sequence[str], *, name: str = "match[]") -> list[tuple[Matcher, ...]]:
    """Return the matchers of each selector; every selector must ask for something."""
    found = []
    for text in texts:
        try:
            selector = parse(text)
        except PromQLSyntaxError as error:
            raise BadParameter(name, f"{error.line}:{error.column}: parse error: {error.message}") from None
        if not isinstance(selector, VectorSelector) or selector.offset_s or selector.at is not None:
            raise BadParameter(name, f"{_quoted(text)} is no series selector")
        if all(matching([matcher])(()) for matcher in selector.matchers):
            raise BadParameter(name, "match[] must contain at least one non-empty matcher")
        found.append(selector.matchers)
    return found

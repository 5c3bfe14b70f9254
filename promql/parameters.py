"""The parameters of Prometheus' HTTP API as values: times, durations, limits and selectors, or a refusal.

Messages have the form in which Prometheus gives them, since people search for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from promql.go_numbers import go_float
from promql.syntax import PromQLSyntaxError, parse
from promql.syntax.errors import EMPTY_QUERY, EMPTY_SELECTOR
from promql.syntax.tree import Matcher, VectorSelector

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_UNITS_S = (31_536_000.0, 604_800.0, 86_400.0, 3600.0, 60.0, 1.0, 0.001)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_TIME_MAX_S = 9.2e15
"""Times beyond what milliseconds in 64 bits hold are no times."""
_ENDS_OF_TIME_S = {
    "-292273086-05-16T16:47:06Z": -9_223_309_901_257_974.0,
    "292277025-08-18T07:12:54.999999999Z": 9_223_309_901_257_974.0,
}
"""With these two clients say that they want all there is; no other year of more than four digits is read."""
_DURATION_CHARACTERS_MAX = 100
_DURATION_MAX_S = 9_223_372_036.854775807


class BadParameter(ValueError):
    """A parameter that is not what the API takes."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'invalid parameter "{name}": {reason}')
        self.name = name
        self.reason = reason


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def time_s(name: str, text: str) -> float:
    """Return unix seconds, to the millisecond, of a number of seconds or an RFC 3339 time.

    Raises:
        BadParameter: it is neither.
    """
    if text in _ENDS_OF_TIME_S:
        return _ENDS_OF_TIME_S[text]
    seconds = go_float(text)
    if seconds is not None:
        if math.isfinite(seconds) and abs(seconds) < _TIME_MAX_S:
            whole = math.trunc(seconds)
            return whole + _rounded_ms(seconds - whole) / 1000
    elif (parts := _RFC3339.fullmatch(text)) is not None:
        date, clock, fraction, zone = parts.groups()
        try:
            instant = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone == 'Z' else zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return instant.timestamp() + int(f"{fraction or ''}000"[:3]) / 1000  # the rest is cut off
    raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid timestamp")


def _rounded_ms(fraction_s: float) -> int:
    """Round half away from zero, as the API does."""
    return int(math.copysign(math.floor(abs(fraction_s) * 1000 + 0.5), fraction_s))


def duration_s(name: str, text: str) -> float:
    """Return the seconds of a number or of a duration such as `1h30m`."""
    seconds = go_float(text)
    if seconds is not None:
        if -_DURATION_MAX_S <= seconds < _DURATION_MAX_S:
            return seconds
        raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid duration. It overflows int64")
    parts = _DURATION.fullmatch(text) if 0 < len(text) <= _DURATION_CHARACTERS_MAX else None
    if parts is not None:
        numbers = zip(parts.groups(), _UNITS_S, strict=True)
        seconds = sum(float(number) * unit_s for number, unit_s in numbers if number)
        if seconds < _DURATION_MAX_S:
            return seconds
    raise BadParameter(name, f"cannot parse {_quoted(text)} to a valid duration")


def whole(text: str) -> int | None:
    """Return a whole number of 64 bits, None if the text is none."""
    found = int(text) if _WHOLE.fullmatch(text) and len(text) < 30 else None
    return found if found is not None and -(2**63) <= found < 2**63 else None


def limit(text: str) -> int | None:
    """Return how many results are wanted at most; None for all."""
    if not text:
        return None
    found = whole(text)
    if found is None:
        reason = "value out of range" if _WHOLE.fullmatch(text) else "invalid syntax"
        raise BadParameter("limit", f"strconv.Atoi: parsing {_quoted(text)}: {reason}")
    if found < 0:
        raise BadParameter("limit", "limit must be non-negative")
    return found or None


def selectors(texts: Sequence[str]) -> list[tuple[Matcher, ...]]:
    """Return the matchers of each selector; every selector must ask for something.

    Raises:
        ValueError: one is no selector; the text says why.
    """
    found = []
    for text in texts:
        try:
            selector = parse(text)
        except PromQLSyntaxError as error:
            if error.message == EMPTY_SELECTOR:
                raise ValueError("match[] must contain at least one non-empty matcher") from None
            raise ValueError(reason_of(error)) from None
        if not isinstance(selector, VectorSelector) or selector.offset_s or selector.at is not None:
            raise ValueError(f"1:1: parse error: {_quoted(text)} is no series selector")
        found.append(selector.matchers)
    return found


def reason_of(error: PromQLSyntaxError) -> str:
    """Return a query's error as the API words it; its columns count bytes."""
    if error.message == EMPTY_QUERY:
        return "unknown position: parse error: no expression found in input"
    line = error.text[: error.position].rpartition("\n")[2]
    return f"{error.line}:{len(line.encode(errors='replace')) + 1}: parse error: {error.message}"

"""Time stamps of logs as Unix seconds.

Logs stamp many lines with one second, so each form keeps its last second at hand: parsing a stamp is the dearest part
of reading a line, and most lines repeat the one before.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache

from loadgen.traces.requests import BadLine

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_COMMON = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9})\d*)?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII)
TIME_MAX_S = 32_503_680_000.0  # the year 3000: a stamp beyond it is in another unit


@lru_cache(maxsize=4_096)
def common_s(text: str) -> float:
    """Return the instant of `24/Nov/2026:14:22:05 +0100`, the form of Apache and of nginx' $time_local."""
    found = _COMMON.fullmatch(text)
    month = _MONTHS.get(found[2]) if found else None
    if found is None or month is None:
        raise BadLine(f"the time is {text[:40]!r}")
    day, _, year, hour, minute, second, sign, ahead_h, ahead_min = found.groups()
    try:
        datetime(int(year), month, int(day), int(hour), int(minute), int(second) - (second == "60"))  # a leap second
    except ValueError as error:
        raise BadLine(f"the time is {text!r}: {error}") from None
    ahead_s = (int(ahead_h) * 60 + int(ahead_min)) * 60 * (1 if sign == "+" else -1)
    return float(timegm((int(year), month, int(day), int(hour), int(minute), int(second))) - ahead_s)


@lru_cache(maxsize=4_096)
def _iso_second_s(date: str, time: str, zone: str) -> float:
    at = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=UTC).timestamp()
    if zone in ("", "Z"):
        return at
    ahead_s = (int(zone[1:3]) * 60 + int(zone[-2:])) * 60
    return at - ahead_s if zone[0] == "+" else at + ahead_s


def iso_s(text: str) -> float:
    """Return the instant of an RFC 3339 stamp such as `2026-11-24T14:22:05.123Z`; UTC where no zone is said."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise BadLine(f"the time is {text[:40]!r}")
    date, time, fraction, zone = found.groups()
    try:
        whole_s = _iso_second_s(date, time, zone or "")
    except ValueError as error:
        raise BadLine(f"the time is {text!r}: {error}") from None
    return whole_s + float(f"0.{fraction}") if fraction else whole_s


def unix_s(text: str) -> float:
    """Return the instant of Unix seconds, such as nginx' $msec."""
    try:
        at_s = float(text)
    except ValueError:
        raise BadLine(f"the time is {text[:40]!r}") from None
    return checked_s(at_s)


def any_s(text: str) -> float:
    """Return the instant of a stamp of whichever form: Unix seconds, milliseconds or nanoseconds, RFC 3339, common."""
    try:
        stamp = float(text)
    except ValueError:
        pass
    else:
        return checked_s(stamp if stamp < 1e11 else in_seconds(stamp))
    if "/" in text[:4]:
        return common_s(text)
    return iso_s(text)


def in_seconds(stamp: float) -> float:
    """Return a Unix stamp in seconds, whether it counts seconds, milliseconds, microseconds or nanoseconds."""
    for unit_s, beyond in ((1e-9, 1e17), (1e-6, 1e14), (1e-3, 1e11)):
        if stamp >= beyond:
            return stamp * unit_s
    return stamp


def checked_s(at_s: float) -> float:
    """Return an instant; raise BadLine for one that is no Unix time at all."""
    if not 0 <= at_s < TIME_MAX_S:
        raise BadLine(f"the time is {at_s:g}; Unix seconds lie between 0 and {TIME_MAX_S:g}")
    return at_s

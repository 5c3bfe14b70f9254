"""Times and durations, as far as conditions use them: `now()`, `duration("1h")`, and their parts.

The core has no clock: `now()` is the time that the caller gives, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame
from controller.core.conditions.objects import Duration, Named, Time
from controller.core.conditions.operations import must_be_text

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SECOND_NS = 10**9
_DAY_S = 86_400


def now(frame: Frame, arguments: list[object]) -> object:
    if frame.now_ns is None:
        raise UnsupportedCondition("now() without the time being given")
    return Time(frame.now_ns)


def duration_of(value: object) -> Duration:
    """Return the duration that a text such as "1h30m" names."""
    text = must_be_text(value)
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or len(part[1]) > 40:
            break
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = part.end()
    if not rest or at < len(rest) or total >= 1 << 63:
        raise ConditionError(f'time: invalid duration "{text}"')
    return Duration(-total if text.startswith("-") else total)


def _date(time: Time) -> tuple[int, int, int, int]:
    """Return year, month, day and day of the year of a time in UTC, by the civil calendar.

    Counted in eras of 400 years that begin on March 1, so that the leap day is the last of its year.
    """
    days = time.ns // _SECOND_NS // _DAY_S + 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = era * 400 + year_of_era + (month <= 2)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
    return year, month, day, before + day + (leap and month > 2)


def _second_of_day(time: Time) -> int:
    return time.ns // _SECOND_NS % _DAY_S


_OF_TIME: dict[str, Callable[[Time], object]] = {
    "Year": lambda t: _date(t)[0],
    "Month": lambda t: Named(_date(t)[1]),
    "Day": lambda t: _date(t)[2],
    "YearDay": lambda t: _date(t)[3],
    "Weekday": lambda t: Named((t.ns // _SECOND_NS // _DAY_S + 4) % 7),
    "Hour": lambda t: _second_of_day(t) // 3600,
    "Minute": lambda t: _second_of_day(t) // 60 % 60,
    "Second": lambda t: _second_of_day(t) % 60,
    "Unix": lambda t: t.ns // _SECOND_NS,
    "UnixMilli": lambda t: t.ns // 10**6,
}


def _truncated(ns: int, unit: int) -> int:
    return -(-ns // unit) if ns < 0 else ns // unit


def _in_units(ns: int, unit: int) -> float:
    whole = _truncated(ns, unit)
    return float(whole) + float(ns - whole * unit) / unit


_OF_DURATION: dict[str, Callable[[Duration], object]] = {
    "Hours": lambda d: _in_units(d.ns, 3600 * _SECOND_NS),
    "Minutes": lambda d: _in_units(d.ns, 60 * _SECOND_NS),
    "Seconds": lambda d: _in_units(d.ns, _SECOND_NS),
    "Milliseconds": lambda d: _truncated(d.ns, 10**6),
    "Microseconds": lambda d: _truncated(d.ns, 10**3),
    "Nanoseconds": lambda d: d.ns,
}


def part_of(value: object, name: str) -> object:
    """Return what the method of this name of a time or a duration returns."""
    if isinstance(value, Time) and name in _OF_TIME:
        return _OF_TIME[name](value)
    if isinstance(value, Duration) and name in _OF_DURATION:
        return _OF_DURATION[name](value)
    raise UnsupportedCondition(f"the method {name}")

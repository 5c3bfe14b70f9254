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


def date(frame: Frame, arguments: list[object]) -> object:
    """Return the time that a text names, in one of the forms that are numbers only; a layout may name the form."""
    text = must_be_text(arguments[0])
    forms = list(_FORMS.values())
    if len(arguments) > 1:
        layout = must_be_text(arguments[1])
        if len(arguments) > 2 or layout not in _FORMS:
            raise UnsupportedCondition(f"a date by the layout {layout}")
        forms = [_FORMS[layout]]
    for form in forms:
        if (match := form.fullmatch(text)) is not None and (time := _time_of(match)) is not None:
            return time
    if re.search(r"[A-Z][a-z][a-z]", text):
        raise UnsupportedCondition("a date with the name of a month or a day")
    raise ConditionError(f"invalid date {text}")


_DAY = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?"
_FORMS = {
    "2006-01-02": re.compile(_DAY, re.ASCII),
    "15:04:05": re.compile(_CLOCK, re.ASCII),
    "2006-01-02 15:04:05": re.compile(f"{_DAY} {_CLOCK}", re.ASCII),
    "2006-01-02T15:04:05Z07:00": re.compile(
        f"{_DAY}T{_CLOCK}(?:Z|(?P<sign>[+-])(?P<zone_hour>\\d\\d):(?P<zone_minute>\\d\\d))", re.ASCII
    ),
}


def _time_of(match: re.Match[str]) -> Time | None:
    """Return the time of a text's numbers, None where there is no such day or hour."""
    parts = match.groupdict()
    number = {name: int(value) for name, value in parts.items() if value and name not in ("sign", "fraction")}
    year, month, day = number.get("year", 0), number.get("month", 1), number.get("day", 1)
    if not (1 <= month <= 12 and 1 <= day <= _days_in(year, month)):
        return None
    hour, minute, second = number.get("hour", 0), number.get("minute", 0), number.get("second", 0)
    zone_hour, zone_minute = number.get("zone_hour", 0), number.get("zone_minute", 0)
    if hour > 23 or minute > 59 or second > 59 or zone_hour > 24 or zone_minute > 60:
        return None
    offset_s = (zone_hour * 3600 + zone_minute * 60) * (-1 if parts.get("sign") == "-" else 1)
    seconds = _day_number(year, month, day) * _DAY_S + hour * 3600 + minute * 60 + second - offset_s
    return Time(seconds * _SECOND_NS + int((parts.get("fraction") or "").ljust(9, "0")), offset_s)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _day_number(year: int, month: int, day: int) -> int:
    """Return the days from 1970 to a date of the civil calendar: years begin on March 1, as in `_date`."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def _date(time: Time) -> tuple[int, int, int, int]:
    """Return year, month, day and day of the year of a time in UTC, by the civil calendar.

    Counted in eras of 400 years that begin on March 1, so that the leap day is the last of its year.
    """
    days = _local_s(time) // _DAY_S + 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = era * 400 + year_of_era + (month <= 2)
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
    return year, month, day, before + day + (_is_leap(year) and month > 2)


def _second_of_day(time: Time) -> int:
    return _local_s(time) % _DAY_S


def _local_s(time: Time) -> int:
    return time.ns // _SECOND_NS + time.offset_s


_OF_TIME: dict[str, Callable[[Time], object]] = {
    "Year": lambda t: _date(t)[0],
    "Month": lambda t: Named(_date(t)[1]),
    "Day": lambda t: _date(t)[2],
    "YearDay": lambda t: _date(t)[3],
    "Weekday": lambda t: Named((_local_s(t) // _DAY_S + 4) % 7),
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

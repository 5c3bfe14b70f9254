"""Functions that look at one value at a time: rounding, logarithms, trigonometry, clamping, dates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from promql.engine.numbers import go_max, go_min
from promql.storage.blocks import Floats

Elementwise = Callable[[Floats], Floats]

Moments: TypeAlias = NDArray[np.datetime64]
Whole: TypeAlias = NDArray[np.int64]

_INT64 = 2.0**63
_CYCLE_S = 146_097 * 86_400
"""400 years."""
_EARLIEST_S = -9_223_372_028_741_760_000
"""1 January of the year -292277022399."""


def sign(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


ELEMENTWISE: dict[str, Elementwise] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": sign,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
    "tanh": np.tanh,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
}


def rounded(values: Floats, nearest: Floats) -> Floats:
    """Round to a multiple, halves up."""
    inverse = 1.0 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def clamped(values: Floats, lowest: Floats, highest: Floats) -> Floats:
    return go_max(lowest, go_min(highest, values))


def _moments(values: Floats) -> tuple[Moments, Whole]:
    """Return the moments within the calendar's first 400 years after 1970, and how many such cycles were left out.

    The calendar repeats every 400 years, so any moment has a date. What is no 64-bit integer becomes the lowest
    one, and what lies before the first year that can be counted comes round at the other end, as in Prometheus.
    """
    fits = (values >= -_INT64) & (values < _INT64)
    whole = np.where(fits, np.trunc(np.where(fits, values, 0.0)), -_INT64).astype(np.int64)
    cycles, rest_s = np.divmod(whole, _CYCLE_S)
    round_cycles, round_s = divmod(2**64, _CYCLE_S)
    wraps = whole < _EARLIEST_S
    rest_s = np.where(wraps, rest_s + round_s, rest_s)
    cycles = np.where(wraps, cycles + round_cycles, cycles) + rest_s // _CYCLE_S
    return (rest_s % _CYCLE_S).astype("datetime64[s]"), cycles


def _date(part: Callable[[Moments], Whole], *, years: bool = False) -> Elementwise:
    def function(values: Floats) -> Floats:
        moments, cycles = _moments(values)
        found = part(moments)
        return (found + 400 * cycles if years else found).astype(np.float64)

    return function


def _since(moments: Moments, unit: str, within: str) -> Whole:
    """Return how many whole units have passed since the larger unit began."""
    small = moments.astype(f"datetime64[{unit}]").astype(np.int64)
    large = moments.astype(f"datetime64[{within}]").astype(f"datetime64[{unit}]").astype(np.int64)
    difference: Whole = small - large
    return difference


def _days_in_month(moments: Moments) -> Whole:
    month = moments.astype("datetime64[M]")
    begins, ends = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    days: Whole = (ends - begins).astype(np.int64)
    return days


DATES: dict[str, Elementwise] = {
    "minute": _date(lambda moments: _since(moments, "m", "h")),
    "hour": _date(lambda moments: _since(moments, "h", "D")),
    # 1 January 1970 was a Thursday, day 4 of a week that begins on Sunday.
    "day_of_week": _date(lambda moments: (moments.astype("datetime64[D]").astype(np.int64) + 4) % 7),
    "day_of_month": _date(lambda moments: _since(moments, "D", "M") + 1),
    "day_of_year": _date(lambda moments: _since(moments, "D", "Y") + 1),
    "days_in_month": _date(_days_in_month),
    "month": _date(lambda moments: _since(moments, "M", "Y") + 1),
    "year": _date(lambda moments: moments.astype("datetime64[Y]").astype(np.int64) + 1970, years=True),
}

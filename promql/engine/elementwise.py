"""Functions that look at one value at a time: rounding, logarithms, trigonometry, clamping, dates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from promql.engine.numbers import go_max, go_min
from promql.storage.blocks import Floats

Elementwise = Callable[[Floats], Floats]

_MOMENT_MAX_S = 8e15
"""Beyond this (about 250 million years) there is no calendar; such a moment has no date and gives NaN."""


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


def _moments(values: Floats) -> tuple[np.typing.NDArray[np.datetime64], np.typing.NDArray[np.bool_]]:
    known = np.abs(values) < _MOMENT_MAX_S
    whole = np.trunc(np.where(known, values, 0.0)).astype(np.int64)
    return whole.astype("datetime64[s]"), known


def _date(part: Callable[[np.typing.NDArray[np.datetime64]], np.typing.NDArray[np.int64]]) -> Elementwise:
    def function(values: Floats) -> Floats:
        moments, known = _moments(values)
        return np.where(known, part(moments).astype(np.float64), np.nan)

    return function


def _since(moments: np.typing.NDArray[np.datetime64], unit: str, within: str) -> np.typing.NDArray[np.int64]:
    """Return how many whole units have passed since the larger unit began."""
    small = moments.astype(f"datetime64[{unit}]").astype(np.int64)
    large = moments.astype(f"datetime64[{within}]").astype(f"datetime64[{unit}]").astype(np.int64)
    difference: np.typing.NDArray[np.int64] = small - large
    return difference


def _days_in_month(moments: np.typing.NDArray[np.datetime64]) -> np.typing.NDArray[np.int64]:
    month = moments.astype("datetime64[M]")
    begins, ends = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    days: np.typing.NDArray[np.int64] = (ends - begins).astype(np.int64)
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
    "year": _date(lambda moments: moments.astype("datetime64[Y]").astype(np.int64) + 1970),
}

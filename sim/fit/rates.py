"""Fit the rate: constant where nothing speaks against it, a day's cosine where that explains it, else as recorded.

Counts of a Poisson process at a constant rate have a variance equal to their mean, so Pearson's statistic over the
bins says whether the rate moved; what it moved beyond chance is what a shape has to explain. The cosine is the least
squares fit of the first harmonic of a day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loadgen.traffic import Constant, Diurnal, Trace
from sim.fit.observed import FitError, Floats, Observed

DAY_S = 86_400.0
SWING_MIN = 0.05
"""A rate that moves less than this (a standard deviation over the mean) is constant for every purpose here."""

EXPLAINED_MIN = 0.9
"""A day's cosine has to explain this share of the variance beyond chance, or the rate is taken as recorded."""

BINS_MAX = 288
"""A recorded shape has at most so many bins in a file that people read: five minutes each of a day."""

ShapeName = Literal["auto", "constant", "diurnal", "trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFit:
    """The rate.

    Attributes:
        rps: on average.
        low, high: the 95 % interval of the average as a Poisson count; what the rate does is in the shape.
        shape: constant, diurnal or as recorded.
        moves: standard deviation of the rate over its mean, beyond chance.
        explained: share of the variance beyond chance that the shape explains; 1 where there is none.
        p: of a constant rate, by Pearson's test.
    """

    rps: float
    low: float
    high: float
    shape: Constant | Diurnal | Trace
    moves: float
    explained: float
    p: float


def fit_rate(seen: Observed, wanted: ShapeName = "auto") -> RateFit:
    """Return the rate and its shape.

    Raises:
        FitError: no request was seen, or a day's cosine is wanted of less than a day.
    """
    from scipy.special import chdtrc

    total = float(seen.requests.sum())
    if total <= 0:
        raise FitError(f"{seen.source}: no request was seen")
    rps = seen.mean_rps
    widths_s = seen.widths_s
    expected = rps * widths_s
    statistic = float(((seen.requests - expected) ** 2 / expected).sum())
    degrees = max(len(expected) - 1, 1)
    p = float(chdtrc(degrees, statistic)) if len(expected) > 1 else 1.0
    # Variance beyond Poisson's, of the rate over its mean.
    beyond = max((statistic - degrees) / degrees / float(expected.mean()), 0.0)
    moves = math.sqrt(beyond)
    day = _day(seen) if seen.duration_s >= DAY_S else None
    if wanted == "diurnal" and day is None:
        raise FitError(f"{seen.source} covers {seen.duration_s / 3600:.3g} h; a day's shape needs 24 h of it")
    shape: Constant | Diurnal | Trace
    if wanted == "constant" or (wanted == "auto" and (p > 1e-3 or moves < SWING_MIN)):
        shape, explained = Constant(), 1.0 if p > 1e-3 or moves < SWING_MIN else 0.0
    elif day is not None and (wanted == "diurnal" or (wanted == "auto" and day[1] >= EXPLAINED_MIN)):
        shape, explained = day
    else:
        shape, explained = _recorded(seen), 1.0
    spread = 1.96 * math.sqrt(total) / seen.duration_s
    return RateFit(
        rps=float(f"{rps:.5g}"),
        low=max(rps - spread, 0.0),
        high=rps + spread,
        shape=shape,
        moves=moves,
        explained=explained,
        p=p,
    )


def _day(seen: Observed) -> tuple[Diurnal, float]:
    """Return the first harmonic of a day, counted from the first bin, and the share of the variance it explains."""
    rates = seen.requests / seen.widths_s
    middle_s = np.cumsum(seen.widths_s) - seen.widths_s / 2
    angle = 2 * np.pi * middle_s / DAY_S
    columns = np.column_stack([np.ones(len(rates)), np.cos(angle), np.sin(angle)])
    weights = np.sqrt(seen.widths_s)
    (mean, cosine, sine), *_ = np.linalg.lstsq(columns * weights[:, None], rates * weights, rcond=None)
    fitted = columns @ np.array([mean, cosine, sine])
    swing = min(math.hypot(cosine, sine) / mean, 1.0) if mean > 0 else 0.0
    peak_at_s = math.atan2(sine, cosine) / (2 * np.pi) * DAY_S % DAY_S
    shape = Diurnal(swing=float(f"{swing:.4g}"), peak_at_s=float(round(peak_at_s)))
    return shape, _explained(rates, fitted, seen.widths_s)


def _explained(rates: Floats, fitted: Floats, widths_s: Floats) -> float:
    """Return the share of the variance beyond chance that fitted rates explain."""
    mean = float(np.average(rates, weights=widths_s))
    chance = mean * len(rates)  # a Poisson count of variance rate × width, over width, times width
    all_ = float((widths_s * (rates - mean) ** 2).sum()) - chance
    left = max(float((widths_s * (rates - fitted) ** 2).sum()) - chance, 0.0)
    return 1.0 if all_ <= 0 else max(1.0 - left / all_, 0.0)


def _recorded(seen: Observed) -> Trace:
    """Return the rates as they were seen, in bins that are joined until they are few enough to write down."""
    together = math.ceil(len(seen.requests) / BINS_MAX)
    begins = np.arange(0, len(seen.requests), together)
    widths_s = np.add.reduceat(seen.widths_s, begins)
    rates = np.add.reduceat(seen.requests, begins) / widths_s
    return Trace(
        bin_s=seen.bin_s * together,
        rates_rps=tuple(float(f"{rate:.5g}") for rate in rates),
        period_s=float(widths_s.sum()),
    )

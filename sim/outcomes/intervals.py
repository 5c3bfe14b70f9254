"""Intervals that know the cohorts: how sure a share, a quantile or a mean of simulated runs is.

Runs of one cohort share a platform history, so they are not independent: ten thousand runs of one cohort say little
more about platforms than one run does. Every interval here is at 95 % and counts on cohorts, not runs, being drawn
independently. No bootstrap and no chance: equal tables give equal bytes.

Shares: Wilson's interval with an effective number of runs, N / design effect. The design effect is the variance of
the share between cohorts over the variance that independent runs would give, mixed with one imaginary run of the
rarer kind whose whole cohort went with it. So where nothing (or everything) was caught the cohorts are counted and not
the runs: what a platform does in one history of fifty cannot be excluded by fifty histories. With thousands of runs of
both kinds the imaginary one weighs nothing. The quantile is Student's with one degree of freedom fewer than cohorts.

Quantiles: Woodruff's interval. The share of runs at or below the estimate has an interval as above; its ends are read
back through the runs' own distribution. Means: the linearised variance between cohorts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sim.outcomes.table import Floats, Ints

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval; None where the runs do not bound it."""

    value: float
    low: float | None
    high: float | None


def share(hits: np.ndarray, cohort: Ints) -> Estimate | None:
    """Return the share of runs that are hits; None without a run.

    Args:
        hits: (runs,) bool.
        cohort: (runs,) the platform history of each run.
    """
    if not len(hits):
        return None
    found, size = _by_cohort(np.asarray(hits, dtype=np.float64), cohort)
    return _share(found, size)


def _share(found: Floats, size: Floats) -> Estimate:
    """Return the share from (cohorts,) hits and (cohorts,) runs."""
    runs, cohorts = float(size.sum()), len(size)
    value = float(found.sum()) / runs
    effective = runs / design_effect(found, size)
    low, high = _wilson(value, effective, student(cohorts - 1) if cohorts > 1 else student(1))
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def design_effect(found: Floats, size: Floats) -> float:
    """Return by what factor the cohorts make the share's variance larger than independent runs would.

    Args:
        found: (cohorts,) hits, a count.
        size: (cohorts,) runs, a count.
    Returns:
        1 (runs are as good as independent) up to the runs in a typical cohort (a cohort is as good as one run).
    """
    runs, cohorts = float(size.sum()), len(size)
    whole = float((size * size).sum()) / runs  # the size of the cohort that a run is in, on average over runs
    value = float(found.sum()) / runs
    rarer = min(found.sum(), runs - found.sum())
    if rarer == 0 or cohorts == 1:
        return max(whole, 1.0)
    between = cohorts / (cohorts - 1) * float(((found - value * size) ** 2).sum()) / runs**2
    seen = between / (value * (1 - value) / runs)
    mixed = (rarer * seen + whole) / (rarer + 1)
    return float(min(max(mixed, 1.0), max(whole, 1.0)))


def _wilson(value: float, runs: float, z: float) -> tuple[float, float]:
    middle = (value + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(value * (1 - value) / runs + z * z / (4 * runs * runs))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def quantile(values: Floats, cohort: Ints, q: float) -> Estimate | None:
    """Return the q-quantile of the runs' values; None without a run.

    The estimate is the smallest value that at least a share q of the runs does not exceed, so it is always one that
    occurred. An end is None where its order statistic would lie beyond the runs.

    Args:
        values: (runs,) finite.
        cohort: (runs,) the platform history of each run.
    """
    if not len(values):
        return None
    ordered = np.sort(values)
    value = _at(ordered, q)
    found, size = _by_cohort((values <= value).astype(np.float64), cohort)
    runs, cohorts = float(size.sum()), len(size)
    effective = runs / design_effect(found, size)
    low, high = _wilson(q, effective, student(cohorts - 1) if cohorts > 1 else student(1))
    # Below a share of 1/n lies no run, and above 1 - 1/n none either: there the data bound nothing.
    return Estimate(
        value=value,
        low=min(_at(ordered, low), value) if low * effective >= 1 else None,
        high=max(_at(ordered, high), value) if (1 - high) * effective >= 1 else None,
    )


def _at(ordered: Floats, q: float) -> float:
    """Return the smallest value that a share q of the (runs,) ordered values does not exceed."""
    place = math.ceil(q * len(ordered) - 1e-9) - 1
    return float(ordered[min(max(place, 0), len(ordered) - 1)])


def mean(values: Floats, cohort: Ints) -> Estimate | None:
    """Return the mean of the runs' values, which are never negative; None without a run.

    With one cohort only the ends are None: nothing is known of what another would do.
    """
    if not len(values):
        return None
    total, size = _by_cohort(values, cohort)
    runs, cohorts = float(size.sum()), len(size)
    value = float(total.sum()) / runs
    if cohorts == 1:
        return Estimate(value=value, low=None, high=None)
    variance = cohorts / (cohorts - 1) * float(((total - value * size) ** 2).sum()) / runs**2
    half = student(cohorts - 1) * math.sqrt(variance)
    return Estimate(value=value, low=max(value - half, 0.0), high=value + half)


def _by_cohort(values: Floats, cohort: Ints) -> tuple[Floats, Floats]:
    """Return (cohorts,) sums of the values and (cohorts,) numbers of runs, for cohorts that have a run."""
    size = np.bincount(cohort)
    there = size > 0
    return np.bincount(cohort, weights=values)[there].astype(np.float64), size[there].astype(np.float64)


def student(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t: 12.71 for one degree of freedom, 1.96 for many.

    Exact for one and two degrees; else the expansion in powers of 1/freedom (Abramowitz and Stegun, 26.7.5), within
    0.3 % of the truth at three degrees and closer above. scipy has it too and takes half a second to import.
    """
    p = 1 - (1 - CONFIDENCE) / 2
    if freedom <= 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + math.fsum(term / freedom ** (power + 1) for power, term in enumerate(terms))

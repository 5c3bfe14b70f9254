"""The exact binomial tail, and the smallest count that a tail calls unlikely enough.

Plain floats and no scipy: the decision core asks this for single measurements and must not pay an import.
The sum starts at the term nearest the mean and stops when terms no longer change it, so that a tail of any
size costs some dozens of multiplications. Good to a relative 1e-11 (tests compare with exact fractions).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, log1p

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def tail_at_least(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X the number of bad requests among n, each bad with probability p."""
    if k <= 0:
        return 1.0
    if k > n or p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    if k > n * p:
        return min(1.0, _sum_upwards(k, n, p))
    # Below the mean the other side is the small one: P(X >= k) = 1 - P(n - X >= n - k + 1).
    return max(0.0, 1.0 - _sum_upwards(n - k + 1, n, 1.0 - p))


def _sum_upwards(k: int, n: int, p: float) -> float:
    """Return P(X >= k) by adding terms from k upwards; meant for k above the mean, where terms shrink."""
    log_term = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p)
    if log_term < -745.0:  # below the smallest float
        return 0.0
    term = exp(log_term)
    total = term
    odds = p / (1.0 - p)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return total


@lru_cache(maxsize=256)
def critical_counts(p: float, odds: float, n_max: int) -> Counts:
    """Return, for n = 0 … n_max, the smallest k with P(X >= k | n, p) <= odds; n + 1 where there is none.

    (n_max + 1,) counts. One more request moves the critical count by at most one, so one walk finds them all.
    """
    counts = np.empty(n_max + 1, dtype=np.int64)
    k = 1
    for n in range(n_max + 1):
        while k <= n and tail_at_least(k, n, p) > odds:
            k += 1
        counts[n] = min(k, n + 1)
    counts.setflags(write=False)
    return counts

"""When fewer requests than the floor are already proof: the exact binomial, at the odds that the user names.

A floor is there so that one unlucky request does not abort a good release. A release that fails every request
needs no floor: if a release standing exactly at the threshold would show so many bad requests at most once in
1/odds measurements, more requests would not change the verdict, only hurt more users.

What is asked: n requests, k of them bad; were each bad with the probability p that the threshold just allows,
how likely are k or more? For a ratio, k = value · n (or n less that, where the ratio counts good ones). For a
quantile q against T, a request is bad when it is slower than T and p = 1 − q; the count of slow ones comes
from the histogram if the caller asked for it, else only the least is known that a quantile above T implies.

`increase` extrapolates, so counts are not whole: n is rounded up and k down, which can only delay a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite

import numpy as np
import numpy.typing as npt

from controller.core.conditions import Threshold
from controller.core.evidence.binomial import Counts, critical_counts, tail_at_least

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_TABLE_MAX, _TABLE_STEP = 4096, 256  # requests: beyond, a table costs more than the tails that are needed
_SLACK = 1e-9  # relative: undoes the rounding of value · n, far below one request


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioShape:
    """The query divides a part of the requests by all of them; `scale` is 100 for a percentage.

    Whether the part is the bad or the good ones needs no saying: the direction of the threshold tells.
    """

    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileShape:
    """The query is histogram_quantile(q, …) over requests, times `scale` (1000 for milliseconds)."""

    q: float
    scale: float = 1.0


Shape = RatioShape | QuantileShape


def is_conclusive(
    *,
    shape: Shape,
    fails_when: Threshold,
    value: float,
    requests: float,
    odds: float,
    slow_requests: float | None = None,
) -> bool:
    """Return whether this value, on so few requests, is already proof that the release fails.

    `fails_when` is the region of failure (`value op constant`); `slow_requests` are those slower than the
    constant, for a quantile, where the caller has asked for them.
    """
    if not (isfinite(value) and isfinite(requests)) or requests <= 0:
        return False
    allowed = _allowed_probability(shape, fails_when)
    if allowed is None:
        return False
    n = ceil(requests * (1.0 - _SLACK))
    k = _bad_count(shape, fails_when, value, requests, slow_requests)
    return k > 0 and tail_at_least(min(k, n), n, allowed) <= odds


def conclusive_runs(
    *,
    shape: Shape,
    fails_when: Threshold,
    values: Floats,
    requests: Floats,
    odds: float,
    requests_min: float,
    slow_requests: Floats | None = None,
) -> Bools:
    """Return `is_conclusive` for many runs at once.

    Args:
        values: (runs,) the metric's value; NaN is never conclusive.
        requests: (runs,) requests behind it; NaN where unknown.
        requests_min: the floor. Runs at or above it are not looked at and come back False.
        slow_requests: (runs,) requests slower than the threshold, or None.
    """
    found = np.zeros(values.shape, dtype=np.bool_)
    allowed = _allowed_probability(shape, fails_when)
    if allowed is None:
        return found
    below = np.isfinite(values) & np.isfinite(requests) & (requests > 0) & (requests < requests_min)
    if not below.any():
        return found
    n = np.ceil(requests[below] * (1.0 - _SLACK)).astype(np.int64)
    slow = None if slow_requests is None else slow_requests[below]
    k = _bad_counts(shape, fails_when, values[below], requests[below], slow)
    found[below] = (k > 0) & _is_unlikely(np.minimum(k, n), n, allowed, odds)
    return found


def _is_unlikely(k: Counts, n: Counts, p: float, odds: float) -> Bools:
    """Return where P(X >= k | n, p) <= odds: from a table for the counts that floors have, else one by one."""
    if n.max(initial=0) <= _TABLE_MAX:
        return np.asarray(k >= critical_counts(p, odds, _TABLE_STEP * ceil(n.max(initial=1) / _TABLE_STEP))[n])
    unlikely = np.zeros(k.shape, dtype=np.bool_)
    for at in np.flatnonzero(k > n * p):
        unlikely[at] = tail_at_least(int(k[at]), int(n[at]), p) <= odds
    return unlikely


def _allowed_probability(shape: Shape, fails_when: Threshold) -> float | None:
    """Return how likely a bad request is right at the threshold; None where the rule does not apply."""
    fails_high = fails_when.op in (">", ">=")
    if not fails_high and fails_when.op not in ("<", "<="):
        return None
    match shape:
        case RatioShape(scale=scale):
            part = fails_when.constant / scale
            allowed = part if fails_high else 1.0 - part
        case QuantileShape(q=q):
            if not fails_high:
                return None  # "too fast" is not a release's failure that requests can be counted for
            allowed = 1.0 - q
    return allowed if 0.0 <= allowed < 1.0 else None


def _bad_count(shape: Shape, fails_when: Threshold, value: float, requests: float, slow_requests: float | None) -> int:
    if isinstance(shape, QuantileShape):
        if slow_requests is not None:
            return floor(slow_requests * (1.0 + _SLACK)) if isfinite(slow_requests) else 0
        if not value > fails_when.constant:
            return 0
        # A quantile above the threshold means that more than this share is slower; how many more is unknown.
        return floor((1.0 - shape.q) * requests * (1.0 + _SLACK)) + 1
    share = value / shape.scale
    if fails_when.op in ("<", "<="):
        share = 1.0 - share
    return floor(share * requests * (1.0 + _SLACK) + _SLACK)


def _bad_counts(
    shape: Shape, fails_when: Threshold, values: Floats, requests: Floats, slow_requests: Floats | None
) -> npt.NDArray[np.int64]:
    if isinstance(shape, QuantileShape):
        if slow_requests is not None:
            slow = np.where(np.isfinite(slow_requests), slow_requests, 0.0)
            return np.floor(slow * (1.0 + _SLACK)).astype(np.int64)
        least = np.floor((1.0 - shape.q) * requests * (1.0 + _SLACK)) + 1
        return np.where(values > fails_when.constant, least, 0.0).astype(np.int64)
    share = values / shape.scale
    if fails_when.op in ("<", "<="):
        share = 1.0 - share
    return np.floor(share * requests * (1.0 + _SLACK) + _SLACK).astype(np.int64)

"""How long answers take: the exact distribution of a lognormal body with a tail, by latency bins.

`Latency` of `sim.releases` is the schema; the demo service draws from it, this module integrates it. An answer takes
(body + tail, if it has one, + what has leaked) times whatever slows the pod just then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.releases import Latency

Floats = NDArray[np.float64]

_ROUNDING_S = 1e-9
"""An answer that takes exactly a bound is within it, although 0.5 s - 0.4 s is a little less than 0.1 s."""


_SHARP = 1e-6
"""A smaller sigma is none: every answer takes the median."""


@dataclass(frozen=True, slots=True, eq=False)
class Waits:
    """(pieces,) the share of requests that wait; (pieces, points) waits that stand for equal parts of those."""

    share: Floats
    points_s: Floats


def without_fault(latency: Latency, tail: Latency) -> Latency:
    """Return how long a side's requests take that do not meet its fault: no factor, and the tail that others have.

    Args:
        tail: of stable, for requests to the release; no tail at all for those to stable.
    """
    return latency.model_copy(update={"factor": 1.0, "tail_share": tail.tail_share, "tail_ms": tail.tail_ms})


def cumulative(latency: Latency, at_s: Floats) -> Floats:
    """Return the share of answers within each of `at_s` seconds, of any shape."""
    median_s = latency.median_ms / 1000 * latency.factor
    within = _body(at_s, median_s, latency.sigma)
    if latency.tail_share and latency.tail_ms:
        slow = _body(at_s - latency.tail_ms / 1000, median_s, latency.sigma)
        within = (1 - latency.tail_share) * within + latency.tail_share * slow
    return within


def _body(at_s: Floats, median_s: float, sigma: float) -> Floats:
    if sigma < _SHARP:
        return np.asarray(at_s >= median_s - _ROUNDING_S, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(at_s, 0.0))
    return _normal_below((logs - math.log(median_s)) / sigma)


def bin_shares(latency: Latency, edges_s: Floats, *, slowness: Floats, leaked_s: Floats, waits: Waits | None) -> Floats:
    """Return (pieces, bins) the share of answers in each latency bin.

    Args:
        edges_s: (bins - 1,) upper bounds.
        slowness: (pieces,) what every answer's time is multiplied by.
        leaked_s: (pieces,) what every answer takes longer, before it is multiplied.
        waits: what comes before a request is worked on; None where nothing ever waits.
    """

    def within(at_s: Floats) -> Floats:
        return cumulative(latency, at_s / slowness[:, None] - leaked_s[:, None])

    found = within(np.broadcast_to(edges_s, (len(slowness), len(edges_s))))
    if waits is not None:
        late = [within(edges_s[None, :] - points_s[:, None]) for points_s in waits.points_s.T]
        found = (1 - waits.share)[:, None] * found + waits.share[:, None] * np.mean(late, axis=0)
    return np.diff(found, axis=1, prepend=0.0, append=1.0)


def mean_s(latency: Latency) -> float:
    """Return the mean time of an answer."""
    median_s = latency.median_ms / 1000 * latency.factor
    return median_s * math.exp(latency.sigma**2 / 2) + latency.tail_share * latency.tail_ms / 1000


def second_moment_s2(latency: Latency) -> float:
    """Return the mean square of an answer's time, s²."""
    median_s = latency.median_ms / 1000 * latency.factor
    body = median_s**2 * math.exp(2 * latency.sigma**2)
    tail_s, mean = latency.tail_ms / 1000, median_s * math.exp(latency.sigma**2 / 2)
    return body + latency.tail_share * (2 * tail_s * mean + tail_s**2)


def bin_means_s(latency: Latency, edges_s: Floats) -> Floats:
    """Return (bins,) the mean time of faulty requests' answers in each latency bin; a bin's middle if none is."""
    median_s = latency.median_ms / 1000 * latency.factor
    tail_s = latency.tail_ms / 1000
    parts = [(1 - latency.tail_share, 0.0), (latency.tail_share, tail_s)]
    bounds_s = np.concatenate([np.zeros(1), edges_s, np.full(1, np.inf)])
    share, total_s = np.zeros(len(bounds_s)), np.zeros(len(bounds_s))
    for weight, more_s in parts:
        own = _body(bounds_s - more_s, median_s, latency.sigma)
        share += weight * own
        total_s += weight * (_body_below(bounds_s - more_s, median_s, latency.sigma) + more_s * own)
    shares, totals_s = np.diff(share), np.diff(total_s)
    middles_s = np.concatenate([(bounds_s[:-2] + bounds_s[1:-1]) / 2, bounds_s[-2:-1]])
    means_s = np.divide(totals_s, shares, out=middles_s, where=shares > 1e-12)
    return np.asarray(np.clip(means_s, bounds_s[:-1], bounds_s[1:]), dtype=np.float64)


def _body_below(at_s: Floats, median_s: float, sigma: float) -> Floats:
    """Return the mean of the body's times up to `at_s`, counting longer ones as 0."""
    if sigma < _SHARP:
        return np.where(at_s >= median_s - _ROUNDING_S, median_s, 0.0)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(at_s, 0.0))
    whole_s = median_s * math.exp(sigma**2 / 2)
    return whole_s * _normal_below((logs - math.log(median_s)) / sigma - sigma)


_FEW = 256


def _normal_below(values: Floats) -> Floats:
    """Return the share of a standard normal distribution below each value."""
    if values.size <= _FEW:
        # Most scenarios ask for nothing else, and loading scipy takes longer than simulating a thousand runs.
        shares = [0.5 * math.erfc(-value * math.sqrt(0.5)) for value in values.ravel().tolist()]
        return np.array(shares).reshape(values.shape)
    from scipy.special import ndtr

    return np.asarray(ndtr(values), dtype=np.float64)

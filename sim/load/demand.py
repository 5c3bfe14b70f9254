"""The requests that a service gets, as exact integrals of the traffic's rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadgen.traffic import Change, RateCurve, Traffic

Floats = NDArray[np.float64]

_HORIZON_S = 14_400.0


class Demand:
    """All traffic of a scenario over time. What lies beyond the horizon is worked out when it is asked for.

    Attributes:
        is_flat: whether the rate only ever jumps, as far as was looked.
    """

    def __init__(self, traffic: Traffic, changes: Sequence[Change] = (), *, horizon_s: float = _HORIZON_S) -> None:
        self._traffic = traffic
        self._changes = tuple(changes)
        self._extend(horizon_s)

    def _extend(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._curve: RateCurve = self._traffic.curve(horizon_s, self._changes)
        self._edges_s = self._curve.edges_s
        self._by_edge = self._curve.requests_by_edge()
        self._slopes = (self._curve.last_rps - self._curve.first_rps) / np.diff(self._edges_s)
        self._is_flat = bool(np.all(self._curve.last_rps == self._curve.first_rps)) and len(self._slopes) == 1
        self.is_flat = not self._slopes.any()

    @property
    def edges_s(self) -> Floats:
        """The instants at which the rate stops being one straight line, as far as was looked."""
        return self._edges_s

    def rps_at(self, t_s: float) -> float:
        """Return the rate at one instant, requests/s."""
        if t_s > self._horizon_s:
            self._extend(2 * t_s)
        return float(self._curve.rate_at(np.array([t_s]))[0])

    def rates_at(self, t_s: Floats) -> Floats:
        """Return the rate at each instant, requests/s."""
        self._reach(t_s)
        return self._curve.rate_at(t_s)

    def requests(self, from_s: float, to_s: float) -> float:
        """Return the expected number of requests of a span."""
        until = self.until(np.array([from_s, to_s]))
        return float(until[1] - until[0])

    def until(self, t_s: Floats) -> Floats:
        """Return the expected number of requests from 0 s to each instant, of any shape."""
        self._reach(t_s)
        if self._is_flat:
            return np.asarray(np.maximum(t_s, 0.0) * self._curve.first_rps[0])
        at_s = np.maximum(t_s, 0.0)
        piece = np.clip(np.searchsorted(self._edges_s, at_s, side="right") - 1, 0, len(self._slopes) - 1)
        within_s = at_s - self._edges_s[piece]
        more = (self._curve.first_rps[piece] + self._slopes[piece] * within_s / 2) * within_s
        return np.asarray(self._by_edge[piece] + more)

    def when(self, requests: Floats) -> Floats:
        """Return the instant at which each expected number of requests is reached, of those that were asked about."""
        return self._curve.when(requests)

    def _reach(self, t_s: Floats) -> None:
        last_s = float(t_s.max(initial=0.0))
        if last_s > self._horizon_s:
            self._extend(2 * last_s)

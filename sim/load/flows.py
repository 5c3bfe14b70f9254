"""Each pod's share of all traffic over time, and the exact number of requests that it brings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.load.demand import Demand
from sim.load.pods import Stretch

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class Flows:
    """Shares of pods: constant from each start to the next, nothing before the first, the last ones for ever.

    Args:
        starts_s: (stretches,) increasing.
        shares: (pods, stretches) of all requests.
    """

    __slots__ = ("_before", "_demand", "_from_requests", "shares", "starts_s")

    def __init__(self, demand: Demand, starts_s: Floats, shares: Floats) -> None:
        self._demand = demand
        self.starts_s = starts_s
        self.shares = shares
        self._from_requests = demand.until(starts_s)
        gained = shares[:, :-1] * np.diff(self._from_requests)
        self._before = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(gained, axis=1)], axis=1)

    @classmethod
    def of(cls, demand: Demand, pods: int, stretches: Sequence[Stretch]) -> Flows:
        """Return the flows of the first `pods` pods of a platform's timeline, and of nobody: the last row."""
        shares = np.zeros((pods + 1, len(stretches)))
        for column, stretch in enumerate(stretches):
            shares[pods, column] = stretch.unserved
            for place, share in stretch.shares:
                if place < pods:
                    shares[place, column] = share
        return cls(demand, np.array([stretch.from_s for stretch in stretches], dtype=np.float64), shares)

    def until(self, places: Places | int, t_s: Floats) -> Floats:
        """Return the expected number of requests that the pods at these places got up to each instant."""
        column = np.searchsorted(self.starts_s, t_s, side="right") - 1
        inside = np.maximum(column, 0)
        since = self._demand.until(t_s) - self._from_requests[inside]
        found = self._before[places, inside] + self.shares[places, inside] * since
        return np.asarray(np.where(column < 0, 0.0, found))

    def begins_s(self, place: int) -> float:
        """Return when a pod gets its first share of the traffic; never before the traffic itself."""
        some = np.flatnonzero(self.shares[place] > 0)
        return max(float(self.starts_s[some[0]]) if len(some) else 0.0, 0.0)

    def rps_at(self, place: int, t_s: Floats) -> Floats:
        """Return one pod's rate at each instant, requests/s."""
        column = np.searchsorted(self.starts_s, t_s, side="right") - 1
        rates = self.shares[place, np.maximum(column, 0)] * self._demand.rates_at(t_s)
        return np.asarray(np.where(column < 0, 0.0, rates))

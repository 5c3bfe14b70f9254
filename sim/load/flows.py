"""Each pod's share of all traffic over time, and the exact number of requests that it brings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.load.demand import Demand
from sim.load.pods import Pod, Stretch

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def meant_for_release(pods: Sequence[Pod], stretch: Stretch) -> bool:
    """Return whether what nobody serves in a stretch was meant for the release: a side is served as a whole or not at
    all, so it was where stable's pods serve."""
    return any(share > 0 and not pods[place].is_release for place, share in stretch.shares)


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
    def of(cls, demand: Demand, pods: Sequence[Pod], stretches: Sequence[Stretch]) -> Flows:
        """Return the flows of a platform's pods, then of what nobody served of stable's part and of the release's."""
        shares = np.zeros((len(pods) + 2, len(stretches)))
        for column, stretch in enumerate(stretches):
            for place, share in stretch.shares:
                if place < len(pods):
                    shares[place, column] = share
            if stretch.unserved:
                shares[len(pods) + meant_for_release(pods, stretch), column] = stretch.unserved
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

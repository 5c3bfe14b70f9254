"""When users first meet the release: what detection times count from.

Requests are Poisson, so the number of the release's that are expected until the first one comes is exponential with
mean 1. Pure numbers; whoever draws brings the exponential. A run's counts are drawn for themselves: that the first
request is drawn apart from them shifts a detection time by less than the wait for that request.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.load.demand import Demand
from sim.platform.pods import NEVER, Stretch

Floats = NDArray[np.float64]


def met_s(demand: Demand, stretches: Sequence[Stretch], requests: Floats) -> Floats:
    """Return (runs,) the instants at which the release has been sent so many expected requests; inf: it never was.

    Args:
        stretches: in order of time.
        requests: (runs,) expected requests, above 0.
    """
    served = [stretch for stretch in stretches if stretch.release_share > 0.0]
    if not served:
        return np.full(len(requests), NEVER)
    shares = np.array([stretch.release_share for stretch in served])
    begins = demand.until(np.array([stretch.from_s for stretch in served]))
    ends = demand.until(np.array([stretch.until_s for stretch in served]))
    sums = np.cumsum(shares * (ends - begins))
    before = np.concatenate([[0.0], sums[:-1]])
    place = np.searchsorted(sums, requests, side="left")
    inside = np.minimum(place, len(served) - 1)
    at_s = demand.when(begins[inside] + (requests - before[inside]) / shares[inside])
    return np.asarray(np.where(place < len(served), at_s, NEVER))

"""An independent calculation of what the seed's policy catches, that shares no line with the simulator.

No pods, no scrapes, no PromQL, no decision core: requests and failures are Poisson counts between the edges of exact
five-minute windows, the nine looks of the policy are at instants worked out by hand, and a look fails at a ratio of
0.01 or more (or with nothing to divide by, because NaN < 0.01 is false).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

WINDOW_S = 300.0
# setWeight 10, 180 s; looks after 0, 60 and 120 s more; the third ends the analysis and sets the next weight at once.
WEIGHTS = ((0.0, 0.10), (300.0, 0.30), (600.0, 0.60))
LOOKS_S = (180.0, 240.0, 300.0, 480.0, 540.0, 600.0, 900.0, 960.0, 1020.0)
LIMIT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Share of the runs that are caught, in all and at each of the three gates, with one standard error each."""

    caught: float
    by_gate: tuple[float, float, float]
    runs: int

    def error(self, share: float) -> float:
        """Return the standard error of one of the shares; that of half a run where none or all were caught."""
        kept = min(max(share, 0.5 / self.runs), 1 - 0.5 / self.runs)
        return float(np.sqrt(kept * (1 - kept) / self.runs))


def weight_at(t_s: float) -> float:
    return next((weight for begins_s, weight in reversed(WEIGHTS) if t_s >= begins_s), 0.0)


def shares_caught(
    *, rps: float, canary_errors: float, canary_only: bool, runs: int = 40_000, lag_s: float = 0.0, seed: int = 1
) -> Shares:
    """Return what is caught when the canary fails `canary_errors` of its requests and stable fails none.

    Args:
        canary_only: whether the query selects the canary's requests only, or everybody's.
        lag_s: how old the newest sample is that a look sees.
    """
    chance = np.random.default_rng(seed)
    ends = [look - lag_s for look in LOOKS_S]
    edges = sorted({*ends, *(max(end - WINDOW_S, -WINDOW_S) for end in ends), *(begin for begin, _ in WEIGHTS)})
    counts = np.zeros((3, len(edges), runs))  # requests to stable, to the canary, failures; running totals
    for index in range(1, len(edges)):
        length_s = edges[index] - edges[index - 1]
        weight = weight_at(edges[index - 1])
        canary = chance.poisson(rps * weight * length_s, runs)
        counts[0, index] = chance.poisson(rps * (1 - weight) * length_s, runs)
        counts[1, index] = canary
        counts[2, index] = chance.binomial(canary, canary_errors)
    totals = counts.cumsum(axis=1)
    alive = np.ones(runs, dtype=bool)
    gates = [0.0, 0.0, 0.0]
    for number, end in enumerate(ends):
        first, last = edges.index(max(end - WINDOW_S, -WINDOW_S)), edges.index(end)
        stable, canary, failed = totals[:, last] - totals[:, first]
        served = canary if canary_only else stable + canary
        with np.errstate(all="ignore"):
            fails = ~(failed / served < LIMIT)
        gates[number // 3] += float((alive & fails).mean())
        alive &= ~fails
    return Shares(caught=float(1 - alive.mean()), by_gate=(gates[0], gates[1], gates[2]), runs=runs)


@pytest.fixture(scope="session")
def independent() -> Callable[..., Shares]:
    return shares_caught

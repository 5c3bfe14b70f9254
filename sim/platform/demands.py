"""What the platform's own machinery knows of the load: expected requests of pods, and when a pod will have had so many.

An autoscaler and a crash at the n-th request see the expected load, never one run's draws, or every run of a flock
would become a history of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sim.load.demand import Demand
from sim.load.happenings import happenings_of
from sim.platform.pods import NEVER, Stretch
from sim.scenarios import Scenario, Trigger

_FAR_S = 1e6  # a pod that has not had its requests by then never has
_EXACT_S = 1e-6


class Demands:
    """All traffic of a scenario, on each path that its triggers have taken."""

    __slots__ = ("_known", "_scenario")

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._known: dict[tuple[tuple[Trigger, float], ...], Demand] = {}

    def on_path(self, instants: Mapping[Trigger, float]) -> Demand:
        """Return the traffic where the triggers went off at these instants; the same object each time."""
        key = tuple(instants.items())
        if key not in self._known:
            self._known[key] = Demand(self._scenario.traffic, happenings_of(self._scenario, instants).changes)
        return self._known[key]


def instant_of(demand: Demand, from_s: float, requests: float) -> float:
    """Return when all traffic from `from_s` on will have come to so many expected requests; inf: never."""
    rps = demand.rps_at(from_s)
    if rps > 0.0:
        # As most traffic is: the rate stays as it is until then.
        guess_s = from_s + requests / rps
        if abs(demand.requests(from_s, guess_s) - requests) <= rps * _EXACT_S:
            return guess_s
    low_s, span_s = from_s, 1.0
    while demand.requests(from_s, from_s + span_s) < requests:
        low_s = from_s + span_s
        span_s *= 2.0
        if span_s > _FAR_S:
            return NEVER
    high_s = from_s + span_s
    while high_s - low_s > _EXACT_S:
        middle_s = (low_s + high_s) / 2
        if demand.requests(from_s, middle_s) < requests:
            low_s = middle_s
        else:
            high_s = middle_s
    return high_s


def requests_of(demand: Demand, stretches: Iterable[Stretch], from_s: float, to_s: float) -> dict[int, float]:
    """Return the expected requests of each life within a span, by its index.

    Args:
        stretches: those that touch the span, in any order.
    """
    found: dict[int, float] = {}
    for stretch in stretches:
        begin_s, end_s = max(stretch.from_s, from_s), min(stretch.until_s, to_s)
        if end_s <= begin_s:
            continue
        requests = demand.requests(begin_s, end_s)
        for index, share in stretch.shares:
            found[index] = found.get(index, 0.0) + share * requests
    return found

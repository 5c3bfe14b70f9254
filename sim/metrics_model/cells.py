"""What can become of one request, cut into cells: how it ended, how long it took, what it asked for and for whom.

A request falls into exactly one cell. Which cells the queries can tell apart is `planning`'s business; how likely
each is, `sim.load`'s. Only outcomes that the scenario can bring about are listed, so that no series stands for none.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import IntEnum

from loadgen.traffic import Route
from sim.releases import Release
from sim.scenarios import Scenario


class End(IntEnum):
    """How a request ended."""

    OK = 0
    WRONG = 1  # answered as if all was well, with something else than what was asked for
    FAILED = 2  # by nobody's release: base errors, incidents
    FAULTY = 3  # by the release under test (or stable's own fault)
    REJECTED = 4  # the pod's queue was full
    UNANSWERED = 5  # the pod hangs; its own counters never hear of it
    INTERCEPTED = 6  # the proxy answered it, and no pod ever got it
    HELD = 7  # the pod answered well, and the proxy held the answer back


@dataclass(frozen=True, slots=True)
class Ending:
    """One way to end: what a user and a proxy see of it.

    Attributes:
        status: of the answer; for a proxy's counters, of what the proxy answered.
        held_s: how much longer than the pod took the user waited.
    """

    end: End
    status: int
    held_s: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether the pod's users are hurt however fast it was. What the proxy does by itself is not the pod's."""
        return self.end not in (End.OK, End.HELD, End.INTERCEPTED)

    @property
    def is_seen_by_pod(self) -> bool:
        return self.end not in (End.UNANSWERED, End.INTERCEPTED)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: its route, its value of each segment, and its share of all requests."""

    route: Route
    segments: tuple[tuple[str, str], ...]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSpace:
    """The axes of the cells: (endings, latency bins, kinds).

    Attributes:
        edges_s: upper bounds of the latency bins but the last, which is open; increasing.
    """

    endings: tuple[Ending, ...]
    edges_s: tuple[float, ...]
    kinds: tuple[Kind, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.endings), len(self.edges_s) + 1, len(self.kinds)


def endings_of(scenario: Scenario, *, has_proxy: bool = False) -> tuple[Ending, ...]:
    """Return the ways in which a request can end in this scenario; a good one and a plain failure always.

    Args:
        has_proxy: whether a proxy counts, too: then it also answers where no pod is there to be asked.
    """
    sides = (scenario.release, scenario.stable)
    found = [Ending(End.OK, 200)]
    if any(side.wrong for side in sides):
        found.append(Ending(End.WRONG, 200))
    found.append(Ending(End.FAILED, 500))
    found += [Ending(End.FAULTY, status) for status in sorted({side.error_status for side in sides} - {500})]
    if scenario.service.concurrency is not None:
        found.append(Ending(End.REJECTED, 503))
    if any(side.hang_after_s is not None for side in sides):
        found.append(Ending(End.UNANSWERED, 504))
    if has_proxy or any(incident.proxy_errors for incident in scenario.incidents):
        found.append(Ending(End.INTERCEPTED, 503))
    held = {incident.proxy_slow_by_s for incident in scenario.incidents if incident.proxy_slow_share}
    found += [Ending(End.HELD, 200, held_s) for held_s in sorted(held) if held_s > 0]
    return tuple(found)


def kinds_of(scenario: Scenario, labels: frozenset[str]) -> tuple[Kind, ...]:
    """Return the kinds of requests that queries or faults can tell apart by route or by segment.

    Args:
        labels: segments that the queries name; those that a release's fault names count anyway.
    """
    routes = scenario.traffic.routes
    weights = sum(route.weight for route in routes)
    wanted = labels | set(scenario.release.segments) | set(scenario.stable.segments)
    axes = [
        [(label, value, share) for value, share in values.items()]
        for label, values in scenario.service.segments.items()
        if label in wanted
    ]
    kinds = []
    for route in routes:
        for combination in itertools.product(*axes):
            share = route.weight / weights
            for _, _, part in combination:
                share *= part
            segments = tuple((label, value) for label, value, _ in combination)
            kinds.append(Kind(route=route, segments=segments, share=share))
    return tuple(kinds)


def reaches(release: Release, kind: Kind) -> bool:
    """Return whether requests of this kind meet the release's fault, as far as route and segment decide."""
    if release.routes and not kind.route.path.startswith(release.routes):
        return False
    own = dict(kind.segments)
    return all(own.get(label) in values for label, values in release.segments.items())

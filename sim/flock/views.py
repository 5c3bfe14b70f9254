"""What selectors find on one path, worked out once for every block of runs that takes it.

A `Part` is the matching series of one target; a `Term` says how their values at one scrape follow from counters; an
`EdgeView` says the same for the first and the last sample of every window of all targets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import Floats, Times
from promql.storage.label_sets import LabelSets, label_sets_of
from promql.storage.labels import Labels
from promql.storage.selecting import matching
from promql.syntax.tree import Matcher
from sim.flock.counters import Unit
from sim.flock.scene import Counted, Scene, Scraped
from sim.metrics_model.plan import SeriesSpec

Matchers = tuple[Matcher, ...]

_SURELY = 30.0
"""With so many events expected, none has happened in one of ten trillion runs: the series is there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """The values of a part's series at one scrape.

    Attributes:
        counted: ((series, atoms) weights, units whose counts they sum).
        levels: (series,) values of gauges, 0 for others.
    """

    time_ms: int
    counted: tuple[tuple[Floats, tuple[Counted, ...]], ...]
    levels: Floats
    has_levels: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """The matching series of one target.

    Attributes:
        weights: (2, 2, series, atoms) how much one request of each atom adds, of stable (0) and release (1) requests;
            first for a target that is a pod, where only its own side counts, then for a proxy.
        born_late: (series,) whether it is there only from its first event on.
    """

    scene: Scene
    scraped: Scraped
    labels: LabelSets
    specs: tuple[SeriesSpec, ...]
    is_up: bool
    stable_weights: Floats
    release_weights: Floats
    born_late: NDArray[np.bool_]
    has_gauges: bool
    _terms: dict[int, Term] = field(default_factory=dict)

    def term(self, place: int) -> Term:
        """Return how values follow at the scrape at this place of the target's schedule, which found something."""
        found = self._terms.get(place)
        if found is None:
            found = self._terms[place] = self._made(place)
        return found

    def _made(self, place: int) -> Term:
        schedule, scraped = self.scraped.schedule, self.scraped
        time_ms, life = int(schedule.times_ms[place]), int(schedule.life[place])
        counted: list[tuple[Floats, tuple[Counted, ...]]] = []
        if scraped.is_release is None:
            for is_release, weights in ((False, self.stable_weights), (True, self.release_weights)):
                units = tuple(u for u in scraped.units if u.is_release == is_release and u.born_ms <= time_ms)
                if units and weights.any():
                    counted.append((weights, units))
        else:
            weights = self.release_weights if scraped.is_release else self.stable_weights
            if weights.any():
                counted.append((weights, (scraped.units[life],)))
        levels = np.zeros(len(self.specs))
        if self.has_gauges:
            for row, spec in enumerate(self.specs):
                if spec.kind == "gauge":
                    levels[row] = self.scene.level(spec, scraped, life, time_ms)
        return Term(time_ms=time_ms, counted=tuple(counted), levels=levels, has_levels=self.has_gauges)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeView:
    """Windows of all matching series; arrays are (series, 1, steps).

    Attributes:
        first, last: (rows, step, term) where the values of a target's series go.
        resets: (rows, step, term before, term after) places at which a counter began anew.
        wanted: the instants that all of this reads, by unit.
    """

    labels: LabelSets
    first: tuple[tuple[slice, int, Term], ...]
    last: tuple[tuple[slice, int, Term], ...]
    resets: tuple[tuple[slice, int, Term, Term], ...]
    first_ms: Times
    last_ms: Times
    counts: NDArray[np.int64]
    wanted: dict[Unit, list[int]]


class Views:
    """All that queries find on one path."""

    __slots__ = ("_edges", "_parts", "scene")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._parts: dict[Matchers, tuple[Part, ...]] = {}
        self._edges: dict[tuple[Matchers, tuple[int, ...], tuple[int, ...]], EdgeView | None] = {}

    def parts(self, matchers: Matchers) -> tuple[Part, ...]:
        """Return the matching series of each target that has some."""
        found = self._parts.get(matchers)
        if found is None:
            parts = [part for scraped in self.scene.targets for part in _parts_of(self.scene, scraped, matchers)]
            found = self._parts[matchers] = tuple(sorted(parts, key=lambda part: part.labels[0]))
        return found

    def edges(self, matchers: Matchers, starts_ms: tuple[int, ...], ends_ms: tuple[int, ...]) -> EdgeView | None:
        """Return the edges of the windows, or None where a window's edges alone do not tell its rate."""
        key = (matchers, starts_ms, ends_ms)
        if key not in self._edges:
            self._edges[key] = self._edges_of(matchers, starts_ms, ends_ms)
        return self._edges[key]

    def _edges_of(self, matchers: Matchers, starts_ms: tuple[int, ...], ends_ms: tuple[int, ...]) -> EdgeView | None:
        parts = [part for part in self.parts(matchers) if len(part.scraped.schedule.good_ms)]
        if any(part.is_up or part.has_gauges for part in parts):
            return None
        series, steps = sum(len(part.labels) for part in parts), len(ends_ms)
        times = np.zeros((2, series, 1, steps), dtype=np.int64)
        counts = np.zeros((series, 1, steps), dtype=np.int64)
        edges: tuple[list[tuple[slice, int, Term]], list[tuple[slice, int, Term]]] = ([], [])
        resets: list[tuple[slice, int, Term, Term]] = []
        row = 0
        for part in parts:
            rows = slice(row, row + len(part.labels))
            row = rows.stop
            for step in range(steps):
                low, high = self._window(part, starts_ms[step], ends_ms[step])
                counts[rows, 0, step] = high - low
                if low == high:
                    continue
                terms = self._terms(part, low, high)
                if part.born_late.any() and not self._is_born(part, terms[0]):
                    return None
                for edge, term in enumerate((terms[0], terms[-1])):
                    edges[edge].append((rows, step, term))
                    times[edge, rows, 0, step] = term.time_ms
                resets += [(rows, step, terms[at], terms[at + 1]) for at in range(1, len(terms) - 1, 2)]
        return EdgeView(
            labels=label_sets_of(tuple(labels for part in parts for labels in part.labels)),
            first=tuple(edges[0]),
            last=tuple(edges[1]),
            resets=tuple(resets),
            first_ms=times[0],
            last_ms=times[1],
            counts=counts,
            wanted=wanted_by([*(t for *_, t in edges[0]), *(t for *_, t in edges[1]), *_both(resets)]),
        )

    def _window(self, part: Part, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return the samples of the window, as places among the scrapes that found something."""
        good = part.scraped.schedule.good_list
        low = bisect_right(good, start_ms)
        return low, max(low, bisect_right(good, min(end_ms, self.scene.visible_ms)))

    def _terms(self, part: Part, low: int, high: int) -> list[Term]:
        """Return the first and the last sample of a window, and between them each pair around a new life."""
        schedule = part.scraped.schedule
        places = [low]
        if part.scraped.is_release is not None and schedule.good_life[low] != schedule.good_life[high - 1]:
            changed = np.flatnonzero(np.diff(schedule.good_life[low:high])) + low
            places += [place for before in changed.tolist() for place in (before, before + 1)]
        places.append(high - 1)
        return [part.term(schedule.good_places[place]) for place in places]

    def _is_born(self, part: Part, first: Term) -> bool:
        """Return whether every series that is born with its first event is sure to be there at a scrape."""
        for weights, units in first.counted:
            means = self.scene.means([(unit, unit.born_ms, first.time_ms) for unit in units]).sum(axis=0)
            if (((weights != 0) @ means)[part.born_late] < _SURELY).any():
                return False
        return bool(first.counted)


def _both(resets: Sequence[tuple[slice, int, Term, Term]]) -> list[Term]:
    return [term for _, _, before, after in resets for term in (before, after)]


def wanted_by(terms: Sequence[Term]) -> dict[Unit, list[int]]:
    """Return the instants that terms read, by unit."""
    wanted: dict[Unit, list[int]] = {}
    for term in terms:
        for _, units in term.counted:
            for unit in units:
                wanted.setdefault(unit, []).append(term.time_ms)
    return wanted


def _parts_of(scene: Scene, scraped: Scraped, matchers: Matchers) -> list[Part]:
    """Return the matching series of a target; `up` apart, because a failed scrape tells it too."""
    matches = matching(matchers)
    specs = sorted((spec for spec in scraped.target.series if matches(spec.labels)), key=lambda spec: spec.labels)
    found = []
    if specs:
        found.append(_part(scene, scraped, tuple(specs)))
    up = scraped.target.up
    if up is not None and matches(up):
        found.append(_up(scene, scraped, up))
    return found


def _up(scene: Scene, scraped: Scraped, labels: Labels) -> Part:
    nothing = np.zeros((1, scene.atoms))
    return Part(
        scene=scene,
        scraped=scraped,
        labels=label_sets_of((labels,)),
        specs=(),
        is_up=True,
        stable_weights=nothing,
        release_weights=nothing,
        born_late=np.zeros(1, dtype=np.bool_),
        has_gauges=True,
    )


def _part(scene: Scene, scraped: Scraped, specs: tuple[SeriesSpec, ...]) -> Part:
    weights = np.zeros((2, len(specs), scene.atoms))
    for row, spec in enumerate(specs):
        for side, whose in enumerate(("stable", "release")):
            if spec.kind != "gauge" and spec.whose in ("own", "both", whose):
                weights[side, row, spec.atoms] = 1.0 if spec.weights is None else spec.weights[side]
    return Part(
        scene=scene,
        scraped=scraped,
        labels=label_sets_of(tuple(spec.labels for spec in specs)),
        specs=specs,
        is_up=False,
        stable_weights=weights[0],
        release_weights=weights[1],
        born_late=np.array([spec.born == "first-event" for spec in specs]),
        has_gauges=any(spec.kind == "gauge" for spec in specs),
    )

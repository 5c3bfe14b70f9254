"""What selectors read on one path, worked out once for every block of runs that takes it.

A `Sample` is one scrape of one target that found something, and whose counters it found. `Windows` are the first and
the last sample of every window of some targets; all selectors of a query that have a window in common share them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import Floats, Times
from sim.flock.counters import Unit
from sim.flock.scene import Counted, Scene, Scraped
from sim.flock.selections import Chosen, Matchers, Selection
from sim.flock.stage import WindowRead

_SURELY = 30.0
"""With so many events expected, none has happened in one of ten trillion runs: the series is there."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A scrape that found something.

    Attributes:
        life: of the target's pod.
        units: of stable's pods, and of the release's, whose counts are summed.
    """

    time_ms: int
    life: int
    units: tuple[tuple[Counted, ...], tuple[Counted, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Some targets' windows. Arrays are (targets, 1, steps).

    Attributes:
        edges: by target and step, the first and the last sample; None where the window has none.
        resets: by target, (step, sample before, sample after) of every new life inside a window.
        is_whole: whether every window has a sample.
        wanted: the instants that all of this reads, by unit.
    """

    edges: tuple[tuple[tuple[Sample, Sample] | None, ...], ...]
    resets: tuple[tuple[tuple[int, Sample, Sample], ...], ...]
    has_resets: bool
    is_whole: bool
    first_ms: Times
    last_ms: Times
    counts: NDArray[np.int64]
    wanted: dict[Unit, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Late:
    """One window of one target in which series may not be there from the beginning.

    Attributes:
        rows: of the series among all that were chosen.
        samples: from the window's first to the one at which all are sure to be there, or to its last.
        scrapes: how many samples the window has.
    """

    selection: Selection
    rows: slice
    step: int
    samples: tuple[Sample, ...]
    scrapes: int


class Views:
    """All that queries read on one path."""

    __slots__ = ("_chosen", "_expected", "_late", "_samples", "_targets", "_windows", "scene")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._targets = tuple((scraped.target, scraped.is_release) for scraped in scene.targets)
        self._chosen: dict[int, Chosen] = {}
        self._windows: dict[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], Windows] = {}
        self._samples: dict[tuple[int, int], Sample] = {}
        self._expected: dict[tuple[int, int], Floats] = {}
        self._late: dict[tuple[int, int], tuple[Late, ...] | None] = {}

    def chosen(self, matchers: Matchers) -> Chosen:
        """Return the matching series."""
        selections = self.scene.cast.stage.selections
        number = selections.number_of(matchers)
        found = self._chosen.get(number)
        if found is None:
            found = self._chosen[number] = selections.of(self._targets, matchers)
        return found

    def windows(self, chosen: Chosen, starts_ms: tuple[int, ...], ends_ms: tuple[int, ...]) -> Windows:
        """Return the windows of the targets that the series are of."""
        key = (chosen.targets, starts_ms, ends_ms)
        found = self._windows.get(key)
        if found is None:
            found = self._windows[key] = self._cut(*key)
        return found

    def wanted(self, read: WindowRead, at_ms: int) -> dict[Unit, list[int]]:
        """Return the instants that a window of a query reads when it is asked for at an instant, by unit."""
        chosen = self.chosen(read.matchers)
        end_ms = at_ms - read.offset_ms
        starts_ms = (end_ms - read.range_ms,)
        windows = self.windows(chosen, starts_ms, (end_ms,))
        late = self.late(chosen, windows, starts_ms) if chosen.may_be_late else ()
        if not read.only_edges or not chosen.only_edges or late is None:
            samples = []
            for place in chosen.targets:
                good = self.scene.targets[place].schedule.good_list
                scrapes = range(
                    bisect_right(good, starts_ms[0]), bisect_right(good, min(end_ms, self.scene.visible_ms))
                )
                samples += [self.sample(place, scrape) for scrape in scrapes]
            return wanted_by(samples)
        if not late:
            return windows.wanted
        return merged(windows.wanted, wanted_by([sample for one in late for sample in one.samples]))

    def late(self, chosen: Chosen, windows: Windows, starts_ms: tuple[int, ...]) -> tuple[Late, ...] | None:
        """Return the windows in which series may be born with their first event.

        None where edges cannot tell: a series that went away with its process within such a window comes again.
        """
        key = (id(chosen), id(windows))
        if key not in self._late:
            self._late[key] = self._find_late(chosen, windows, starts_ms)
        return self._late[key]

    def _find_late(self, all_chosen: Chosen, windows: Windows, starts_ms: tuple[int, ...]) -> tuple[Late, ...] | None:
        spans = [
            (place, selection, rows, step, all_chosen.targets.index(place), pair)
            for place, selection, rows in all_chosen.parts
            if selection.is_born_late
            for step, pair in enumerate(windows.edges[all_chosen.targets.index(place)])
            if pair is not None
        ]
        self._expect([sample for *_, pair in spans for sample in pair])
        unsure = [span for span in spans if not self._is_born(span[1], span[-1][0])]
        if any(at == step for _, _, _, step, target, _ in unsure for at, *_ in windows.resets[target]):
            return None
        inside: list[list[Sample]] = []
        for place, _, _, step, target, _ in unsure:
            low = self.scene.targets[place].schedule.first_after(starts_ms[step])
            scrapes = range(low, low + int(windows.counts[target, 0, step]))
            inside.append([self.sample(place, scrape) for scrape in scrapes])
        pairs = list(zip(unsure, inside, strict=True))
        # Where a series may still be missing at the end, all samples are looked at anyway.
        self._expect([one for span, own in pairs if self._is_born(span[1], span[-1][1]) for one in own])
        return tuple(
            Late(
                selection=span[1], rows=span[2], step=span[3], samples=self._until_born(span[1], own), scrapes=len(own)
            )
            for span, own in pairs
        )

    def _until_born(self, selection: Selection, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """Return the samples up to the first at which all series are sure to be there."""
        if not self._is_born(selection, samples[-1]):
            return tuple(samples)
        first = next(place for place, sample in enumerate(samples) if self._is_born(selection, sample))
        return tuple(samples[: first + 1])

    def _expect(self, samples: Iterable[Sample]) -> None:
        """Work out how many requests are expected to have been counted at some samples."""
        spans = {
            (unit.key, sample.time_ms): (unit, unit.born_ms, sample.time_ms)
            for sample in samples
            for units in sample.units
            for unit in units
            if (unit.key, sample.time_ms) not in self._expected
        }
        if spans:
            self._expected.update(zip(spans, self.scene.means(list(spans.values())), strict=True))

    def _is_born(self, selection: Selection, sample: Sample) -> bool:
        """Return whether every series that is born with its first event is sure to be there at a scrape."""
        total = np.zeros(len(selection.labels))
        for weights, units in zip(selection.weights, sample.units, strict=True):
            for unit in units:
                total += (weights != 0.0) @ self._expected[unit.key, sample.time_ms]
        return bool((total[selection.born_late] >= _SURELY).all())

    def sample(self, place: int, scrape: int) -> Sample:
        """Return a sample of the target at a place, by the place of a scrape that found something."""
        key = (place, scrape)
        found = self._samples.get(key)
        if found is None:
            found = self._samples[key] = _sample(self.scene.targets[place], scrape)
        return found

    def _cut(self, targets: tuple[int, ...], starts_ms: tuple[int, ...], ends_ms: tuple[int, ...]) -> Windows:
        times = np.zeros((2, len(targets), 1, len(ends_ms)), dtype=np.int64)
        counts = np.zeros((len(targets), 1, len(ends_ms)), dtype=np.int64)
        edges: list[tuple[tuple[Sample, Sample] | None, ...]] = []
        resets: list[tuple[tuple[int, Sample, Sample], ...]] = []
        for row, place in enumerate(targets):
            own: list[tuple[Sample, Sample] | None] = []
            anew: list[tuple[int, Sample, Sample]] = []
            good, scraped = self.scene.targets[place].schedule.good_list, self.scene.targets[place]
            for step, (start_ms, end_ms) in enumerate(zip(starts_ms, ends_ms, strict=True)):
                low = bisect_right(good, start_ms)
                high = bisect_right(good, min(end_ms, self.scene.visible_ms))
                if low >= high:
                    own.append(None)
                    continue
                first, last = self.sample(place, low), self.sample(place, high - 1)
                own.append((first, last))
                counts[row, 0, step] = high - low
                times[0, row, 0, step], times[1, row, 0, step] = first.time_ms, last.time_ms
                if first.life != last.life and scraped.is_release is not None:
                    anew += [(step, *pair) for pair in self._new_lives(place, low, high)]
            edges.append(tuple(own))
            resets.append(tuple(anew))
        return Windows(
            edges=tuple(edges),
            resets=tuple(resets),
            has_resets=any(resets),
            is_whole=all(pair is not None for own in edges for pair in own),
            first_ms=times[0],
            last_ms=times[1],
            counts=counts,
            wanted=wanted_by(
                [
                    *(sample for own in edges for pair in own if pair is not None for sample in pair),
                    *(sample for anew in resets for _, *pair in anew for sample in pair),
                ]
            ),
        )

    def _new_lives(self, place: int, low: int, high: int) -> list[tuple[Sample, Sample]]:
        """Return the samples around each new life of the target's pod within a window."""
        changed = np.flatnonzero(np.diff(self.scene.targets[place].schedule.good_life[low:high])) + low
        return [(self.sample(place, before), self.sample(place, before + 1)) for before in changed.tolist()]


def merged(one: Mapping[Unit, Iterable[int]], other: Mapping[Unit, Iterable[int]]) -> dict[Unit, list[int]]:
    """Return the instants of both, by unit."""
    found = {unit: list(times) for unit, times in one.items()}
    for unit, times in other.items():
        found.setdefault(unit, []).extend(times)
    return found


def wanted_by(samples: Iterable[Sample]) -> dict[Unit, list[int]]:
    """Return the instants that samples read, by unit."""
    wanted: dict[Unit, list[int]] = {}
    for sample in samples:
        for units in sample.units:
            for unit in units:
                wanted.setdefault(unit, []).append(sample.time_ms)
    return wanted


def _sample(scraped: Scraped, scrape: int) -> Sample:
    schedule = scraped.schedule
    time_ms, life = schedule.good_list[scrape], int(schedule.good_life[scrape])
    if scraped.is_release is not None:
        own = (scraped.units[life],)
        return Sample(time_ms, life, ((), own) if scraped.is_release else (own, ()))
    there = [unit for unit in scraped.units if unit.born_ms <= time_ms]
    stable = tuple(unit for unit in there if not unit.is_release)
    return Sample(time_ms, life, (stable, tuple(unit for unit in there if unit.is_release)))

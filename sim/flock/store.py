"""The flock's metrics as PromQL reads them: nothing is drawn before somebody looks at it.

`FlockStore` answers the edges of windows for rate, increase and delta over all targets at once, and everything else
as blocks, one for each target, because each target is scraped at a phase of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from promql.storage.allocating import reuse_large_blocks
from promql.storage.blocks import STALE_NAN, Block, Bools, Columns, Floats, Times
from promql.storage.edges import Edges
from promql.storage.labels import Labels
from promql.syntax.tree import Matcher
from sim.flock.counters import Counters, Unit
from sim.flock.scene import Scraped
from sim.flock.selections import Chosen, Selection
from sim.flock.stage import WindowRead
from sim.flock.views import Late, Sample, Views, Windows, merged, wanted_by


class FlockStore:
    """The samples of some runs on one path, at its scene's instant.

    Args:
        foreseen: by unit, instants that are sure to be read later.
    """

    __slots__ = ("_foreseen", "_known", "_stacks", "_views", "counters")

    def __init__(self, views: Views, counters: Counters, foreseen: Mapping[Unit, Sequence[int]] | None = None) -> None:
        self._views = views
        self._foreseen = foreseen
        self._known: set[int] = set()
        self._stacks: dict[int, tuple[Floats, Floats]] = {}
        self.counters = counters
        reuse_large_blocks()

    @property
    def runs(self) -> int:
        return self.counters.runs

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Block]:
        """Return one block for each target that has matching series and was scraped in the span."""
        scene = self._views.scene
        end_ms = min(end_ms, scene.visible_ms)
        found: list[Block] = []
        for place, selection, _ in self._views.chosen(tuple(matchers)).parts:
            times_ms = scene.targets[place].schedule.times_ms
            low, high = np.searchsorted(times_ms, (start_ms, end_ms + 1)).tolist()
            if low < high:
                found.append(TargetBlock(self, self._views, place, selection, low, high))
        return found

    def edges(
        self, matchers: Sequence[Matcher], starts_ms: Times, ends_ms: Times, *, is_counter: bool
    ) -> tuple[Sequence[Labels], Edges] | None:
        """Return the first and last sample of every window of all matching series.

        None where that does not suffice: gauges, or series that come and go within a window.
        """
        chosen = self._views.chosen(tuple(matchers))
        if not chosen.labels:
            return chosen.labels, _NO_EDGES
        if not chosen.only_edges:
            return None
        starts = tuple(starts_ms.tolist())
        windows = self._views.windows(chosen, starts, tuple(ends_ms.tolist()))
        late = self._views.late(chosen, windows, starts) if chosen.may_be_late else ()
        if late is None:
            return None
        self._read_windows(windows, late)
        first, last = self._edge_values(chosen, windows)
        lost = None
        if windows.has_resets and is_counter:
            lost = np.zeros_like(first)
            for place, selection, rows in chosen.parts:
                for step, before, after in windows.resets[chosen.targets.index(place)]:
                    high, low = self.values_of(selection, before), self.values_of(selection, after)
                    lost[step, rows] += np.where(low < high, high, 0.0)
        first_ms, counts = windows.first_ms[chosen.rows], windows.counts[chosen.rows]
        if late:
            shape = (len(chosen.labels), self.runs, len(ends_ms))
            first_ms, counts = np.broadcast_to(first_ms, shape).copy(), np.broadcast_to(counts, shape).copy()
            for one in late:
                self._begin_late(one, first[one.step, one.rows], first_ms, counts)
        return chosen.labels, Edges(
            first=_steps_last(first),
            last=_steps_last(last),
            first_ms=first_ms,
            last_ms=windows.last_ms[chosen.rows],
            counts=counts,
            lost=None if lost is None else _steps_last(lost),
        )

    def _begin_late(self, late: Late, first: Floats, first_ms: Times, counts: NDArray[np.int64]) -> None:
        """Let each run's window begin where its series do: at the first sample that has counted something."""
        values = np.array([self.values_of(late.selection, sample) for sample in late.samples])
        there = values > 0.0
        there[0] |= ~late.selection.born_late[:, None]
        began = there.argmax(axis=0)
        first[:] = np.take_along_axis(values, began[None], axis=0)[0]
        times_ms = np.array([sample.time_ms for sample in late.samples], dtype=np.int64)
        first_ms[late.rows, :, late.step] = times_ms[began]
        counts[late.rows, :, late.step] = np.where(there.any(axis=0), late.scrapes - began, 0)

    def _edge_values(self, chosen: Chosen, windows: Windows) -> tuple[Floats, Floats]:
        """Return (steps, series, runs) values of the first and of the last samples."""
        steps = windows.first_ms.shape[-1]
        values = np.empty((2, steps, len(chosen.labels), self.runs))
        if chosen.alike is not None and windows.is_whole and steps == 1:
            for edge, counts in enumerate(self._stacked(windows)):
                for alike in chosen.alike:
                    into = values[edge, 0, alike.rows].reshape(-1, len(alike.weights), self.runs)
                    np.matmul(alike.weights, counts[alike.targets], out=into)
            return values[0], values[1]
        for place, selection, rows in chosen.parts:
            for step, pair in enumerate(windows.edges[chosen.targets.index(place)]):
                for edge, sample in enumerate(pair or ()):
                    values[edge, step, rows] = self.values_of(selection, sample)
        return values[0], values[1]

    def _stacked(self, windows: Windows) -> tuple[Floats, Floats]:
        """Return (targets, atoms, runs) counts at the first and the last samples of windows of pods, one step each."""
        found = self._stacks.get(id(windows))
        if found is None:
            pairs = [own[0] for own in windows.edges]
            first, last = (
                np.stack([self.counters.at(_own(pair[edge]), pair[edge].time_ms) for pair in pairs if pair is not None])
                for edge in (0, 1)
            )
            found = self._stacks[id(windows)] = first, last
        return found

    def _read_windows(self, windows: Windows, late: tuple[Late, ...]) -> None:
        # Other selectors of the same look have mostly the same windows.
        if id(windows) not in self._known:
            self._known.add(id(windows))
            if not late:
                self.read(windows.wanted)
        if late:
            samples = [sample for one in late for sample in one.samples]
            self.read(merged(windows.wanted, wanted_by(samples)))

    def prepare(self, reads: Iterable[WindowRead], at_ms: int) -> None:
        """Draw all that the windows of a look read, in the order of time, before any of them is asked for.

        One after the other they would go back to what lies between the samples of those before.
        """
        wanted: dict[Unit, list[int]] = {}
        for read in reads:
            wanted = merged(wanted, self._views.wanted(read, at_ms))
        self.read(wanted)

    def read(self, wanted: Mapping[Unit, Sequence[int]]) -> None:
        """Make the counts at some instants known."""
        self.counters.read(wanted, self._views.scene, self._foreseen)

    def _counts(self, units: Sequence[Unit], time_ms: int) -> Floats:
        counts = self.counters.at(units[0], time_ms)
        for unit in units[1:]:
            counts = counts + self.counters.at(unit, time_ms)
        return counts

    def values_of(self, selection: Selection, sample: Sample) -> Floats:
        """Return (series, runs) values of counters at one scrape of one target, which were read before."""
        total = np.zeros((len(selection.labels), self.runs))
        for weights, counts, units in zip(selection.weights, selection.counts, sample.units, strict=True):
            if units and counts:
                total += weights @ self._counts(units, sample.time_ms)
        return total


def _own(sample: Sample) -> Unit:
    """Return the unit of a pod's sample."""
    stable, release = sample.units
    return (stable or release)[0]


def _steps_last(values: Floats) -> Floats:
    """Return (series, runs, steps) of (steps, series, runs); where there is one step only its place changes."""
    return values.transpose(1, 2, 0)


_NO_EDGES = Edges(
    first=np.empty((0, 1, 1)),
    last=np.empty((0, 1, 1)),
    first_ms=np.empty((0, 1, 1), dtype=np.int64),
    last_ms=np.empty((0, 1, 1), dtype=np.int64),
    counts=np.empty((0, 1, 1), dtype=np.int64),
    lost=None,
)


class TargetBlock:
    """The matching series of one target, in a span of its scrapes."""

    __slots__ = (
        "_high",
        "_low",
        "_place",
        "_rows",
        "_selection",
        "_store",
        "_views",
        "has_stale",
        "labels",
        "reset_columns",
        "times_ms",
    )

    def __init__(
        self,
        store: FlockStore,
        views: Views,
        place: int,
        selection: Selection,
        low: int,
        high: int,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        schedule = views.scene.targets[place].schedule
        self._store, self._views, self._place, self._selection = store, views, place, selection
        self._low, self._high, self._rows = low, high, rows
        labels = selection.labels
        self.labels: Sequence[Labels] = labels if rows is None else tuple(labels[row] for row in rows.tolist())
        self.times_ms: Times = schedule.times_ms[low:high]
        life = schedule.life[low:high]
        silent = life < 0
        if selection.is_up:
            # A failed scrape tells `up` too; only the marker of a target that is gone is stale.
            silent = np.zeros(high - low, dtype=np.bool_)
            silent[-1] = schedule.is_gone and high == len(schedule.times_ms)
        self.has_stale: bool = bool(silent.any())
        self.reset_columns: NDArray[np.int64] | None = None
        if not (selection.has_gauges or selection.is_up):
            good = np.flatnonzero(life >= 0)
            self.reset_columns = good[np.flatnonzero(np.diff(life[good]) != 0) + 1].astype(np.int64)

    @property
    def _scraped(self) -> Scraped:
        return self._views.scene.targets[self._place]

    def values(self, columns: Columns) -> Floats:
        """Return (series, runs, columns) values; draws what nobody has read yet."""
        scrapes = np.arange(self._low, self._high)[columns]
        values = self._up(scrapes) if self._selection.is_up else self._counters_and_levels(scrapes)
        return values if self._rows is None else values[self._rows]

    def _up(self, scrapes: NDArray[np.int64]) -> Floats:
        schedule = self._scraped.schedule
        found = np.where(schedule.life[scrapes] >= 0, 1.0, 0.0)
        if schedule.is_gone:
            found[scrapes == len(schedule.times_ms) - 1] = STALE_NAN
        return np.broadcast_to(found, (1, self._store.runs, len(scrapes)))

    def _counters_and_levels(self, scrapes: NDArray[np.int64]) -> Floats:
        schedule, selection = self._scraped.schedule, self._selection
        values = np.full((len(selection.labels), self._store.runs, len(scrapes)), STALE_NAN)
        good = np.searchsorted(schedule.good_places, scrapes)
        samples = {
            column: self._views.sample(self._place, int(good[column]))
            for column in np.flatnonzero(schedule.life[scrapes] >= 0).tolist()
        }
        self._store.read(wanted_by(samples.values()))
        for column, sample in samples.items():
            values[..., column] = self._store.values_of(selection, sample)
            for row, spec in enumerate(selection.specs if selection.has_gauges else ()):
                if spec.kind == "gauge":
                    values[row, :, column] = self._views.scene.level(spec, self._scraped, sample.life, sample.time_ms)
        return values

    def presence(self) -> Bools | None:
        """Return where series that are born with their first event are there; None if all are, all the time."""
        born_late = self._selection.born_late if self._rows is None else self._selection.born_late[self._rows]
        if not born_late.any():
            return None
        present: Bools = ~born_late[:, None, None] | (self.values(slice(0, self._high - self._low)) != 0.0)
        return present

    def only(self, rows: Sequence[int]) -> TargetBlock:
        """Return a block of some of the series."""
        own = np.asarray(rows) if self._rows is None else self._rows[np.asarray(rows)]
        return TargetBlock(self._store, self._views, self._place, self._selection, self._low, self._high, own)

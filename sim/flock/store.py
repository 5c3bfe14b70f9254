"""The flock's metrics as PromQL reads them: nothing is drawn before somebody looks at it.

`FlockStore` answers the edges of windows for rate, increase and delta over all targets at once, and everything else
as blocks, one for each target, because each target is scraped at a phase of its own. Which series and which samples a
selector finds is worked out once for a path (`Views`), for all blocks of runs that take it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import STALE_NAN, Block, Bools, Columns, Floats, Times
from promql.storage.edges import Edges
from promql.storage.labels import Labels
from promql.syntax.tree import Matcher
from sim.flock.counters import Counters, Unit
from sim.flock.views import Part, Term, Views, wanted_by


class FlockStore:
    """The samples of some runs on one path, at its scene's instant.

    Args:
        foreseen: by unit, instants that are sure to be read later.
    """

    __slots__ = ("_foreseen", "_scene", "_views", "counters")

    def __init__(self, views: Views, counters: Counters, foreseen: Mapping[Unit, Sequence[int]] | None = None) -> None:
        self._views = views
        self._scene = views.scene
        self._foreseen = foreseen
        self.counters = counters

    @property
    def runs(self) -> int:
        return self.counters.runs

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Block]:
        """Return one block for each target that has matching series and was scraped in the span."""
        end_ms = min(end_ms, self._scene.visible_ms)
        found: list[Block] = []
        for part in self._views.parts(tuple(matchers)):
            times_ms = part.scraped.schedule.times_ms
            low, high = np.searchsorted(times_ms, (start_ms, end_ms + 1)).tolist()
            if low < high:
                found.append(TargetBlock(self, part, low, high))
        return found

    def edges(
        self, matchers: Sequence[Matcher], starts_ms: Times, ends_ms: Times, *, is_counter: bool
    ) -> tuple[Sequence[Labels], Edges] | None:
        """Return the first and last sample of every window of all matching series.

        None where that does not suffice: gauges, or series that may be born within a window.
        """
        view = self._views.edges(tuple(matchers), tuple(starts_ms.tolist()), tuple(ends_ms.tolist()))
        if view is None:
            return None
        self.read(view.wanted)
        shape = (len(view.labels), self.runs, len(ends_ms))
        first, last = np.empty(shape), np.empty(shape)
        for values, terms in ((first, view.first), (last, view.last)):
            for rows, step, term in terms:
                values[rows, :, step] = self.values_of(term)
        lost = None
        if view.resets and is_counter:
            lost = np.zeros(shape)
            for rows, step, before, after in view.resets:
                high, low = self.values_of(before), self.values_of(after)
                lost[rows, :, step] += np.where(low < high, high, 0.0)
        return view.labels, Edges(
            first=first, last=last, first_ms=view.first_ms, last_ms=view.last_ms, counts=view.counts, lost=lost
        )

    def read(self, wanted: Mapping[Unit, Sequence[int]]) -> None:
        """Make the counts at some instants known."""
        self.counters.read(wanted, self._scene, self._foreseen)

    def values_of(self, term: Term) -> Floats:
        """Return (series, runs) values at one scrape of one target, which were read before."""
        total: Floats | None = None
        for weights, units in term.counted:
            counts = self.counters.at(units[0], term.time_ms)
            for unit in units[1:]:
                counts = counts + self.counters.at(unit, term.time_ms)
            value = weights @ counts
            total = value if total is None else total + value
        if total is None:
            total = np.zeros((len(term.levels), self.runs))
        if term.has_levels:
            total = total + term.levels[:, None]
        return total


class TargetBlock:
    """The matching series of one target, in a span of its scrapes."""

    __slots__ = ("_high", "_low", "_part", "_rows", "_store", "has_stale", "labels", "reset_columns", "times_ms")

    def __init__(
        self, store: FlockStore, part: Part, low: int, high: int, rows: NDArray[np.int64] | None = None
    ) -> None:
        schedule = part.scraped.schedule
        self._store = store
        self._part = part
        self._low, self._high = low, high
        self._rows = rows
        self.labels: Sequence[Labels] = part.labels if rows is None else tuple(part.labels[row] for row in rows)
        self.times_ms: Times = schedule.times_ms[low:high]
        life = schedule.life[low:high]
        # `up` is told at a failed scrape too; only its last marker is stale.
        silent = life < 0
        if part.is_up:
            silent = np.zeros(high - low, dtype=np.bool_)
            silent[-1] = schedule.is_gone and high == len(schedule.times_ms)
        self.has_stale: bool = bool(silent.any())
        good = np.flatnonzero(life >= 0)
        changed = np.flatnonzero(np.diff(life[good]) != 0) + 1
        self.reset_columns: NDArray[np.int64] | None = None if part.has_gauges else good[changed].astype(np.int64)

    def values(self, columns: Columns) -> Floats:
        """Return (series, runs, columns) values; draws what nobody has read yet."""
        places = np.arange(self._high - self._low)[columns] + self._low
        schedule, part, store = self._part.scraped.schedule, self._part, self._store
        values = np.empty((len(part.labels), store.runs, len(places)))
        if part.is_up:
            gone = schedule.is_gone
            last = len(schedule.times_ms) - 1
            values[:] = np.where(schedule.life[places] >= 0, 1.0, 0.0)
            values[..., (places == last) & gone] = STALE_NAN
        else:
            found = [int(place) for place in places if schedule.life[place] >= 0]
            terms = {place: part.term(place) for place in found}
            store.read(wanted_by(tuple(terms.values())))
            for column, place in enumerate(places.tolist()):
                term = terms.get(place)
                values[..., column] = STALE_NAN if term is None else store.values_of(term)
        return values if self._rows is None else values[self._rows]

    def presence(self) -> Bools | None:
        """Return where series that are born with their first event are there; None if all are, all the time."""
        born_late = self._part.born_late if self._rows is None else self._part.born_late[self._rows]
        if not born_late.any():
            return None
        values = self.values(slice(0, self._high - self._low))
        present: Bools = ~born_late[:, None, None] | (values != 0.0)
        return present

    def only(self, rows: Sequence[int]) -> TargetBlock:
        own = np.asarray(rows) if self._rows is None else self._rows[np.asarray(rows)]
        return TargetBlock(self._store, self._part, self._low, self._high, own)

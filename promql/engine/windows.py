"""A block's samples as a range function sees them: for each step, the columns of its window.

Windows are left-open. Two ways lead through a window: its edges (first and last sample, and the places where a
counter may have been reset), or a walk over its samples that takes the k-th of every window at once. Neither
loops over runs or steps. Staleness markers and samples that are missing in some runs are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import Block, Bools, Floats, Times, is_stale

Indices = NDArray[np.int64]

_GATHERED_MAX = 2_000_000
"""How many values of windows are held at once, unless one step's are more."""


@dataclass(slots=True, kw_only=True)
class Points:
    """The same place in every window: values, their times, and whether there is such a sample."""

    values: Floats
    times_ms: Times
    present: Bools


@dataclass(kw_only=True)
class Windows:
    """One block, cut into a window for each step.

    Attributes:
        low, high: (steps,) the window's columns are low up to, not including, high.
        start_ms, end_ms: (steps,) the window's edges in time.
        step_ms: (steps,) the instants of evaluation; with an offset or @ they are not the windows' ends.
    """

    block: Block
    low: Indices
    high: Indices
    start_ms: Times
    end_ms: Times
    step_ms: Times
    range_s: float
    check: Callable[[], None] = field(default=lambda: None)
    """Called again and again during long work; raises to end it."""

    @cached_property
    def _span(self) -> tuple[int, int]:
        used = self.high > self.low
        if not used.any():
            return 0, 0
        return int(self.low[used].min()), int(self.high[used].max())

    @cached_property
    def samples(self) -> Floats:
        """(series, runs, columns) of all columns that some window holds."""
        begin, end = self._span
        return self.block.values(slice(begin, end))

    @cached_property
    def is_masked(self) -> bool:
        """Whether a column may hold no usable sample in some run."""
        return self.mask is not None

    @cached_property
    def mask(self) -> Bools | None:
        """(series, runs, columns) where there is a usable sample; None if everywhere."""
        begin, end = self._span
        present = self.block.presence()
        usable = None if present is None else present[..., begin:end]
        if self.block.has_stale:
            stale = is_stale(self.samples)
            if stale.any():
                usable = ~stale if usable is None else usable & ~stale
        if usable is not None and bool(usable.all()):
            return None
        return usable

    @property
    def _relative(self) -> tuple[Indices, Indices]:
        begin, end = self._span
        width = end - begin
        return np.clip(self.low - begin, 0, width), np.clip(self.high - begin, 0, width)

    @cached_property
    def _places(self) -> tuple[Indices, Indices, Indices]:
        """First and last usable column of each window and how many there are, columns relative to the span.

        Each is (steps,), or (series, runs, steps) if samples are missing.
        """
        low, high = self._relative
        if self.mask is None:
            return low, high - 1, np.maximum(high - low, 0)
        if len(low) == 1:
            return self._places_of_one(int(low[0]), int(high[0]), self.mask)
        width = self.mask.shape[-1]
        columns = np.arange(width)
        shape = self.mask.shape[:-1]
        before = np.zeros((*shape, width + 1), dtype=np.int64)
        np.cumsum(self.mask, axis=-1, out=before[..., 1:])
        count = np.maximum(before[..., high] - before[..., low], 0)
        # The next usable column at or after each, and the last one before each.
        after = np.full((*shape, width + 1), width, dtype=np.int64)
        after[..., :width] = np.minimum.accumulate(np.where(self.mask, columns, width)[..., ::-1], axis=-1)[..., ::-1]
        latest = np.full((*shape, width + 1), -1, dtype=np.int64)
        latest[..., 1:] = np.maximum.accumulate(np.where(self.mask, columns, -1), axis=-1)
        return after[..., low], latest[..., high], count

    @staticmethod
    def _places_of_one(low: int, high: int, mask: Bools) -> tuple[Indices, Indices, Indices]:
        """Return the same for a single window, where looking from both ends is enough."""
        if low >= high:
            nothing = np.zeros((*mask.shape[:-1], 1), dtype=np.int64)
            return nothing, nothing, nothing
        inside = mask[..., low:high]
        first = low + inside.argmax(axis=-1)
        last = high - 1 - inside[..., ::-1].argmax(axis=-1)
        return first[..., None], last[..., None], np.count_nonzero(inside, axis=-1)[..., None]

    @cached_property
    def counts(self) -> Indices:
        """How many usable samples each window has, (steps,) or (series, runs, steps)."""
        return self._places[2]

    def at(self, column: Indices) -> tuple[Floats, Times]:
        """Return values and times at columns relative to the span; where out of range, anything."""
        begin, end = self._span
        steps = len(self.low)
        if end == begin:
            shape = (len(self.block.labels), 1, steps)
            return np.full(shape, np.nan), np.zeros(steps, dtype=np.int64)
        safe = np.clip(column, 0, end - begin - 1)
        times_ms = self.block.times_ms[begin:end][safe]
        if safe.ndim == 1:
            return self._columns(safe), times_ms
        if "samples" in self.__dict__:
            return np.take_along_axis(self.samples, safe, axis=-1), times_ms
        # Runs differ in where their samples are; still only the columns that one of them needs are read.
        needed = np.zeros(end - begin, dtype=np.bool_)
        needed[safe] = True
        place = np.cumsum(needed) - 1
        values = self.block.values(np.flatnonzero(needed) + begin)
        return np.take_along_axis(values, place[safe], axis=-1), times_ms

    def _columns(self, relative: Indices) -> Floats:
        begin, _ = self._span
        if "samples" in self.__dict__:
            picked: Floats = self.samples[..., relative]
            return picked
        return self.block.values(relative + begin)

    def first(self) -> Points:
        values, times_ms = self.at(self._places[0])
        return Points(values=values, times_ms=times_ms, present=self.counts > 0)

    def last(self) -> Points:
        values, times_ms = self.at(self._places[1])
        return Points(values=values, times_ms=times_ms, present=self.counts > 0)

    def before_last(self) -> Points:
        """The usable sample before each window's last one."""
        if self.mask is None:
            values, times_ms = self.at(self._places[1] - 1)
            return Points(values=values, times_ms=times_ms, present=self.counts > 1)
        width = self.mask.shape[-1]
        latest = np.full((*self.mask.shape[:-1], width + 1), -1, dtype=np.int64)
        latest[..., 1:] = np.maximum.accumulate(np.where(self.mask, np.arange(width), -1), axis=-1)
        previous = np.take_along_axis(latest, np.clip(self._places[1], 0, width), axis=-1)
        values, times_ms = self.at(previous)
        return Points(values=values, times_ms=times_ms, present=self.counts > 1)

    def reset_losses(self) -> Floats:
        """Return what counters had reached when they were reset, summed over each window."""
        total: Floats = np.zeros((1, 1, 1))
        resets = self.block.reset_columns
        if resets is not None:
            begin, end = self._span
            if not ((resets > begin) & (resets < end)).any():
                return total
            if not self.is_masked:
                known = self.losses_at(resets)
                return total if known is None else known
        previous: Floats | None = None
        seen: Bools | None = None
        for points in self.walk():
            if previous is None or seen is None:
                previous, seen = points.values, points.present
                continue
            lower = points.present & seen & (points.values < previous)
            total = total + np.where(lower, previous, 0.0)
            previous = np.where(points.present, points.values, previous)
            seen = seen | points.present
        return total

    def losses_at(self, resets: Indices) -> Floats | None:
        """Return the same where it is known at which columns resets may be; no other column is read.

        None says that no reset lies inside of any window.
        """
        inside = [column for column in resets.tolist() if self.low[0] < column < self.high[-1]]
        if not inside:
            return None
        pairs = self.block.values(np.array([at for column in inside for at in (column - 1, column)], dtype=np.int64))
        before, after = pairs[..., ::2], pairs[..., 1::2]
        losses = np.where(after < before, before, 0.0)
        total: Floats = np.zeros((1, 1, 1))
        for place, column in enumerate(inside):
            loss = losses[..., place : place + 1]
            if len(self.low) == 1:
                total = total + loss if place else loss
                continue
            # The sample before the reset must be in the window as well.
            held = (self.low < column) & (column < self.high)
            if held.any():
                total = total + np.where(held, loss, 0.0)
        return total

    def walk(self) -> Iterator[Points]:
        """Yield the first sample of every window, then the second, and so on; skipped ones are not present."""
        low, high = self._relative
        longest = int(np.max(high - low, initial=0))
        for place in range(longest):
            self.check()
            column = low + place
            inside = column < high
            values, times_ms = self.at(column)
            present = inside
            if self.mask is not None:
                present = self.mask[..., np.minimum(column, self.mask.shape[-1] - 1)] & inside
            yield Points(values=values, times_ms=times_ms, present=present)

    def gathered(self) -> Iterator[tuple[slice, Floats, Bools]]:
        """Yield (series, runs, steps, samples) values of whole windows and which are present, some steps at a time.

        Together the windows may be far larger than the samples, since they overlap.
        """
        low, high = self._relative
        longest = int(np.max(high - low, initial=0))
        if not longest:
            return
        per_step = self.samples.shape[0] * self.samples.shape[1] * longest
        at_once = max(1, _GATHERED_MAX // per_step)
        for begin in range(0, len(low), at_once):
            self.check()
            some = slice(begin, min(begin + at_once, len(low)))
            columns = low[some, None] + np.arange(longest)[None, :]
            inside = columns < high[some, None]
            safe = np.minimum(columns, self.samples.shape[-1] - 1)
            values = self.samples[..., safe]
            present = np.broadcast_to(inside, values.shape)
            if self.mask is not None:
                present = present & self.mask[..., safe]
            yield some, values, present

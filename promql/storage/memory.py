"""The plain store: columns per series, appended by one scraper while queries read.

It refuses what Prometheus refuses: a sample older than the series' newest, and a second value for the same
instant. An appended sample never changes, so a reader takes the arrays' current ends under the lock and then
reads without it. One run; parallel histories come as `BlockStore`.
"""

from __future__ import annotations

import math
import struct
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import SELECTIONS_KEPT, STALE_BITS, Block, Columns, Floats, Times
from promql.storage.label_sets import label_sets_of
from promql.storage.labels import METRIC_NAME, Labels, labels_of, value_of
from promql.storage.selecting import matching
from promql.syntax.tree import Matcher, MatchOp

_FIRST_CAPACITY = 64


class Appended(StrEnum):
    """What became of a sample."""

    STORED = "stored"
    SAME = "same"
    """The series already had this value at this instant; nothing changed."""
    OUT_OF_ORDER = "out of order"
    DUPLICATE = "duplicate timestamp"
    """The series has another value at this instant."""
    TOO_OLD = "too old"
    """Beyond the store's retention."""


def bits_of(value: float) -> int:
    return int.from_bytes(struct.pack("<d", value), "little")


class _Column:
    """One series: times and values that only ever grow at their end."""

    __slots__ = ("has_stale", "labels", "last", "resets", "size", "start", "times_ms", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.times_ms: Times = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self.values: Floats = np.empty(_FIRST_CAPACITY, dtype=np.float64)
        self.start = 0
        self.size = 0
        self.resets: list[int] = []
        self.last = math.nan
        self.has_stale = False

    def append(self, time_ms: int, value: float) -> Appended:
        if self.size > self.start:
            newest_ms = self.times_ms[self.size - 1]
            if time_ms < newest_ms:
                return Appended.OUT_OF_ORDER
            if time_ms == newest_ms:
                same = bits_of(float(self.values[self.size - 1])) == bits_of(value)
                return Appended.SAME if same else Appended.DUPLICATE
        if self.size == len(self.times_ms):
            self._grow()
        self.times_ms[self.size] = time_ms
        self.values[self.size] = value
        if bits_of(value) == STALE_BITS:
            self.has_stale = True
        else:
            if value < self.last:
                self.resets.append(self.size)
            self.last = value
        self.size += 1
        return Appended.STORED

    def _grow(self) -> None:
        # New arrays, so that readers of the old ones are not disturbed; what has expired stays behind.
        kept = self.size - self.start
        capacity = max(_FIRST_CAPACITY, 2 * kept)
        times_ms = np.empty(capacity, dtype=np.int64)
        values = np.empty(capacity, dtype=np.float64)
        times_ms[:kept] = self.times_ms[self.start : self.size]
        values[:kept] = self.values[self.start : self.size]
        self.resets = [column - self.start for column in self.resets if column >= self.start]
        self.times_ms, self.values, self.start, self.size = times_ms, values, 0, kept

    def forget_before(self, time_ms: int) -> None:
        self.start += int(np.searchsorted(self.times_ms[self.start : self.size], time_ms))


class _Slice(NamedTuple):
    """One series' samples in a span, as they were when they were selected. A tuple, since many are made per query."""

    labels: Labels
    times_ms: Times
    values: Floats
    resets: Sequence[int]
    has_stale: bool


class SlicesBlock:
    """Series of a memory store that were sampled at the same times in the selected span."""

    __slots__ = ("_slices", "has_stale", "labels", "reset_columns", "times_ms")

    def __init__(self, slices: Sequence[_Slice]) -> None:
        self._slices = slices
        self.labels: Sequence[Labels] = label_sets_of(tuple([each.labels for each in slices]))
        self.times_ms: Times = slices[0].times_ms
        self.has_stale: bool = any(each.has_stale for each in slices)
        resets = sorted({column for each in slices for column in each.resets})
        self.reset_columns: NDArray[np.int64] | None = np.array(resets, dtype=np.int64)

    def values(self, columns: Columns) -> Floats:
        if isinstance(columns, slice):
            return np.array([each.values[columns] for each in self._slices])[:, None, :]
        taken = [each.values.take(columns) for each in self._slices]
        return np.array(taken)[:, None, :]

    def presence(self) -> None:
        return None

    def only(self, rows: Sequence[int]) -> SlicesBlock:
        return SlicesBlock([self._slices[row] for row in rows])


class MemoryStore:
    """Series in memory, one run, safe for one writer and many readers.

    Args:
        retention_s: how far behind the newest sample of the store a sample may be. Older ones are neither shown
            nor taken; their memory is given back as series grow, and that of ended series as new ones begin.
            None keeps all.
    """

    def __init__(self, *, retention_s: float | None = None) -> None:
        self._retention_ms = None if retention_s is None else round(retention_s * 1000)
        self._lock = threading.Lock()
        self._series: dict[Labels, _Column] = {}
        self._names: dict[str, list[_Column]] = {}
        self._selected: dict[tuple[Matcher, ...], list[_Column]] = {}
        self._newest_ms: int | None = None
        self._swept_ms = -math.inf
        self._outcomes: Counter[Appended] = Counter()

    @property
    def runs(self) -> int:
        return 1

    @property
    def outcomes(self) -> Mapping[Appended, int]:
        """How many samples were stored, ignored and refused so far, by reason."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def newest_s(self) -> float | None:
        """The time of the newest sample, None while there is none."""
        newest_ms = self._newest_ms
        return None if newest_ms is None else newest_ms / 1000

    def append(self, labels: Mapping[str, str] | Labels, t_s: float, value: float) -> Appended:
        """Add a sample and say what became of it. A refused sample is counted and changes nothing.

        Times are kept in whole milliseconds, as Prometheus keeps them.
        """
        key = labels if isinstance(labels, tuple) else labels_of(labels)
        return self.append_ms(key, round(t_s * 1000), value)

    def append_ms(self, labels: Labels, time_ms: int, value: float) -> Appended:
        """Add a sample of a label set that is sorted already."""
        with self._lock:
            outcome = self._append(labels, time_ms, value)
            self._outcomes[outcome] += 1
            return outcome

    def _append(self, labels: Labels, time_ms: int, value: float) -> Appended:
        horizon_ms = self._horizon_ms()
        if horizon_ms is not None and time_ms < horizon_ms:
            return Appended.TOO_OLD
        column = self._series.get(labels)
        if column is None:
            # Pods come and go: where series begin, others have ended.
            if horizon_ms is not None and horizon_ms > self._swept_ms:
                self._forget_before(horizon_ms)
            column = _Column(labels)
            self._series[labels] = column
            self._selected.clear()
            self._names.setdefault(value_of(labels, METRIC_NAME), []).append(column)
        if horizon_ms is not None and column.size == len(column.times_ms):
            column.forget_before(horizon_ms)
        outcome = column.append(time_ms, value)
        if outcome is Appended.STORED and (self._newest_ms is None or time_ms > self._newest_ms):
            self._newest_ms = time_ms
        return outcome

    def _horizon_ms(self) -> int | None:
        if self._retention_ms is None or self._newest_ms is None:
            return None
        return self._newest_ms - self._retention_ms

    def forget_old(self) -> int:
        """Drop what is beyond retention, whole series included; return how many series went."""
        with self._lock:
            horizon_ms = self._horizon_ms()
            return 0 if horizon_ms is None else self._forget_before(horizon_ms)

    def _forget_before(self, horizon_ms: int) -> int:
        for column in self._series.values():
            column.forget_before(horizon_ms)
        gone = [labels for labels, column in self._series.items() if column.start == column.size]
        for labels in gone:
            del self._series[labels]
        self._names = {}
        for labels, column in self._series.items():
            self._names.setdefault(value_of(labels, METRIC_NAME), []).append(column)
        self._selected.clear()
        # Half a retention later there may be something to forget again.
        self._swept_ms = horizon_ms + (self._retention_ms or 0) / 2
        return len(gone)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Block]:
        """Return the matching series with a sample in the span, those with equal times together."""
        with self._lock:
            slices = self._slices(matchers, start_ms, end_ms)
        groups: dict[bytes, list[_Slice]] = {}
        for each in slices:
            groups.setdefault(each.times_ms.tobytes(), []).append(each)
        return [SlicesBlock(group) for group in groups.values()]

    def _slices(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[_Slice]:
        horizon_ms = self._horizon_ms()
        if horizon_ms is not None:
            start_ms = max(start_ms, horizon_ms)
        found = []
        span = np.array((start_ms, end_ms + 1), dtype=np.int64)
        for column in self._matching(tuple(matchers)):
            start = column.start
            times_ms = column.times_ms[start : column.size]
            low, high = times_ms.searchsorted(span).tolist()
            if low == high:
                continue
            first, end = start + low, start + high
            inside = [at - first for at in column.resets if first < at < end] if column.resets else ()
            values = column.values[first:end]
            found.append(_Slice(column.labels, times_ms[low:high], values, inside, column.has_stale))
        return found

    def _matching(self, matchers: tuple[Matcher, ...]) -> list[_Column]:
        """Return the series that match, remembered until a series comes or goes."""
        found = self._selected.get(matchers)
        if found is None:
            matches = matching(matchers)
            found = [column for column in self._candidates(matchers) if matches(column.labels)]
            if len(self._selected) < SELECTIONS_KEPT:
                self._selected[matchers] = found
        return found

    def _candidates(self, matchers: Sequence[Matcher]) -> Sequence[_Column]:
        for matcher in matchers:
            if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL and matcher.value:
                return self._names.get(matcher.value, [])
        return list(self._series.values())

    def label_sets(
        self, matchers: Sequence[Matcher] = (), start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Labels]:
        """Return the label sets of the matching series that have a sample in the span, sorted."""
        limits = np.iinfo(np.int64)
        low = limits.min if start_ms is None else start_ms
        high = limits.max - 1 if end_ms is None else end_ms
        with self._lock:
            return sorted(each.labels for each in self._slices(matchers, low, high))

"""What the engine reads: blocks of series that share their sample times, with a leading axis of runs.

A store answers `select` with blocks. A block knows its times at once and hands out values only for the columns
that an evaluation reads, so a simulator may draw a sample when it is first looked at. If a block says where its
counters may have been reset, a rate reads nothing but the edges of its window and those places.

Arrays are (series, runs, samples). A plain store has one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promql.storage.allocating import reuse_large_blocks
from promql.storage.label_sets import LabelSets, label_sets_of
from promql.storage.labels import Labels
from promql.storage.selecting import matching
from promql.syntax.tree import Matcher

SELECTIONS_KEPT = 1_000
"""How many selectors' series a store remembers."""

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Times: TypeAlias = NDArray[np.int64]
Columns: TypeAlias = NDArray[np.int64] | slice

STALE_BITS = 0x7FF0000000000002
"""The NaN with which Prometheus marks that a series has ended; only its bits tell it from other NaNs."""

STALE_NAN: float = float(np.array(STALE_BITS, dtype=np.uint64).view(np.float64))


def is_stale(values: Floats) -> Bools:
    """Return where the values are staleness markers."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    stale: Bools = bits == np.uint64(STALE_BITS)
    return stale


class Block(Protocol):
    """Series with the same sample times, in some or all runs.

    Attributes:
        labels: of each series.
        times_ms: (samples,) unix milliseconds, increasing; at least those of the selected span.
        reset_columns: the columns at which a counter may be lower than one column before, in any series and
            run; None if the block does not know. Nothing is lower anywhere else.
        has_stale: whether values may hold staleness markers.
    """

    @property
    def labels(self) -> Sequence[Labels]: ...

    @property
    def times_ms(self) -> Times: ...

    @property
    def reset_columns(self) -> NDArray[np.int64] | None: ...

    @property
    def has_stale(self) -> bool: ...

    def values(self, columns: Columns) -> Floats:
        """Return (series, runs, columns) values; what is not present may hold anything.

        Columns rise, except that one may be asked for twice. The engine does not write into what it gets.
        """
        ...

    def presence(self) -> Bools | None:
        """Return (series, runs, samples) whether there is a sample, or None if there always is."""
        ...

    def only(self, rows: Sequence[int]) -> Block:
        """Return a block of some of the series; values of the others need never be made."""
        ...


class Store(Protocol):
    """Where an evaluation finds its series. `select` may be called from several threads at once."""

    @property
    def runs(self) -> int: ...

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Block]:
        """Return the matching series that may have a sample from start to end, both included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayBlock:
    """A block whose values are all there already."""

    labels: Sequence[Labels]
    times_ms: Times
    array: Floats
    """(series, runs, samples); reads are fastest if a sample's runs lie together in memory."""
    present: Bools | None = None
    reset_columns: NDArray[np.int64] | None = None
    has_stale: bool = False

    def values(self, columns: Columns) -> Floats:
        if isinstance(columns, slice):
            part: Floats = self.array[..., columns]
            return part
        near = _as_slice(columns)
        if near is not None:
            return self.array[..., near]
        # Samples first: where that is how they lie in memory, whole planes are copied.
        return self.array.transpose(2, 0, 1)[columns].transpose(1, 2, 0)

    def presence(self) -> Bools | None:
        return self.present

    def only(self, rows: Sequence[int]) -> Block:
        labels, key = label_sets_of(self.labels), tuple(rows)
        index, kept = labels.derived(
            ("rows", key), lambda: (np.array(key, dtype=np.int64), LabelSets(labels[row] for row in key))
        )
        present = None if self.present is None else self.present[index]
        first, last = key[0], key[-1] + 1
        if last - first == len(key):
            return replace(self, labels=kept, array=self.array[first:last], present=present)
        return _Rows(self, index, kept, present)


def _as_slice(columns: NDArray[np.int64]) -> slice | None:
    """Return one or two columns, as a window's edges are, as a slice: what it takes is a view, not a copy."""
    if len(columns) == 1:
        return slice(int(columns[0]), int(columns[0]) + 1)
    if len(columns) == 2:
        first, last = columns.tolist()
        if 0 <= first < last:
            return slice(first, last + 1, last - first)
    return None


class _Rows:
    """Some series of a block, taken out of what is read of it and not before: mostly that is little."""

    __slots__ = ("_block", "_present", "_rows", "has_stale", "labels", "reset_columns", "times_ms")

    def __init__(self, block: ArrayBlock, rows: NDArray[np.int64], labels: LabelSets, present: Bools | None) -> None:
        self._block = block
        self._rows = rows
        self._present = present
        self.labels: Sequence[Labels] = labels
        self.times_ms = block.times_ms
        self.reset_columns = block.reset_columns
        self.has_stale = block.has_stale

    def values(self, columns: Columns) -> Floats:
        by_sample = self._block.array.transpose(2, 0, 1)
        if isinstance(columns, slice):
            part: Floats = by_sample[columns][:, self._rows].transpose(1, 2, 0)
            return part
        gathered: Floats = np.empty((len(columns), len(self._rows), by_sample.shape[2]))
        for place, column in enumerate(columns.tolist()):
            by_sample[column].take(self._rows, axis=0, out=gathered[place], mode="clip")
        return gathered.transpose(1, 2, 0)

    def presence(self) -> Bools | None:
        return self._present

    def only(self, rows: Sequence[int]) -> Block:
        return self._block.only(self._rows[np.array(rows)].tolist())


class BlockStore:
    """A store made of finished blocks, for parallel histories that are known as arrays."""

    def __init__(self, blocks: Sequence[Block], *, runs: int) -> None:
        self._blocks = tuple(blocks)
        self._runs = runs
        self._selected: dict[tuple[Matcher, ...], Sequence[Block]] = {}
        if runs > 1:
            reuse_large_blocks()

    @property
    def runs(self) -> int:
        return self._runs

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Block]:
        # The blocks never change, and the same few selectors are asked for again and again.
        key = tuple(matchers)
        found = self._selected.get(key)
        if found is None:
            found = self._find(key)
            if len(self._selected) < SELECTIONS_KEPT:
                self._selected[key] = found
        return found

    def _find(self, matchers: tuple[Matcher, ...]) -> Sequence[Block]:
        found: list[Block] = []
        for block in self._blocks:
            rows = rows_that_match(block.labels, matchers)
            if len(rows) == len(block.labels):
                found.append(block)
            elif rows:
                found.append(block.only(rows))
        return found


def rows_that_match(labels: Sequence[Labels], matchers: tuple[Matcher, ...]) -> Sequence[int]:
    """Return which of the label sets a selector takes; remembered for label sets that are met again."""
    known = label_sets_of(labels)

    def found() -> Sequence[int]:
        matches = matching(matchers)
        return tuple(row for row, each in enumerate(known) if matches(each))

    return known.derived(matchers, found)

"""The k best of a group, chosen by the same heap as Prometheus, so that ties fall the same way.

Runs and steps go through the heap side by side: every move is an array operation over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import Bools, Floats

Places = NDArray[np.int64]


@dataclass(slots=True)
class _Heaps:
    """One binary heap per column, its worst element on top: (depth, columns) keys and member numbers."""

    keys: Floats
    members: Places
    size: Places
    largest: bool

    def worse(self, left: Floats, right: Floats) -> Bools:
        """Whether left stands above right in the heap; NaN is worse than anything, itself included."""
        return np.isnan(left) | ((left < right) if self.largest else (left > right))

    def swap(self, where: Bools, left: Places, right: Places) -> None:
        columns = np.flatnonzero(where)
        a, b = left[columns], right[columns]
        for array in (self.keys, self.members):
            array[a, columns], array[b, columns] = array[b, columns], array[a, columns].copy()

    def key(self, place: Places) -> Floats:
        return self.keys[place, np.arange(self.keys.shape[1])]

    def push(self, where: Bools, key: Floats, member: int) -> None:
        columns = np.flatnonzero(where)
        self.keys[self.size[columns], columns] = key[columns]
        self.members[self.size[columns], columns] = member
        place = self.size.copy()
        self.size = self.size + where
        moving = where & (place > 0)
        while moving.any():
            parent = np.maximum((place - 1) // 2, 0)
            moving = moving & self.worse(self.key(np.minimum(place, len(self.keys) - 1)), self.key(parent))
            self.swap(moving, parent, place)
            place = np.where(moving, parent, place)
            moving = moving & (place > 0)

    def replace_top(self, where: Bools, key: Floats, member: int) -> None:
        self.keys[0, where] = key[where]
        self.members[0, where] = member
        place = np.zeros_like(self.size)
        moving = where
        while moving.any():
            left = 2 * place + 1
            moving = moving & (left < self.size)
            limit = len(self.keys) - 1
            child = np.minimum(left, limit)
            right = np.minimum(left + 1, limit)
            prefer = (left + 1 < self.size) & self.worse(self.key(right), self.key(child))
            child = np.where(prefer, right, child)
            moving = moving & self.worse(self.key(child), self.key(place))
            self.swap(moving, place, child)
            place = np.where(moving, child, place)


def best_of(values: Floats, present: Bools, k: Places, *, largest: bool) -> tuple[Bools, Floats]:
    """Return which members of a group are kept, and their place from the best on.

    Args:
        values, present: (members, runs, steps).
        k: (runs, steps) how many to keep.
    """
    members, shape = len(values), values.shape[1:]
    columns = int(np.prod(shape))
    flat, there, wanted = values.reshape(members, columns), present.reshape(members, columns), k.reshape(columns)
    depth = max(int(wanted.max(initial=0)), 1)
    heaps = _Heaps(
        keys=np.full((depth, columns), np.nan),
        members=np.full((depth, columns), -1, dtype=np.int64),
        size=np.zeros(columns, dtype=np.int64),
        largest=largest,
    )
    for member in range(members):
        key, candidate = flat[member], there[member] & (wanted > 0)
        room = candidate & (heaps.size < wanted)
        top = heaps.keys[0]
        beats = (top < key) if largest else (top > key)
        better = candidate & ~room & (beats | (np.isnan(top) & ~np.isnan(key)))
        if room.any():
            heaps.push(room, key, member)
        if better.any():
            heaps.replace_top(better, key, member)
    return _unpacked(heaps, members, shape)


def _unpacked(heaps: _Heaps, members: int, shape: tuple[int, ...]) -> tuple[Bools, Floats]:
    depth, columns = heaps.keys.shape
    filled = np.arange(depth)[:, None] < heaps.size
    goodness = heaps.keys if not heaps.largest else -heaps.keys
    # Best first, NaN after all numbers, what is empty last; equal keys stay in the heap's order.
    blank = np.where(filled, np.where(np.isnan(goodness), 1, 0), 2)
    order = np.lexsort((np.where(np.isnan(goodness), 0.0, goodness), blank), axis=0)
    kept = np.zeros((members, columns), dtype=np.bool_)
    rank = np.zeros((members, columns))
    everywhere = np.arange(columns)
    for place in range(depth):
        member = heaps.members[order[place], everywhere]
        valid = filled[order[place], everywhere]
        kept[member[valid], everywhere[valid]] = True
        rank[member[valid], everywhere[valid]] = place
    return kept.reshape(members, *shape), rank.reshape(members, *shape)

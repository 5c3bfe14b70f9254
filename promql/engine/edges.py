"""The first and last samples of every window of a range, over all blocks at once, for rate and its kin.

Where a block says where its counters were reset and nothing is missing, only those columns are read that the
edges and the resets need. Everything else goes through the windows' own, slower ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from promql.engine.windows import Windows
from promql.storage.blocks import Floats, Times
from promql.storage.edges import Edges

Counts = NDArray[np.int64]
Number = TypeVar("Number", np.float64, np.int64)


@dataclass(slots=True)
class _Part:
    first: Floats
    last: Floats
    first_ms: Times
    last_ms: Times
    counts: Counts
    lost: Floats | None


def edges_of(ranges: Sequence[Windows], *, is_counter: bool) -> Edges:
    """Return the edges of all windows of all blocks, series in the blocks' order."""
    sizes = [len(windows.block.labels) for windows in ranges]
    if len(ranges[0].low) == 1 and all(_is_plain(windows, is_counter=is_counter) for windows in ranges):
        return _edges_of_one(ranges, sizes, is_counter=is_counter)
    parts = [_part(windows, is_counter=is_counter) for windows in ranges]
    lost = [part.lost for part in parts]
    return Edges(
        first=_joined([part.first for part in parts], sizes),
        last=_joined([part.last for part in parts], sizes),
        first_ms=_joined([part.first_ms for part in parts], sizes),
        last_ms=_joined([part.last_ms for part in parts], sizes),
        counts=_joined([part.counts for part in parts], sizes),
        lost=None if all(each is None for each in lost) else _joined(_filled(parts), sizes),
    )


def _is_plain(windows: Windows, *, is_counter: bool) -> bool:
    """Whether a block's only window has a usable sample in each column, and knows where counters may be lower."""
    block = windows.block
    if block.has_stale or (is_counter and block.reset_columns is None):
        return False
    present = block.presence()
    return present is None or bool(present[..., windows.low[0] : windows.high[0]].all())


def _edges_of_one(ranges: Sequence[Windows], sizes: Sequence[int], *, is_counter: bool) -> Edges:
    """Return the edges where each block has one plain window, which is what an instant query of a simulation asks."""
    values, times, lost = [], [], []
    for windows in ranges:
        block, low, last = windows.block, windows.low.item(), windows.high.item() - 1
        values.append(block.values(np.array((low, last), dtype=np.int64)))
        times.append((block.times_ms[low], block.times_ms[last], last - low + 1))
        resets = block.reset_columns if is_counter else None
        lost.append(None if resets is None or not len(resets) else windows.losses_at(resets))
    first_ms, last_ms, counts = np.array(times if len(set(times)) > 1 else times[:1], dtype=np.int64).T[..., None, None]
    if len(first_ms) > 1:
        first_ms, last_ms, counts = (np.repeat(each, sizes, axis=0) for each in (first_ms, last_ms, counts))
    whole = values[0] if len(values) == 1 else np.concatenate(values)
    losses = None
    if any(each is not None for each in lost):
        filled = [np.zeros((1, 1, 1)) if each is None else each for each in lost]
        shapes = [(*part.shape[:2], 1) for part in values]
        losses = np.concatenate([np.broadcast_to(each, shape) for each, shape in zip(filled, shapes, strict=True)])
    return Edges(
        first=whole[..., :1], last=whole[..., 1:], first_ms=first_ms, last_ms=last_ms, counts=counts, lost=losses
    )


def _filled(parts: Sequence[_Part]) -> list[Floats]:
    return [np.zeros_like(part.first) if part.lost is None else part.lost for part in parts]


def _joined(arrays: Sequence[NDArray[Number]], sizes: Sequence[int]) -> NDArray[Number]:
    """Return arrays that are per step, or per series, run and step, as one (series, runs or 1, steps)."""
    if len(arrays) == 1:
        return arrays[0] if arrays[0].ndim == 3 else arrays[0][None, None, :]
    if all(array.ndim == 1 for array in arrays):
        per_block: NDArray[Number] = np.array(arrays)
        return np.repeat(per_block, sizes, axis=0)[:, None, :]
    runs = max(array.shape[1] if array.ndim == 3 else 1 for array in arrays)
    steps = max(array.shape[-1] for array in arrays)
    wanted = [(size, runs, steps) for size in sizes]
    pairs = zip(arrays, wanted, strict=True)
    shaped = [array if array.shape == shape else np.broadcast_to(array, shape) for array, shape in pairs]
    whole: NDArray[Number] = np.concatenate(shaped)
    return whole


def _part(windows: Windows, *, is_counter: bool) -> _Part:
    block = windows.block
    resets = block.reset_columns if is_counter else None
    if (is_counter and resets is None) or block.has_stale or block.presence() is not None:
        first, last = windows.first(), windows.last()
        lost = windows.reset_losses() if is_counter else None
        return _Part(first.values, last.values, first.times_ms, last.times_ms, windows.counts, lost)
    steps, samples = len(windows.low), len(block.times_ms)
    columns = np.concatenate((windows.low, windows.high - 1))
    # Windows move on, so the first and the last speak for all.
    if columns[0] < 0 or columns[steps] < 0 or columns[steps - 1] >= samples or columns[-1] >= samples:
        columns = np.clip(columns, 0, max(samples - 1, 0))
    values = block.values(columns)
    times_ms = block.times_ms[columns]
    lost = None if resets is None or not len(resets) else windows.losses_at(resets)
    return _Part(
        values[..., :steps],
        values[..., steps:],
        times_ms[:steps],
        times_ms[steps:],
        np.maximum(windows.high - windows.low, 0),
        lost,
    )

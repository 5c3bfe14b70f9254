"""Selectors and subqueries: from a place in the query to samples.

An instant selector takes the newest sample no older than the lookback, its left edge open; a range function
gets windows over blocks; a subquery's result becomes a block itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from promql.engine.values import Evaluation, Value, Vector, all_true, empty, is_complete, spread, stacked
from promql.engine.windows import Windows
from promql.storage.blocks import ArrayBlock, Block, Times, is_stale
from promql.storage.label_sets import LabelSets, label_sets_of
from promql.syntax.tree import At, AtBound, MatrixSelector, Subquery, VectorSelector

Evaluate = Callable[..., Value]

_TIME_MAX_MS = 2.0**61


def at_ms(at: At, evaluation: Evaluation) -> int | None:
    if at is None:
        return None
    if at is AtBound.START:
        return evaluation.start_ms
    if at is AtBound.END:
        return evaluation.end_ms
    # No sample lies beyond, and there is room to subtract an offset and a range.
    return round(max(-_TIME_MAX_MS, min(float(at) * 1000, _TIME_MAX_MS)))


def moved(steps_ms: Times, offset_s: float, at: At, evaluation: Evaluation) -> Times:
    """Return the instants that a selector reads for each step, after @ and offset."""
    fixed_ms = at_ms(at, evaluation)
    base = steps_ms if fixed_ms is None else np.full_like(steps_ms, fixed_ms)
    return base - round(offset_s * 1000)


def instant(selector: VectorSelector, steps_ms: Times, evaluation: Evaluation) -> tuple[Vector, Vector]:
    """Return the newest samples at each step, as values and as their times in seconds."""
    ends_ms = moved(steps_ms, selector.offset_s, selector.at, evaluation)
    lookback_ms = round(evaluation.settings.lookback_s * 1000)
    first_ms, last_ms = int(ends_ms.min()) - lookback_ms + 1, int(ends_ms.max())
    blocks = evaluation.store.select(selector.matchers, first_ms, last_ms)
    values: list[Vector] = []
    times: list[Vector] = []
    for block in blocks:
        newest, sampled_s = _newest(block, ends_ms, lookback_ms, evaluation)
        values.append(newest)
        times.append(sampled_s)
    if not values:
        return empty(len(steps_ms)), empty(len(steps_ms))
    return in_order(stacked(values)), in_order(stacked(times))


def _newest(block: Block, ends_ms: Times, lookback_ms: int, evaluation: Evaluation) -> tuple[Vector, Vector]:
    times_ms = block.times_ms
    column = np.searchsorted(times_ms, ends_ms, side="right") - 1
    presence = block.presence()
    labels = label_sets_of(block.labels)
    evaluation.charge(len(labels) * evaluation.runs * len(ends_ms))
    safe = np.maximum(column, 0)
    if not len(times_ms):
        return empty(len(ends_ms)), empty(len(ends_ms))
    if presence is None:
        values = block.values(safe)
        found = (column >= 0) & (times_ms[safe] > ends_ms - lookback_ms)
        sampled_s = np.broadcast_to(times_ms[safe] / 1000, values.shape)
    else:
        width = len(times_ms)
        latest = np.maximum.accumulate(np.where(presence, np.arange(width), -1), axis=-1)
        place = np.where(column >= 0, latest[..., safe], -1)
        safe = np.maximum(place, 0)
        values = np.take_along_axis(block.values(slice(0, width)), safe, axis=-1)
        found = (place >= 0) & (times_ms[safe] > ends_ms - lookback_ms)
        sampled_s = times_ms[safe] / 1000
    present = all_true(values.shape) if found.all() else np.broadcast_to(found, values.shape)
    if block.has_stale:
        present = present & ~is_stale(values)
    return Vector(labels, values, present), Vector(labels, sampled_s, present)


Order = tuple[NDArray[np.int64] | None, LabelSets]
"""Where each series stands in the order of labels, None if they are in order already, and the labels in order."""


def in_order(vector: Vector) -> Vector:
    """Return the series sorted by labels, without those that are nowhere present.

    Ties in `sort` and `topk` fall in this order, whatever order a store has.
    """
    labels, present = vector.labels, vector.present
    if is_complete(present):
        index, ordered = labels.derived("order", lambda: _order_of(labels, range(len(labels))))
        if index is None:
            return vector
        return Vector(ordered, vector.values[index], present)
    some = present.any(axis=tuple(range(1, present.ndim)))
    index, ordered = labels.derived(some.tobytes(), lambda: _order_of(labels, np.flatnonzero(some).tolist()))
    if index is None:
        return vector
    return Vector(ordered, vector.values[index], present[index])


def _order_of(labels: LabelSets, kept: Sequence[int]) -> Order:
    index = sorted(kept, key=labels.__getitem__)
    if index == list(range(len(labels))):
        return None, labels
    return np.array(index, dtype=np.int64), LabelSets(labels[at] for at in index)


def spans_of(node: MatrixSelector, steps_ms: Times, evaluation: Evaluation) -> tuple[Times, Times]:
    """Return where the window of each step begins and ends in time; it is open at its beginning."""
    ends_ms = moved(steps_ms, node.selector.offset_s, node.selector.at, evaluation)
    return ends_ms - round(node.range_s * 1000), ends_ms


def windows_of(
    node: MatrixSelector | Subquery, steps_ms: Times, evaluation: Evaluation, evaluate: Evaluate
) -> list[Windows]:
    """Return the windows over each block that the range reads."""
    if isinstance(node, MatrixSelector):
        selector = node.selector
        starts_ms, ends_ms = spans_of(node, steps_ms, evaluation)
        blocks = evaluation.store.select(selector.matchers, int(starts_ms.min()) + 1, int(ends_ms.max()))
    else:
        ends_ms = moved(steps_ms, node.offset_s, node.at, evaluation)
        starts_ms = ends_ms - round(node.range_s * 1000)
        blocks = _subquery_blocks(node, starts_ms, ends_ms, evaluation, evaluate)
    found = []
    both_ms, steps = np.concatenate((starts_ms, ends_ms)), len(steps_ms)
    for block in blocks:
        columns = block.times_ms.searchsorted(both_ms, side="right")
        if columns[0] == columns[-1]:
            continue  # no sample lies in any window
        windows = Windows(
            block=block,
            low=columns[:steps],
            high=columns[steps:],
            start_ms=starts_ms,
            end_ms=ends_ms,
            step_ms=steps_ms,
            range_s=node.range_s,
            check=evaluation.check,
        )
        evaluation.charge(len(block.labels) * evaluation.runs * steps)
        found.append(windows)
    return found


def _subquery_blocks(
    node: Subquery, starts_ms: Times, ends_ms: Times, evaluation: Evaluation, evaluate: Evaluate
) -> list[Block]:
    step_s = node.step_s or evaluation.settings.default_step_s
    step_ms = max(1, round(step_s * 1000))
    # The first multiple of the step after the window's open left edge.
    first_ms = (int(starts_ms.min()) // step_ms + 1) * step_ms
    inner_steps = (int(ends_ms.max()) - first_ms) // step_ms + 1
    if inner_steps <= 0:
        return []
    evaluation.charge(inner_steps * evaluation.runs)
    inner_ms = first_ms + step_ms * np.arange(inner_steps, dtype=np.int64)
    value = evaluate(node.expr, inner_ms, evaluation)
    if isinstance(value, np.ndarray):
        value = Vector(LabelSets([()]), value[None], all_true((1, *value.shape)))
    assert isinstance(value, Vector)
    if not value.labels:
        return []
    complete = is_complete(value.present) or bool(value.present.all())
    return [
        ArrayBlock(
            labels=value.labels,
            times_ms=inner_ms,
            array=value.values,
            present=None if complete else spread(value.present, value.values.shape),
        )
    ]

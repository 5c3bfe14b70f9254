"""Classic histograms: quantiles and fractions from cumulative buckets, as Prometheus reads them.

Buckets are walked from the lowest bound up; runs and steps in which a bucket is missing pass over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.engine.quantiles import warn_of_quantiles
from promql.engine.values import Evaluation, Vector, all_true, anywhere, empty, is_complete, merged, wide, widen
from promql.go_numbers import go_float, short_text
from promql.storage.blocks import Bools, Floats, Times
from promql.storage.label_sets import LabelSets
from promql.storage.labels import Labels, unnamed, value_of, without
from promql.syntax.tree import Expr

_BUCKET = "le"
_BUCKETS_MIN = 2
"""One bucket more than the endless one, or nothing can be said."""
_TOLERANCE = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class _Histogram:
    """Histograms with the same bounds, which rise: (buckets, histograms, runs, steps) counts and presence."""

    bounds: list[float]
    counts: Floats
    present: Bools


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which series is which bucket.

    Attributes:
        labels: of each histogram.
        groups: histograms that have the same bounds: their places, the bounds as they were met (one twice where a
            bound was written in two ways), and the series (buckets, histograms).
        unreadable: series without a bound that is a number, with what they have instead.
    """

    labels: LabelSets
    groups: list[tuple[list[int], list[float], NDArray[np.int64]]]
    unreadable: list[tuple[int, str]]


def _layout_of(labels: LabelSets) -> _Layout:
    """Group buckets by their other labels, and the histograms by their bounds."""
    members: dict[Labels, list[tuple[float, int]]] = {}
    unreadable = []
    for index, each in enumerate(labels):
        text = value_of(each, _BUCKET)
        bound = go_float(text)
        if bound is None or math.isnan(bound):
            unreadable.append((index, text))
        else:
            members.setdefault(without(each, (_BUCKET,)), []).append((bound, index))
    alike: dict[tuple[float, ...], list[tuple[int, list[int]]]] = {}
    for place, buckets in enumerate(members.values()):
        buckets.sort(key=lambda bucket: bucket[0])
        bounds, rows = tuple(bound for bound, _ in buckets), [row for _, row in buckets]
        alike.setdefault(bounds, []).append((place, rows))
    groups = [
        ([place for place, _ in those], list(bounds), np.array([rows for _, rows in those], dtype=np.int64).T)
        for bounds, those in alike.items()
    ]
    return _Layout(LabelSets(unnamed(each) for each in members), groups, unreadable)


def _histograms(
    vector: Vector, node: Expr, evaluation: Evaluation
) -> tuple[LabelSets, list[tuple[list[int], _Histogram]]]:
    """Return the histograms' labels, and the histograms; a bucket without a readable bound is named and left out."""
    layout = vector.labels.derived("buckets", lambda: _layout_of(vector.labels))
    for index, text in layout.unreadable:
        if vector.present[index].any():
            evaluation.warn(f'bucket label "le" is missing or has a malformed value of "{text}"', node)
    complete = is_complete(vector.present)
    found = []
    for places, bounds, rows in layout.groups:
        counts = vector.values[rows]
        present = all_true(counts.shape) if complete else vector.present[rows]
        if len(set(bounds)) < len(bounds):
            bounds, counts, present = _coalesced(bounds, counts, present)
        found.append((places, _Histogram(bounds, counts, present)))
    return layout.labels, found


def _coalesced(bounds: list[float], counts: Floats, present: Bools) -> tuple[list[float], Floats, Bools]:
    """Add up buckets with the same bound (`1` and `1.0`)."""
    kept: dict[float, tuple[Floats, Bools]] = {}
    for bound, count, there in zip(bounds, counts, present, strict=True):
        before = kept.get(bound)
        held = np.where(there, count, 0.0)
        kept[bound] = (held, there) if before is None else (before[0] + held, before[1] | there)
    return list(kept), np.array([count for count, _ in kept.values()]), np.array([there for _, there in kept.values()])


def _nearly_equal(left: Floats, right: Floats) -> Bools:
    size = np.abs(left) + np.abs(right)
    gap = np.abs(left - right)
    tiny = (left == 0) | (right == 0) | (size < _SMALLEST_NORMAL)
    near: Bools = np.where(tiny, gap < _TOLERANCE * _SMALLEST_NORMAL, gap / np.minimum(size, _LARGEST) < _TOLERANCE)
    near |= (left == right) | (np.isnan(left) & np.isnan(right))
    return near


def _rising(histogram: _Histogram) -> tuple[Floats, Floats | None]:
    """Return counts that never fall from bucket to bucket, and by how much each had to be lifted, if any had.

    Differences of rounding size are evened out silently.
    """
    counts = histogram.counts
    shape = counts.shape[1:]
    gaps = counts[1:] - counts[:-1]
    everywhere = is_complete(histogram.present) or histogram.present.all()
    if everywhere and ((gaps == 0) | (gaps >= _TOLERANCE * (counts[1:] + counts[:-1]))).all():
        return counts, None
    counts = counts.copy()
    previous: Floats = np.zeros(shape)
    met: Bools = np.zeros(shape, dtype=np.bool_)
    lifted: Floats = np.zeros(counts.shape)
    for index in range(len(counts)):
        current, there = counts[index], histogram.present[index]
        near = _nearly_equal(previous, current)
        falls = there & met & ~near & (current < previous)
        even = there & met & (near | falls)
        lifted[index] = np.where(falls, previous - current, 0.0)
        counts[index] = np.where(even, previous, current)
        previous = np.where(there & ~even, current, previous)
        met = met | there
    return counts, lifted if lifted.any() else None


def histogram_quantile(
    q: Floats, vector: Vector, nodes: tuple[Expr, Expr], steps_ms: Times, evaluation: Evaluation
) -> Vector:
    """Return the q-quantile of each classic histogram in the vector."""
    steps = vector.values.shape[2]
    warn_of_quantiles(q, nodes[0], evaluation)
    vector = _fitted(vector, q.shape[0])
    labels, histograms = _histograms(vector, nodes[1], evaluation)
    if not histograms:
        return empty(steps)
    outcomes: list[tuple[list[int], Floats, Bools]] = []
    repairs: list[tuple[list[float], Floats]] = []
    for places, histogram in histograms:
        counts, falls = _rising(histogram)
        if falls is not None:
            repairs.append((histogram.bounds, falls))
        outcomes.append((places, _quantile(q, histogram, counts), anywhere(histogram.present)))
    if repairs:
        _inform_of_repairs(q, repairs, steps_ms, nodes[1], evaluation)
    return merged(_put_back(labels, outcomes), evaluation)


def _put_back(labels: LabelSets, outcomes: list[tuple[list[int], Floats, Bools]]) -> Vector:
    """Return the outcomes of groups of histograms as one vector, each at its place."""
    if len(outcomes) == 1:
        return Vector(labels, outcomes[0][1], outcomes[0][2])
    order = np.argsort([place for places, _, _ in outcomes for place in places])
    values = np.concatenate([values for _, values, _ in outcomes])
    present = np.concatenate([present for _, _, present in outcomes])
    return Vector(labels, values[order], present[order])


def _inform_of_repairs(
    q: Floats, repairs: list[tuple[list[float], Floats]], steps_ms: Times, node: Expr, evaluation: Evaluation
) -> None:
    """Say which buckets fell below the ones before them, by how much, how often and when."""
    lowest, highest, largest, count = math.inf, -math.inf, 0.0, 0
    when: list[int] = []
    for bounds, falls in repairs:
        # Without a quantile to look for, Prometheus does not look at the buckets either.
        falls = np.where((q >= 0) & (q <= 1), falls, 0.0)
        hit = falls > 0
        buckets = np.flatnonzero(hit.reshape(len(bounds), -1).any(axis=1))
        if not len(buckets):
            continue
        lowest, highest = min(lowest, bounds[buckets[0]]), max(highest, bounds[buckets[-1]])
        largest = max(largest, float(falls.max()))
        per_step = hit.any(axis=0).reshape(-1, len(steps_ms)).sum(axis=0)
        count += int(per_step.sum())
        when.extend(steps_ms[per_step > 0].tolist())
    if count:
        began, ended = (_clock_text(at_ms) for at_ms in (min(when), max(when)))
        evaluation.inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see "
            "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), "
            f"from buckets {short_text(lowest)} to {short_text(highest)}, with a max diff of {largest:.2g}, "
            f"over {count} samples from {began} to {ended}",
            node,
        )


def _clock_text(at_ms: int) -> str:
    return f"{np.datetime64(at_ms // 1000, 's')}Z"


def _fitted(vector: Vector, runs: int) -> Vector:
    runs = max(runs, vector.values.shape[1])
    return Vector(vector.labels, widen(vector.values, runs), wide(vector.present, runs))


def _quantile(q: Floats, histogram: _Histogram, counts: Floats) -> Floats:
    """Interpolate inside the first bucket that reaches the rank; (histograms, runs, steps)."""
    shape = counts.shape[1:]
    if q.size == 1 and 0 <= q.item() <= 1:
        return _sure_quantile(q, histogram, counts)
    q = np.broadcast_to(q, shape)
    result = _sure_quantile(np.where((q >= 0) & (q <= 1), q, 0.0), histogram, counts)
    # Quantiles outside of 0 to 1 have values that were agreed upon.
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q), np.nan, result)


def _sure_quantile(q: Floats, histogram: _Histogram, counts: Floats) -> Floats:
    """Return the same for quantiles of which none lies outside of 0 to 1."""
    shape = counts.shape[1:]
    if histogram.bounds[-1] != math.inf or len(counts) < _BUCKETS_MIN:
        return np.full(shape, np.nan)
    observations = counts[-1]
    rank = (q * observations).reshape(-1)
    bounds, flat = np.array(histogram.bounds)[:, None], counts.reshape(len(counts), -1)
    if is_complete(histogram.present) or histogram.present.all():
        inside = _inside(rank, bounds, flat, len(counts))
        return np.where(observations != 0, inside.reshape(shape), np.nan)
    # Each run and step has its own buckets; those that are there are moved together.
    there = histogram.present.reshape(len(counts), -1)
    order = np.argsort(~there, axis=0, kind="stable")
    held, size = np.take_along_axis(flat, order, axis=0), np.count_nonzero(there, axis=0)
    inside = _inside(rank, np.broadcast_to(bounds, flat.shape)[order, 0], held, size)
    known = histogram.present[-1] & (observations != 0) & (size >= _BUCKETS_MIN).reshape(shape)
    return np.where(known, inside.reshape(shape), np.nan)


def _inside(rank: Floats, bounds: Floats, counts: Floats, size: NDArray[np.int64] | int) -> Floats:
    """Interpolate inside of the first bucket that reaches the rank; columns are runs and steps of histograms.

    Args:
        rank: (columns,).
        bounds: (buckets, columns or 1) rising.
        counts: (buckets, columns) rising, but for NaN.
        size: how many buckets there are, in all columns or in each.
    """
    columns = np.arange(len(rank))
    of_bounds = columns if bounds.shape[1] > 1 else 0
    bucket = _first_reached(counts[:-1] >= rank, size - 1)
    last = np.maximum(size - 2, 0)
    beyond, bucket = bucket > last, np.minimum(bucket, last)
    before, first = np.maximum(bucket - 1, 0), bucket == 0
    end = bounds[bucket, of_bounds]
    start = np.where(first, 0.0, bounds[before, of_bounds])
    below = np.where(first, 0.0, counts[before, columns])
    inside = start + (end - start) * ((rank - below) / (counts[bucket, columns] - below))
    inside = np.where(first & (end <= 0), end, inside)
    # Beyond the highest finite bound nothing is known but that bound.
    result: Floats = np.where(beyond, bounds[last, of_bounds], inside)
    return result


def _first_reached(reached: Bools, size: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return the first of so many rows that is True in each column, `size` if none is.

    Among buckets of which some are NaN, Prometheus' search halves its way to another one, and so does this.
    """
    rows, columns = len(reached), np.arange(reached.shape[1])
    if isinstance(size, np.ndarray):
        reached = reached & (np.arange(rows)[:, None] < size)
    falls = reached[:-1] & ~reached[1:]
    if isinstance(size, np.ndarray):
        falls &= np.arange(1, rows)[:, None] < size
    if not falls.any():
        first = reached.argmax(axis=0)
        return np.where(reached[first, columns], first, size)
    low, high = np.zeros(len(columns), dtype=np.int64), np.broadcast_to(np.asarray(size), columns.shape).copy()
    while (low < high).any():
        middle = (low + high) // 2
        is_left = reached[np.minimum(middle, rows - 1), columns]
        low, high = np.where((low < high) & ~is_left, middle + 1, low), np.where((low < high) & is_left, middle, high)
    return low


def histogram_fraction(lower: Floats, upper: Floats, vector: Vector, node: Expr, evaluation: Evaluation) -> Vector:
    """Return the share of each histogram's observations between two values."""
    vector = _fitted(vector, max(lower.shape[0], upper.shape[0]))
    labels, histograms = _histograms(vector, node, evaluation)
    if not histograms:
        return empty(vector.values.shape[2])
    outcomes = [(places, _fraction(lower, upper, each), anywhere(each.present)) for places, each in histograms]
    return merged(_put_back(labels, outcomes), evaluation)


def _fraction(lower: Floats, upper: Floats, histogram: _Histogram) -> Floats:
    shape = histogram.counts.shape[1:]
    if histogram.bounds[-1] != math.inf:
        return np.full(shape, np.nan)
    lower, upper = np.broadcast_to(lower, shape), np.broadcast_to(upper, shape)
    count, endless = histogram.counts[-1], histogram.present[-1]
    share = (_rank(upper, histogram) - _rank(lower, histogram)) / count
    share = np.where(lower >= upper, 0.0, share)
    unknown = (count == 0) | np.isnan(lower) | np.isnan(upper) | ~endless
    return np.where(unknown, np.nan, share)


def _rank(wanted: Floats, histogram: _Histogram) -> Floats:
    """Return how many observations lie below a value."""
    shape = wanted.shape
    total = histogram.counts[-1]
    rank, found = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    below, below_bound, first = np.zeros(shape), np.zeros(shape), np.ones(shape, dtype=np.bool_)
    for bound, count, there in zip(histogram.bounds, histogram.counts, histogram.present, strict=True):
        floor = np.where(first, 0.0 if bound > 0 else -math.inf, below_bound)
        inside = below + (count - below) * (wanted - floor) / (bound - floor)
        inside = np.where(np.isneginf(floor), count, inside)
        at_edge = there & ~found & (floor >= wanted)
        rank = np.where(at_edge, below, rank)
        found = found | at_edge
        within = there & ~found & (floor < wanted) & (bound > wanted)
        rank = np.where(within, inside, rank)
        found = found | within
        below, below_bound = np.where(there, count, below), np.where(there, bound, below_bound)
        first = first & ~there
    return np.where(~found | (rank > total), total, rank)

"""Classic histograms: quantiles and fractions from cumulative buckets, as Prometheus reads them.

Buckets are walked from the lowest bound up; runs and steps in which a bucket is missing pass over it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from promql.engine.numbers import short_text
from promql.engine.quantiles import warn_of_quantiles
from promql.engine.values import Evaluation, Vector, empty, merged, wide, widen
from promql.storage.blocks import Bools, Floats, Times
from promql.storage.labels import Labels, unnamed, value_of, without
from promql.syntax.tree import Expr

_BUCKET = "le"
_TOLERANCE = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308
_LARGEST = float(np.finfo(np.float64).max)
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_FLOAT = re.compile(
    rf"[+-]?(?:inf(?:inity)?|(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?)|nan", re.IGNORECASE
)
_HEX_FLOAT = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Histogram:
    """The buckets of one histogram by rising bound: (buckets, runs, steps) counts and presence."""

    labels: Labels
    bounds: list[float]
    counts: Floats
    present: Bools


def _bound(text: str) -> float | None:
    """Return the number that the text is, as Go reads numbers."""
    if _HEX_FLOAT.fullmatch(text):
        return float.fromhex(text)
    return float(text) if _FLOAT.fullmatch(text) else None


def _histograms(vector: Vector, node: Expr, evaluation: Evaluation) -> list[_Histogram]:
    """Group buckets by their other labels; a bucket without a readable bound is named and left out."""
    members: dict[Labels, list[tuple[float, int]]] = {}
    for index, labels in enumerate(vector.labels):
        text = value_of(labels, _BUCKET)
        bound = _bound(text)
        if bound is None:
            if vector.present[index].any():
                evaluation.warn(f'bucket label "le" is missing or has a malformed value of "{text}"', node)
            continue
        members.setdefault(without(labels, (_BUCKET,)), []).append((bound, index))
    found = []
    for labels, buckets in members.items():
        buckets.sort(key=lambda bucket: bucket[0])
        rows = [at for _, at in buckets]
        bounds, counts, present = [bound for bound, _ in buckets], vector.values[rows], vector.present[rows]
        if len(set(bounds)) < len(bounds):
            bounds, counts, present = _coalesced(bounds, counts, present)
        found.append(_Histogram(unnamed(labels), bounds, counts, present))
    return found


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
    if histogram.present.all() and ((gaps == 0) | (gaps >= _TOLERANCE * (counts[1:] + counts[:-1]))).all():
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


def _together(histograms: list[_Histogram]) -> list[tuple[list[int], _Histogram]]:
    """Put histograms with the same bounds side by side, in the axis of runs: fewer, larger steps."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, histogram in enumerate(histograms):
        groups.setdefault(tuple(histogram.bounds), []).append(index)
    joined = []
    for bounds, indices in groups.items():
        counts = np.stack([histograms[at].counts for at in indices], axis=1)
        present = np.stack([histograms[at].present for at in indices], axis=1)
        joined.append((indices, _Histogram((), list(bounds), counts, present)))
    return joined


def histogram_quantile(
    q: Floats, vector: Vector, nodes: tuple[Expr, Expr], steps_ms: Times, evaluation: Evaluation
) -> Vector:
    """Return the q-quantile of each classic histogram in the vector."""
    steps = vector.values.shape[2]
    warn_of_quantiles(q, nodes[0], evaluation)
    vector = _fitted(vector, q.shape[0])
    histograms = _histograms(vector, nodes[1], evaluation)
    if not histograms:
        return empty(steps)
    values: list[Floats] = [np.empty(0)] * len(histograms)
    repairs: list[tuple[list[float], Floats]] = []
    for indices, histogram in _together(histograms):
        counts, falls = _rising(histogram)
        if falls is not None:
            repairs.append((histogram.bounds, falls))
        result = _quantile(q, histogram, counts)
        for place, index in enumerate(indices):
            values[index] = result[place]
    _inform_of_repairs(q, repairs, steps_ms, nodes[1], evaluation)
    present = [histogram.present.any(axis=0) for histogram in histograms]
    return merged(Vector([h.labels for h in histograms], np.array(values), np.array(present)), evaluation)


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
    q = np.broadcast_to(q, shape)
    sure = np.where((q >= 0) & (q <= 1), q, 0.0)
    result = np.full(shape, np.nan)
    if math.isinf(histogram.bounds[-1]) and histogram.bounds[-1] > 0:
        endless, observations = histogram.present[-1], counts[-1]
        rank = sure * observations
        if histogram.present.all():
            inside = _inside_complete(rank, histogram.bounds, counts)
            result = np.where((observations != 0) & (len(counts) > 1), inside, np.nan)
            return _at_limits(q, result)
        found: Bools = np.zeros(shape, dtype=np.bool_)
        below, below_bound, number = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for bound, count, there in zip(histogram.bounds[:-1], counts[:-1], histogram.present[:-1], strict=True):
            hit = there & ~found & (count >= rank)
            width = bound - below_bound
            inside = below_bound + width * ((rank - below) / (count - below))
            value = np.where((number == 0) & (bound <= 0), bound, inside)
            result = np.where(hit, value, result)
            found = found | hit
            below, below_bound = np.where(there, count, below), np.where(there, bound, below_bound)
            number = number + there
        # Beyond the highest finite bound nothing is known but that bound.
        result = np.where(~found, below_bound, result)
        result = np.where(endless & (number >= 1) & (observations != 0), result, np.nan)
    return _at_limits(q, result)


def _at_limits(q: Floats, result: Floats) -> Floats:
    """Give quantiles outside of 0 to 1 their agreed values."""
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q), np.nan, result)


def _inside_complete(rank: Floats, bounds: list[float], counts: Floats) -> Floats:
    """Interpolate where no bucket is missing; what `_quantile` does bucket by bucket, in one go."""
    if len(bounds) < 2:
        return np.full(rank.shape, np.nan)
    edges = np.array(bounds[:-1])
    reached = counts[:-1] >= rank
    bucket = np.argmax(reached, axis=0)
    found = reached.any(axis=0)
    end = edges[bucket]
    first = bucket == 0
    start = np.where(first, 0.0, edges[np.maximum(bucket - 1, 0)])
    upto = np.take_along_axis(counts, bucket[None], axis=0)[0]
    below: Floats = np.where(first, 0.0, np.take_along_axis(counts, np.maximum(bucket - 1, 0)[None], axis=0)[0])
    inside: Floats = start + (end - start) * ((rank - below) / (upto - below))
    inside = np.where(first & (end <= 0), end, inside)
    return np.where(found, inside, edges[-1])


def histogram_fraction(lower: Floats, upper: Floats, vector: Vector, node: Expr, evaluation: Evaluation) -> Vector:
    """Return the share of each histogram's observations between two values."""
    vector = _fitted(vector, max(lower.shape[0], upper.shape[0]))
    histograms = _histograms(vector, node, evaluation)
    if not histograms:
        return empty(vector.values.shape[2])
    values = [_fraction(lower, upper, histogram) for histogram in histograms]
    present = [histogram.present.any(axis=0) for histogram in histograms]
    return merged(Vector([h.labels for h in histograms], np.array(values), np.array(present)), evaluation)


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

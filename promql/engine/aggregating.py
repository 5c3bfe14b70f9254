"""Aggregations: many series become one per group, in every run and step at once.

Members of a group are taken one after the other, or as a whole along the first axis; never run by run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from promql.engine.errors import ErrorKind, PromQLError
from promql.engine.heaps import best_of
from promql.engine.numbers import exact_sum, quantile
from promql.engine.quantiles import warn_of_quantiles
from promql.engine.values import Evaluation, Vector, all_true, anywhere, empty, is_complete, wide, widen
from promql.go_numbers import plain_text, short_text
from promql.storage.blocks import Bools, Floats
from promql.storage.label_sets import LabelSets
from promql.storage.labels import NAME_LABELS, Labels, only, with_label, without
from promql.syntax.tree import Aggregate, AggregateOp

_INT64 = 2.0**63

Number = TypeVar("Number", np.float64, np.bool_)


def group_labels(labels: Labels, node: Aggregate) -> Labels:
    if node.without:
        return without(labels, {*node.grouping, *NAME_LABELS})
    return only(labels, node.grouping)


@dataclass(frozen=True, slots=True)
class Groups:
    """Who is in which group, groups in the order in which they are met.

    Attributes:
        size: how many members each group has, if all have as many; 0 if not.
        follows: whether the members of the first group come first, then those of the second, and so on.
    """

    labels: LabelSets
    members: tuple[tuple[int, ...], ...]
    size: int
    follows: bool


def groups_of(vector: Vector, node: Aggregate) -> Groups:
    """Return the groups of an aggregation; they hang on the labels alone and are remembered with them."""
    labels = vector.labels
    return labels.derived(("groups", node.without, node.grouping), lambda: _grouped(labels, node))


def _grouped(all_labels: LabelSets, node: Aggregate) -> Groups:
    groups: dict[Labels, list[int]] = {}
    for index, labels in enumerate(all_labels):
        groups.setdefault(group_labels(labels, node), []).append(index)
    members = tuple(tuple(each) for each in groups.values())
    sizes = {len(each) for each in members}
    follows = [index for each in members for index in each] == list(range(len(all_labels)))
    return Groups(LabelSets(groups), members, sizes.pop() if len(sizes) == 1 else 0, follows)


Reduction = Callable[[Floats, Bools], Floats]


def aggregate(node: Aggregate, vector: Vector, param: Floats | str | None, evaluation: Evaluation) -> Vector:
    """Evaluate an aggregation over a vector that is evaluated already."""
    if isinstance(param, str):
        return _count_values(node, vector, param, evaluation)
    if node.op in (AggregateOp.TOPK, AggregateOp.BOTTOMK):
        assert param is not None
        return _limited(node, vector, param, evaluation)
    if node.op is AggregateOp.QUANTILE:
        assert param is not None
        _warn_of_quantile(node, param, evaluation)
        runs = max(param.shape[0], vector.values.shape[1])
        vector = Vector(vector.labels, widen(vector.values, runs), wide(vector.present, runs))
        return _reduced(node, vector, lambda values, present: quantile(param, values, present, axis=0))
    return _reduced(node, vector, _REDUCTIONS[node.op])


def _warn_of_quantile(node: Aggregate, param: Floats, evaluation: Evaluation) -> None:
    assert node.param is not None
    # Of many values the worst on either side speak for all.
    worst = [np.nanmin(param, initial=0.5), np.nanmax(param, initial=0.5), np.nan if np.isnan(param).any() else 0.5]
    warn_of_quantiles(np.array(worst), node.param, evaluation)


def _reduced(node: Aggregate, vector: Vector, reduction: Reduction) -> Vector:
    if not vector.labels:
        return empty(vector.values.shape[2])
    groups = groups_of(vector, node)
    complete = is_complete(vector.present)
    runs, steps = vector.values.shape[1:]
    if groups.size and (len(groups.members) > 1 or groups.follows):
        # Groups of one size are reduced together: (members, groups, runs, steps).
        values, shape = _side_by_side(vector.values, groups), (len(groups.members), runs, steps)
        if complete:
            return Vector(groups.labels, reduction(values, all_true((groups.size, *shape))), all_true(shape))
        present = _side_by_side(vector.present, groups)
        return Vector(groups.labels, reduction(values, present), anywhere(present))
    results, seen = [], []
    for members in groups.members:
        rows = list(members)
        present = all_true((len(rows), *vector.present.shape[1:])) if complete else vector.present[rows]
        results.append(reduction(vector.values[rows], present))
        seen.append(anywhere(present))
    return Vector(groups.labels, np.array(results), np.array(seen))


def _side_by_side(array: NDArray[Number], groups: Groups) -> NDArray[Number]:
    """Return (members, groups, runs, steps): a view where the members stand in order, else a copy."""
    if groups.follows:
        view: NDArray[Number] = array.reshape(len(groups.members), groups.size, *array.shape[1:]).swapaxes(0, 1)
        return view
    copy: NDArray[Number] = array[np.array(groups.members).T]
    return copy


def _sum(values: Floats, present: Bools) -> Floats:
    total, lost = exact_sum(values if is_complete(present) or present.all() else np.where(present, values, 0.0))
    return total + lost


def _count(values: Floats, present: Bools) -> Floats:
    if is_complete(present):
        return np.full(present.shape[1:], float(len(present)))
    count: Floats = present.sum(axis=0).astype(np.float64)
    return count


def _average(values: Floats, present: Bools) -> Floats:
    count = _count(values, present)
    held = values if is_complete(present) else np.where(present, values, 0.0)
    total, lost = exact_sum(held)
    result = total / count + lost / count
    # A sum may overflow where the mean does not.
    overflows = np.isinf(total) & np.isfinite(held).all(axis=0)
    if overflows.any():
        scaled, rest = exact_sum(held / count)
        result = np.where(overflows, scaled + rest, result)
    return result


def _group(values: Floats, present: Bools) -> Floats:
    return np.ones(values.shape[1:])


def _minimum(values: Floats, present: Bools) -> Floats:
    lowest: Floats = np.fmin.reduce(np.where(present, values, np.nan), axis=0)
    return lowest


def _maximum(values: Floats, present: Bools) -> Floats:
    highest: Floats = np.fmax.reduce(np.where(present, values, np.nan), axis=0)
    return highest


def _variance(values: Floats, present: Bools) -> Floats:
    shape = values.shape[1:]
    count, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for value, there in zip(values, present, strict=True):
        count = np.where(there, count + 1, count)
        first = there & (count == 1)
        away = value - mean
        new_mean = np.where(first, value, mean + away / count)
        # Of a first value that is not finite, nothing can be said any more.
        start = np.where(np.isfinite(value), 0.0, np.nan)
        new_squares = np.where(first, start, squares + away * (value - new_mean))
        mean = np.where(there, new_mean, mean)
        squares = np.where(there, new_squares, squares)
    return squares / count


def _deviation(values: Floats, present: Bools) -> Floats:
    return np.sqrt(_variance(values, present))


_REDUCTIONS: dict[AggregateOp, Reduction] = {
    AggregateOp.SUM: _sum,
    AggregateOp.COUNT: _count,
    AggregateOp.AVG: _average,
    AggregateOp.GROUP: _group,
    AggregateOp.MIN: _minimum,
    AggregateOp.MAX: _maximum,
    AggregateOp.STDVAR: _variance,
    AggregateOp.STDDEV: _deviation,
}


def _limited(node: Aggregate, vector: Vector, param: Floats, evaluation: Evaluation) -> Vector:
    """Keep the k largest or smallest of each group; series keep their labels."""
    steps = vector.values.shape[2]
    # Where every k is below one there is no result, whatever else is wrong with it.
    if not vector.labels or (np.nanmax(param, initial=-np.inf) < 1 and not np.isnan(param).any()):
        return empty(steps)
    _check_k(param, evaluation)
    runs = max(param.shape[0], vector.values.shape[1])
    values, present = widen(vector.values, runs), wide(vector.present, runs)
    k = np.clip(np.nan_to_num(np.trunc(param)), 0, len(vector.labels)).astype(np.int64)
    k = np.broadcast_to(k, (runs, steps))
    largest = node.op is AggregateOp.TOPK
    kept = np.zeros(present.shape, dtype=np.bool_)
    rank = np.zeros(present.shape)
    for number, indices in enumerate(groups_of(vector, node).members):
        members = list(indices)
        kept[members], place = best_of(values[members], present[members], k, largest=largest)
        # Groups follow each other, so the rank counts on from group to group.
        rank[members] = place + number * (len(vector.labels) + 1)
    return Vector(vector.labels, values, kept, rank)


def _check_k(param: Floats, evaluation: Evaluation) -> None:
    evaluation.fail(np.isnan(param), "Parameter value is NaN")
    if (param <= -_INT64).any():
        evaluation.fail(param <= -_INT64, f"Scalar value {short_text(float(param.min()))} underflows int64")
    if (param >= _INT64).any():
        evaluation.fail(param >= _INT64, f"Scalar value {short_text(float(param.max()))} overflows int64")


def _count_values(node: Aggregate, vector: Vector, label: str, evaluation: Evaluation) -> Vector:
    """Count how often each value occurs; the value becomes a label."""
    if not label:
        raise PromQLError(ErrorKind.EXECUTION, f'invalid label name "{label}"')
    runs, steps = vector.values.shape[1:]
    counts: dict[Labels, Floats] = {}
    for index, labels in enumerate(vector.labels):
        values, present = vector.values[index], vector.present[index]
        bits = np.ascontiguousarray(values).view(np.int64)  # 0 and -0 are told apart
        for pattern in np.unique(bits[present]).tolist():
            value = float(np.int64(pattern).view(np.float64))
            marked = with_label(labels, label, plain_text(value))
            if node.without:
                key = without(marked, {*node.grouping, *NAME_LABELS})
            else:
                key = only(marked, {*node.grouping, label})
            counts[key] = counts.get(key, np.zeros((runs, steps))) + (present & (bits == pattern))
        evaluation.check()
    if not counts:
        return empty(steps)
    table = np.array(list(counts.values()))
    return Vector(LabelSets(counts), table, table > 0)

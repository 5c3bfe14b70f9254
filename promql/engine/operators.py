"""Binary operators: arithmetic, comparison and sets, between scalars and vectors, with label matching.

Series find each other once, by their labels; what exists in which run and step is settled by masks, so a
many-to-many match fails just the runs that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.engine.values import (
    Evaluation,
    Vector,
    all_true,
    anywhere,
    empty,
    is_complete,
    merged,
    spread,
    stacked,
    widen,
    without_names,
)
from promql.storage.blocks import Bools, Floats
from promql.storage.label_sets import LabelSets
from promql.storage.labels import (
    METRIC_NAME,
    Labels,
    braced,
    labels_text,
    only,
    unnamed,
    value_of,
    with_label,
    without,
)
from promql.syntax.tree import Binary, BinaryOp, Group, Matching


def _power(left: Floats, right: Floats) -> Floats:
    """Raise to a power. numpy takes roots for powers of a half, and these know neither -Inf nor -0 as powers do."""
    result: Floats = np.power(left, right)
    halves = np.abs(right) == 0.5
    if halves.any():
        odd = halves & (np.isneginf(left) | (left == 0))
        result = np.where(odd, np.power(np.abs(left), right), result)
    return result


_ARITHMETIC: dict[BinaryOp, Callable[[Floats, Floats], Floats]] = {
    BinaryOp.ADD: np.add,
    BinaryOp.SUB: np.subtract,
    BinaryOp.MUL: np.multiply,
    BinaryOp.DIV: np.divide,
    BinaryOp.MOD: np.fmod,
    BinaryOp.POW: _power,
    BinaryOp.ATAN2: np.arctan2,
}
_COMPARING: dict[BinaryOp, Callable[[Floats, Floats], Bools]] = {
    BinaryOp.EQUAL: np.equal,
    BinaryOp.NOT_EQUAL: np.not_equal,
    BinaryOp.GREATER: np.greater,
    BinaryOp.LESS: np.less,
    BinaryOp.GREATER_EQUAL: np.greater_equal,
    BinaryOp.LESS_EQUAL: np.less_equal,
}


def between_scalars(op: BinaryOp, left: Floats, right: Floats) -> Floats:
    if op.is_comparison:
        return _COMPARING[op](left, right).astype(np.float64)
    return _ARITHMETIC[op](left, right)


def with_scalar(node: Binary, vector: Vector, scalar: Floats, *, scalar_left: bool, evaluation: Evaluation) -> Vector:
    """Evaluate a vector against a scalar; a comparison keeps the vector's values."""
    left, right = (scalar[None], vector.values) if scalar_left else (vector.values, scalar[None])
    if node.op.is_comparison:
        keep = _COMPARING[node.op](left, right)
        if not node.return_bool:
            values = widen(vector.values, keep.shape[1])
            return Vector(vector.labels, values, vector.present & keep, vector.rank)
        values = keep.astype(np.float64)
    else:
        values = _ARITHMETIC[node.op](left, right)
    present = spread(vector.present, values.shape)
    return merged(Vector(without_names(vector.labels), values, present, vector.rank), evaluation)


def signature_of(matching: Matching) -> Callable[[Labels], Labels]:
    if matching.on:
        return lambda labels: only(labels, matching.labels)
    ignored = {*matching.labels, METRIC_NAME}
    return lambda labels: without(labels, ignored)


def between_vectors(node: Binary, left: Vector, right: Vector, evaluation: Evaluation) -> Vector:
    if node.op.is_set:
        return _set_operation(node, left, right, evaluation)
    return _matched(node, left, right, evaluation)


def _members(vector: Vector, matching: Matching) -> dict[Labels, list[int]]:
    """Return the series of each signature."""
    labels = vector.labels

    def found() -> dict[Labels, list[int]]:
        signature = signature_of(matching)
        members: dict[Labels, list[int]] = {}
        for index, each in enumerate(labels):
            members.setdefault(signature(each), []).append(index)
        return members

    return labels.derived(("members", matching.on, matching.labels), found)


def _set_operation(node: Binary, left: Vector, right: Vector, evaluation: Evaluation) -> Vector:
    if node.op is BinaryOp.OR:
        if not left.labels or not right.labels:
            return left if left.labels else right
        taken = _where_other_has(right, left, node.matching)
        return merged(stacked((left, right.masked(~taken))), evaluation)
    if not left.labels:
        return left
    other = _where_other_has(left, right, node.matching)
    keep = other if node.op is BinaryOp.AND else ~other
    runs = max(left.values.shape[1], keep.shape[1])
    return Vector(left.labels, widen(left.values, runs), left.present & keep, left.rank)


def _where_other_has(vector: Vector, other: Vector, matching: Matching) -> Bools:
    """Return, for each series, run and step, whether the other side has a series of the same signature."""
    signature = signature_of(matching)
    members = _members(other, matching)
    runs = max(vector.present.shape[1], other.present.shape[1])
    has = np.zeros((len(vector.labels), runs, vector.present.shape[2]), dtype=np.bool_)
    known = {key: other.present[indices].any(axis=0) for key, indices in members.items()}
    for index, labels in enumerate(vector.labels):
        there = known.get(signature(labels))
        if there is not None:
            has[index] = there
    return has


def _matched(node: Binary, left: Vector, right: Vector, evaluation: Evaluation) -> Vector:
    """Evaluate arithmetic or a comparison between series that match; the side of one is called `one`."""
    matching = node.matching
    swapped = matching.group is Group.RIGHT
    many, one = (right, left) if swapped else (left, right)
    steps = left.values.shape[2]
    if not many.labels or not one.labels:
        return empty(steps)
    ones = _members(one, matching)
    if len(ones) < len(one.labels):
        _refuse_duplicates(one, many, ones, evaluation, side="left" if swapped else "right")
    pairs = _pairs_of(many.labels, one.labels, ones, node)
    if not pairs.labels:
        return empty(steps)
    runs = max(many.values.shape[1], one.values.shape[1])
    if is_complete(many.present) and is_complete(one.present):
        matched = all_true((len(pairs.labels), runs, steps))
    else:
        matched = many.present[pairs.many] & one.present[pairs.one]
    if pairs.may_be_ambiguous:
        _refuse_ambiguity(matching, pairs, matched, evaluation)
    first, second = many.values[pairs.many], one.values[pairs.one]
    if swapped:
        first, second = second, first
    if node.op.is_comparison:
        keep = _COMPARING[node.op](first, second)
        if node.return_bool:
            return merged(Vector(pairs.labels, keep.astype(np.float64), matched), evaluation)
        return merged(Vector(pairs.labels, widen(first, runs), matched & keep), evaluation)
    return merged(Vector(pairs.labels, _ARITHMETIC[node.op](first, second), matched), evaluation)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Which series meet: their places on both sides, their signature, and the labels of the result."""

    many: NDArray[np.int64] | slice
    one: NDArray[np.int64] | slice
    signatures: list[Labels]
    labels: LabelSets
    may_be_ambiguous: bool


def _pairs_of(many: LabelSets, one: LabelSets, ones: dict[Labels, list[int]], node: Binary) -> _Pairs:
    """Return who meets whom; it hangs on the labels alone and is remembered with them."""
    matching = node.matching

    def found() -> tuple[LabelSets, _Pairs]:
        signature = signature_of(matching)
        pairs = [(m, o) for m, labels in enumerate(many) for o in ones.get(signature(labels), ())]
        labels = LabelSets(_result_labels(many[m], one[o], node) for m, o in pairs)
        signatures = [signature(many[m]) for m, _ in pairs]
        keys = signatures if matching.group is Group.NONE else list(zip(signatures, labels, strict=True))
        ambiguous = len(set(keys)) < len(keys)
        if pairs == [(place, place) for place in range(max(len(many), len(one)))]:
            return one, _Pairs(slice(None), slice(None), signatures, labels, ambiguous)  # a view, not a copy
        places = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return one, _Pairs(places[0], places[1], signatures, labels, ambiguous)

    # The other side is held by what is kept, so that no other object can come by its identity.
    keeps_name = node.op.is_comparison and not node.return_bool
    return many.derived(("pairs", id(one), matching, keeps_name), found)[1]


def _refuse_duplicates(
    one: Vector, many: Vector, members: dict[Labels, list[int]], evaluation: Evaluation, *, side: str
) -> None:
    """Fail where the side of one has two series of a signature at the same instant."""
    some = anywhere(many.present)
    for key, indices in members.items():
        if len(indices) == 1:
            continue
        seen = one.present[indices[0]]
        for place, index in enumerate(indices[1:], start=1):
            both = seen & one.present[index] & some
            if both.any():
                earlier = next(i for i in indices[:place] if (one.present[i] & one.present[index] & some).any())
                names = sorted((braced(one.labels[earlier]), braced(one.labels[index])))
                evaluation.fail(
                    both,
                    f"found duplicate series for the match group {labels_text(key)} on the {side} hand-side of the "
                    f"operation: [{names[0]}, {names[1]}];many-to-many matching not allowed: matching labels must be "
                    "unique on one side",
                )
            seen = seen | one.present[index]


def _refuse_ambiguity(matching: Matching, pairs: _Pairs, matched: Bools, evaluation: Evaluation) -> None:
    """Fail where several series of the many side would become one result."""
    if matching.group is Group.NONE:
        keys: Iterable[object] = pairs.signatures
        message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    else:
        keys = list(zip(pairs.signatures, pairs.labels, strict=True))
        message = "multiple matches for labels: grouping labels must ensure unique matches"
    met: dict[object, Bools] = {}
    for index, key in enumerate(keys):
        before = met.get(key)
        if before is None:
            met[key] = matched[index]
            continue
        evaluation.fail(before & matched[index], message)
        met[key] = before | matched[index]


def _result_labels(many: Labels, one: Labels, node: Binary) -> Labels:
    matching = node.matching
    labels = many
    if node.return_bool or not node.op.is_comparison:
        labels = unnamed(labels)
    if matching.group is Group.NONE:
        labels = only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    for name in matching.include:
        labels = with_label(labels, name, value_of(one, name))
    return labels

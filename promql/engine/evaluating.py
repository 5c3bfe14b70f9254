"""Evaluate a query's tree: each node becomes a vector, a scalar or a string over all runs and steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import assert_never, cast

import numpy as np

from promql.engine.aggregating import aggregate
from promql.engine.elementwise import DATES, ELEMENTWISE, clamped, rounded
from promql.engine.errors import ErrorKind, PromQLError
from promql.engine.histograms import histogram_fraction, histogram_quantile
from promql.engine.operators import between_scalars, between_vectors, with_scalar
from promql.engine.quantiles import warn_of_quantiles
from promql.engine.ranges import EDGE_FUNCTIONS, KEEPS_NAME, RANGE_FUNCTIONS
from promql.engine.reading import in_order, instant, spans_of, windows_of
from promql.engine.relabelling import label_join, label_replace
from promql.engine.values import (
    Evaluation,
    Value,
    Vector,
    all_true,
    anywhere,
    empty,
    joined,
    merged,
    spread,
    stacked,
    without_names,
)
from promql.engine.windows import Windows
from promql.storage.blocks import Floats, Times
from promql.storage.edges import EdgeStore
from promql.storage.label_sets import LabelSets, label_sets_of
from promql.storage.labels import METRIC_NAME, NAME_LABELS, Labels, labels_of, value_of
from promql.syntax.tree import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    UnaryOp,
    VectorSelector,
)

_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def evaluate_node(node: Expr, steps_ms: Times, evaluation: Evaluation) -> Value:
    """Return what the node is at each step, in every run."""
    evaluation.check()
    held = evaluation.samples
    value = _value_of(node, steps_ms, evaluation)
    # What the node was made from is free again; what it is stays until whoever asked is done with it.
    evaluation.samples = held + (value.values.size if isinstance(value, Vector) else 0)
    return value


def _value_of(node: Expr, steps_ms: Times, evaluation: Evaluation) -> Value:
    match node:
        case NumberLiteral():
            return np.full((1, len(steps_ms)), node.value)
        case StringLiteral():
            return node.value
        case Paren():
            return evaluate_node(node.expr, steps_ms, evaluation)
        case VectorSelector():
            return instant(node, steps_ms, evaluation)[0]
        case Unary():
            return _unary(node, steps_ms, evaluation)
        case Binary():
            return _binary(node, steps_ms, evaluation)
        case Aggregate():
            param = None if node.param is None else evaluate_node(node.param, steps_ms, evaluation)
            assert not isinstance(param, Vector)
            return aggregate(node, _vector(node.expr, steps_ms, evaluation), param, evaluation)
        case Call():
            return _call(node, steps_ms, evaluation)
        case MatrixSelector() | Subquery():
            raise PromQLError(
                ErrorKind.BAD_DATA, f"a range vector stands at {evaluation.place(node)}, where an instant vector is due"
            )
        case _:
            assert_never(node)


def _vector(node: Expr, steps_ms: Times, evaluation: Evaluation) -> Vector:
    value = evaluate_node(node, steps_ms, evaluation)
    assert isinstance(value, Vector)
    return value


def _scalar(node: Expr, steps_ms: Times, evaluation: Evaluation) -> Floats:
    value = evaluate_node(node, steps_ms, evaluation)
    assert isinstance(value, np.ndarray)
    return value


def _unary(node: Unary, steps_ms: Times, evaluation: Evaluation) -> Value:
    value = evaluate_node(node.expr, steps_ms, evaluation)
    if node.op is UnaryOp.PLUS or isinstance(value, str):
        return value
    if isinstance(value, Vector):
        return _unnamed(replace(value, values=-value.values), evaluation)
    return -value


def _unnamed(vector: Vector, evaluation: Evaluation) -> Vector:
    """Drop the metric names; runs in which two series become the same one fail."""
    return merged(Vector(without_names(vector.labels), vector.values, vector.present, vector.rank), evaluation)


def _binary(node: Binary, steps_ms: Times, evaluation: Evaluation) -> Value:
    left = evaluate_node(node.left, steps_ms, evaluation)
    right = evaluate_node(node.right, steps_ms, evaluation)
    assert not isinstance(left, str)
    assert not isinstance(right, str)
    if isinstance(left, Vector):
        if isinstance(right, Vector):
            return between_vectors(node, left, right, evaluation)
        return with_scalar(node, left, right, scalar_left=False, evaluation=evaluation)
    if isinstance(right, Vector):
        return with_scalar(node, right, left, scalar_left=True, evaluation=evaluation)
    return between_scalars(node.op, left, right)


def bare(node: Expr) -> Expr:
    while isinstance(node, Paren):
        node = node.expr
    return node


def _call(node: Call, steps_ms: Times, evaluation: Evaluation) -> Value:
    name = node.function
    if name in RANGE_FUNCTIONS or name in EDGE_FUNCTIONS:
        return _range_call(node, steps_ms, evaluation)
    if name in ELEMENTWISE:
        vector = _vector(node.args[0], steps_ms, evaluation)
        return _unnamed(replace(vector, values=ELEMENTWISE[name](vector.values)), evaluation)
    if name in DATES:
        return _date_call(node, steps_ms, evaluation)
    return _SPECIAL[name](node, steps_ms, evaluation)


def _range_call(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    """Apply a range function to each block and put the series back into order."""
    arguments = [bare(arg) for arg in node.args]
    ranged = next(arg for arg in arguments if isinstance(arg, MatrixSelector | Subquery))
    scalars = [_scalar(arg, steps_ms, evaluation) for arg in arguments if arg is not ranged]
    found = _over_edges(node.function, ranged, steps_ms, evaluation)
    if found is None:
        ranges = windows_of(ranged, steps_ms, evaluation, evaluate_node)
        if not ranges:
            return empty(len(steps_ms))
        found = _over_ranges(node.function, ranges, scalars, evaluation)
    vector = in_order(found)
    if node.function == "quantile_over_time" and vector.labels:
        met = anywhere(vector.present)
        warn_of_quantiles(np.broadcast_to(scalars[0], met.shape)[met], arguments[0], evaluation)
    if node.function in ("rate", "increase"):
        _inform_of_gauges(vector, ranged, evaluation)
    return vector if node.function in KEEPS_NAME else _unnamed(vector, evaluation)


@lru_cache(maxsize=64)
def _answers_edges(kind: type) -> bool:
    """Return whether a kind of store is an `EdgeStore`; to ask the protocol itself takes 10 µs each time."""
    return hasattr(kind, "edges")


def _over_edges(name: str, node: Expr, steps_ms: Times, evaluation: Evaluation) -> Vector | None:
    """Apply rate and its kin where the store knows the edges of windows by itself; None where it does not."""
    function = EDGE_FUNCTIONS.get(name)
    if function is None or not isinstance(node, MatrixSelector) or not _answers_edges(type(evaluation.store)):
        return None
    store = cast(EdgeStore, evaluation.store)
    starts_ms, ends_ms = spans_of(node, steps_ms, evaluation)
    found = store.edges(node.selector.matchers, starts_ms, ends_ms, is_counter=function.is_counter)
    if found is None:
        return None
    labels, edges = found
    if not labels:
        return empty(len(steps_ms))
    evaluation.charge(len(labels) * evaluation.runs * len(steps_ms))
    values, present = function(edges, starts_ms, ends_ms, node.range_s)
    return Vector(label_sets_of(labels), values, present)


def _over_ranges(name: str, ranges: Sequence[Windows], scalars: list[Floats], evaluation: Evaluation) -> Vector:
    if name in EDGE_FUNCTIONS:
        values, present = EDGE_FUNCTIONS[name].over(ranges)
        return Vector(joined([label_sets_of(windows.block.labels) for windows in ranges]), values, present)
    outcomes: list[Vector] = []
    for windows in ranges:
        values, present = RANGE_FUNCTIONS[name](windows, scalars)
        outcomes.append(Vector(label_sets_of(windows.block.labels), values, spread(present, values.shape)))
        evaluation.check()
    return stacked(outcomes)


def _inform_of_gauges(vector: Vector, ranged: Expr, evaluation: Evaluation) -> None:
    labels = vector.labels
    for name in labels.derived("gauges", lambda: _names_of_no_counter(labels)):
        evaluation.inform(
            f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{name}"', ranged
        )


def _names_of_no_counter(labels: LabelSets) -> tuple[str, ...]:
    names = dict.fromkeys(value_of(each, METRIC_NAME) for each in labels)
    return tuple(name for name in names if name and not name.endswith(_COUNTER_ENDINGS))


def _date_call(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    part = DATES[node.function]
    if not node.args:
        return _single(part((steps_ms // 1000).astype(np.float64))[None, :])
    vector = _vector(node.args[0], steps_ms, evaluation)
    return _unnamed(replace(vector, values=part(vector.values)), evaluation)


def _single(scalar: Floats, labels: Labels = ()) -> Vector:
    """Return one series, everywhere present."""
    return Vector(LabelSets([labels]), scalar[None], all_true((1, *scalar.shape)))


def _time(node: Call, steps_ms: Times, evaluation: Evaluation) -> Floats:
    return (steps_ms / 1000)[None, :]


def _pi(node: Call, steps_ms: Times, evaluation: Evaluation) -> Floats:
    return np.full((1, len(steps_ms)), np.pi)


def _to_vector(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    return _single(_scalar(node.args[0], steps_ms, evaluation))


def _to_scalar(node: Call, steps_ms: Times, evaluation: Evaluation) -> Floats:
    """Return the only value, NaN where there is none or more than one."""
    vector = _vector(node.args[0], steps_ms, evaluation)
    if not vector.labels:
        return np.full((1, len(steps_ms)), np.nan)
    only_one = vector.present.sum(axis=0) == 1
    return np.where(only_one, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan)


def _timestamp(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    """Return when a selector's samples were taken; of anything else, the instant of evaluation."""
    argument = bare(node.args[0])
    if isinstance(argument, VectorSelector):
        # Under this function Prometheus forgets the offset of a selector that has an @.
        selector = argument if argument.at is None else replace(argument, offset_s=0.0)
        return _unnamed(instant(selector, steps_ms, evaluation)[1], evaluation)
    vector = _vector(argument, steps_ms, evaluation)
    values = np.broadcast_to(steps_ms / 1000, vector.values.shape)
    return _unnamed(replace(vector, values=values), evaluation)


def _absent(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    vector = _vector(node.args[0], steps_ms, evaluation)
    return _where_missing(vector, node.args[0], len(steps_ms))


def _where_missing(vector: Vector, argument: Expr, steps: int) -> Vector:
    some = anywhere(vector.present) if vector.labels else np.zeros((1, steps), dtype=np.bool_)
    return Vector(LabelSets([_labels_of_absence(bare(argument))]), np.ones((1, *some.shape)), ~some[None])


def _labels_of_absence(argument: Expr) -> Labels:
    """Return the labels that a selector asks for by name and value, each only once."""
    if isinstance(argument, MatrixSelector):
        argument = argument.selector
    matchers: tuple[Matcher, ...] = argument.matchers if isinstance(argument, VectorSelector) else ()
    found: dict[str, str] = {}
    met: set[str] = set()
    for matcher in matchers:
        if matcher.name in NAME_LABELS:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.name not in met:
            found[matcher.name] = matcher.value
            met.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return labels_of(found)


def _absent_over_time(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    ranged = replace(node, function="present_over_time")
    argument = bare(node.args[0])
    assert isinstance(argument, MatrixSelector | Subquery)
    found = []
    for windows in windows_of(argument, steps_ms, evaluation, evaluate_node):
        values, present = RANGE_FUNCTIONS[ranged.function](windows, [])
        found.append(Vector(label_sets_of(windows.block.labels), values, present))
    vector = stacked(found) if found else empty(len(steps_ms))
    return _where_missing(vector, argument, len(steps_ms))


def _clamp(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    vector = _vector(node.args[0], steps_ms, evaluation)
    bounds = [_scalar(arg, steps_ms, evaluation) for arg in node.args[1:]]
    endless = np.full((1, len(steps_ms)), np.inf)
    lowest = bounds[0] if node.function != "clamp_max" else -endless
    highest = bounds[-1] if node.function != "clamp_min" else endless
    values = clamped(vector.values, lowest, highest)
    # Bounds that contradict each other leave nothing.
    present = np.broadcast_to(vector.present & ~(highest < lowest), values.shape)
    return _unnamed(Vector(vector.labels, values, present, vector.rank), evaluation)


def _round(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    vector = _vector(node.args[0], steps_ms, evaluation)
    nearest = _scalar(node.args[1], steps_ms, evaluation) if len(node.args) > 1 else np.ones((1, len(steps_ms)))
    values = rounded(vector.values, nearest)
    present = np.broadcast_to(vector.present, values.shape)
    return _unnamed(Vector(vector.labels, values, present, vector.rank), evaluation)


def _sort(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    """Give every series its place among those of its run, NaN last; a range query is not sorted."""
    vector = _vector(node.args[0], steps_ms, evaluation)
    if evaluation.start_ms != evaluation.end_ms:
        message = "sort is ineffective for range queries since results are always ordered by labels"
        evaluation.warn(message, node)
        return vector
    key = -vector.values if node.function == "sort_desc" else vector.values
    before = np.arange(len(vector.labels))[:, None, None] if vector.rank is None else vector.rank
    order = np.lexsort((np.broadcast_to(before, key.shape), key, ~vector.present), axis=0)
    rank = np.empty(key.shape)
    places = np.broadcast_to(np.arange(len(vector.labels))[:, None, None], key.shape).astype(np.float64)
    np.put_along_axis(rank, order, places, axis=0)
    return replace(vector, rank=rank)


def _strings(arguments: tuple[Expr, ...]) -> list[str]:
    return [cast(StringLiteral, bare(arg)).value for arg in arguments]


def _label_replace(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    target, template, source, pattern = _strings(node.args[1:])
    vector = _vector(node.args[0], steps_ms, evaluation)
    return label_replace(vector, target, template, source, pattern, evaluation)


def _label_join(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    target, separator, *sources = _strings(node.args[1:])
    return label_join(_vector(node.args[0], steps_ms, evaluation), target, separator, sources, evaluation)


def _histogram_quantile(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    q = _scalar(node.args[0], steps_ms, evaluation)
    vector = _vector(node.args[1], steps_ms, evaluation)
    return histogram_quantile(q, vector, (node.args[0], node.args[1]), steps_ms, evaluation)


def _of_native_histograms(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    """Return nothing: these functions pass over plain numbers, and no store here holds a native histogram."""
    _vector(node.args[0], steps_ms, evaluation)
    return empty(len(steps_ms))


def _histogram_fraction(node: Call, steps_ms: Times, evaluation: Evaluation) -> Vector:
    lower, upper = (_scalar(arg, steps_ms, evaluation) for arg in node.args[:2])
    return histogram_fraction(lower, upper, _vector(node.args[2], steps_ms, evaluation), node.args[2], evaluation)


_SPECIAL: dict[str, Callable[[Call, Times, Evaluation], Value]] = {
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "clamp": _clamp,
    "clamp_max": _clamp,
    "clamp_min": _clamp,
    **dict.fromkeys(
        ("histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"),
        _of_native_histograms,
    ),
    "histogram_fraction": _histogram_fraction,
    "histogram_quantile": _histogram_quantile,
    "label_join": _label_join,
    "label_replace": _label_replace,
    "pi": _pi,
    "round": _round,
    "scalar": _to_scalar,
    "sort": _sort,
    "sort_desc": _sort,
    "time": _time,
    "timestamp": _timestamp,
    "vector": _to_vector,
}

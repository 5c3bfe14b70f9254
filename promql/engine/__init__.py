"""Evaluate PromQL as Prometheus 3 does, over many runs at once.

`evaluate` answers an instant query, `evaluate_range` a range query. A store with one run is a plain store. An
error that only some runs meet (a many-to-many match, say) is told in the result; if every run meets it, or it
does not depend on data, it is raised as `PromQLError`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np

from promql.engine.errors import ErrorKind, PromQLError
from promql.engine.evaluating import bare, evaluate_node
from promql.engine.reading import windows_of
from promql.engine.results import Annotations, RangeResult, Result, ResultType, SeriesSamples
from promql.engine.values import Evaluation, Limits, Settings, Value, Vector, all_true, empty, is_complete, wide, widen
from promql.storage.blocks import Store
from promql.storage.label_sets import LabelSets
from promql.syntax import Expr, PromQLSyntaxError, parse
from promql.syntax.functions import ValueType
from promql.syntax.tree import MatrixSelector, Subquery, value_type

T = TypeVar("T")

_NAMELESS = LabelSets([()])

POINTS_MAX = 11_000
"""The most steps of one range query."""

_FRAMES_MAX = 6_000
"""Python frames that the deepest query that can be parsed (500 levels) has room in: at most seven a level."""


def evaluate(
    query: Expr | str,
    at_s: float,
    store: Store,
    *,
    limits: Limits | None = None,
    settings: Settings | None = None,
) -> Result:
    """Return the query's answer at an instant, in every run of the store.

    Raises:
        PromQLError: there is no answer in any run.
    """
    expr, kind = _parsed(query)
    at_ms = _milliseconds(at_s)
    steps_ms = np.array([at_ms], dtype=np.int64)

    def answer() -> Result:
        evaluation = Evaluation(store, query, at_ms, at_ms, limits or Limits(), settings or Settings())
        with np.errstate(all="ignore"):
            if kind is ValueType.MATRIX:
                return _range_vector(expr, at_ms, evaluation)
            return _instant_result(evaluate_node(expr, steps_ms, evaluation), at_ms, evaluation)

    return _with_room(answer)


def evaluate_range(
    query: Expr | str,
    start_s: float,
    end_s: float,
    step_s: float,
    store: Store,
    *,
    limits: Limits | None = None,
    settings: Settings | None = None,
) -> RangeResult:
    """Return the query's answers from start to end, both included, every `step_s`.

    Raises:
        PromQLError: there is no answer in any run, or the range is no range.
    """
    expr, kind = _parsed(query)
    refuse_for_ranges(kind)
    start_ms, end_ms, step_ms = _milliseconds(start_s), _milliseconds(end_s), round(step_s * 1000)
    if step_ms <= 0:
        raise PromQLError(
            ErrorKind.BAD_DATA, "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    if end_ms < start_ms:
        raise PromQLError(ErrorKind.BAD_DATA, "end timestamp must not be before start time")
    if (end_ms - start_ms) // step_ms > POINTS_MAX:
        raise PromQLError(
            ErrorKind.BAD_DATA,
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    steps_ms = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)

    def answer() -> RangeResult:
        evaluation = Evaluation(store, query, start_ms, end_ms, limits or Limits(), settings or Settings())
        with np.errstate(all="ignore"):
            return _range_result(evaluate_node(expr, steps_ms, evaluation), steps_ms, evaluation)

    return _with_room(answer)


def refuse_for_ranges(kind: ValueType) -> None:
    """Raise what a range query raises if it asks for something that has no value at each step."""
    if kind not in (ValueType.VECTOR, ValueType.SCALAR):
        found = "range vector" if kind is ValueType.MATRIX else "string"
        raise PromQLError(
            ErrorKind.BAD_DATA,
            f'invalid expression type "{found}" for range query, must be Scalar or instant Vector',
        )


def _with_room(answer: Callable[[], T]) -> T:
    """Evaluate; if the query is so deep that Python runs out of frames, allow more of them and evaluate again.

    The limit guards the C stack, which calls from Python to Python do not use. It is never lowered, because
    another thread may be as deep in its own query.
    """
    try:
        return answer()
    except RecursionError:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _FRAMES_MAX))
    try:
        return answer()
    except RecursionError:
        raise PromQLError(ErrorKind.EXECUTION, "the query is nested too deeply to be evaluated") from None


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[Expr, ValueType]:
    # A policy asks the same few questions again and again.
    expr = parse(text)
    return expr, value_type(expr)


def _parsed(query: Expr | str) -> tuple[Expr, ValueType]:
    if not isinstance(query, str):
        return query, value_type(query)
    try:
        return _read(query)
    except PromQLSyntaxError as error:
        raise PromQLError(ErrorKind.BAD_DATA, f'invalid parameter "query": {error}') from error


def _milliseconds(t_s: float) -> int:
    if not -9e12 < t_s < 9e12:
        raise PromQLError(ErrorKind.BAD_DATA, f"the time {t_s} is out of range")
    return round(t_s * 1000)


def _annotations(evaluation: Evaluation) -> Annotations:
    infos, warnings = (
        tuple(sorted(f"{message} ({place})" for message, place in remarks.items()))
        for remarks in (evaluation.infos, evaluation.warnings)
    )
    return Annotations(infos=infos, warnings=warnings)


def _instant_result(value: Value, at_ms: int, evaluation: Evaluation) -> Result:
    runs = evaluation.runs
    if isinstance(value, str):
        kind, text, vector = ResultType.STRING, value, empty(1)
    elif isinstance(value, Vector):
        kind, text, vector = ResultType.VECTOR, "", value
    else:
        kind, text = ResultType.SCALAR, ""
        vector = Vector(_NAMELESS, value[None], all_true((1, *value.shape)))
    series = len(vector.labels)
    present = all_true((series, runs)) if is_complete(vector.present) else wide(vector.present, runs)[..., 0]
    if evaluation.failures:
        present = present & ~evaluation.failed
    rank = vector.rank
    return Result(
        type=kind,
        at_s=at_ms / 1000,
        labels=vector.labels,
        values=widen(vector.values, runs)[..., 0].T,
        present=present.T,
        rank=None if rank is None else widen(rank, runs)[..., 0].T,
        failed=evaluation.failed,
        errors=tuple(evaluation.failures.items()),
        text=text,
        annotations=_annotations(evaluation),
    )


def _range_vector(expr: Expr, at_ms: int, evaluation: Evaluation) -> Result:
    node = bare(expr)
    assert isinstance(node, MatrixSelector | Subquery)
    found = []
    for windows in windows_of(node, np.array([at_ms], dtype=np.int64), evaluation, evaluate_node):
        low, high = int(windows.low[0]), int(windows.high[0])
        if low >= high:
            continue
        values = widen(windows.samples, evaluation.runs)
        mask = windows.mask
        present = np.ones(values.shape, dtype=np.bool_) if mask is None else np.broadcast_to(mask, values.shape)
        evaluation.charge(values.size)
        for index, labels in enumerate(windows.block.labels):
            if present[index].any():
                times_ms = windows.block.times_ms[low:high]
                samples = SeriesSamples(labels=labels, times_ms=times_ms, values=values[index], present=present[index])
                found.append(samples)
    runs = evaluation.runs
    return Result(
        type=ResultType.MATRIX,
        at_s=at_ms / 1000,
        labels=(),
        values=np.empty((runs, 0)),
        present=np.empty((runs, 0), dtype=np.bool_),
        failed=evaluation.failed,
        errors=tuple(evaluation.failures.items()),
        series=tuple(sorted(found, key=lambda each: each.labels)),
        annotations=_annotations(evaluation),
    )


def _range_result(value: Value, steps_ms: np.typing.NDArray[np.int64], evaluation: Evaluation) -> RangeResult:
    assert not isinstance(value, str)
    if not isinstance(value, Vector):
        value = Vector(_NAMELESS, value[None], all_true((1, *value.shape)))
    runs, steps = evaluation.runs, len(steps_ms)
    present = np.broadcast_to(value.present, (len(value.labels), runs, steps))
    present = present & ~evaluation.failed[:, None]
    values = widen(value.values, runs)
    order = sorted((i for i in range(len(value.labels)) if present[i].any()), key=lambda index: value.labels[index])
    return RangeResult(
        type=ResultType.MATRIX,
        times_ms=steps_ms,
        labels=tuple(value.labels[index] for index in order),
        values=values[order].transpose(1, 0, 2),
        present=present[order].transpose(1, 0, 2),
        failed=evaluation.failed,
        errors=tuple(evaluation.failures.items()),
        annotations=_annotations(evaluation),
    )


__all__ = [
    "POINTS_MAX",
    "Annotations",
    "ErrorKind",
    "Limits",
    "PromQLError",
    "RangeResult",
    "Result",
    "ResultType",
    "SeriesSamples",
    "Settings",
    "evaluate",
    "evaluate_range",
    "refuse_for_ranges",
]

"""Answers as the JSON of Prometheus' HTTP API: numbers as text, times as numbers, one run of a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from promql.engine import RangeResult, Result, ResultType
from promql.go_numbers import api_text
from promql.storage.labels import Labels

Json = Any


def seconds(time_ms: int) -> int | float:
    """Return a time in seconds, whole where it is whole."""
    whole, rest = divmod(time_ms, 1000)
    return time_ms / 1000 if rest else whole


def data_of(result: Result | RangeResult, run: int = 0, *, limit: int | None = None) -> tuple[dict[str, Json], bool]:
    """Return one run's answer as the API's `data`, and whether the limit has cut it short."""
    if isinstance(result, RangeResult):
        series = _matrix(result, run)
        return {"resultType": "matrix", "result": series[:limit]}, limit is not None and len(series) > limit
    at_s = seconds(round(result.at_s * 1000))
    match result.type:
        case ResultType.SCALAR:
            return {"resultType": "scalar", "result": [at_s, api_text(result.scalar(run))]}, False
        case ResultType.STRING:
            return {"resultType": "string", "result": [at_s, result.text]}, False
        case ResultType.VECTOR:
            vector = [
                {"metric": dict(labels), "value": [at_s, api_text(value)]} for labels, value in result.vector(run)
            ]
            return {"resultType": "vector", "result": vector[:limit]}, limit is not None and len(vector) > limit
        case ResultType.MATRIX:
            found = [
                _series(each.labels, each.times_ms[each.present[run]].tolist(), each.values[run][each.present[run]])
                for each in result.series
                if each.present[run].any()
            ]
            return {"resultType": "matrix", "result": found[:limit]}, limit is not None and len(found) > limit


def _matrix(result: RangeResult, run: int) -> list[Json]:
    found = []
    for index in np.flatnonzero(result.present[run].any(axis=-1)).tolist():
        there = result.present[run, index]
        found.append(_series(result.labels[index], result.times_ms[there].tolist(), result.values[run, index][there]))
    return found


def _series(labels: Labels, times_ms: Iterable[int], values: np.typing.NDArray[np.float64]) -> Json:
    points = zip(times_ms, values.tolist(), strict=True)
    return {"metric": dict(labels), "values": [[seconds(time_ms), api_text(value)] for time_ms, value in points]}

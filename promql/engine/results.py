"""What an evaluation gives back: arrays over runs and series, and what the engine has to say beside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from promql.storage.blocks import Bools, Floats, Times
from promql.storage.labels import Labels


class ResultType(StrEnum):
    """The `resultType` of the HTTP API."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """Remarks on a query that was answered, worded as Prometheus words them."""

    infos: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSamples:
    """One series of a range vector: (samples,) times, (runs, samples) values and presence."""

    labels: Labels
    times_ms: Times
    values: Floats
    present: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to an instant query.

    Attributes:
        labels: of each series; one empty label set for a scalar.
        values: (runs, series).
        present: (runs, series) whether the run's answer has the series.
        rank: (runs, series) the place of a series in its run's order, if the query sorts; else the order of
            `labels` holds.
        failed: (runs,) runs in which the query has no answer at all (an error, not an empty vector).
        errors: why, and in how many runs.
        series: the samples of a range vector; `labels` and `values` are empty then.
    """

    type: ResultType
    at_s: float
    labels: tuple[Labels, ...]
    values: Floats
    present: Bools
    failed: Bools
    errors: tuple[tuple[str, int], ...] = ()
    rank: Floats | None = None
    text: str = ""
    series: tuple[SeriesSamples, ...] = ()
    annotations: Annotations = Annotations()

    @property
    def runs(self) -> int:
        return int(self.failed.shape[0])

    def order(self, run: int = 0) -> list[int]:
        """Return the series that one run's answer has, in the order in which it lists them."""
        there = np.flatnonzero(self.present[run]).tolist()
        rank = self.rank
        return there if rank is None else sorted(there, key=lambda index: float(rank[run, index]))

    def vector(self, run: int = 0) -> list[tuple[Labels, float]]:
        """Return one run's answer as labels and values."""
        return [(self.labels[index], float(self.values[run, index])) for index in self.order(run)]

    def scalar(self, run: int = 0) -> float:
        return float(self.values[run, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeResult:
    """The answer to a range query: (runs, series, steps) values and presence, series sorted by labels."""

    type: ResultType
    times_ms: Times
    labels: tuple[Labels, ...]
    values: Floats
    present: Bools
    failed: Bools
    errors: tuple[tuple[str, int], ...] = ()
    annotations: Annotations = Annotations()

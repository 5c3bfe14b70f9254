"""Where the outcomes of a cohort's runs are gathered until they become the tables of `sim.outcomes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.driving import Question, Verdict
from sim.flock.judging import Judged
from sim.flock.stage import Stage
from sim.flock.tallies import Tally
from sim.outcomes.table import MeasurementTable, RunTable

_WHOLE = ("outcome", "step", "metric")
_NUMBERS = (
    "ended_s",
    "detected_s",
    "recovered_s",
    "weight_max",
    "canary_requests",
    "requests",
    "bad_requests",
)


class Rows:
    """One block's rows, in the order of its runs."""

    __slots__ = ("columns", "numbers")

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        self.numbers = numbers
        runs = len(numbers)
        self.columns: dict[str, NDArray[Any]] = {name: np.zeros(runs, dtype=np.int64) for name in _WHOLE}
        self.columns |= {name: np.zeros(runs) for name in _NUMBERS}

    def end(
        self,
        runs: NDArray[np.intp],
        verdict: Verdict,
        counted: Tally,
        detected_s: NDArray[np.float64],
        metrics: tuple[str, ...],
    ) -> None:
        """Note the verdict of some runs."""
        metric = -1 if verdict.metric is None else metrics.index(verdict.metric)
        found: dict[str, Any] = {
            "outcome": int(verdict.outcome),
            "step": verdict.step,
            "metric": metric,
            "ended_s": verdict.ended_s,
            "detected_s": detected_s,
            "recovered_s": verdict.recovered_s,
            "weight_max": verdict.weight_max,
            "canary_requests": counted.canary_requests,
            "requests": counted.requests,
            "bad_requests": counted.bad_requests,
        }
        for name, value in found.items():
            self.columns[name][runs] = value


class Recorder:
    """All that is known of one cohort's runs so far."""

    def __init__(self, stage: Stage, cohort: int, *, measurements: bool) -> None:
        self.wants_measurements = measurements
        self._stage = stage
        self._cohort = cohort
        self._rows: list[Rows] = []
        self._measured: list[dict[str, NDArray[Any]]] = []

    def take(self, rows: Rows) -> None:
        """Add a block whose runs have all ended."""
        self._rows.append(rows)

    def measured(self, runs: NDArray[np.int64], question: Question, at_s: float, judged: Judged) -> None:
        """Note one measurement of some runs."""
        metric = self._stage.metrics.index(question.metric.name)
        deploy_s = self._stage.deployment.deploy_s
        self._measured.append(
            {
                "run": runs,
                "metric": np.full(len(runs), metric, dtype=np.int64),
                "analysis": np.full(len(runs), question.analysis, dtype=np.int64),
                "t_s": np.full(len(runs), at_s - deploy_s),
                "value": judged.values,
                "requests": judged.requests,
                "phase": judged.codes,
            }
        )

    def tables(self) -> tuple[RunTable, MeasurementTable | None]:
        """Return the rows, ordered by run; measurements by run, time, analysis and metric."""
        numbers = np.concatenate([rows.numbers for rows in self._rows])
        columns = {name: np.concatenate([rows.columns[name] for rows in self._rows]) for name in (*_WHOLE, *_NUMBERS)}
        table = RunTable(
            run=numbers,
            cohort=np.full(len(numbers), self._cohort, dtype=np.int64),
            metrics=self._stage.metrics,
            **columns,
        )
        return table, self._measurements() if self.wants_measurements else None

    def _measurements(self) -> MeasurementTable:
        names = ("run", "metric", "analysis", "t_s", "value", "requests", "phase")
        whole = {"run", "metric", "analysis", "phase"}
        columns: dict[str, NDArray[Any]] = {
            name: np.concatenate([part[name] for part in self._measured])
            if self._measured
            else np.empty(0, dtype=np.int64 if name in whole else np.float64)
            for name in names
        }
        order = np.lexsort((columns["metric"], columns["analysis"], columns["t_s"], columns["run"]))
        return MeasurementTable(
            metrics=self._stage.metrics,
            **{name: column[order] for name, column in columns.items()},
        )

"""One row a run: what both engines return and every figure is worked out from.

Plain arrays, so that blocks of runs from many processes are concatenated and nothing else. `sim.outcomes` turns them
into shares, intervals and pictures; this module knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Outcome(IntEnum):
    """What became of a release in one run."""

    PROMOTED = 0
    ABORTED = 1
    PAUSED = 2  # waits for a person
    STUCK = 3  # still under way at the bound; never dropped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunTable:
    """(runs,) each, in the order of `run`. Times are policy seconds; NaN where a thing did not happen.

    Attributes:
        run: number of the run, from 0.
        cohort: the platform history that the run shares.
        outcome: a value of `Outcome`.
        ended_s: from the deployment until the verdict, or the bound.
        detected_s: from the canary's first request until the abort was decided.
        recovered_s: from that decision until no user met the canary.
        step: zero-based index of the step at the verdict.
        metric: position in `metrics` of the first metric that failed; -1: none did.
        weight_max: the largest share of the traffic that the canary got, percent.
        canary_requests: requests that the release under test answered.
        requests: all requests from the deployment until the end.
        bad_requests: requests that users saw fail or too slow, of those that the release answered, for whatever cause:
            what a rehearsal counts too.
        metrics: names that `metric` points into; the same for all rows.
    """

    run: Ints
    cohort: Ints
    outcome: Ints
    ended_s: Floats
    detected_s: Floats
    recovered_s: Floats
    step: Ints
    metric: Ints
    weight_max: Floats
    canary_requests: Floats
    requests: Floats
    bad_requests: Floats
    metrics: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.run)

    @classmethod
    def joined(cls, tables: Sequence[RunTable]) -> RunTable:
        """Return one table of all rows, ordered by run."""
        metrics = tables[0].metrics
        if any(table.metrics != metrics for table in tables):
            raise ValueError("tables of different policies cannot be joined")
        order = np.argsort(np.concatenate([table.run for table in tables]), kind="stable")
        columns = {
            field.name: np.concatenate([getattr(table, field.name) for table in tables])[order]
            for field in fields(cls)
            if field.name != "metrics"
        }
        return cls(metrics=metrics, **columns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasurementTable:
    """(rows,) each: every measurement of every run, for tables and for judging again.

    Attributes:
        run, metric: as in `RunTable`.
        analysis: which analysis run it belongs to, counted from 0 in the order of their starts.
        t_s: policy seconds since the deployment.
        value: the first sample of the answer; NaN for no data.
        requests: behind the value; NaN where unknown or not asked.
        phase: position in `controller.core.conditions.judging.PHASES`, 4 for missing evidence.
    """

    run: Ints
    metric: Ints
    analysis: Ints
    t_s: Floats
    value: Floats
    requests: Floats
    phase: Ints
    metrics: tuple[str, ...]

"""What many simulated runs of a game day say of it: the verdict, when, and after how many bad requests.

Pure: a table of runs comes in. `scenarios` says which runs are made, the simulator makes them; scorecards put what was
observed beside this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.gameday_files import Expectation
from experiments.verdicts import Verdict
from sim.outcomes.table import Outcome, RunTable

LEVEL = 0.9
"""The share of observations that should lie inside a predicted interval."""

_VERDICTS: Mapping[Outcome, Verdict] = {
    Outcome.PROMOTED: Verdict.PROMOTED,
    Outcome.ABORTED: Verdict.ABORTED,
    Outcome.PAUSED: Verdict.PAUSED,
    Outcome.STUCK: Verdict.DEGRADED,  # no progress and no abort; the bound of a drill is the end of its patience
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The middle `LEVEL` of what was simulated, and its median."""

    low: float
    median: float
    high: float

    def holds(self, observed: float) -> bool:
        """Whether an observation lies inside."""
        return self.low <= observed <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the simulator says of one policy in one game day.

    Attributes:
        verdicts: share of the runs with each verdict that occurred, the most frequent first.
        as_expected: share of the runs in which everything that the game day expects held.
        detection_s: over the runs that aborted and that a user had met; None if there were none.
        recovery_s: over the same runs.
        bad_requests: of those that the release answered, over all runs.
        weight_max: the largest share of the traffic that the release got, percent, over all runs.
    """

    runs: int
    cohorts: int
    seed: int
    verdicts: Mapping[Verdict, float]
    as_expected: float
    detection_s: Range | None
    recovery_s: Range | None
    bad_requests: Range
    weight_max: Range

    @property
    def verdict(self) -> Verdict:
        """The most frequent verdict."""
        return next(iter(self.verdicts))


def predict_from(table: RunTable, expect: Expectation, *, seed: int) -> Prediction:
    """Return what these runs say.

    Raises:
        ValueError: there are no runs.
    """
    if not len(table):
        raise ValueError("a prediction needs at least one run")
    shares = {verdict: float(np.mean(table.outcome == outcome)) for outcome, verdict in _VERDICTS.items()}
    found = sorted(((share, verdict) for verdict, share in shares.items() if share), key=lambda each: -each[0])
    aborted = table.outcome == Outcome.ABORTED
    return Prediction(
        runs=len(table),
        cohorts=len(np.unique(table.cohort)),
        seed=seed,
        verdicts={verdict: share for share, verdict in found},
        as_expected=float(np.mean(_held(table, expect))),
        detection_s=_range(table.detected_s[aborted]),
        recovery_s=_range(table.recovered_s[aborted]),
        bad_requests=_range(table.bad_requests) or Range(low=0.0, median=0.0, high=0.0),
        weight_max=_range(table.weight_max) or Range(low=0.0, median=0.0, high=0.0),
    )


def _held(table: RunTable, expect: Expectation) -> NDArray[np.bool_]:
    """Return (runs,) whether all expectations held, by the rules of a scorecard: what was not seen did not hold."""
    wanted = [outcome for outcome, verdict in _VERDICTS.items() if verdict.value == expect.verdict]
    held = np.isin(table.outcome, wanted)
    for values, limit in (
        (table.ended_s, expect.verdict_within_s),
        (table.detected_s, expect.detected_within_s),
        (table.recovered_s, expect.recovered_within_s),
        (table.weight_max, expect.weight_max),
        (table.bad_requests, expect.bad_requests_max),
    ):
        if limit is not None:
            held &= values <= limit
    return held


def _range(values: NDArray[np.float64]) -> Range | None:
    """Return the middle of the values that there are, as order statistics: a bound is a value that happened."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    tail = (1 - LEVEL) / 2
    low, median, high = np.quantile(known, (tail, 0.5, 1 - tail), method="inverted_cdf")
    return Range(low=float(low), median=float(median), high=float(high))

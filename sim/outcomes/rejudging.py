"""Judge recorded measurements again by other conditions or another floor, without playing a run again.

The decision core applies the limits here as it did when the runs were played: both the old and the new phases of a run
go through `controller.core.analysis`, look by look. As long as both analyses stand alike and will be measured at the
same instants, the recording answers for both. Where they part, the new one may end by itself (a failure aborts); if it
goes on instead to where the old run never was, the outcome is open, and it is counted as open and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from controller.core.analysis import advance, due
from controller.core.conditions import (
    PHASES,
    Condition,
    ConditionError,
    Threshold,
    compile_condition,
    fails_when,
    judge_runs,
)
from controller.core.evidence import Floor, weigh_runs
from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, RunKind
from controller.manifests.policies import Policy, PolicyAnalysis
from controller.manifests.values import Metric
from controller.metrics.counting import shape_of
from sim.outcomes.intervals import Estimate, share
from sim.outcomes.table import Floats, Ints, MeasurementTable, Outcome, RunTable
from sim.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

OPEN = len(Outcome)
"""The outcome that only a new simulation could tell; beside the values of `Outcome`."""

_CODE = {phase: code for code, phase in enumerate((*PHASES, AnalysisPhase.MISSING))}
_PHASE = {code: phase for phase, code in _CODE.items()}
_UNKNOWN = -1
_SAME = -1


class RejudgeError(ValueError):
    """Something that cannot be judged again, with what would do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RejudgedRelease:
    """One release's runs after their measurements were judged again.

    Attributes:
        outcome: (runs,) values of `Outcome`, or OPEN.
    """

    scenario: Scenario
    before: RunTable
    outcome: Ints

    def share_of(self, outcome: int, *, and_open: bool = False) -> Estimate:
        """Return the share of runs with this outcome, those that are open included if wanted."""
        hits = (self.outcome == outcome) | (and_open & (self.outcome == OPEN))
        found = share(hits, self.before.cohort)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejudged:
    """What other conditions would have made of the same measurements."""

    releases: tuple[RejudgedRelease, ...]

    @property
    def exact(self) -> bool:
        """Whether every run's outcome follows from the recording."""
        return not any((one.outcome == OPEN).any() for one in self.releases)

    @property
    def notice(self) -> str:
        """What a reader must know of these figures, in a sentence."""
        if self.exact:
            return "Every outcome follows from the recorded measurements."
        worst = max(self.releases, key=lambda one: float(np.mean(one.outcome == OPEN)))
        part = float(np.mean(worst.outcome == OPEN))
        return (
            f"In up to {part:.1%} of the runs (release {worst.scenario.name}) the outcome is open: they would have "
            "gone on where the recording ends. Simulate the changed policy to know."
        )

    def summary(self) -> pd.DataFrame:
        """Return one row a release: what was caught before, and now at least and at most, with 95 % intervals.

        `caught_least` takes every open run for not caught, `caught_most` for caught; `open` is their share.
        """
        import pandas as pd

        rows = []
        for one in self.releases:
            before = share(one.before.outcome == Outcome.ABORTED, one.before.cohort)
            least, most = one.share_of(Outcome.ABORTED), one.share_of(Outcome.ABORTED, and_open=True)
            assert before is not None
            rows.append(
                {
                    "name": one.scenario.name,
                    "kind": one.scenario.kind,
                    "runs": len(one.before),
                    "caught_before": before.value,
                    "caught_least": least.value,
                    "caught_most": most.value,
                    "low": least.low,
                    "high": most.high,
                    "promoted_least": one.share_of(Outcome.PROMOTED).value,
                    "open": float(np.mean(one.outcome == OPEN)),
                }
            )
        return pd.DataFrame(rows).set_index("name")


def rejudge(
    policy: Policy,
    tables: Mapping[str, tuple[Scenario, RunTable, MeasurementTable]],
    *,
    metric: str | None,
    success: str | None,
    failure: str | None,
    requests_min: int | None,
) -> Rejudged:
    """Return what the changed judgement makes of each release's measurements.

    Args:
        metric: which one is judged anew; None: every one, by the floor alone.

    Raises:
        RejudgeError: no such metric, or a condition that cannot be read.
    """
    analyses = sorted(policy.analyses, key=lambda one: (_begins(one, policy), one.step_index is not None))
    known = sorted({one.name for analysis in analyses for one in analysis.resolved.metrics})
    if metric is None and (success is not None or failure is not None):
        raise RejudgeError(f"conditions are those of one metric; name it, one of {', '.join(known) or 'none'}")
    if metric is not None and metric not in known:
        raise RejudgeError(f"there is no metric {metric!r}; the policy has {', '.join(known) or 'none'}")
    if requests_min is not None and requests_min < 0:
        raise RejudgeError(f"requests_min is {requests_min}; it needs 0 or more")
    names = frozenset(known if metric is None else [metric])
    judged = [_changed(one, names, success, failure, requests_min) for one in analyses]
    found = []
    for scenario, table, kept in tables.values():
        outcome = _outcomes(analyses, judged, names, table, kept)
        found.append(RejudgedRelease(scenario=scenario, before=table, outcome=outcome))
    return Rejudged(releases=tuple(found))


def _begins(analysis: PolicyAnalysis, policy: Policy) -> int:
    background = policy.rollout.strategy.analysis
    if analysis.step_index is not None:
        return analysis.step_index
    return background.starting_step if background is not None else 0


def _changed(
    analysis: PolicyAnalysis, names: frozenset[str], success: str | None, failure: str | None, requests_min: int | None
) -> tuple[Metric, ...]:
    """Return the metrics of one analysis with the conditions and the floor of some of them changed."""

    def change(metric: Metric) -> Metric:
        if metric.name not in names:
            return metric
        evidence = metric.evidence
        if requests_min is not None:
            evidence = replace(evidence, requests_min=requests_min or None)
        return replace(
            metric,
            success_condition=metric.success_condition if success is None else success,
            failure_condition=metric.failure_condition if failure is None else failure,
            evidence=evidence,
        )

    return tuple(change(metric) for metric in analysis.resolved.metrics)


def _outcomes(
    analyses: Sequence[PolicyAnalysis],
    judged: Sequence[tuple[Metric, ...]],
    names: frozenset[str],
    table: RunTable,
    kept: MeasurementTable,
) -> Ints:
    """Return (runs,) the new outcomes."""
    phases = kept.phase.copy()
    for ordinal, (analysis, metrics) in enumerate(zip(analyses, judged, strict=True)):
        old = {metric.name: metric for metric in analysis.resolved.metrics}
        for new in metrics:
            if new.name in names and new.name in kept.metrics:
                rows = (kept.analysis == ordinal) & (kept.metric == kept.metrics.index(new.name))
                phases[rows] = _phases(old[new.name], new, kept.value[rows], kept.requests[rows], kept.phase[rows])
    outcome = table.outcome.copy()
    changed = np.unique(kept.run[phases != kept.phase])
    order = np.lexsort((kept.t_s, kept.run))
    edges = np.searchsorted(kept.run[order], np.stack([changed, changed + 1]))
    place = np.searchsorted(table.run, changed)
    known: dict[bytes, int] = {}
    for at, first, last in zip(place.tolist(), *edges.tolist(), strict=True):
        rows = order[first:last]
        columns = (kept.analysis[rows], kept.metric[rows], kept.phase[rows], phases[rows], np.diff(kept.t_s[rows]) == 0)
        key = b"|".join(column.tobytes() for column in columns)
        if key not in known:
            known[key] = _replay(analyses, judged, kept, rows, phases)
        if known[key] != _SAME:
            outcome[at] = known[key]
    return outcome


def _phases(old: Metric, new: Metric, values: Floats, requests: Floats, before: Ints) -> Ints:
    """Return (rows,) the phases by the new conditions and floor; _UNKNOWN where the recording does not tell."""
    phases = _by_conditions(new, values, np.ones(len(values), dtype=np.int64))
    missing = np.isnan(values)
    if missing.any():
        # A sample that is not a number and an answer without a sample are both NaN here. What the old conditions
        # made of it tells which it was, unless they made the same of both.
        empty = np.zeros(len(values), dtype=np.int64)
        was = [_by_conditions(old, values, empty + one) == before for one in (0, 1)]
        now = _by_conditions(new, values, empty)
        phases = np.where(missing & was[0] & ~was[1], now, phases)
        told = (was[0] != was[1]) | (now == phases)
        phases = np.where(missing & ~told, _UNKNOWN, phases)
    if new.evidence.requests_min is not None:
        phases = np.where(_too_few(new, values, requests, phases), _CODE[AnalysisPhase.MISSING], phases)
    return phases


def _by_conditions(metric: Metric, values: Floats, lengths: Ints) -> Ints:
    success, failure = _condition(metric.success_condition), _condition(metric.failure_condition)
    for condition in (success, failure):
        if condition is not None and condition.reads != (0,):
            raise RejudgeError(
                f"the condition {condition.text!r} looks at more than result[0], and no more of an answer is recorded; "
                "simulate the changed policy instead"
            )
    return judge_runs(success, failure, values[:, None], lengths=lengths).astype(np.int64)


def _condition(text: str) -> Condition | None:
    if not text:
        return None
    try:
        return compile_condition(text)
    except ConditionError as error:
        raise RejudgeError(f"the condition {text!r} cannot be read: {error.message}") from error


def _too_few(metric: Metric, values: Floats, requests: Floats, phases: Ints) -> np.ndarray:
    region: Threshold | None = fails_when(_condition(metric.success_condition), _condition(metric.failure_condition))
    rules = metric.evidence
    floor = Floor(requests_min=rules.requests_min or 0, odds=rules.odds, shape=shape_of(metric), fails_when=region)
    failed = phases == _CODE[AnalysisPhase.FAILED]
    return weigh_runs(failed=failed, values=values, requests=requests, floor=floor).too_few


def _replay(
    analyses: Sequence[PolicyAnalysis],
    judged: Sequence[tuple[Metric, ...]],
    kept: MeasurementTable,
    rows: Ints,
    phases: Ints,
) -> int:
    """Return the new outcome of one run, OPEN, or _SAME if both judgements lead the same way."""
    runs: dict[int, tuple[AnalysisRun, AnalysisRun]] = {}
    for ordinal, at_s, looked in _looks(kept, rows):
        if ordinal >= len(analyses):
            return OPEN
        old, new = runs.get(ordinal) or _begun(analyses[ordinal], judged[ordinal], at_s)
        if any(phases[row] == _UNKNOWN for row in looked):
            return OPEN
        old = _measured(old, kept, looked, kept.phase, at_s)
        new = _measured(new, kept, looked, phases, at_s)
        runs[ordinal] = (old, new)
        ended = new.status.phase
        if ended != old.status.phase:
            return _ended_as(ended)
        if not ended.completed and due(new, at_s) != due(old, at_s):
            return OPEN
    return _SAME


def _looks(kept: MeasurementTable, rows: Ints) -> Iterator[tuple[int, float, list[int]]]:
    """Return the looks of one run in order of time: analysis, instant, and the rows that were measured together."""
    looked: dict[tuple[float, int], list[int]] = {}
    for row in rows.tolist():
        looked.setdefault((float(kept.t_s[row]), int(kept.analysis[row])), []).append(row)
    for (at_s, ordinal), together in looked.items():
        yield ordinal, at_s, together


def _begun(analysis: PolicyAnalysis, metrics: tuple[Metric, ...], at_s: float) -> tuple[AnalysisRun, AnalysisRun]:
    def begin(measured: tuple[Metric, ...]) -> AnalysisRun:
        run = AnalysisRun(
            name="again",
            kind=RunKind.BACKGROUND if analysis.step_index is None else RunKind.STEP,
            pod_hash="",
            created_s=at_s,
            step_index=analysis.step_index,
            metrics=measured,
            dry_run=analysis.resolved.dry_run,
        )
        return _settled(run, at_s)

    return begin(analysis.resolved.metrics), begin(metrics)


def _measured(
    run: AnalysisRun, kept: MeasurementTable, looked: Sequence[int], phases: Ints, at_s: float
) -> AnalysisRun:
    if run.status.phase.completed:
        return run
    measured = {
        kept.metrics[int(kept.metric[row])]: Measurement(
            phase=_PHASE[int(phases[row])], started_s=at_s, finished_s=at_s, value=float(kept.value[row])
        )
        for row in looked
    }
    return _settled(replace(run, status=advance(run, measured, at_s)), at_s)


def _settled(run: AnalysisRun, at_s: float) -> AnalysisRun:
    """Return the run once nothing more follows from what was measured: a metric that failed stops the others."""
    while True:
        status = advance(run, {}, at_s)
        if status == run.status:
            return run
        run = replace(run, status=status)


def _ended_as(phase: AnalysisPhase) -> int:
    """Return what the rollout comes to by the phase in which the new judgement parts from the old one."""
    match phase:
        case AnalysisPhase.FAILED | AnalysisPhase.ERROR:
            return Outcome.ABORTED
        case AnalysisPhase.INCONCLUSIVE:
            return Outcome.PAUSED
        case _:
            return OPEN

"""Count the metrics of an analysis run by how they ended, as Argo Rollouts writes it into a run's status.

Nothing decides by these numbers; reports and a cluster's status show them. Metrics in dry run are counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.runs import AnalysisPhase, AnalysisRun
from controller.core.verdicts import bad_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many metrics there are, and how many have ended in each phase. A metric still running is in `count` only."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


def summaries(run: AnalysisRun) -> tuple[Summary, Summary]:
    """Return the summary of the metrics that decide and that of the metrics in dry run.

    Argo goes by the limits that a metric has exceeded: one that ended otherwise, also for want of successes in a
    row, counts as successful.
    """
    if run.status.started_s is None:
        return Summary(), Summary()
    ended: dict[bool, list[AnalysisPhase | None]] = {True: [], False: []}
    for metric in run.metrics:
        result = run.status.result(metric.name)
        is_dry = metric.name in run.dry_run
        if result is None or not result.phase.completed:
            ended[is_dry].append(None)
        else:
            ended[is_dry].append(bad_verdict(metric, result)[0] or AnalysisPhase.SUCCESSFUL)
    return _summary(ended[False]), _summary(ended[True])


def _summary(phases: list[AnalysisPhase | None]) -> Summary:
    return Summary(
        count=len(phases),
        successful=phases.count(AnalysisPhase.SUCCESSFUL),
        failed=phases.count(AnalysisPhase.FAILED),
        inconclusive=phases.count(AnalysisPhase.INCONCLUSIVE),
        error=phases.count(AnalysisPhase.ERROR),
    )

"""What is read of a rollout's state from outside: which metric decided, whether a person is waited for, what joins."""

from __future__ import annotations

from collections.abc import Mapping

from controller.core.driving import PlatformLedger
from controller.core.runs import AnalysisPhase, AnalysisRun, MetricResult
from controller.core.status import PauseReason, RolloutStatus, decision_key
from controller.core.verdicts import counts_in_a_row
from controller.manifests.values import Metric, Rollout

_BAD = (AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE)


def failed_metric(runs: Mapping[str, AnalysisRun], *statuses: RolloutStatus) -> str | None:
    """Return the first metric that decided a run which the rollout watches, or None: no metric did."""
    for status in statuses:
        for reference in (status.step_run, status.background_run):
            run = runs.get(reference.name) if reference is not None else None
            if run is None or run.status.phase not in _BAD:
                continue
            bad = {result.name for result in run.status.results if result.phase is run.status.phase}
            for metric in run.metrics:
                if metric.name in bad and metric.name not in run.dry_run:
                    return metric.name
    return None


def waits_for_a_person(rollout: Rollout, status: RolloutStatus) -> bool:
    """Return whether nothing but a person's word lets the rollout go on."""
    if rollout.paused:
        return True
    if status.pause(PauseReason.INCONCLUSIVE_ANALYSIS) is not None:
        return True
    if status.pause(PauseReason.CANARY_PAUSE_STEP) is None or status.step_index is None:
        return False
    steps = rollout.strategy.steps
    step = steps[status.step_index] if status.step_index < len(steps) else None
    return step is not None and step.pause is not None and step.pause.duration_s is None


def run_key(status: RolloutStatus, ledger: PlatformLedger) -> tuple[object, ...]:
    """Return what of a rollout's state decides, its analysis runs and what actions have written included."""
    return (
        decision_key(status),
        status.aborted_s,
        ledger.services,
        tuple(
            (pod_hash, seen.revision, seen.wanted, seen.desired_replicas, seen.scale_down_at_s)
            for pod_hash, seen in ledger.replica_sets.items()
        ),
        tuple(_analysis_key(run) for run in ledger.runs.values()),
    )


def _analysis_key(run: AnalysisRun) -> tuple[object, ...]:
    status = run.status
    if status.phase.completed:
        return run.name, status.phase
    return (
        run.name,
        status.phase,
        run.terminate,
        status.started_s,
        tuple(_counters(run.metric(result.name), result) for result in status.results),
    )


def _counters(metric: Metric, result: MetricResult) -> tuple[object, ...]:
    """Return what of a metric's counters its limits can still ask for; the others would only keep runs apart."""
    last = result.measurements[-1] if result.measurements else None
    failed = result.consecutive_failure if counts_in_a_row(metric) else result.failed
    return (
        result.name,
        result.phase,
        0 if metric.measurements_wanted is None else result.count,
        result.successful > 0,
        0 if metric.failure_limit < 0 else failed,
        result.inconclusive,
        result.consecutive_error,
        result.consecutive_success if metric.consecutive_success_limit > 0 else 0,
        result.missing > 0,
        result.missing_since_s,
        None if last is None else (last.finished_s, last.phase is AnalysisPhase.ERROR),
    )

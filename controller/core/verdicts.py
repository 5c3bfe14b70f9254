"""Turn what a metric and a run have shown so far into phases: the limits, and nothing else.

Pure and blind to values: measurements come in with the phase that their conditions gave them. The messages
are those of Argo Rollouts, because tools parse them. `controller.core.analysis` is the only caller.
"""

from __future__ import annotations

from controller.core.evidence import due_phase
from controller.core.evidence_deadlines import wait_s
from controller.core.runs import AnalysisPhase, AnalysisRun, AnalysisStatus, MetricResult
from controller.manifests.values import Metric, Parity

_BADNESS = {
    phase: rank
    for rank, phase in enumerate(
        (
            AnalysisPhase.SUCCESSFUL,
            AnalysisPhase.RUNNING,
            AnalysisPhase.PENDING,
            AnalysisPhase.INCONCLUSIVE,
            AnalysisPhase.ERROR,
            AnalysisPhase.FAILED,
        )
    )
}
_ENDS_THE_RUN = (AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE)


def is_worse(current: AnalysisPhase, new: AnalysisPhase) -> bool:
    """Return whether `new` is a worse phase than `current`."""
    return _BADNESS.get(new, 0) > _BADNESS.get(current, 0)


def is_terminating(run: AnalysisRun) -> bool:
    """Return whether the run takes no new measurement: it was told to stop, or a metric has ended it."""
    return run.terminate or any(result.phase in _ENDS_THE_RUN and not result.dry_run for result in run.status.results)


def bad_verdict(metric: Metric, result: MetricResult) -> tuple[AnalysisPhase | None, str]:
    """Return the bad phase that the counters have reached, with the counter and the limit; None if none has.

    Later rules overrule earlier ones, as in Argo: errors in a row beat inconclusive, inconclusive beats failed.
    """
    phase: AnalysisPhase | None = None
    message = ""
    failure_limit = metric.failure_limit
    failed = result.consecutive_failure if counts_in_a_row(metric) else result.failed
    if 0 <= failure_limit < failed:
        phase, message = AnalysisPhase.FAILED, f"failed ({failed}) > failureLimit ({failure_limit})"
    inconclusive_limit = metric.inconclusive_limit
    if result.inconclusive > inconclusive_limit:
        phase = AnalysisPhase.INCONCLUSIVE
        message = f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({inconclusive_limit})"
    error_limit = metric.consecutive_error_limit
    if result.consecutive_error > error_limit:
        phase = AnalysisPhase.ERROR
        message = f"consecutiveErrors ({result.consecutive_error}) > consecutiveErrorLimit ({error_limit})"
    return phase, message


def counts_in_a_row(metric: Metric) -> bool:
    """Return whether failures count only in a row: where the policy says so, and is not held to Argo's letter."""
    return metric.evidence.consecutive_limits and metric.evidence.parity is Parity.OFF


def metric_phase(metric: Metric, result: MetricResult, *, terminating: bool) -> AnalysisPhase:
    """Return the phase of one metric that was measured at least once.

    Without strict parity a metric that is stopped before any measurement succeeded is Inconclusive: an
    analysis that ended without evidence is never a success. The same holds, in either, below a floor.
    """
    if result.phase.completed:
        if result.phase is AnalysisPhase.SUCCESSFUL and not result.dry_run:
            # Only reached with new evidence while another metric waits for its own.
            return bad_verdict(metric, result)[0] or result.phase
        return result.phase
    bad, _ = bad_verdict(metric, result)
    if bad is not None:
        return bad
    strict = metric.evidence.parity is Parity.STRICT
    streak = metric.consecutive_success_limit
    if 0 < streak <= result.consecutive_success:
        return AnalysisPhase.SUCCESSFUL
    count = metric.measurements_wanted
    if count is not None and result.count >= count:
        if streak > 0:
            return AnalysisPhase.INCONCLUSIVE if metric.failure_limit >= 0 else AnalysisPhase.FAILED
        if not strict and result.successful == 0:
            return AnalysisPhase.INCONCLUSIVE
        return AnalysisPhase.SUCCESSFUL
    if terminating:
        if result.successful == 0 and (result.missing or not strict):
            return AnalysisPhase.INCONCLUSIVE
        return AnalysisPhase.SUCCESSFUL
    return AnalysisPhase.RUNNING


def assess(run: AnalysisRun, status: AnalysisStatus, now_s: float) -> AnalysisStatus:
    """Return the status with the phases of its metrics and of the run brought up to date."""
    return _Assessment(run, status, now_s).conclude()


class _Assessment:
    """One pass over the metrics of a run: the worst phase so far and whether all have ended."""

    def __init__(self, run: AnalysisRun, status: AnalysisStatus, now_s: float) -> None:
        self.run = run
        self.status = status
        self.now_s = now_s
        self.terminating = run.terminate or any(r.phase in _ENDS_THE_RUN and not r.dry_run for r in status.results)
        self.worst: AnalysisPhase | None = None
        self.message = "Run Terminated" if run.terminate else ""
        self.all_ended = True
        self.unproven = False  # something that counts was never measured, and the policy minds

    def conclude(self) -> AnalysisStatus:
        results = {result.name: result for result in self.status.results}
        for metric in self.run.metrics:
            result = results.get(metric.name)
            if result is None:
                self.all_ended = False  # not begun: its initial delay, or the run was stopped first
                if metric.evidence.parity is Parity.OFF and metric.name not in self.run.dry_run:
                    self.unproven = True
                continue
            results[metric.name] = self._assess_metric(metric, result)
        phase, message = self._run_phase()
        old = self.status
        if phase is old.phase:
            message = old.message
        completed_s = self.now_s if phase.completed and old.completed_s is None else old.completed_s
        return AnalysisStatus(
            phase=phase,
            message=message,
            started_s=self.now_s if old.started_s is None else old.started_s,
            completed_s=completed_s,
            results=tuple(results[result.name] for result in old.results),
        )

    def _assess_metric(self, metric: Metric, result: MetricResult) -> MetricResult:
        phase = metric_phase(metric, result, terminating=self.terminating)
        if not phase.completed:
            phase = self._overdue_phase(metric, result) or phase
        if phase is not result.phase:
            message = result.measurements[-1].message if result.measurements else result.message
            result = _with_phase(result, phase, message)
        if not phase.completed:
            self.all_ended = False
            return result
        _, why = bad_verdict(metric, result)
        if not why and result.missing_since_s is not None and not self.run.terminate:
            why = f"evidence missing for {wait_s(metric):g}s"
        if result.dry_run:
            if self.worst is None:
                self.worst = AnalysisPhase.SUCCESSFUL
            if why:
                result = _with_phase(result, phase, f"Metric assessed {phase} due to {why}")
        elif self.worst is None or is_worse(self.worst, phase):
            self.worst = phase
            if why:
                self.message = f'Metric "{metric.name}" assessed {phase} due to {why}'
                if result.message:
                    self.message += f': "Error Message: {result.message}"'
        return result

    def _overdue_phase(self, metric: Metric, result: MetricResult) -> AnalysisPhase | None:
        """Return what the policy names once evidence has been missing for too long."""
        if result.missing_since_s is None:
            return None
        return due_phase(result.missing_since_s, self.now_s, wait_s=wait_s(metric), action=metric.evidence.on_deadline)

    def _run_phase(self) -> tuple[AnalysisPhase, str]:
        if self.terminating:
            # Told to stop before everything was measured. Argo calls what is missing a success.
            worst = self.worst or AnalysisPhase.SUCCESSFUL
            if worst is AnalysisPhase.SUCCESSFUL and self.unproven:
                worst = AnalysisPhase.INCONCLUSIVE
            return worst, self.message
        if not self.all_ended or self.worst is None:
            return AnalysisPhase.RUNNING, ""
        return self.worst, self.message


def _with_phase(result: MetricResult, phase: AnalysisPhase, message: str) -> MetricResult:
    return MetricResult(
        name=result.name,
        phase=phase,
        message=message,
        count=result.count,
        successful=result.successful,
        failed=result.failed,
        inconclusive=result.inconclusive,
        error=result.error,
        consecutive_error=result.consecutive_error,
        consecutive_success=result.consecutive_success,
        consecutive_failure=result.consecutive_failure,
        dry_run=result.dry_run,
        missing=result.missing,
        missing_since_s=result.missing_since_s,
        measurements=result.measurements,
    )

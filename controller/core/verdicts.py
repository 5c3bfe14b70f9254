"""Turn what a metric and a run have shown so far into phases: the limits, and nothing else.

Pure and blind to values: measurements come in with the phase that their conditions gave them. The messages
are those of Argo Rollouts, because tools parse them. `controller.core.analysis` is the only caller.
"""

from __future__ import annotations

from controller.core.evidence import due_phase
from controller.core.evidence_deadlines import wait_s
from controller.core.runs import COMPLETED, AnalysisPhase, AnalysisRun, AnalysisStatus, MetricResult
from controller.manifests.values import Metric, Parity

# Members bound once: to Python 3.11 a member looked up in its enum costs as much as ten names of a module.
_SUCCESSFUL, _RUNNING = AnalysisPhase.SUCCESSFUL, AnalysisPhase.RUNNING
_FAILED, _ERROR, _INCONCLUSIVE = AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE
_STRICT, _OFF = Parity.STRICT, Parity.OFF

_BADNESS = {
    phase: rank
    for rank, phase in enumerate((_SUCCESSFUL, _RUNNING, AnalysisPhase.PENDING, _INCONCLUSIVE, _ERROR, _FAILED))
}
_ENDS_THE_RUN = (_FAILED, _ERROR, _INCONCLUSIVE)


def is_worse(current: AnalysisPhase, new: AnalysisPhase) -> bool:
    """Return whether `new` is a worse phase than `current`."""
    return _BADNESS.get(new, 0) > _BADNESS.get(current, 0)


def is_terminating(run: AnalysisRun) -> bool:
    """Return whether the run takes no new measurement: it was told to stop, or a metric has ended it."""
    if run.terminate:
        return True
    for result in run.status.results:  # noqa: SIM110  (a generator costs more than the loop)
        if result.phase in _ENDS_THE_RUN and not result.dry_run:
            return True
    return False


def bad_verdict(metric: Metric, result: MetricResult) -> tuple[AnalysisPhase | None, str]:
    """Return the bad phase that the counters have reached, with the counter and the limit; None if none has.

    Later rules overrule earlier ones, as in Argo: errors in a row beat inconclusive, inconclusive beats failed.
    """
    phase: AnalysisPhase | None = None
    message = ""
    failure_limit = metric.failure_limit
    failed = result.consecutive_failure if counts_in_a_row(metric) else result.failed
    if 0 <= failure_limit < failed:
        phase, message = _FAILED, f"failed ({failed}) > failureLimit ({failure_limit})"
    inconclusive_limit = metric.inconclusive_limit
    if result.inconclusive > inconclusive_limit:
        phase = _INCONCLUSIVE
        message = f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({inconclusive_limit})"
    error_limit = metric.consecutive_error_limit
    if result.consecutive_error > error_limit:
        phase = _ERROR
        message = f"consecutiveErrors ({result.consecutive_error}) > consecutiveErrorLimit ({error_limit})"
    return phase, message


def counts_in_a_row(metric: Metric) -> bool:
    """Return whether failures count only in a row: where the policy says so, and is not held to Argo's letter."""
    return metric.evidence.consecutive_limits and metric.evidence.parity is _OFF


def metric_phase(metric: Metric, result: MetricResult, *, terminating: bool) -> AnalysisPhase:
    """Return the phase of one metric that was measured at least once.

    Without strict parity a metric that is stopped before any measurement succeeded is Inconclusive: an
    analysis that ended without evidence is never a success. The same holds, in either, below a floor.
    """
    if result.phase in COMPLETED:
        if result.phase is _SUCCESSFUL and not result.dry_run:
            # Only reached with new evidence while another metric waits for its own.
            return bad_verdict(metric, result)[0] or result.phase
        return result.phase
    bad, _ = bad_verdict(metric, result)
    if bad is not None:
        return bad
    strict = metric.evidence.parity is _STRICT
    streak = metric.consecutive_success_limit
    if 0 < streak <= result.consecutive_success:
        return _SUCCESSFUL
    count = metric.measurements_wanted
    if count is not None and result.count >= count:
        if streak > 0:
            return _INCONCLUSIVE if metric.failure_limit >= 0 else _FAILED
        if not strict and result.successful == 0:
            return _INCONCLUSIVE
        return _SUCCESSFUL
    if terminating:
        if result.successful == 0 and (result.missing or not strict):
            return _INCONCLUSIVE
        return _SUCCESSFUL
    return _RUNNING


def assess(run: AnalysisRun, results: dict[str, MetricResult], now_s: float) -> AnalysisStatus:
    """Return the run's status with these results; its own, unchanged, if they say nothing new.

    Args:
        results: by metric, with the newest measurements counted; taken over and brought up to date.
    """
    return _Assessment(run, results, now_s).conclude()


class _Assessment:
    """One pass over the metrics of a run: the worst phase so far and whether all have ended."""

    __slots__ = ("all_ended", "message", "now_s", "results", "run", "terminating", "unproven", "worst")

    def __init__(self, run: AnalysisRun, results: dict[str, MetricResult], now_s: float) -> None:
        self.run = run
        self.results = results
        self.now_s = now_s
        self.terminating = is_terminating(run)
        self.worst: AnalysisPhase | None = None
        self.message = "Run Terminated" if run.terminate else ""
        self.all_ended = True
        self.unproven = False  # something that counts was never measured, and the policy minds

    def conclude(self) -> AnalysisStatus:
        results = self.results
        for metric in self.run.metrics:
            result = results.get(metric.name)
            if result is None:
                self.all_ended = False  # not begun: its initial delay, or the run was stopped first
                if metric.evidence.parity is _OFF and metric.name not in self.run.dry_run:
                    self.unproven = True
                continue
            results[metric.name] = self._assess_metric(metric, result)
        phase, message = self._run_phase()
        old, told = self.run.status, tuple(results.values())
        if phase is old.phase:
            message = old.message
            if old.started_s is not None and told == old.results:
                return old
        return AnalysisStatus(
            phase=phase,
            message=message,
            started_s=self.now_s if old.started_s is None else old.started_s,
            completed_s=self.now_s if phase in COMPLETED and old.completed_s is None else old.completed_s,
            results=told,
        )

    def _assess_metric(self, metric: Metric, result: MetricResult) -> MetricResult:
        phase = metric_phase(metric, result, terminating=self.terminating)
        if result.missing_since_s is not None and phase not in COMPLETED:
            phase = self._overdue_phase(metric, result) or phase
        if phase is not result.phase:
            message = result.measurements[-1].message if result.measurements else result.message
            result = _with_phase(result, phase, message)
        if phase not in COMPLETED:
            self.all_ended = False
            return result
        _, why = bad_verdict(metric, result)
        if not why and result.missing_since_s is not None and not self.run.terminate:
            why = f"evidence missing for {wait_s(metric):g}s"
        if result.dry_run:
            if self.worst is None:
                self.worst = _SUCCESSFUL
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
            worst = self.worst or _SUCCESSFUL
            if worst is _SUCCESSFUL and self.unproven:
                worst = _INCONCLUSIVE
            return worst, self.message
        if not self.all_ended or self.worst is None:
            return _RUNNING, ""
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

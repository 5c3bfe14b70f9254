"""Drive one analysis run: which metrics are due, and what new measurements make of the run.

Pure: measurements come in with phases, a new status goes out. The controller, the local world and the
simulator all call this module, so a limit that was proved in virtual time is applied by the same lines in a
cluster. A driver's whole duty for a run that is not completed:

    names, look_again_s = due(run, now_s)
    answers = {name: judge(...the answer of the metric's provider...) for name in names}   # in parallel
    status = advance(run, answers, now_s)          # also with no names: a run starts and ends by this call
    run = replace(run, status=status)

again whenever `look_again_s` has come, and at once after `advance` has changed the status or `terminate` was
set. `controller.core.measuring.judge` turns a provider's answer into a `Measurement`.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.core.evidence import missing_since
from controller.core.evidence_deadlines import wait_s
from controller.core.runs import (
    COMPLETED,
    AnalysisPhase,
    AnalysisRun,
    AnalysisStatus,
    Measurement,
    MetricResult,
    RunKind,
)
from controller.core.verdicts import assess, is_terminating
from controller.manifests.values import Metric

__all__ = [
    "AnalysisPhase",
    "AnalysisRun",
    "AnalysisStatus",
    "Measurement",
    "MetricResult",
    "RunKind",
    "advance",
    "due",
]

RETAINED = 10  # measurements kept of each metric, unless measurementRetention names another number
ERROR_RETRY_S = 10.0  # Argo's: after an error, and where a metric has no interval

# Members bound once: to Python 3.11 a member looked up in its enum costs as much as ten names of a module.
_SUCCESSFUL, _FAILED, _ERROR = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED, AnalysisPhase.ERROR
_INCONCLUSIVE, _MISSING = AnalysisPhase.INCONCLUSIVE, AnalysisPhase.MISSING


def due(run: AnalysisRun, now_s: float) -> tuple[tuple[str, ...], float | None]:
    """Return the metrics to measure now, and when to look again (None: never, the run is completed).

    A run that has to be advanced although nothing is to be measured (it was never looked at, or was told to
    stop) has no names and `now_s` as the time to look again.
    """
    if run.status.phase in COMPLETED:
        return (), None
    if run.problem or is_terminating(run):
        return (), now_s
    names: list[str] = []
    look_again_s = now_s if run.status.started_s is None else None
    waits = _someone_waits(run.status)
    for metric in run.metrics:
        at_s = _due_at(metric, run, now_s, waits=waits)
        if at_s is None:
            continue
        if at_s <= now_s:
            names.append(metric.name)
        if look_again_s is None or at_s < look_again_s:
            look_again_s = at_s
    overdue_s = _next_deadline(run)
    if overdue_s is not None and (look_again_s is None or overdue_s < look_again_s):
        look_again_s = overdue_s
    return tuple(names), look_again_s


def advance(run: AnalysisRun, measured: Mapping[str, Measurement], now_s: float) -> AnalysisStatus:
    """Return the status of the run after these measurements (one or none per metric), at `now_s`."""
    status = run.status
    if status.phase in COMPLETED:
        return status
    if run.problem:
        return AnalysisStatus(phase=_ERROR, message=run.problem, started_s=status.started_s)
    if not measured and status.started_s is not None and not is_terminating(run) and not _someone_waits(status):
        return status  # only a measurement, an end or a deadline could change it
    results = {result.name: result for result in status.results}
    for name, measurement in measured.items():
        before = results.get(name) or MetricResult(name=name, dry_run=name in run.dry_run)
        results[name] = _count(before, measurement, run.retention.get(name, RETAINED))
    return assess(run, results, now_s)


def _someone_waits(status: AnalysisStatus) -> bool:
    for result in status.results:  # noqa: SIM110  (a generator costs more than the loop)
        if result.missing_since_s is not None and result.phase not in COMPLETED:
            return True
    return False


def _due_at(metric: Metric, run: AnalysisRun, now_s: float, *, waits: bool) -> float | None:
    """Return when this metric is to be measured next, or None if it is not."""
    result = run.status.result(metric.name)
    if result is None or not result.measurements:
        if metric.initial_delay_s <= 0:
            return now_s
        # The delay counts from the start of the run, which the first advance sets.
        return None if run.status.started_s is None else run.status.started_s + metric.initial_delay_s
    if result.phase in COMPLETED and not (waits and result.phase is _SUCCESSFUL):
        return None
    count = metric.measurements_wanted
    last = result.measurements[-1]
    if count is not None and result.count >= count and not waits:
        return None
    if last.phase is _ERROR or metric.interval_s is None:
        return last.finished_s + ERROR_RETRY_S
    return last.finished_s + metric.interval_s


def _next_deadline(run: AnalysisRun) -> float | None:
    """Return the earliest instant at which missing evidence is overdue."""
    earliest: float | None = None
    for metric in run.metrics:
        result = run.status.result(metric.name)
        if result is None or result.missing_since_s is None or result.phase in COMPLETED:
            continue
        at_s = result.missing_since_s + wait_s(metric)
        if earliest is None or at_s < earliest:
            earliest = at_s
    return earliest


def _count(before: MetricResult, measurement: Measurement, retained: int) -> MetricResult:
    """Return the metric's counters after one more measurement."""
    phase = measurement.phase
    good = phase is _SUCCESSFUL
    bad = phase is _FAILED
    unclear = phase is _INCONCLUSIVE
    error = phase is _ERROR
    missing = phase is _MISSING
    return MetricResult(
        name=before.name,
        phase=before.phase,
        message=before.message,
        count=before.count + (good or bad or unclear),
        successful=before.successful + good,
        failed=before.failed + bad,
        inconclusive=before.inconclusive + unclear,
        error=before.error + error,
        # Missing evidence says nothing: it breaks no streak and adds to none.
        consecutive_error=before.consecutive_error + 1 if error else before.consecutive_error * missing,
        consecutive_success=before.consecutive_success + 1 if good else before.consecutive_success * missing,
        # Nor does an error: a blip of the provider must not forgive a bad release its failures in a row.
        consecutive_failure=before.consecutive_failure + 1 if bad else before.consecutive_failure * (missing or error),
        dry_run=before.dry_run,
        missing=before.missing + missing,
        missing_since_s=missing_since(before.missing_since_s, phase, measurement.finished_s),
        measurements=(*before.measurements, measurement)[-retained:],
    )

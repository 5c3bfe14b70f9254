"""Say why, as data: the record of one measurement, and what an analysis's verdict rested on.

Nothing decides by what is made here. Drivers make a `MeasurementRecord` for each measurement they hand to
`analysis.advance`; `decisions` puts the deciding numbers of a run into the record of an abort or a pause.
"""

from __future__ import annotations

from math import inf, isnan

from controller.core.records import MeasurementRecord
from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, MetricResult, Value
from controller.core.verdicts import counts_in_a_row
from controller.manifests.values import Metric, PrometheusProvider, WebProvider, without_secrets

Number = float | int | str | None


def measurement_record(run: AnalysisRun, name: str, measurement: Measurement, after: MetricResult) -> MeasurementRecord:
    """Return the record of one measurement.

    Args:
        after: what the metric has shown with this measurement counted.
    """
    metric = run.metric(name)
    return MeasurementRecord(
        t_s=measurement.finished_s,
        run=run.name,
        metric=name,
        query=_query(metric),
        value=shown(measurement.value),
        requests=measurement.requests,
        requests_min=metric.evidence.requests_min,
        condition=_conditions(metric),
        phase=str(measurement.phase),
        rule=measurement.message or measurement.reason,
        flip=measurement.flip,
        limit=_limit(metric, measurement.phase, after),
    )


def shown(value: Value) -> str:
    """Return a value as Argo's measurements write it: "[0.02]" for a vector, "0.02" for a scalar."""
    if isinstance(value, tuple):
        return f"[{','.join(_number(number) for number in value)}]"
    if isinstance(value, bool) or not isinstance(value, (float, int)):
        return "" if value is None else str(value)
    return _number(value)


def _number(number: float) -> str:
    if isnan(number):
        return "NaN"
    if number in (inf, -inf):
        return "+Inf" if number > 0 else "-Inf"
    return f"{number:.15g}"


def _query(metric: Metric) -> str:
    match metric.provider:
        case PrometheusProvider(query=query):
            return without_secrets(query.strip())
        case WebProvider(url=url):
            return without_secrets(url)
        case other:
            return other.kind


def _conditions(metric: Metric) -> str:
    parts = []
    if metric.success_condition:
        parts.append(f"successCondition: {metric.success_condition}")
    if metric.failure_condition:
        parts.append(f"failureCondition: {metric.failure_condition}")
    return without_secrets("; ".join(parts))


def _limit(metric: Metric, phase: AnalysisPhase, after: MetricResult) -> str:
    """Return the counter that a measurement moved, and what it may not exceed."""
    match phase:
        case AnalysisPhase.FAILED if metric.failure_limit < 0:
            return f"failed {after.failed}, no limit"
        case AnalysisPhase.FAILED if counts_in_a_row(metric):
            return f"failed {after.consecutive_failure} in a row, limit {metric.failure_limit}"
        case AnalysisPhase.FAILED:
            return f"failed {after.failed}, limit {metric.failure_limit}"
        case AnalysisPhase.INCONCLUSIVE:
            return f"inconclusive {after.inconclusive}, limit {metric.inconclusive_limit}"
        case AnalysisPhase.ERROR:
            return f"errors in a row {after.consecutive_error}, limit {metric.consecutive_error_limit}"
        case AnalysisPhase.MISSING:
            return "counts towards no limit"
    wanted = metric.measurements_wanted
    return f"count {after.count}" if wanted is None else f"count {after.count} of {wanted}"


def deciding_numbers(run: AnalysisRun) -> tuple[tuple[tuple[str, Number], ...], str]:
    """Return the numbers that a run's bad verdict rests on, and what would have flipped it."""
    for metric in run.metrics:
        result = run.status.result(metric.name)
        if result is None or metric.name in run.dry_run or result.phase is not run.status.phase:
            continue
        last = result.measurements[-1] if result.measurements else None
        numbers: tuple[tuple[str, Number], ...] = (
            ("run", run.name),
            ("metric", metric.name),
            ("failed", result.failed),
            ("failure_limit", metric.failure_limit),
            ("inconclusive", result.inconclusive),
            ("errors_in_a_row", result.consecutive_error),
            ("value", shown(last.value) if last is not None else None),
            ("requests", last.requests if last is not None else None),
        )
        return numbers, _flip(metric, result, last)
    return (("run", run.name),), run.status.message


def _flip(metric: Metric, result: MetricResult, last: Measurement | None) -> str:
    value = f"{last.flip} in the last measurement, or " if last is not None and last.flip else ""
    match result.phase:
        case AnalysisPhase.FAILED:
            return f"{value}failureLimit of {result.failed} or more"
        case AnalysisPhase.INCONCLUSIVE if result.missing_since_s is not None:
            return "enough requests before the evidence deadline, or another gamebird.dev/on-deadline"
        case AnalysisPhase.INCONCLUSIVE:
            return f"{value}inconclusiveLimit of {result.inconclusive} or more"
        case AnalysisPhase.ERROR:
            return f"an answer, or consecutiveErrorLimit of {result.consecutive_error} or more"
    return ""

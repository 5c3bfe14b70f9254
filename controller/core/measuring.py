"""Turn what a provider answered into a measurement: conditions first, then the weight of the evidence.

Pure. The one way in which an answer becomes a phase, in the cluster, beside local processes and in virtual
time. `controller.core.conditions` says what the conditions make of the value, `controller.core.evidence`
whether that may be believed at the number of requests behind it; limits and counters come later, in
`controller.core.analysis`. Who asks the provider also asks for the number of requests, at the same instant,
and says of what shape the query is (`Shape`), because only promql can read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.conditions import (
    Condition,
    ConditionError,
    Json,
    Threshold,
    compile_condition,
    fails_when,
    flip_phase,
    judge,
)
from controller.core.evidence import Floor, Outcome, Shape, Weighed, weigh
from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, Value
from controller.manifests.values import Metric, canonical_json, without_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider said: a value, or an error in its place.

    A vector is a tuple of floats, a scalar a float, no answer None; a web provider's JSON is a `Json`.
    """

    started_s: float
    finished_s: float
    value: object = None
    error: str = ""
    requests: float | None = None  # what the count query said; None: unknown
    shape: Shape | None = None  # what the query is of requests, if that is certain: a ratio or a quantile
    slow_requests: float | None = None  # of a quantile: those slower than the threshold, if they were counted


def measure(run: AnalysisRun, metric: str, answer: Answer) -> Measurement:
    """Return the measurement that this answer is."""
    return measure_metric(run.metric(metric), answer)


def measure_metric(metric: Metric, answer: Answer) -> Measurement:
    """Return the measurement of one metric."""
    if answer.error:
        phase, reason, message = AnalysisPhase.ERROR, "the provider did not answer", answer.error
    else:
        judgement = judge(metric.success_condition, metric.failure_condition, answer.value, now_s=answer.finished_s)
        phase, reason, message = judgement.phase, judgement.reason, judgement.message
    weighed = weigh(
        phase=phase,
        result=answer.value,
        requests=answer.requests,
        floor=_floor(metric, answer.shape),
        rules=metric.evidence,
        answered=not answer.error,
        reads=_reads(metric),
        slow_requests=answer.slow_requests,
    )
    return Measurement(
        phase=weighed.phase,
        started_s=answer.started_s,
        finished_s=answer.finished_s,
        value=_kept(answer.value),
        requests=answer.requests,
        message=without_secrets(message) if message else "",
        reason=weighed.reason or reason,
        flip=_flip(metric, answer, weighed),
    )


def _flip(metric: Metric, answer: Answer, weighed: Weighed) -> str:
    """Return what would have given another phase, in words; empty where no one value would."""
    if weighed.outcome is Outcome.TOO_FEW:
        return f"{metric.evidence.requests_min} requests or more"
    if answer.error:
        return "an answer"
    return flip_phase(metric.success_condition, metric.failure_condition, answer.value)


def _floor(metric: Metric, shape: Shape | None) -> Floor | None:
    rules = metric.evidence
    if rules.requests_min is None:
        return None
    return Floor(requests_min=rules.requests_min, odds=rules.odds, shape=shape, fails_when=failing_region(metric))


def failing_region(metric: Metric) -> Threshold | None:
    """Return the values for which the metric's measurements fail, where one constant bounds them."""
    success = _compiled(metric.success_condition) if metric.success_condition else None
    failure = _compiled(metric.failure_condition) if metric.failure_condition else None
    return fails_when(success, failure)


def _reads(metric: Metric) -> tuple[int, ...] | None:
    """Return the positions of a vector that the conditions look at; None when they may look at any."""
    positions: list[int] = []
    for text in (metric.success_condition, metric.failure_condition):
        if not text:
            continue
        condition = _compiled(text)
        if condition is None or condition.reads is None:
            return None
        positions += condition.reads
    return tuple(positions)


def _compiled(text: str) -> Condition | None:
    try:
        return compile_condition(text)
    except ConditionError:
        return None


def _kept(value: object) -> Value:
    """Return a value as a measurement keeps it: numbers as they are, anything else as a text."""
    if value is None or isinstance(value, (bool, float, int, str)):
        return value
    if isinstance(value, (tuple, list)) and all(isinstance(number, (float, int)) for number in value):
        return tuple(float(number) for number in value)
    return canonical_json(value.value if isinstance(value, Json) else value)

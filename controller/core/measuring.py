"""Turn what a provider answered into a measurement: conditions first, then the weight of the evidence.

Pure. The one way in which an answer becomes a phase, in the cluster, beside local processes and in virtual
time. `controller.core.conditions` says what the conditions make of the value, `controller.core.evidence`
whether that may be believed at the number of requests behind it; limits and counters come later, in
`controller.core.analysis`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, Value
from controller.manifests.values import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider said: a value, or an error in its place."""

    started_s: float
    finished_s: float
    value: Value = None
    error: str = ""
    requests: float | None = None  # what the count query said, asked for the same instant; None: unknown


def measure(run: AnalysisRun, metric: str, answer: Answer) -> Measurement:
    """Return the measurement that this answer is."""
    return measure_metric(run.metric(metric), answer)


def measure_metric(metric: Metric, answer: Answer) -> Measurement:
    """Return the measurement of one metric."""
    phase, message = _stand_in(metric, answer)
    return Measurement(
        phase=phase,
        started_s=answer.started_s,
        finished_s=answer.finished_s,
        value=answer.value,
        requests=answer.requests,
        message=message,
    )


def _stand_in(metric: Metric, answer: Answer) -> tuple[AnalysisPhase, str]:
    if answer.error:
        return AnalysisPhase.ERROR, answer.error
    try:
        good = _eval(metric.success_condition, answer.value, "successCondition")
        bad = _eval(metric.failure_condition, answer.value, "failureCondition")
    except ValueError as error:
        return AnalysisPhase.ERROR, str(error)
    if good is None and bad is None:
        return AnalysisPhase.SUCCESSFUL, ""
    if bad is None:
        bad = not good
    if good is None:
        good = not bad
    if bad:
        return AnalysisPhase.FAILED, ""
    return (AnalysisPhase.SUCCESSFUL if good else AnalysisPhase.INCONCLUSIVE), ""


_SIMPLE = re.compile(r"\s*result(?:\[(\d+)\])?\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")


def _eval(text: str, value: Value, kind: str) -> bool | None:
    """Evaluate the simplest conditions, until `controller.core.conditions` evaluates all of them."""
    if not text:
        return None
    simple = _SIMPLE.fullmatch(text)
    if simple is None:
        raise ValueError(f'could not evaluate {kind} "{text}": not supported yet')
    if value is None or value == ():
        raise ValueError(
            f'could not evaluate {kind} "{text}": metric result is nil or empty: '
            "no data returned from the metric provider"
        )
    number = value[int(simple[1] or 0)] if isinstance(value, tuple) else value
    threshold = float(simple[3])
    match simple[2]:
        case "<":
            return number < threshold
        case "<=":
            return number <= threshold
        case ">":
            return number > threshold
        case _:
            return number >= threshold

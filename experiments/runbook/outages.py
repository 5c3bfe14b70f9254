"""What becomes of the rollout while Prometheus (or whatever the analysis asks) does not answer.

Tried on the decision core, as in `metrics`: whether silence is an error, is waited for, or is something else.
"""

from __future__ import annotations

from controller.core.analysis import ERROR_RETRY_S
from controller.core.evidence_deadlines import wait_s
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.policies import Policy
from controller.manifests.values import Metric, OtherProvider, PrometheusProvider
from experiments.runbook.journey import time_text
from experiments.runbook.markdown import code_outside_tables as code
from promql.syntax.printing import duration_text

_PROMETHEUS_TIMEOUT_S, _WEB_TIMEOUT_S = 30.0, 10.0


def outage_lines(policy: Policy) -> tuple[str, ...]:
    """Return sentences: who asks, what silence counts as, and after how long what happens."""
    metrics = list(
        dict.fromkeys(
            metric
            for item in policy.analyses
            for metric in item.resolved.metrics
            if metric.name not in item.resolved.dry_run
        )
    )
    if not metrics:
        return ("No analysis decides anything here: nothing is asked, and nothing stops because a metric is silent.",)
    said = []
    if all(item.step_index is not None for item in policy.analyses):
        said.append(
            "Only the steps that measure ask it. In pauses and at weight steps nobody asks, and the rollout goes on: "
            "an outage there is noticed at the next step that measures."
        )
    else:
        said.append("The analysis beside the steps asks it from its first step on, in pauses too.")
    said += [_of_metric(metric) for metric in metrics]
    said.append("An abort needs nothing of it: the commands above work while it is down.")
    return tuple(said)


def _of_metric(metric: Metric) -> str:
    phase = measure_metric(metric, Answer(started_s=0.0, finished_s=0.0, error="no answer")).phase
    name = code(metric.name)
    match phase:
        case AnalysisPhase.ERROR:
            limit = metric.consecutive_error_limit
            slow_s = (limit + 1) * _timeout_s(metric) + limit * ERROR_RETRY_S
            slow = f"{duration_text(slow_s)} after the first question where every one runs into its timeout"
            if limit == 0:
                return f"{name}: the first silence aborts the rollout: at once where it refuses, at most {slow}."
            return (
                f"{name}: each silence is an error, asked again {duration_text(ERROR_RETRY_S)} later whatever the "
                f"interval. Error number {limit + 1} in a row aborts the rollout: "
                f"{duration_text(limit * ERROR_RETRY_S)} after the first where it refuses at once, at most {slow}."
            )
        case AnalysisPhase.MISSING:
            return (
                f"{name}: silence is waited for and counts towards no limit. After {time_text(wait_s(metric))} the "
                f"policy says `{metric.evidence.on_deadline.value}`."
            )
        case AnalysisPhase.SUCCESSFUL:
            return f"{name}: **silence is taken as good**, because the policy says so (`gamebird.dev/on-error: pass`)."
        case _:
            return f"{name}: silence is {phase} at once, and counts towards that limit."


def _timeout_s(metric: Metric) -> float:
    provider = metric.provider
    if isinstance(provider, OtherProvider):
        return _PROMETHEUS_TIMEOUT_S
    default_s = _PROMETHEUS_TIMEOUT_S if isinstance(provider, PrometheusProvider) else _WEB_TIMEOUT_S
    return default_s if provider.timeout_s is None else provider.timeout_s

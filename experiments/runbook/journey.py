"""What a rollout does from a new revision to its promotion: one line for each step, with weights, pods and times.

Weights, pods and shortest times are the decision core's own; this module only puts them into words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controller.core.durations import shortest_s
from controller.core.plan import Plan
from controller.core.replicas import approximate_counts, counts_within
from controller.manifests.policies import Policy
from controller.manifests.values import Rollout, SetCanaryScale, Step
from experiments.runbook.markdown import code
from promql.syntax.printing import duration_text


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """One step, as a row of the page's table."""

    number: int  # from 1, as people count; Argo's status counts from 0
    what: str
    weight: str
    pods: str
    shortest: str
    waits_for_person: bool


def step_lines(policy: Policy, plan: Plan) -> tuple[StepLine, ...]:
    """Return the steps in their order."""
    metrics = {item.step_index: item.resolved.metrics for item in policy.analyses}
    lines = []
    for index, step in enumerate(plan.steps):
        lines.append(
            StepLine(
                number=index + 1,
                what="; ".join(_what(step, tuple(metric.name for metric in metrics.get(index, ())), plan)),
                weight=share(plan.weight_at[index], plan.total_weight),
                pods=str(_canary_pods(plan, index)),
                shortest=_step_shortest(policy, step),
                waits_for_person=step.pause is not None and step.pause.duration_s is None,
            )
        )
    return tuple(lines)


def shortest(policy: Policy) -> str:
    """Return the shortest time from a new revision to its promotion, in words."""
    return time_text(shortest_s(policy.rollout, policy.templates))


def time_text(seconds: float) -> str:
    """Return a time of the policy as PromQL writes durations (3m, 1h30m); without end for infinity."""
    return "without end" if math.isinf(seconds) else duration_text(seconds)


def share(weight: int, total: int) -> str:
    """Return a weight as a percentage, or as parts where the router counts in others."""
    return f"{weight} %" if total == 100 else f"{weight} of {total} parts"


def _step_shortest(policy: Policy, step: Step) -> str:
    rollout = policy.rollout
    alone: Rollout = replace(rollout, min_ready_s=0.0, strategy=replace(rollout.strategy, steps=(step,)))
    alone_s = shortest_s(alone, policy.templates)
    return time_text(alone_s) if alone_s else "–"


def _canary_pods(plan: Plan, index: int) -> int:
    """Return the canary's pods at a step, at the size that the manifest names."""
    if plan.routed:
        return plan.canary_pods_at[index]
    counts = approximate_counts if plan.strict else counts_within
    return counts(plan.replicas, plan.weight_at[index], plan.total_weight, plan.surge)[0]


def _what(step: Step, metrics: tuple[str, ...], plan: Plan) -> list[str]:
    said = []
    if step.set_canary_scale is not None:
        said.append(_scale(step.set_canary_scale))
    if step.set_weight is not None:
        said.append(f"send {share(step.set_weight, plan.total_weight)} of the traffic to the canary")
    if step.set_header_route is not None:
        route = step.set_header_route
        verb = "send requests with the headers of" if route.matches else "remove"
        said.append(f"{verb} the header route {code(route.name)}" + (" to the canary" if route.matches else ""))
    if step.set_mirror_route is not None:
        mirror = step.set_mirror_route
        verb = "copy requests to the canary by" if mirror.matches else "remove"
        said.append(f"{verb} the mirror route {code(mirror.name)}")
    if step.pause is not None:
        duration_s = step.pause.duration_s
        said.append("**wait for a person**" if duration_s is None else f"wait {duration_text(duration_s)}")
    if step.analysis is not None:
        names = ", ".join(code(name) for name in metrics) or "an analysis whose every run ends in Error"
        said.append(f"measure {names}")
    return said


def _scale(scale: SetCanaryScale) -> str:
    if scale.replicas is not None:
        return f"run {scale.replicas} canary pods, whatever the weight"
    if scale.weight_percent is not None:
        return f"run the canary pods that {scale.weight_percent} % of the traffic would need"
    return "let the canary's pods follow its weight again"

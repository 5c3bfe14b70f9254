"""The current step: whether it is done, and how it is called."""

from __future__ import annotations

from controller.core.look import Look
from controller.core.pauses import pause_is_over
from controller.core.replicas import at_desired_counts
from controller.core.runs import AnalysisPhase
from controller.manifests.values import Step


def step_is_done(look: Look) -> bool:
    """Return whether the rollout may go on to the next step.

    Where a step holds several fields one of them decides, in Argo's order: pause, scale, weight, analysis.
    """
    step = look.step
    if step is None or look.plan.rollout.paused:
        return False
    if step.pause is not None:
        return pause_is_over(look)
    if step.set_canary_scale is not None:
        return at_desired_counts(look, look.weights)
    if step.set_weight is not None:
        return at_desired_counts(look, look.weights) and not (
            look.weights is not None and look.weights.verified is False
        )
    if step.analysis is not None:
        return look.step_run_phase is AnalysisPhase.SUCCESSFUL
    return step.set_header_route is not None or step.set_mirror_route is not None


def describe(step: Step) -> str:
    """Return a step as Argo's events write it."""
    if step.set_weight is not None:
        return f"setWeight: {step.set_weight}"
    if step.pause is not None:
        return "pause" if step.pause.duration_s is None else f"pause: {step.pause.duration_s:g}s"
    if step.analysis is not None:
        return "analysis"
    scale = step.set_canary_scale
    if scale is not None:
        if scale.weight_percent is not None:
            return f"setCanaryScale{{weight: {scale.weight_percent}}}"
        if scale.match_traffic_weight:
            return "setCanaryScale{matchTrafficWeight: true}"
        return f"setCanaryScale{{replicas: {scale.replicas}}}"
    if step.set_header_route is not None:
        return f"setHeaderRoute: {step.set_header_route.name}"
    if step.set_mirror_route is not None:
        return f"setMirrorRoute: {step.set_mirror_route.name}"
    return "invalid"

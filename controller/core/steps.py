"""Whether the current step is done."""

from __future__ import annotations

from controller.core.look import Look
from controller.core.pauses import pause_is_over
from controller.core.replicas import at_desired_counts
from controller.core.runs import AnalysisPhase

_SUCCESSFUL = AnalysisPhase.SUCCESSFUL


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
        return look.step_run_phase is _SUCCESSFUL
    return step.set_header_route is not None or step.set_mirror_route is not None

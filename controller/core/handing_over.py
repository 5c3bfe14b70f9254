"""Scale the workload that a rollout takes over from: the Deployment whose pod template it follows.

As in Argo Rollouts it is done with the rollout's first revision only, at once when that is healthy (`onsuccess`), or
pod by pod as its own pods become ready (`progressively`). A first revision that loses its ready pods gives the
workload its pods back.
"""

from __future__ import annotations

from controller.core.actions import ScaleWorkload
from controller.core.look import Look
from controller.core.status import Phase


def scale_workload(look: Look) -> None:
    """Ask for the number of pods that the workload should still have, where it has another."""
    reference, now = look.plan.rollout.workload_ref, look.snapshot.workload_replicas
    if reference is None or now is None or look.new is None or look.new.revision != 1:
        return
    wanted = _wanted(look, reference.scale_down, now)
    if wanted != now:
        look.actions.append(ScaleWorkload(replicas=wanted))


def _wanted(look: Look, scale_down: str, now: int) -> int:
    is_healthy = look.status.phase is Phase.HEALTHY
    if scale_down == "onsuccess":
        return 0 if is_healthy else now
    if scale_down != "progressively":
        return now
    if is_healthy:
        return 0
    missing = max(look.plan.replicas - look.status.ready_replicas, 0)
    # Before the first ready pod nothing is taken from a workload that has more than the rollout's size.
    return missing if look.status.ready_replicas > 0 else max(now, missing)

"""Restart pods that are older than the spec's restartAt, a few at a time.

As many pods as may be unavailable are ended at once, at least one, stable's first. Asked again when pods
change, and every half minute for those that could not be ended.
"""

from __future__ import annotations

from controller.core.actions import RestartPod
from controller.core.look import Look
from controller.core.snapshot import ReplicaSetSeen

RETRY_S = 30.0


def restart_pods(look: Look) -> bool:
    """Ask for the end of pods that are too old; True when some are ended now."""
    at_s = look.plan.rollout.restart_at_s
    if at_s is None or look.status.restarted_s == at_s:
        return False
    if look.now_s < at_s:
        look.wake_at(at_s)
        return False
    ordered = sorted(look.all, key=lambda rs: _rank(look, rs))
    pods = [(rs.pod_hash, pod) for rs in ordered for pod in rs.pods]
    available = sum(pod.available and not pod.leaving for _, pod in pods)
    size = max(look.plan.replicas, sum(rs.wanted for rs in look.all))
    may_go = available - (size - max(look.plan.unavailable, 1))
    too_old = restarted = 0
    for pod_hash, pod in pods:
        if pod.created_s >= at_s:
            continue
        too_old += 1
        if may_go <= 0 or pod.leaving:
            continue
        look.actions.append(RestartPod(pod_hash=pod_hash, pod=pod.name))
        may_go -= 1
        restarted += 1
    if too_old == restarted:
        look.restarted_s = at_s
    else:
        look.wake_at(look.now_s + RETRY_S)
    return restarted > 0


def _rank(look: Look, replica_set: ReplicaSetSeen) -> tuple[int, float]:
    if look.stable is not None and replica_set.pod_hash == look.stable.pod_hash:
        return 0, replica_set.created_s
    if look.new is not None and replica_set.pod_hash == look.new.pod_hash:
        return 1, replica_set.created_s
    return 2, replica_set.created_s

"""Scale the revisions: stable first, then the newest, then those that are neither.

One revision is scaled per decision, as in Argo Rollouts: the next decision sees the pods that came of it. Old
pods are kept for the scale-down delay, because whoever has to go back wants them warm.
"""

from __future__ import annotations

from controller.core.actions import DeleteReplicaSet, ScaleReplicaSet
from controller.core.look import Look
from controller.core.replicas import basic_counts, routed_counts
from controller.core.snapshot import ReplicaSetSeen

RESYNC_S = 900.0  # Argo forgets to wait for a canary whose countdown is longer than its resync period


def reconcile_replica_sets(look: Look) -> bool:
    """Scale what has to be scaled; True when a number of pods changes."""
    if look.plan.rollout.paused or look.is_inconclusive:
        return False
    _forget_deadlines(look)
    if not look.plan.strict and _newest_shrinks(look):
        return _scale_newest(look) or _scale_stable(look) or _scale_others(look)
    return _scale_stable(look) or _scale_newest(look) or _scale_others(look)


def delays_scale_down(look: Look) -> bool:
    """Return whether an aborted canary's pods are kept for a while."""
    plan = look.plan
    if not look.is_aborted or look.stable is None or not plan.routed or plan.abort_delay_s is None:
        return False
    return plan.abort_delay_explicit or not plan.dynamic


def _newest_shrinks(look: Look) -> bool:
    """Return whether the ratio of pods is the ratio of traffic and the newest revision is to lose some.

    It goes first then: with stable's pods ended first, as in Argo, its share would rise on the way down.
    """
    return not look.plan.routed and look.new is not None and basic_counts(look)[0] < look.new.wanted


def _forget_deadlines(look: Look) -> None:
    """The newest and the stable revision are wanted, so nothing counts down on them."""
    new, stable = look.new, look.stable
    if new is not None and new.scale_down_at_s is not None and not delays_scale_down(look):
        look.forget_deadline(new)
    if stable is not None and stable.scale_down_at_s is not None and stable is not new:
        look.forget_deadline(stable)


def _scale(look: Look, replica_set: ReplicaSetSeen, replicas: int) -> bool:
    changes = look.scale(replica_set, replicas)
    if replicas == 0 and (changes or look.plan.replicas == 0) and not delays_scale_down(look):
        look.forget_deadline(replica_set)
    return changes


def _scale_stable(look: Look) -> bool:
    stable = look.stable_apart
    if stable is None:
        return False
    if look.plan.routed:
        # By the weights that the last decision noted: at the end of the steps stable keeps its pods for one
        # decision more, until the router has moved.
        _, replicas = routed_counts(look, look.status.weights)
    else:
        _, replicas = basic_counts(look)
    return _scale(look, stable, replicas)


def _scale_newest(look: Look) -> bool:
    new = look.new
    if new is None:
        return False
    if look.plan.routed:
        replicas, _ = routed_counts(look, look.weights)
    else:
        replicas, _ = basic_counts(look)
    if delays_scale_down(look):
        deadline_s = look.deadline_of(new)
        if deadline_s is None:
            return _start_countdown(look, new)
        left_s = deadline_s - look.now_s
        if left_s > 0 and not (look.plan.strict and left_s >= RESYNC_S):
            look.wake_at(deadline_s)
            _note_size(look, new)
            return False
        if left_s <= 0:
            replicas = 0
    return _scale(look, new, replicas)


def _note_size(look: Look, replica_set: ReplicaSetSeen) -> None:
    """Note the rollout's size on a set that keeps its pods, so that a change of size is not seen for ever."""
    if replica_set.desired_replicas != look.plan.replicas:
        look.wake_at(look.now_s)
        look.actions.append(
            ScaleReplicaSet(
                pod_hash=replica_set.pod_hash,
                replicas=replica_set.wanted,
                desired_replicas=look.plan.replicas,
            )
        )


def _start_countdown(look: Look, new: ReplicaSetSeen) -> bool:
    """Keep an aborted canary, and count down once stable can carry all traffic."""
    _note_size(look, new)
    delay_s = look.plan.abort_delay_s
    if look.stable is not None and delay_s is not None and look.stable.available >= look.plan.replicas:
        at_s = look.now_s + delay_s
        look.set_deadline(new, at_s)
    return False


# ---- revisions that are neither newest nor stable


def _scale_others(look: Look) -> bool:
    if not look.others:
        return False
    active = sorted((rs for rs in look.others if rs.wanted > 0), key=lambda rs: rs.created_s)
    remaining, total = _drop_unavailable(look, active)
    if len(remaining) < len(active):
        return False
    can_go = sum(rs.available for rs in look.all) - (look.plan.replicas - look.plan.unavailable)
    if can_go <= 0:
        return False
    kept = 0
    for replica_set in sorted(active, key=lambda rs: rs.revision, reverse=True):
        wanted = remaining[replica_set.pod_hash]
        if look.plan.routed and _is_referenced(look, replica_set):
            continue
        if can_go <= 0:
            break
        if wanted == 0:
            continue
        replicas = 0
        if not look.plan.routed:
            replicas = max(0, wanted - can_go)
        elif not look.plan.dynamic and (look.is_fully_promoted or look.deadline_of(replica_set) is not None):
            kept, replicas = _after_delay(look, replica_set, kept, wanted)
        if replicas == wanted:
            continue
        _scale(look, replica_set, replicas)
        can_go -= wanted - replicas
        total += wanted - replicas
    return total > 0


def _drop_unavailable(look: Look, active: list[ReplicaSetSeen]) -> tuple[dict[str, int], int]:
    """End pods that serve nobody and only block what is to come, oldest set first.

    Returns:
        What is left by hash, and how many ended. It stops at a set whose pods of an earlier scaling are still going,
        because nobody can be counted on yet.
    """
    left: dict[str, int] = {}
    ended = 0
    for replica_set in active:
        if replica_set.available > replica_set.wanted:
            break
        left[replica_set.pod_hash] = replica_set.available
        if replica_set.wanted != replica_set.available:
            ended += replica_set.wanted - replica_set.available
            _scale(look, replica_set, replica_set.available)
    return left, ended


def _after_delay(look: Look, replica_set: ReplicaSetSeen, kept: int, wanted: int) -> tuple[int, int]:
    """Return how many old revisions are kept so far, and the pods of this one."""
    limit = look.plan.canary.scale_down_delay_revision_limit
    deadline_s = look.deadline_of(replica_set)
    if deadline_s is None:
        if limit is not None and kept >= limit:
            return kept, 0
        delay_s = look.plan.scale_down_delay_s
        if delay_s <= 0:
            # Argo neither begins a countdown nor ends the pods: they stay for ever.
            return (kept + 1, wanted) if look.plan.strict else (kept, 0)
        at_s = look.now_s + delay_s
        look.set_deadline(replica_set, at_s)
        return kept + 1, wanted
    kept += 1
    if (limit is not None and kept > limit) or deadline_s <= look.now_s:
        return kept, 0
    look.wake_at(deadline_s)
    return kept, wanted


def _is_referenced(look: Look, replica_set: ReplicaSetSeen) -> bool:
    """Return whether traffic may still reach a revision: by the status, the weights or a Service."""
    status, services = look.status, look.services
    references = [status.stable_hash, status.current_hash]
    if status.weights is not None:
        references += [status.weights.canary_hash, status.weights.stable_hash]
    if look.plan.canary.canary_service:
        references.append(services.canary_hash or "")
    if look.plan.canary.stable_service:
        references.append(services.stable_hash or "")
    return replica_set.pod_hash in references


def delete_old_revisions(look: Look) -> None:
    """Forget revisions without pods beyond the history limit, the oldest first."""
    excess = len(look.others) - look.plan.rollout.revision_history_limit
    if excess <= 0:
        return
    for replica_set in sorted(look.others, key=lambda rs: rs.created_s)[:excess]:
        if replica_set.wanted == 0 and replica_set.created == 0:
            look.actions.append(DeleteReplicaSet(pod_hash=replica_set.pod_hash))

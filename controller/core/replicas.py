"""How many pods each revision should have: the arithmetic of weights and pods, and nothing else.

With a traffic router the canary gets the pods that its weight needs and stable stays whole (or shrinks, with
dynamicStableScale). Without one the ratio of pods is the ratio of traffic, so both sizes move together within
maxSurge and maxUnavailable. Pure functions; `controller.core.scaling` turns the numbers into actions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from controller.core.look import Look
from controller.core.plan import at_least, canary_pods, pods_for
from controller.core.snapshot import ReplicaSetSeen
from controller.core.status import RolloutStatus, Weights
from controller.manifests.values import ReplicaProgressThreshold, SetCanaryScale


def threshold_met(threshold: ReplicaProgressThreshold | None, replica_set: ReplicaSetSeen | None, wanted: int) -> bool:
    """Return whether enough of the wanted pods are available to go on."""
    if threshold is None or replica_set is None or threshold.value < 0:
        return replica_set is not None and wanted == replica_set.wanted and wanted == replica_set.available
    if threshold.kind == "Percent":
        if wanted == 0:
            return True
        return replica_set.available / wanted * 100 >= threshold.value - 1e-10
    return replica_set.available >= threshold.value


def at_desired_counts(look: Look, weights: Weights | None) -> bool:
    """Return whether canary and stable have the pods that the current step asks for."""
    plan = look.plan
    if plan.routed:
        canary, stable = routed_counts(look, weights)
    else:
        canary, stable = basic_counts(look)
    if not threshold_met(plan.canary.replica_progress_threshold, look.new, canary):
        return False
    if not plan.dynamic:
        seen = look.stable
        if seen is None or seen.wanted != stable or seen.created != stable:
            return False
    # Without a router every old pod takes traffic, so all of them have to be gone.
    return plan.routed or not any(other.available for other in look.others)


# ---- with a traffic router


def scale_in_force(look: Look) -> SetCanaryScale | None:
    """Return the setCanaryScale that counts now. An abort ends it, unless its delay is turned off."""
    if not look.plan.routed or look.step is None or look.index is None:
        return None
    if look.status.abort and look.plan.abort_delay_s is not None:
        return None
    return look.plan.scale_at[look.index]


def current_weight(look: Look) -> int:
    """Return the weight that the steps have reached; 0 when the stored status is aborted."""
    if look.status.abort:
        return 0
    if look.step is None or look.index is None:
        return look.plan.total_weight
    return look.plan.weight_at[look.index]


def desired_weight(look: Look) -> int:
    """Return the canary's weight that its size should follow."""
    plan, new, stable = look.plan, look.new, look.stable
    if not look.status.abort or not plan.dynamic or new is None or stable is None:
        return current_weight(look)
    # Aborted with a stable that has shrunk: go down by the steps in reverse, as stable pods become available,
    # so that the abort does not ask for all of stable's pods at once.
    left = plan.replicas - stable.available
    if not plan.abort_delay_explicit:
        left = max(left, new.available)  # the canary's own pods drain in step with it
    for step in reversed(plan.steps):
        weight = step.set_weight
        if weight is not None and pods_for(plan.replicas, weight, plan.total_weight) < left:
            return weight
    return 0


def _gets_all(status: RolloutStatus) -> bool:
    return status.promote_full or status.stable_hash == "" or status.current_hash == status.stable_hash


def _scale_or_weight(look: Look) -> tuple[int | None, int]:
    if _gets_all(look.status):
        return None, look.plan.total_weight
    scale = scale_in_force(look)
    if scale is not None:
        if scale.replicas is not None:
            return scale.replicas, 0
        if scale.weight_percent is not None:
            return None, scale.weight_percent
    return None, desired_weight(look)


def _beside_whole_stable(look: Look) -> int:
    """Return the canary's pods where stable keeps all of its own, whatever the router sends where."""
    plan, status = look.plan, look.status
    if _gets_all(status):
        return plan.replicas
    if status.abort:
        return canary_pods(plan.rollout, scale_in_force(look), 0)
    return plan.replicas if look.index is None else plan.canary_pods_at[look.index]


def routed_counts(look: Look, weights: Weights | None) -> tuple[int, int]:
    """Return the pods of canary and stable under a traffic router that sends `weights` now."""
    if look.counts is not None:
        return look.counts
    plan = look.plan
    if not plan.dynamic:
        look.counts = (_beside_whole_stable(look), plan.replicas)  # for the next asker too
        return look.counts
    fixed, weight = _scale_or_weight(look)
    rollout, total = plan.rollout, plan.total_weight
    canary = fixed if fixed is not None else at_least(rollout, pods_for(plan.replicas, weight, total))
    stable = pods_for(plan.replicas, total - weight, total)
    if weights is not None:
        # Pods follow the higher of the traffic that flows and the traffic that is to flow.
        stable = max(stable, pods_for(plan.replicas, weights.stable, total))
        if look.status.abort:
            canary = max(canary, pods_for(plan.replicas, weights.canary, total))
    return at_least(rollout, canary), at_least(rollout, stable)


# ---- without a router


def basic_counts(look: Look) -> tuple[int, int]:
    """Return the pods of canary and stable where the ratio of pods is the ratio of traffic.

    Scale up first, stable before canary, as far as the surge allows; then scale down what is too much, as far
    as enough pods stay available. A step towards the goal is returned, not the goal.
    """
    plan, new, stable = look.plan, look.new, look.stable_apart
    _, weight = _scale_or_weight(look)
    replicas = plan.replicas
    if stable is None:
        goal_new, goal_stable = replicas, 0
    elif plan.strict:
        goal_new, goal_stable = approximate_counts(replicas, weight, plan.total_weight, plan.surge)
    else:
        goal_new, goal_stable = counts_within(replicas, weight, plan.total_weight, plan.surge)
    most = replicas + plan.surge
    new_count = new.wanted if new is not None else 0
    stable_count = stable.wanted if stable is not None else 0
    old_count = _wanted(look.others)
    room = most - (old_count + new_count + stable_count)

    if stable is not None and stable.wanted < goal_stable and room > 0:
        stable_count = min(stable.wanted + room, goal_stable)
        room -= stable_count - stable.wanted
    if new is not None and new.wanted < goal_new and room > 0:
        new_count = min(new.wanted + room, goal_new)
    if old_count > 0:
        return new_count, stable_count  # older revisions go first

    least_available = replicas - plan.unavailable
    # A growing canary takes from stable, so stable's unready pods may go; a shrinking one the other way round.
    growing = new is None or goal_new >= new.wanted
    can_spare = _counted(new, ignore_availability=not growing) + _counted(look.stable, ignore_availability=growing)
    if can_spare <= least_available:
        return new_count, stable_count
    spare = can_spare - least_available
    if not growing:
        new_count = _drain(new, goal_new, spare, new_count)
        return _within_limits(new, look.stable, new_count, stable_count, most, least_available)
    if stable is not None:
        stable_count = _drain(stable, goal_stable, spare, stable_count)
        stable_count, new_count = _within_limits(stable, new, stable_count, new_count, most, least_available)
    return new_count, stable_count


def approximate_counts(replicas: int, weight: int, total: int, surge: int) -> tuple[int, int]:
    """Return the whole pods of canary and stable whose ratio comes closest to a weight.

    Between 1 and 99 % neither side gets none if two pods can be had; one pod more than the replicas may be
    used if there is a surge and it comes closer.
    """
    if replicas == 0:
        return 0, 0
    up = math.ceil(replicas * weight / total)
    down = math.floor(replicas * weight / total)
    none_allowed = weight in (0, total) or (replicas == 1 and surge == 0)
    options: list[tuple[int, int]] = []
    if up < replicas or none_allowed:
        options.append((up, replicas))
    if not _tied(weight, total, replicas) and (down != 0 or none_allowed):
        options.append((down, replicas))
    if surge > 0:
        options.append((up, replicas + 1))
        if not _tied(weight, total, replicas + 1) and (down != 0 or none_allowed):
            options.append((down, replicas + 1))
    if not options:
        return 0, replicas
    canary, of = min(options, key=lambda option: abs(option[0] * total / option[1] - weight))
    return canary, of - canary


def counts_within(replicas: int, weight: int, total: int, surge: int) -> tuple[int, int]:
    """Return the whole pods of canary and stable whose ratio comes closest to a weight without exceeding it.

    A share smaller than one pod is none: the canary gets no pod, where Argo gives it one.
    """
    sizes = (replicas, replicas + 1) if surge > 0 and 0 < weight < total and replicas > 0 else (replicas,)
    options = [(replicas_of * weight // total, replicas_of) for replicas_of in sizes]
    canary, of = max(options, key=lambda option: option[0] / option[1] if option[1] else 0.0)  # the smaller of equals
    return canary, of - canary


def _tied(weight: int, total: int, pods: int) -> bool:
    return math.modf(pods * (weight / total))[0] == 0.5


def _wanted(replica_sets: Iterable[ReplicaSetSeen]) -> int:
    return sum(replica_set.wanted for replica_set in replica_sets)


def _counted(replica_set: ReplicaSetSeen | None, *, ignore_availability: bool) -> int:
    if replica_set is None:
        return 0
    if replica_set.wanted < replica_set.available or ignore_availability:
        return replica_set.wanted
    return replica_set.available


def _drain(replica_set: ReplicaSetSeen | None, goal: int, spare: int, count: int) -> int:
    if replica_set is not None and replica_set.wanted > goal:
        return max(goal, replica_set.wanted - spare)
    return count


def _within_limits(
    drained: ReplicaSetSeen | None,
    adjusted: ReplicaSetSeen | None,
    drained_count: int,
    adjusted_count: int,
    most: int,
    least_available: int,
) -> tuple[int, int]:
    """Cut the two counts to the surge without going below what has to be available."""
    if adjusted is None:
        return drained_count, adjusted_count
    available = min(drained.available, drained_count) if drained is not None else 0
    adjusted_count -= max(0, adjusted_count + drained_count - most)
    available += min(adjusted.available, adjusted_count)
    given_up = max(0, adjusted.available - adjusted_count)
    adjusted_count += min(given_up, max(0, least_available - available))
    drained_count -= max(0, adjusted_count + drained_count - most)
    return drained_count, adjusted_count

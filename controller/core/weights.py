"""How much traffic the canary gets, and the routes that steps set.

The weight follows the steps, but never runs ahead of pods: it rises when the canary has the pods for it, and
changes only if stable can take the rest. An abort's weight is put before everything else that a decision asks
for (`put_abort_first`), because everything else can wait and users cannot.
"""

from __future__ import annotations

from controller.core.actions import (
    Action,
    RemoveManagedRoutes,
    SelectService,
    SetHeaderRoute,
    SetMirrorRoute,
    SetWeight,
)
from controller.core.look import Look
from controller.core.replicas import at_desired_counts, current_weight, desired_weight, threshold_met
from controller.core.services import CANARY, rolling_back_dynamically, select
from controller.core.snapshot import ReplicaSetSeen
from controller.core.status import Weights


def reconcile_weights(look: Look) -> None:
    """Decide the weight, ask the router for it, and note it in the status to come."""
    plan = look.plan
    if not plan.weighted:
        look.weights = None
        return
    canary_hash = look.new.pod_hash if look.new is not None else ""
    stable_hash = look.stable.pod_hash if look.stable is not None else ""
    leaving = rolling_back_dynamically(look)
    if leaving is not None:
        weight = _weight_on_the_way_back(look)
        canary_hash = leaving
    else:
        weight = _weight(look)
    if not enough_pods(look, look.stable, plan.total_weight - weight):
        return
    _set_step_routes(look)
    _ask_router(look, weight, canary_hash, stable_hash)


def _weight(look: Look) -> int:
    """Return the canary's weight by the state that the rollout is in; the first that applies wins."""
    plan, status, new = look.plan, look.status, look.new
    if look.is_fully_promoted:
        _remove_routes(look)
        return 0
    if look.is_aborted:
        weight = _weight_on_the_way_back(look)
        if weight == 0 or not plan.dynamic:
            select(look, CANARY, look.stable, check=False)
        _remove_routes(look)
        return weight
    if new is None or new.available == 0:
        _remove_routes(look)
        return 0
    if status.promote_full:
        _remove_routes(look)
        if plan.dynamic:
            return plan.total_weight * new.available // plan.replicas if plan.replicas else 0
        return status.weights.canary if status.weights is not None else 0
    if look.index is None:
        return 0
    if not at_desired_counts(look, None):
        return _weight_until_pods_come(look, look.index)
    return current_weight(look)


def _weight_until_pods_come(look: Look, index: int) -> int:
    """Return the weight while the step's pods are missing: that of the step before.

    Argo gives it back to a canary that had lost all its pods as soon as one of them is there again.
    """
    plan, weights = look.plan, look.status.weights
    weight = plan.weight_before[min(index, len(plan.steps))]
    has_own_scale = plan.scale_at[min(index, len(plan.steps))] is not None
    if (
        plan.strict
        or has_own_scale
        or weights is None
        or weight <= weights.canary
        or enough_pods(look, look.new, weight)
    ):
        return weight
    return weights.canary


def _weight_on_the_way_back(look: Look) -> int:
    """Return the weight of a canary that is being left, by an abort or because the spec went back to stable."""
    plan, status, stable = look.plan, look.status, look.stable
    if not plan.dynamic or stable is None or look.new is None or plan.replicas == 0:
        return 0
    total = plan.total_weight
    if not plan.strict and enough_pods(look, stable, total):
        return 0  # Argo goes down step by step all the same
    wanted = desired_weight(look)
    stable_can_take = total * stable.available // plan.replicas
    least = max(0, total - stable_can_take)
    if status.weights is None:
        return max(least, wanted)
    now = status.weights.canary
    if wanted <= 0:
        return min(least, now)  # never up again, even if stable's pods come and go
    if stable_can_take < total - wanted:
        return now
    return min(wanted, now)


def enough_pods(look: Look, replica_set: ReplicaSetSeen | None, weight: int) -> bool:
    """Return whether a revision has the available pods for this weight."""
    if replica_set is None:
        return False
    plan = look.plan
    wanted = weight * plan.replicas // plan.total_weight
    return replica_set.available >= wanted or threshold_met(plan.canary.replica_progress_threshold, replica_set, wanted)


def _set_step_routes(look: Look) -> None:
    step = look.step
    if step is None or look.revision <= 1 or _keeps_no_routes(look):
        return
    header, mirror = step.set_header_route, step.set_mirror_route
    if header is not None and _is_new_route(look, header.name):
        look.actions.append(SetHeaderRoute(route=header))
    if mirror is not None and _is_new_route(look, mirror.name):
        look.actions.append(SetMirrorRoute(route=mirror))


def _keeps_no_routes(look: Look) -> bool:
    """Return whether the steps' routes go: the update is over, ends, or has no pod to send anybody to.

    Argo takes them away as well, and puts that of the current step back at every look; after an abort, which goes back
    to the first step, that is the first one's, for as long as the rollout stays aborted.
    """
    new = look.new
    is_over = look.is_fully_promoted or look.is_aborted or look.status.promote_full
    return is_over or new is None or new.available == 0


def _is_new_route(look: Look, name: str) -> bool:
    """Return whether a step's route has to be set, and note it; a later step may give a route other rules."""
    route = f"{name}@{look.index}"
    if route in look.routes:
        return False
    look.routes = (*(known for known in look.routes if known.rpartition("@")[0] != name), route)
    return True


def _remove_routes(look: Look) -> None:
    if look.routes:
        look.actions.append(RemoveManagedRoutes())
        look.routes = ()


def _ask_router(look: Look, weight: int, canary_hash: str, stable_hash: str) -> None:
    total = look.plan.total_weight
    before = look.status.weights
    acknowledged = look.snapshot.acknowledged_weight
    same = (
        before is not None
        and before.canary == weight
        and before.canary_hash == canary_hash
        and before.stable_hash == stable_hash
        and before.stable == total - weight
    )
    if not same or (acknowledged is not None and acknowledged != weight):
        look.actions.append(SetWeight(canary=weight, total=total, canary_hash=canary_hash, stable_hash=stable_hash))
    verified = _verified(look, weight)
    if same and before is not None and before.verified == verified:
        return
    look.weights = Weights(
        canary=weight,
        canary_hash=canary_hash,
        stable=total - weight,
        stable_hash=stable_hash,
        verified=verified,
    )
    if before is None or before.canary != weight:
        way = f"to {weight}" if before is None else f"from {before.canary} to {weight}"
        look.event("TrafficWeightUpdated", f"Traffic weight updated {way}")


def _verified(look: Look, weight: int) -> bool | None:
    """Return whether the router has confirmed the weight; None where nobody waits for its word."""
    acknowledged = look.snapshot.acknowledged_weight
    if acknowledged is None or look.status.stable_hash == "" or look.is_fully_promoted:
        return None
    at_weight_step = look.step is not None and look.step.set_weight is not None
    at_end = look.step is None and weight == look.plan.total_weight
    return acknowledged == weight if at_weight_step or at_end else None


def put_abort_first(look: Look) -> None:
    """Let the router's actions of an abort stand before all others, and add them if they are not there yet.

    An analysis that fails is noticed after the weight was decided, and a status may be written first for other
    reasons. The weight does not wait for either: it is asked for now, and noted by the next decision.
    """
    plan, weights = look.plan, look.status.weights
    if not look.is_aborted or not plan.routed or look.is_fully_promoted or weights is None:
        return
    if look.weights is not None and look.weights.canary < weights.canary:
        look.actions.sort(key=_rank_in_abort)  # the order among equals stays
        return
    if weights.canary == 0 or (plan.dynamic and plan.strict) or not enough_pods(look, look.stable, plan.total_weight):
        return
    first = SetWeight(
        canary=0,
        total=plan.total_weight,
        canary_hash=weights.canary_hash,
        stable_hash=weights.stable_hash,
    )
    # Requests that a step's route sends to the canary whatever the weight is are users, too.
    routes = [RemoveManagedRoutes()] if look.routes else []
    others = [action for action in look.actions if not isinstance(action, (SetWeight, SetHeaderRoute, SetMirrorRoute))]
    look.actions = [first, *routes, *others]


def _rank_in_abort(action: Action) -> int:
    """Return how early an abort's action comes: weights, then the routes of steps, then the canary's Service."""
    match action:
        case SetWeight():
            return 0
        case RemoveManagedRoutes():
            return 1
        case SelectService(role=role) if role == CANARY:
            return 2
        case _:
            return 3

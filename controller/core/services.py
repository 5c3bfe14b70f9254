"""Which pods the stable and the canary Service select.

A Service is never pointed at a revision without an available pod, and one that selected no revision before
is only taken over once the revision is whole. Under an abort with a traffic router the canary Service is
moved once, by `controller.core.weights`, when no traffic is meant for the canary any more; nothing here moves
it back (Argo Rollouts moves it to and fro for as long as the canary's pods live).
"""

from __future__ import annotations

from dataclasses import replace

from controller.core.actions import SelectService
from controller.core.look import Look
from controller.core.snapshot import ReplicaSetSeen
from controller.manifests.values import CanaryStrategy

STABLE = "stable"
CANARY = "canary"
PING = "ping"
PONG = "pong"


def reconcile_services(look: Look) -> None:
    """Point both Services at the revisions of their roles."""
    _reconcile_ping_pong(look)
    select(look, STABLE, look.stable, check=True)
    if look.is_aborted:
        if not look.plan.routed:
            select(look, CANARY, look.stable, check=True)
            return
        if not look.plan.dynamic:
            return
        if look.status.weights is None or look.status.weights.canary == 0:
            return
    if rolling_back_dynamically(look) is not None:
        return  # stable cannot take the canary Service's traffic yet
    select(look, CANARY, look.new, check=True)


def names_by_role(canary: CanaryStrategy, stable_ping_pong: str) -> tuple[str, str]:
    """Return the Services of stable and of the canary; two that swap their roles have those of the last promotion."""
    pair = canary.ping_pong
    if pair is None:
        return canary.stable_service, canary.canary_service
    if stable_ping_pong == PING:
        return pair.ping_service, pair.pong_service
    return pair.pong_service, pair.ping_service


def _reconcile_ping_pong(look: Look) -> None:
    """Point that one of two swapping Services at the newest revision that is not stable's now, with pods or without.

    Nothing moves stable's: at a promotion the two only change their roles, and so no Service that users' traffic
    meets is moved, ever.
    """
    canary = look.plan.canary
    if canary.ping_pong is None or look.is_fully_promoted or look.new is None:
        return
    _, service = names_by_role(canary, look.status.stable_ping_pong)
    if look.services.canary_hash != look.new.pod_hash:
        _point(look, CANARY, service, look.services.canary_hash, look.new.pod_hash)


def select(look: Look, role: str, replica_set: ReplicaSetSeen | None, *, check: bool) -> None:
    """Point the Service of a role at a revision, if that revision can serve."""
    if replica_set is None:
        return
    canary, services = look.plan.canary, look.services
    if role == STABLE:
        service, selected = canary.stable_service, services.stable_hash
    else:
        service, selected = canary.canary_service, services.canary_hash
    if selected == replica_set.pod_hash or service == "":
        return
    if check:
        if selected is None and not 0 < replica_set.wanted <= replica_set.available:
            return
        if replica_set.available == 0:
            return
    _point(look, role, service, selected, replica_set.pod_hash)


def _point(look: Look, role: str, service: str, selected: str | None, pod_hash: str) -> None:
    look.actions.append(SelectService(role=role, service=service, pod_hash=pod_hash))
    # What a Service selected may have kept old pods from being scaled down; in this decision already it no longer does.
    if role == STABLE:
        look.services = replace(look.services, stable_hash=pod_hash)
    else:
        look.services = replace(look.services, canary_hash=pod_hash)
    look.event("SwitchService", f"Switched selector for service '{service}' from '{selected or ''}' to '{pod_hash}'")


def rolling_back_dynamically(look: Look) -> str | None:
    """Return the hash of the canary that traffic is leaving while a shrunken stable grows again, else None.

    Only with dynamicStableScale: the spec went back to stable in mid-rollout, and stable is not whole yet.
    """
    status = look.status
    if not look.plan.dynamic or not look.is_fully_promoted or status.weights is None or look.new is None:
        return None
    if status.weights.canary_hash == look.new.pod_hash or look.new.available >= look.plan.replicas:
        return None
    return status.weights.canary_hash

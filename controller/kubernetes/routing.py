"""Which router a rollout has: the one that its spec names, over the objects of its namespace."""

from __future__ import annotations

from dataclasses import replace

from controller.core.services import names_by_role
from controller.kubernetes.cluster import Cluster, NamespaceObjects
from controller.kubernetes.observing import Observed
from controller.kubernetes.replica_sets import owner_reference
from controller.manifests.values import Rollout
from controller.traffic.gateway import GatewayRouter
from controller.traffic.istio import IstioRouter
from controller.traffic.nginx import NginxRouter
from controller.traffic.routers import Router, RouterError, Together


def router_of(cluster: Cluster, seen: Observed) -> Router | None:
    """Return the rollout's router, or None where pods alone split the traffic.

    Raises:
        RouterError: it names a router that this controller does not drive.
    """
    routing = seen.snapshot.rollout.strategy.traffic_routing
    if routing is None:
        return None
    objects = NamespaceObjects(cluster, seen.key.namespace)
    rollout = _with_services_by_role(seen.snapshot.rollout, seen.snapshot.status.stable_ping_pong)
    routers: list[Router] = []
    if routing.nginx is not None:
        owner = owner_reference(seen.item)
        routers.append(NginxRouter(rollout=rollout, routing=routing.nginx, objects=objects, owner=owner))
    if routing.gateway_api is not None:
        routers.append(GatewayRouter(rollout=rollout, routing=routing.gateway_api, objects=objects))
    if routing.istio is not None:
        routers.append(IstioRouter(rollout=rollout, routing=routing.istio, objects=objects))
    others = [name for name in _NOT_DRIVEN if getattr(routing, name)]
    if others or not routers:
        named = ", ".join(others) or "none that it drives"
        raise RouterError(
            f"spec.strategy.canary.trafficRouting: Gamebird's controller drives nginx, Istio and the "
            f"Gateway API; here is {named}"
        )
    return routers[0] if len(routers) == 1 else Together(routers=tuple(routers))


def _with_services_by_role(rollout: Rollout, stable_ping_pong: str) -> Rollout:
    """Return the rollout with those Services that play stable and canary now, where two swap these roles.

    Services that are named for the roles come first, as in Argo with every router but ALB.
    """
    strategy = rollout.strategy
    if strategy.ping_pong is None or strategy.stable_service or strategy.canary_service:
        return rollout
    stable, canary = names_by_role(strategy, stable_ping_pong)
    return replace(rollout, strategy=replace(strategy, stable_service=stable, canary_service=canary))


_NOT_DRIVEN = ("alb", "smi", "ambassador", "app_mesh", "traefik", "apisix")

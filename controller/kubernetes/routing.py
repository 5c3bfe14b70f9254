"""Which router a rollout has: the one that its spec names, over the objects of its namespace."""

from __future__ import annotations

from controller.kubernetes.cluster import Cluster, NamespaceObjects
from controller.kubernetes.observing import Observed
from controller.kubernetes.replica_sets import owner_reference
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
    rollout = seen.snapshot.rollout
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


_NOT_DRIVEN = ("alb", "smi", "ambassador", "app_mesh", "traefik", "apisix")

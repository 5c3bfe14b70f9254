"""Which router a rollout has: the one that its spec names, over the objects of its namespace."""

from __future__ import annotations

from controller.kubernetes.cluster import Cluster, NamespaceObjects
from controller.kubernetes.observing import Observed
from controller.kubernetes.replica_sets import owner_reference
from controller.traffic.nginx import NginxRouter
from controller.traffic.routers import Router, RouterError


def router_of(cluster: Cluster, seen: Observed) -> Router | None:
    """Return the rollout's router, or None where pods alone split the traffic.

    Raises:
        RouterError: it names a router that this controller does not drive.
    """
    routing = seen.snapshot.rollout.strategy.traffic_routing
    if routing is None:
        return None
    objects = NamespaceObjects(cluster, seen.key.namespace)
    if routing.nginx is not None:
        return NginxRouter(
            rollout=seen.snapshot.rollout, routing=routing.nginx, objects=objects, owner=owner_reference(seen.item)
        )
    raise RouterError(
        "spec.strategy.canary.trafficRouting names a router that Gamebird's controller does not drive yet"
    )

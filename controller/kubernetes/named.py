"""What a rollout names and the cluster does not have: said where people look, before anything is begun.

Only for a rollout that is in no update: one that is goes on as well as it can, because its abort must need nothing
that may be missing. Kinds that are asked for when they are needed are left to whoever needs them.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.core.status import RolloutStatus
from controller.kubernetes.api.resources import INGRESSES, SERVICES, Resource
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.manifests.values import Rollout

_STRATEGY = "spec.strategy.canary"


def first_missing(cluster: Cluster, rollout: Rollout, status: RolloutStatus, current_hash: str) -> str:
    """Return what to say of the first object that a rollout names in vain; "": it may go on.

    Args:
        current_hash: the pod hash of the rollout's template.

    Raises:
        ApiError: the server does not tell whether it is there.
    """
    has_canary = status.weights is not None and status.weights.canary > 0
    if has_canary or status.stable_hash not in ("", current_hash):
        return ""
    for field, resource, name in _named(rollout):
        if cluster.get(resource.kind, Key(rollout.namespace, name)) is None and _is_missing(
            cluster, resource, rollout.namespace, name
        ):
            return f'{field}: Invalid value: "{name}": {resource.text} "{name}" not found'
    return ""


def _named(rollout: Rollout) -> Iterator[tuple[str, Resource, str]]:
    strategy = rollout.strategy
    services = [("canaryService", strategy.canary_service), ("stableService", strategy.stable_service)]
    if strategy.ping_pong is not None:
        services += [
            ("pingPong.pingService", strategy.ping_pong.ping_service),
            ("pingPong.pongService", strategy.ping_pong.pong_service),
        ]
    for field, name in services:
        if name:
            yield f"{_STRATEGY}.{field}", SERVICES, name
    nginx = strategy.traffic_routing.nginx if strategy.traffic_routing is not None else None
    for name in nginx.stable_ingresses if nginx is not None else ():
        yield f"{_STRATEGY}.trafficRouting.nginx.stableIngress", INGRESSES, name


def _is_missing(cluster: Cluster, resource: Resource, namespace: str, name: str) -> bool:
    """Ask the server itself: the copy of one kind may be a moment behind that of another.

    By a list of one name: what is always watched may be listed, and needs no right to be read one by one.
    """
    query = {"fieldSelector": f"metadata.name={name}"}
    return not cluster.connection.call("GET", resource.path(namespace), query=query, resource=resource).get("items")

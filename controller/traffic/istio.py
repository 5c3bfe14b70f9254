"""Istio: the canary's weight is the weight of a destination in a VirtualService's HTTP routes.

With a DestinationRule the two sides are subsets of one host, whose labels this router keeps at the two pod hashes;
without one they are the hosts of the two Services. Objects are replaced as a whole, and only if nobody has changed them
since.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.core.actions import SetWeight
from controller.manifests.values import (
    POD_HASH_LABEL,
    IstioDestinationRule,
    IstioRouting,
    IstioVirtualService,
    Rollout,
    SetHeaderRoute,
    SetMirrorRoute,
)
from controller.traffic.routers import Objects, RouterError

Json = dict[str, Any]

VIRTUAL_SERVICE, DESTINATION_RULE = "VirtualService", "DestinationRule"


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioRouter:
    """The VirtualServices of one rollout, and its DestinationRule."""

    rollout: Rollout
    routing: IstioRouting
    objects: Objects

    def set_weight(self, weight: SetWeight) -> None:
        """Let the subsets select the two revisions, then let every VirtualService carry the weight."""
        rule = self.routing.destination_rule
        if rule is not None:
            self._select(rule, weight)
        for named in self.routing.virtual_services:
            known = self._service(named)
            changed = copy.deepcopy(known)
            for stable, canary in self._pairs(changed, named):
                canary["weight"], stable["weight"] = weight.canary, weight.total - weight.canary
            if changed != known:
                self.objects.replace(VIRTUAL_SERVICE, changed)

    def weight(self) -> int | None:
        """Return the weight that all routes carry; None where one is missing or they differ."""
        found: set[int | None] = set()
        for named in self.routing.virtual_services:
            known = self.objects.get(VIRTUAL_SERVICE, named.name)
            if known is None:
                return None
            found |= {canary.get("weight", 0) for _, canary in self._pairs(known, named)}
        return found.pop() if len(found) == 1 else None

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Refuse header and mirror routes: leaving one out in silence would show a canary to the wrong users."""
        raise RouterError(f"the step's route {route.name}: header and mirror routes of Istio are not driven yet")

    def remove_routes(self) -> None:
        """There are none."""

    def _service(self, named: IstioVirtualService) -> Json:
        if named.tls_routes or named.tcp_routes:
            raise RouterError(f"the VirtualService {named.name}: only HTTP routes are driven")
        known = self.objects.get(VIRTUAL_SERVICE, named.name)
        if known is None:
            raise RouterError(f"the VirtualService {named.name} that the rollout names is not there")
        return known

    def _pairs(self, service: Json, named: IstioVirtualService) -> Iterator[tuple[Json, Json]]:
        """Yield the stable and the canary destination of each HTTP route that is named, or of all."""
        routes = service["spec"].get("http") or []
        chosen = [route for route in routes if not named.routes or route.get("name") in named.routes]
        missing = set(named.routes) - {route.get("name") for route in chosen}
        if missing or not chosen:
            what = ", ".join(sorted(missing)) or "an HTTP route"
            raise RouterError(f"the VirtualService {named.name} has no {what}")
        for route in chosen:
            sides = {self._side(each): each for each in route.get("route") or ()}
            if "stable" not in sides or "canary" not in sides:
                raise RouterError(f"a route of the VirtualService {named.name} does not have both sides of the rollout")
            yield sides["stable"], sides["canary"]

    def _side(self, destination: Json) -> str:
        """Return which side a destination is: by its subset, or by its host, long or short."""
        strategy, rule, to = self.rollout.strategy, self.routing.destination_rule, destination["destination"]
        if rule is not None:
            return {rule.canary_subset: "canary", rule.stable_subset: "stable"}.get(str(to.get("subset")), "")
        host = str(to.get("host", "")).partition(".")[0]
        return {strategy.canary_service: "canary", strategy.stable_service: "stable"}.get(host, "")

    def _select(self, rule: IstioDestinationRule, weight: SetWeight) -> None:
        known = self.objects.get(DESTINATION_RULE, rule.name)
        if known is None:
            raise RouterError(f"the DestinationRule {rule.name} that the rollout names is not there")
        changed = copy.deepcopy(known)
        hashes = {rule.canary_subset: weight.canary_hash, rule.stable_subset: weight.stable_hash}
        for subset in changed["spec"].get("subsets") or ():
            pod_hash = hashes.get(subset.get("name"))
            if pod_hash:
                subset["labels"] = {**(subset.get("labels") or {}), POD_HASH_LABEL: pod_hash}
        if changed != known:
            self.objects.replace(DESTINATION_RULE, changed)

"""Istio: the canary's weight is the weight of a destination in a VirtualService's HTTP routes.

With a DestinationRule the two sides are subsets of one host, whose labels this router keeps at the two pod hashes;
without one they are the hosts of the two Services. Steps' routes stand before all others, in the order of
`managedRoutes`: Istio takes the first that matches. Objects are replaced as a whole, and only if nobody has changed
them since.
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
    RouteMatch,
    SetHeaderRoute,
    SetMirrorRoute,
    StringMatch,
)
from controller.traffic.routers import Objects, RouterError, whole_split, with_each

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
        with_each(self.routing.virtual_services, lambda named: self._weigh(named, weight))

    def _weigh(self, named: IstioVirtualService, weight: SetWeight) -> None:
        known = self._service(named)
        changed = copy.deepcopy(known)
        for stable, canary in self._pairs(changed, named):
            canary["weight"], stable["weight"] = weight.canary, weight.total - weight.canary
        if changed != known:
            self.objects.replace(VIRTUAL_SERVICE, changed)

    def weight(self) -> int | None:
        """Return the weight that all routes carry.

        None where a VirtualService is missing, they differ, or stable does not have the rest.
        """
        found: set[int | None] = set()
        for named in self.routing.virtual_services:
            known = self.objects.get(VIRTUAL_SERVICE, named.name)
            if known is None:
                return None
            pairs = self._pairs(known, named)
            found |= {whole_split(s.get("weight", 0), c.get("weight", 0), self.rollout) for s, c in pairs}
        return found.pop() if len(found) == 1 else None

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Put the step's route before the split in every VirtualService; one that matches nothing is taken out."""
        for named in self.routing.virtual_services:
            known = self._service(named)
            changed = copy.deepcopy(known)
            stable, canary = next(self._pairs(changed, named))
            others = [each for each in changed["spec"]["http"] if each.get("name") != route.name]
            made = _header_route(route, canary) if isinstance(route, SetHeaderRoute) else _mirror(route, stable, canary)
            changed["spec"]["http"] = self._ordered([made, *others] if route.matches else others)
            if changed != known:
                self.objects.replace(VIRTUAL_SERVICE, changed)

    def remove_routes(self) -> None:
        """Take every route out that steps have set. A VirtualService that is not there has none."""
        for named in self.routing.virtual_services:
            known = self.objects.get(VIRTUAL_SERVICE, named.name)
            routes = [] if known is None else known["spec"].get("http") or []
            kept = [route for route in routes if route.get("name") not in self._managed()]
            if known is not None and kept != routes:
                self.objects.replace(VIRTUAL_SERVICE, {**known, "spec": {**known["spec"], "http": kept}})

    def _managed(self) -> tuple[str, ...]:
        routing = self.rollout.strategy.traffic_routing
        return () if routing is None else routing.managed_routes

    def _ordered(self, routes: list[Json]) -> list[Json]:
        """Return the managed routes in the manifest's order, then all others in their own."""
        rank = {name: number for number, name in enumerate(self._managed())}
        return sorted(routes, key=lambda route: rank.get(route.get("name", ""), len(rank)))

    def _service(self, named: IstioVirtualService) -> Json:
        if named.tls_routes or named.tcp_routes:
            raise RouterError(f"the VirtualService {named.name}: only HTTP routes are driven")
        known = self.objects.get(VIRTUAL_SERVICE, named.name)
        if known is None:
            raise RouterError(f"the VirtualService {named.name} that the rollout names is not there")
        return known

    def _pairs(self, service: Json, named: IstioVirtualService) -> Iterator[tuple[Json, Json]]:
        """Yield the stable and the canary destination of each HTTP route that carries the split, mirrors last."""
        routes = service["spec"].get("http") or []
        managed = [route for route in routes if route.get("name") in self._managed()]
        mirrors = [route for route in managed if "mirror" in route]
        for route in (*_chosen([route for route in routes if route not in managed], named), *mirrors):
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


def _chosen(routes: list[Json], named: IstioVirtualService) -> list[Json]:
    """Return the routes that the rollout names; without names the only one, or the first without a name, as Argo."""
    if named.routes:
        missing = set(named.routes) - {route.get("name") for route in routes}
        if missing:
            raise RouterError(f"the VirtualService {named.name} has no {', '.join(sorted(missing))}")
        return [route for route in routes if route.get("name") in named.routes]
    if not routes:
        raise RouterError(f"the VirtualService {named.name} has no HTTP route")
    found = routes if len(routes) == 1 else [route for route in routes if not route.get("name")][:1]
    if not found:
        raise RouterError(f"the VirtualService {named.name} has several HTTP routes, and the rollout names none")
    return found


def _header_route(route: SetHeaderRoute, canary: Json) -> Json:
    """Return a route that sends whatever carries one of the headers to the canary."""
    matches = [{"headers": {match.header: _string_match(match.value)}} for match in route.matches]
    to = {"destination": copy.deepcopy(canary["destination"]), "weight": 100}
    return {"name": route.name, "match": matches, "route": [to]}


def _mirror(route: SetMirrorRoute, stable: Json, canary: Json) -> Json:
    """Return a route that splits as before, and copies to the canary what matches."""
    return {
        "name": route.name,
        "match": [_route_match(match) for match in route.matches],
        "route": [copy.deepcopy(stable), copy.deepcopy(canary)],
        "mirror": copy.deepcopy(canary["destination"]),
        "mirrorPercentage": {"value": 100.0 if route.percentage is None else float(route.percentage)},
    }


def _route_match(match: RouteMatch) -> Json:
    found: Json = {}
    if match.method is not None:
        found["method"] = _string_match(match.method)
    if match.path is not None:
        found["uri"] = _string_match(match.path)
    if match.headers:
        found["headers"] = {name: _string_match(value) for name, value in match.headers.items()}
    return found


def _string_match(value: StringMatch) -> Json:
    return {name: text for name in ("exact", "prefix", "regex") if (text := getattr(value, name))}

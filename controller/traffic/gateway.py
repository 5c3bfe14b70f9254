"""Gateway API: the canary's weight is the weight of a backend in an HTTPRoute, as the plugin of Argo Rollouts sets it.

Every rule that has both Services among its backends carries the split; other rules and other backends stay as they are.
The route is replaced as a whole and only if nobody has changed it since it was read, because a merge patch of a list
would take back what others have put into it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.core.actions import SetWeight
from controller.manifests.values import GatewayApiRouting, Rollout, SetHeaderRoute, SetMirrorRoute
from controller.traffic.gateway_rules import header_rule, mirror_rule, names_of, put_in, take_out
from controller.traffic.routers import Objects, RouterError, whole_split, with_each

Json = dict[str, Any]

HTTP_ROUTE = "HTTPRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRouter:
    """The HTTPRoutes of one rollout."""

    rollout: Rollout
    routing: GatewayApiRouting
    objects: Objects

    def set_weight(self, weight: SetWeight) -> None:
        """Let every HTTPRoute that the rollout names carry the weight."""
        with_each(self._names(), lambda name: self._weigh(name, weight))

    def _weigh(self, name: str, weight: SetWeight) -> None:
        route = self._route(name)
        changed = copy.deepcopy(route)
        for stable, canary in self._pairs(changed):
            canary["weight"], stable["weight"] = weight.canary, weight.total - weight.canary
        if changed != route:
            self.objects.replace(HTTP_ROUTE, changed)

    def weight(self) -> int | None:
        """Return the weight that all rules of all routes carry.

        None where a route is missing, they differ, or stable does not have the rest.
        """
        found: set[int | None] = set()
        for name in self._names():
            route = self.objects.get(HTTP_ROUTE, name)
            if route is None:
                return None
            found |= {whole_split(s.get("weight", 1), c.get("weight", 1), self.rollout) for s, c in self._pairs(route)}
        return found.pop() if len(found) == 1 else None

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Let every HTTPRoute have a rule for the step's route; one that matches nothing is taken out."""
        for name in self._names():
            known = self._route(name)
            changed = copy.deepcopy(known)
            if route.matches:
                put_in(changed, self._own(route.name), self._rule_for(route, changed))
            else:
                take_out(changed, [self._own(route.name)])
            if changed != known:
                self.objects.replace(HTTP_ROUTE, changed)

    def remove_routes(self) -> None:
        """Take every rule out that this rollout's steps have set. An HTTPRoute that is not there has none."""
        for name in self._names():
            known = self.objects.get(HTTP_ROUTE, name)
            changed = copy.deepcopy(known)
            if changed is not None:
                take_out(changed, [name for name in names_of(changed) if name.startswith(self._own(""))])
            if changed is not None and changed != known:
                self.objects.replace(HTTP_ROUTE, changed)

    def _own(self, name: str) -> str:
        """Return the name of a step's route among those of other rollouts that share the HTTPRoute."""
        return f"{self.rollout.name}/{name}"

    def _route(self, name: str) -> Json:
        found = self.objects.get(HTTP_ROUTE, name)
        if found is None:
            raise RouterError(f"the HTTPRoute {name} that spec.strategy.canary.trafficRouting names is not there")
        return found

    def _rule_for(self, route: SetHeaderRoute | SetMirrorRoute, holder: Json) -> Json:
        """Return the rule of a step's route, made from the first of the user's own that carries the split."""
        plain = copy.deepcopy(holder)
        take_out(plain, names_of(plain))
        stable, canary = next(self._pairs(plain))
        rules = plain["spec"]["rules"]
        base = next(rule for rule in rules if any(ref is canary for ref in rule.get("backendRefs") or ()))
        if isinstance(route, SetHeaderRoute):
            return header_rule(route, base, canary)
        return mirror_rule(route, base, stable, canary)

    def _names(self) -> tuple[str, ...]:
        if self.routing.grpc_routes or self.routing.tcp_routes or self.routing.tls_routes:
            raise RouterError("of the Gateway API's routes only HTTPRoutes are driven")
        if self.routing.namespace not in ("", self.rollout.namespace):
            raise RouterError(f"HTTPRoutes of another namespace ({self.routing.namespace}) are not driven")
        return self.routing.http_routes

    def _pairs(self, route: Json) -> Iterator[tuple[Json, Json]]:
        """Yield the stable and the canary backend of each rule that has both; at least one has to."""
        strategy = self.rollout.strategy
        pairs = 0
        for rule in route["spec"].get("rules") or ():
            backends = {ref.get("name"): ref for ref in rule.get("backendRefs") or ()}
            stable, canary = backends.get(strategy.stable_service), backends.get(strategy.canary_service)
            if stable is not None and canary is not None:
                pairs += 1
                yield stable, canary
        if not pairs:
            name = route["metadata"]["name"]
            both = f"{strategy.stable_service} and {strategy.canary_service}"
            raise RouterError(f"the HTTPRoute {name} has no rule with both Services, {both}, among its backendRefs")

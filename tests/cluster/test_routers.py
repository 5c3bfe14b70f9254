"""One contract for every way to split traffic, on a real API server: what the status says, the router's object holds.

The nginx Ingress, the HTTPRoute of the Gateway API (in the form of Argo's plugin), Istio by hosts and by subsets, and
plain replicas, whose split is the share of pods.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from patience import eventually

from controller.core.operator import Word
from controller.kubernetes import labels
from controller.kubernetes.api import AlreadyExistsError, Connection
from controller.kubernetes.api.resources import (
    DESTINATION_RULES,
    HTTP_ROUTES,
    INGRESSES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
    Resource,
)
from controller.kubernetes.api.watching import Key, Reflector
from controller.kubernetes.operating import say

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
REPLICAS = 5
STEPS = [{"setWeight": 40}, {"pause": {}}, {"setWeight": 80}, {"pause": {}}]
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
HOSTS = {"stable": {"host": "shop-stable"}, "canary": {"host": "shop-canary"}}
SUBSETS = {side: {"host": "shop", "subset": side} for side in ("stable", "canary")}


class Split:
    """One way to split traffic: what the rollout says of it, the object that holds it, and the weight in there."""

    routing: ClassVar[Json]
    services: ClassVar[Json] = {"canaryService": "shop-canary", "stableService": "shop-stable"}
    service_names: ClassVar[tuple[str, str]] = ("shop-stable", "shop-canary")
    resource: ClassVar[Resource]
    name: ClassVar[str] = "shop"

    def objects(self) -> list[tuple[Resource, Json]]:
        """Return what a team has made before the rollout comes."""
        raise NotImplementedError

    def held(self, item: Json) -> int:
        """Return the canary's weight in the router's object."""
        raise NotImplementedError

    def changed(self, item: Json, weight: int) -> Json:
        """Return the object as somebody else would change it."""
        raise NotImplementedError


class Nginx(Split):
    routing: ClassVar[Json] = {"nginx": {"stableIngress": "shop"}}
    resource = INGRESSES
    name = "shop-shop-canary"

    def objects(self) -> list[tuple[Resource, Json]]:
        backend = {"service": {"name": "shop-stable", "port": {"number": 80}}}
        rule = {"host": "shop.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        return [(INGRESSES, {"metadata": {"name": "shop"}, "spec": {"ingressClassName": "nginx", "rules": [rule]}})]

    def held(self, item: Json) -> int:
        return int(item["metadata"]["annotations"][WEIGHT])

    def changed(self, item: Json, weight: int) -> Json:
        return {"metadata": {"annotations": {WEIGHT: str(weight)}}}


class Gateway(Split):
    routing: ClassVar[Json] = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "shop"}}}
    resource = HTTP_ROUTES

    def objects(self) -> list[tuple[Resource, Json]]:
        split = {"backendRefs": [{"name": name, "port": 80} for name in self.service_names]}
        docs = {"matches": [{"path": {"value": "/docs"}}], "backendRefs": [{"name": "docs", "port": 80}]}
        return [(HTTP_ROUTES, {"metadata": {"name": "shop"}, "spec": {"rules": [docs, split]}})]

    def held(self, item: Json) -> int:
        return next(
            int(ref["weight"])
            for rule in item["spec"]["rules"]
            if len(rule["backendRefs"]) == 2
            for ref in rule["backendRefs"]
            if ref["name"] == self.service_names[1]
        )

    def changed(self, item: Json, weight: int) -> Json:
        for rule in item["spec"]["rules"]:
            for ref in rule["backendRefs"]:
                stable, canary = self.service_names
                ref["weight"] = {canary: weight, stable: 100 - weight}.get(ref["name"], 1)
        return {"spec": item["spec"]}


class GatewayPingPong(Gateway):
    """Two Services that change their roles at each promotion: the first one makes `ping` stable's."""

    services: ClassVar[Json] = {"pingPong": {"pingService": "shop-ping", "pongService": "shop-pong"}}
    service_names: ClassVar[tuple[str, str]] = ("shop-ping", "shop-pong")


class Istio(Split):
    routing: ClassVar[Json] = {"istio": {"virtualService": {"name": "shop", "routes": ["primary"]}}}
    resource = VIRTUAL_SERVICES
    sides = HOSTS

    def objects(self) -> list[tuple[Resource, Json]]:
        split = [{"destination": self.sides[side], "weight": w} for side, w in (("stable", 100), ("canary", 0))]
        http = [{"name": "docs", "route": [{"destination": {"host": "docs"}}]}, {"name": "primary", "route": split}]
        return [(VIRTUAL_SERVICES, {"metadata": {"name": "shop"}, "spec": {"hosts": ["shop.test"], "http": http}})]

    def held(self, item: Json) -> int:
        (route,) = (route for route in item["spec"]["http"] if route.get("name") == "primary")
        return int(route["route"][1]["weight"])

    def changed(self, item: Json, weight: int) -> Json:
        for route in item["spec"]["http"]:
            if route.get("name") == "primary":
                route["route"][0]["weight"], route["route"][1]["weight"] = 100 - weight, weight
        return {"spec": item["spec"]}


class IstioSubsets(Istio):
    rule: ClassVar[Json] = {"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"}
    routing: ClassVar[Json] = {
        "istio": {"virtualService": {"name": "shop", "routes": ["primary"]}, "destinationRule": rule}
    }
    sides = SUBSETS

    def objects(self) -> list[tuple[Resource, Json]]:
        subsets = [{"name": side, "labels": {"app": "shop"}} for side in ("stable", "canary")]
        rule = {"metadata": {"name": "shop"}, "spec": {"host": "shop", "subsets": subsets}}
        return [*super().objects(), (DESTINATION_RULES, rule)]


class Team:
    """A rollout with one of the routers, in a namespace of its own."""

    def __init__(self, connection: Connection, namespace: str, split: Split | None) -> None:
        self.connection, self.namespace, self.split = connection, namespace, split
        self.key = Key(namespace, "shop")
        self.writes: list[Json] = []  # each state of the router's object, by whomever

    def deploy(self, version: str, **canary: Any) -> None:
        strategy: Json = {"steps": STEPS, "abortScaleDownDelaySeconds": 1, **canary}
        if self.split is not None:
            routing = {**self.split.routing, "managedRoutes": [{"name": "testers"}]}
            strategy |= {**self.split.services, "trafficRouting": routing}
        container = {"name": "app", "image": f"shop:{version}"}
        spec = {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container]}},
            "strategy": {"canary": strategy},
        }
        item = {"metadata": {"name": "shop"}, "spec": spec}
        try:
            self.connection.create(
                ROLLOUTS, self.namespace, {**item, "apiVersion": ROLLOUTS.api_version, "kind": "Rollout"}
            )
        except AlreadyExistsError:
            self.connection.patch(ROLLOUTS, self.namespace, "shop", {"spec": spec})

    def status(self) -> Json:
        return self.connection.get(ROLLOUTS, self.namespace, "shop").get("status") or {}

    def object(self) -> Json:
        assert self.split is not None
        return self.connection.get(self.split.resource, self.namespace, self.split.name)

    def share(self) -> int:
        """Return the canary's share of traffic, in percent: as the router's object, or the pods, have it."""
        if self.split is not None:
            return self.split.held(self.object())
        items = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        pods = {
            item["metadata"]["labels"][labels.POD_HASH]: item["status"].get("availableReplicas", 0) for item in items
        }
        return int(100 * pods[self.status()["currentPodHash"]] / max(sum(pods.values()), 1))

    def reported(self) -> int | None:
        weights = (self.status().get("canary") or {}).get("weights") or {}
        return (weights.get("canary") or {}).get("weight")

    def await_step(self, index: int, phase: str = "Paused") -> None:
        def there() -> bool:
            status = self.status()
            return status.get("currentStepIndex") == index and status.get("phase") == phase

        eventually(there, f"step {index}, {phase}")


@pytest.fixture
def make_team(
    running_controller: None, routing_kinds: None, connection: Connection, namespace: str
) -> Iterator[Callable[[Split | None], Team]]:
    watches: list[Reflector] = []

    def make(split: Split | None) -> Team:
        team = Team(connection, namespace, split)
        for name in () if split is None else split.service_names:
            spec = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
            connection.create(SERVICES, namespace, {"metadata": {"name": name}, "spec": spec})
        for resource, body in () if split is None else split.objects():
            body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
            connection.create(resource, namespace, body)
        if split is not None:

            def note(before: Json | None, after: Json | None) -> None:
                if after is not None and after["metadata"]["name"] == split.name:
                    team.writes.append(after)

            watches.append(Reflector(connection, split.resource, namespace=namespace, changed=note))
            watches[-1].start()
        return team

    yield make
    for watch in watches:
        watch.stop()
    connection.delete(ROLLOUTS, namespace, "shop")


ROUTERS = [Nginx, Gateway, GatewayPingPong, Istio, IstioSubsets]
EVERY = pytest.mark.parametrize(
    "kind", [*ROUTERS, None], ids=lambda kind: "replicas" if kind is None else kind.__name__
)
WITH_ROUTER = pytest.mark.parametrize("kind", ROUTERS, ids=lambda kind: kind.__name__)


@EVERY
def test_the_share_follows_the_steps_and_an_abort_takes_it_back_once(
    make_team: Callable[[Split | None], Team], kind: type[Split] | None
) -> None:
    team = make_team(None if kind is None else kind())
    team.deploy("1")
    team.await_step(len(STEPS), "Healthy")
    team.deploy("2")
    for index, share in ((1, 40), (3, 80)):
        team.await_step(index)
        assert team.share() == share
        assert team.reported() == (None if kind is None else share)
        if index == 1:
            say(team.connection, team.key, Word.PROMOTE)
    team.writes.clear()
    say(team.connection, team.key, Word.ABORT)
    team.await_step(0, "Degraded")
    eventually(lambda: team.share() == 0, "no traffic for the canary")
    eventually(lambda: team.status().get("updatedReplicas", 0) == 0, "the canary's pods are gone")
    time.sleep(1.0)
    if kind is not None:
        assert [team.split.held(item) for item in team.writes] == [0]  # type: ignore[union-attr]
        assert team.reported() == 0


@WITH_ROUTER
def test_a_weight_that_somebody_else_changes_is_set_back(
    make_team: Callable[[Split | None], Team], kind: type[Split]
) -> None:
    team = make_team(kind())
    team.deploy("1")
    team.await_step(len(STEPS), "Healthy")
    team.deploy("2")
    team.await_step(1)
    assert team.split is not None
    team.connection.patch(kind.resource, team.namespace, kind.name, team.split.changed(team.object(), 90))
    eventually(lambda: [team.split.held(item) for item in team.writes][-2:] == [90, 40], "40 again")  # type: ignore[union-attr]
    assert team.status()["currentStepIndex"] == 1


@WITH_ROUTER
def test_a_weight_that_no_object_holds_is_not_reported(
    make_team: Callable[[Split | None], Team], kind: type[Split]
) -> None:
    team = make_team(kind())
    assert team.split is not None
    made = team.split.objects()
    for resource, body in made:
        team.connection.delete(resource, team.namespace, body["metadata"]["name"])
    team.deploy("1")
    time.sleep(3.0)
    assert team.reported() is None
    assert team.status().get("phase") != "Healthy"
    for resource, body in made:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        team.connection.create(resource, team.namespace, body)
    team.await_step(len(STEPS), "Healthy")


@pytest.mark.parametrize("kind", [Gateway, Istio], ids=lambda kind: kind.__name__)
def test_a_header_route_holds_from_its_step_until_the_abort(
    make_team: Callable[[Split | None], Team], kind: type[Split]
) -> None:
    team = make_team(kind())
    steps = [
        {"setCanaryScale": {"replicas": 1}},
        {
            "setHeaderRoute": {
                "name": "testers",
                "match": [{"headerName": "X-Tester", "headerValue": {"exact": "yes"}}],
            }
        },
        {"pause": {}},
    ]
    team.deploy("1", steps=steps)
    team.await_step(3, "Healthy")
    team.deploy("2", steps=steps)
    team.await_step(2)
    rules = team.object()["spec"].get("rules") or team.object()["spec"]["http"]
    assert "X-Tester" in str(rules[0])
    say(team.connection, team.key, Word.ABORT)
    eventually(lambda: "X-Tester" not in str(team.object()), "the route is gone")
    assert "gamebird.dev/managed-routes" not in (team.object()["metadata"].get("annotations") or {})

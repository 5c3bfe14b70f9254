"""What every router has to do, whatever kind it is: one contract, three routers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.core.actions import SetWeight
from controller.manifests.loading import load
from controller.manifests.values import (
    HeaderMatch,
    Rollout,
    RouteMatch,
    SetHeaderRoute,
    SetMirrorRoute,
    StringMatch,
)
from controller.traffic.gateway import GatewayRouter
from controller.traffic.istio import IstioRouter
from controller.traffic.nginx import NginxRouter
from controller.traffic.routers import Router, RouterError, Together

Json = dict[str, Any]
OWNER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u-1", "controller": True}


def rollout_with(tmp_path: Path, routing: Json) -> Rollout:
    routing = {**routing, "managedRoutes": [{"name": "testers"}, {"name": "shadow"}]}
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "team"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
            },
            "strategy": {
                "canary": {
                    "canaryService": "shop-canary",
                    "stableService": "shop-stable",
                    "trafficRouting": routing,
                    "steps": [{"setWeight": 10}],
                }
            },
        },
    }
    file = tmp_path / "rollout.json"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    return load(file).rollouts[0]


def weight(canary: int, total: int = 100) -> SetWeight:
    return SetWeight(canary=canary, total=total, canary_hash="new", stable_hash="old")


def ingress_backend(service: str) -> Json:
    return {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def nginx(tmp_path: Path, objects: Any) -> Router:
    rules = [
        {"host": "shop.test", "http": {"paths": [ingress_backend("shop-stable")]}},
        {"host": "docs.test", "http": {"paths": [ingress_backend("docs")]}},
    ]
    metadata = {"name": "shop", "namespace": "team"}
    objects.create("Ingress", {"metadata": metadata, "spec": {"ingressClassName": "nginx", "rules": rules}})
    rollout = rollout_with(tmp_path, {"nginx": {"stableIngress": "shop"}})
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.nginx is not None
    return NginxRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.nginx, objects=objects, owner=OWNER)


def gateway(tmp_path: Path, objects: Any) -> Router:
    rules = [
        {"backendRefs": [{"name": "shop-stable", "port": 80}, {"name": "shop-canary", "port": 80, "weight": 0}]},
        {"backendRefs": [{"name": "docs", "port": 80}]},
    ]
    objects.create("HTTPRoute", {"metadata": {"name": "shop", "namespace": "team"}, "spec": {"rules": rules}})
    plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": "shop", "namespace": "team"}}
    rollout = rollout_with(tmp_path, {"plugins": plugin})
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.gateway_api is not None
    return GatewayRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.gateway_api, objects=objects)


def istio(tmp_path: Path, objects: Any) -> Router:
    routes = [
        {
            "name": "primary",
            "route": [
                {"destination": {"host": "shop-stable.team.svc.cluster.local"}, "weight": 100},
                {"destination": {"host": "shop-canary"}, "weight": 0},
            ],
        },
        {"name": "docs", "route": [{"destination": {"host": "docs"}}]},
    ]
    objects.create("VirtualService", {"metadata": {"name": "shop", "namespace": "team"}, "spec": {"http": routes}})
    rollout = rollout_with(tmp_path, {"istio": {"virtualService": {"name": "shop", "routes": ["primary"]}}})
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.istio is not None
    return IstioRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.istio, objects=objects)


def together(tmp_path: Path, objects: Any) -> Router:
    return Together(routers=(nginx(tmp_path, objects), gateway(tmp_path, objects)))


Make = Callable[[Path, Any], Router]
ROUTERS = pytest.mark.parametrize("make", [nginx, gateway, istio, together], ids=lambda make: make.__name__)


@ROUTERS
def test_a_weight_counts_once_the_routers_object_holds_it(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    for wanted in (10, 60, 100, 0):
        router.set_weight(weight(wanted))
        assert router.weight() == wanted


@ROUTERS
def test_the_same_weight_again_writes_nothing(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    router.set_weight(weight(10))
    before = list(objects.writes)
    router.set_weight(weight(10))
    assert objects.writes == before


@ROUTERS
def test_rules_of_other_services_stay_as_they_are(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    before = {key: of_docs(item) for key, item in objects.items.items()}
    assert all(before.values())
    router.set_weight(weight(30))
    assert {key: of_docs(objects.items[key]) for key in before} == before


def of_docs(item: Json) -> list[Json]:
    """Return the rules that send to another Service."""
    rules = item["spec"].get("rules") or item["spec"].get("http") or []
    return [rule for rule in rules if "docs" in json.dumps(rule)]


@ROUTERS
def test_what_a_rollout_names_and_nobody_has_is_an_error_that_names_it(
    make: Make, tmp_path: Path, objects: Any
) -> None:
    router = make(tmp_path, objects)
    objects.items.clear()
    with pytest.raises(RouterError, match=r"the (Ingress|HTTPRoute|VirtualService) shop .* is not there"):
        router.set_weight(weight(10))
    assert router.weight() is None


HEADER = SetHeaderRoute(name="testers", matches=(HeaderMatch(header="X-Tester", value=StringMatch(exact="yes")),))
MIRROR = SetMirrorRoute(
    name="shadow",
    matches=(RouteMatch(method=StringMatch(exact="GET"), path=StringMatch(prefix="/cart")),),
    percentage=40,
)
WITH_ROUTES = pytest.mark.parametrize("make", [gateway, istio], ids=lambda make: make.__name__)


def rules_of(item: Json) -> list[Json]:
    """Return the rules of an HTTPRoute or a VirtualService."""
    found: list[Json] = item["spec"].get("rules") or item["spec"].get("http")
    return found


@WITH_ROUTES
def test_a_steps_routes_stand_before_the_split_and_leave_no_trace_when_they_go(
    make: Make, tmp_path: Path, objects: Any
) -> None:
    router = make(tmp_path, objects)
    (key,) = objects.items
    router.set_weight(weight(10))
    before = objects.get(*key)
    for route in (HEADER, MIRROR):
        router.set_route(route)
    assert len(rules_of(objects.items[key])) == len(rules_of(before)) + 2
    assert rules_of(objects.items[key])[2:] == rules_of(before)
    writes = len(objects.writes)
    router.set_route(HEADER)  # the same again
    assert len(objects.writes) == writes
    router.set_weight(weight(60))
    assert router.weight() == 60
    router.set_weight(weight(10))
    router.remove_routes()
    assert objects.items[key]["spec"] == before["spec"]
    assert objects.items[key]["metadata"].get("annotations") == before["metadata"].get("annotations")


@WITH_ROUTES
def test_a_mirrors_split_follows_the_weight(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    (key,) = objects.items
    router.set_weight(weight(10))
    router.set_route(MIRROR)
    router.set_weight(weight(35))
    mirror = rules_of(objects.items[key])[0]
    assert [side["weight"] for side in mirror.get("route") or mirror["backendRefs"]] == [65, 35]


@WITH_ROUTES
def test_a_route_that_matches_nothing_any_more_is_taken_out(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    (key,) = objects.items
    before = objects.get(*key)
    router.set_route(HEADER)
    router.set_route(SetHeaderRoute(name="testers"))
    assert objects.items[key]["spec"] == before["spec"]


@ROUTERS
def test_taking_routes_out_of_what_is_gone_is_no_mistake(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    objects.items.clear()
    router.remove_routes()
    assert objects.items == {}


def test_a_header_route_of_an_http_route_is_the_plugins(tmp_path: Path, objects: Any) -> None:
    gateway(tmp_path, objects).set_route(HEADER)
    assert rules_of(objects.items[("HTTPRoute", "shop")])[0] == {
        "matches": [
            {
                "path": {"type": "PathPrefix", "value": "/"},
                "headers": [{"type": "Exact", "name": "X-Tester", "value": "yes"}],
            }
        ],
        "backendRefs": [{"name": "shop-canary", "port": 80, "weight": 1}],
    }


def test_routes_of_a_virtual_service_are_argos(tmp_path: Path, objects: Any) -> None:
    router = istio(tmp_path, objects)
    router.set_weight(weight(10))
    router.set_route(MIRROR)
    router.set_route(HEADER)
    header, mirror, *_ = rules_of(objects.items[("VirtualService", "shop")])
    canary = {"destination": {"host": "shop-canary"}}
    assert header == {
        "name": "testers",
        "match": [{"headers": {"X-Tester": {"exact": "yes"}}}],
        "route": [{**canary, "weight": 100}],
    }
    assert mirror == {
        "name": "shadow",
        "match": [{"method": {"exact": "GET"}, "uri": {"prefix": "/cart"}}],
        "route": [
            {"destination": {"host": "shop-stable.team.svc.cluster.local"}, "weight": 90},
            {**canary, "weight": 10},
        ],
        "mirror": {"host": "shop-canary"},
        "mirrorPercentage": {"value": 40.0},
    }


def test_a_rule_that_somebody_has_changed_since_is_theirs(tmp_path: Path, objects: Any) -> None:
    router = gateway(tmp_path, objects)
    router.set_route(HEADER)
    item = objects.get("HTTPRoute", "shop")
    item["spec"]["rules"][0]["matches"][0]["headers"][0]["value"] = "no"
    objects.replace("HTTPRoute", item)
    router.remove_routes()
    assert len(rules_of(objects.items[("HTTPRoute", "shop")])) == 3


@WITH_ROUTES
def test_a_split_that_is_no_whole_is_no_weight(make: Make, tmp_path: Path, objects: Any) -> None:
    router = make(tmp_path, objects)
    (key,) = objects.items
    router.set_weight(weight(40))
    item = objects.get(*key)
    sides = next(rule.get("route") or rule["backendRefs"] for rule in rules_of(item) if "shop-canary" in str(rule))
    sides[0]["weight"] = 0  # 40 to 0: everybody meets the canary
    objects.replace(key[0], item)
    assert router.weight() is None
    router.set_weight(weight(40))
    assert router.weight() == 40


def test_several_routes_of_which_the_rollout_names_none_are_told_apart_by_their_names(
    tmp_path: Path, objects: Any
) -> None:
    # As in Argo: the only route carries the split, or the first that has no name.
    sides = [{"destination": {"host": f"shop-{side}"}, "weight": 0} for side in ("stable", "canary")]
    routes = [{"name": "docs", "route": [{"destination": {"host": "docs"}}]}, {"route": sides}]
    objects.create("VirtualService", {"metadata": {"name": "shop"}, "spec": {"http": routes}})
    rollout = rollout_with(tmp_path, {"istio": {"virtualService": {"name": "shop"}}})
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.istio is not None
    router = IstioRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.istio, objects=objects)
    router.set_weight(weight(10))
    assert router.weight() == 10
    item = objects.get("VirtualService", "shop")
    item["spec"]["http"][1]["name"] = "primary"
    objects.replace("VirtualService", item)
    with pytest.raises(RouterError, match="has several HTTP routes, and the rollout names none"):
        router.set_weight(weight(20))


def test_a_canary_ingress_that_somebody_took_away_holds_no_weight(tmp_path: Path, objects: Any) -> None:
    router = nginx(tmp_path, objects)
    router.set_weight(weight(10))
    objects.delete("Ingress", "shop-shop-canary")
    assert router.weight() == 0
    router.set_weight(weight(10))
    assert router.weight() == 10


def test_a_canary_chosen_by_a_header_is_an_annotation_as_argo_has_it(tmp_path: Path, objects: Any) -> None:
    nginx(tmp_path, objects)
    routing = {"canary-by-header": "X-Tester", "canary-by-header-value": "yes"}
    rollout = rollout_with(tmp_path, {"nginx": {"stableIngress": "shop", "additionalIngressAnnotations": routing}})
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.nginx is not None
    router = NginxRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.nginx, objects=objects, owner=OWNER)
    router.set_weight(weight(0))
    annotations = objects.items[("Ingress", "shop-shop-canary")]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/canary-by-header"] == "X-Tester"
    assert annotations["nginx.ingress.kubernetes.io/canary-by-header-value"] == "yes"


def test_the_canary_ingress_sends_what_stable_gets_to_the_canary_and_is_the_rollouts_own(
    tmp_path: Path, objects: Any
) -> None:
    nginx(tmp_path, objects).set_weight(weight(10))
    canary = objects.items[("Ingress", "shop-shop-canary")]
    assert canary["metadata"]["ownerReferences"] == [OWNER]
    assert canary["metadata"]["annotations"] == {
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "10",
    }
    (rule,) = canary["spec"]["rules"]
    assert rule["http"]["paths"] == [ingress_backend("shop-canary")]


def test_an_ingress_of_that_name_that_is_somebody_elses_is_not_touched(tmp_path: Path, objects: Any) -> None:
    router = nginx(tmp_path, objects)
    objects.create("Ingress", {"metadata": {"name": "shop-shop-canary", "namespace": "team"}, "spec": {}})
    with pytest.raises(RouterError, match="controlled by another object"):
        router.set_weight(weight(10))


def test_annotations_that_others_put_on_the_canary_ingress_stay(tmp_path: Path, objects: Any) -> None:
    router = nginx(tmp_path, objects)
    router.set_weight(weight(10))
    objects.patch("Ingress", "shop-shop-canary", {"metadata": {"annotations": {"rancher/x": "1"}}})
    router.set_weight(weight(20))
    assert objects.items[("Ingress", "shop-shop-canary")]["metadata"]["annotations"]["rancher/x"] == "1"


def test_parts_of_another_whole_than_a_hundred_keep_their_whole(tmp_path: Path, objects: Any) -> None:
    nginx(tmp_path, objects).set_weight(weight(5, total=1000))
    annotations = objects.items[("Ingress", "shop-shop-canary")]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/canary-weight-total"] == "1000"
    gateway(tmp_path, objects).set_weight(weight(5, total=1000))
    (rule, _) = objects.items[("HTTPRoute", "shop")]["spec"]["rules"]
    assert [backend["weight"] for backend in rule["backendRefs"]] == [995, 5]


def test_subsets_select_the_two_revisions_before_the_weight_is_set(tmp_path: Path, objects: Any) -> None:
    subsets = [{"name": "new", "labels": {"app": "shop"}}, {"name": "old", "labels": {"app": "shop"}}]
    objects.create("DestinationRule", {"metadata": {"name": "shop"}, "spec": {"host": "shop", "subsets": subsets}})
    sides = [{"destination": {"host": "shop", "subset": name}, "weight": 0} for name in ("old", "new")]
    objects.create("VirtualService", {"metadata": {"name": "shop"}, "spec": {"http": [{"route": sides}]}})
    routing = {
        "istio": {
            "virtualService": {"name": "shop"},
            "destinationRule": {"name": "shop", "canarySubsetName": "new", "stableSubsetName": "old"},
        }
    }
    rollout = rollout_with(tmp_path, routing)
    assert rollout.strategy.traffic_routing is not None
    assert rollout.strategy.traffic_routing.istio is not None
    objects.writes.clear()
    IstioRouter(rollout=rollout, routing=rollout.strategy.traffic_routing.istio, objects=objects).set_weight(weight(10))
    assert objects.writes == [("DestinationRule", "shop"), ("VirtualService", "shop")]
    found = {each["name"]: each["labels"] for each in objects.items[("DestinationRule", "shop")]["spec"]["subsets"]}
    assert found["new"] == {"app": "shop", "rollouts-pod-template-hash": "new"}
    assert found["old"] == {"app": "shop", "rollouts-pod-template-hash": "old"}


def second_of(item: Json) -> Json:
    """Return another object like this one, named shop-2."""
    return {**item, "metadata": {**item["metadata"], "name": "shop-2"}}


def nginx_twice(tmp_path: Path, objects: Any) -> Router:
    router = nginx(tmp_path, objects)
    assert isinstance(router, NginxRouter)
    objects.create("Ingress", second_of(objects.get("Ingress", "shop")))
    return replace(router, routing=replace(router.routing, stable_ingresses=("shop", "shop-2")))


def gateway_twice(tmp_path: Path, objects: Any) -> Router:
    router = gateway(tmp_path, objects)
    assert isinstance(router, GatewayRouter)
    objects.create("HTTPRoute", second_of(objects.get("HTTPRoute", "shop")))
    return replace(router, routing=replace(router.routing, http_routes=("shop", "shop-2")))


def istio_twice(tmp_path: Path, objects: Any) -> Router:
    router = istio(tmp_path, objects)
    assert isinstance(router, IstioRouter)
    objects.create("VirtualService", second_of(objects.get("VirtualService", "shop")))
    (named,) = router.routing.virtual_services
    return replace(router, routing=replace(router.routing, virtual_services=(named, replace(named, name="shop-2"))))


TWICE = pytest.mark.parametrize(
    ("make", "kind"),
    [(nginx_twice, "Ingress"), (gateway_twice, "HTTPRoute"), (istio_twice, "VirtualService")],
    ids=["nginx", "gateway", "istio"],
)


@TWICE
def test_an_abort_reaches_the_second_object_although_the_first_is_gone(
    make: Make, kind: str, tmp_path: Path, objects: Any
) -> None:
    router = make(tmp_path, objects)
    router.set_weight(weight(50))
    objects.delete(kind, "shop")
    before = len(objects.writes)
    with pytest.raises(RouterError, match=f"the {kind} shop "):
        router.set_weight(weight(0))
    assert len(objects.writes) == before + 1
    objects.create(kind, {**objects.get(kind, "shop-2"), "metadata": {"name": "shop", "namespace": "team"}})
    router.set_weight(weight(0))
    assert router.weight() == 0


def test_an_abort_of_several_routers_reaches_the_second_although_the_firsts_object_is_gone(
    tmp_path: Path, objects: Any
) -> None:
    router = together(tmp_path, objects)
    router.set_weight(weight(50))
    objects.delete("Ingress", "shop")
    with pytest.raises(RouterError, match="the Ingress shop "):
        router.set_weight(weight(0))
    backends = {ref["name"]: ref.get("weight") for ref in rules_of(objects.get("HTTPRoute", "shop"))[0]["backendRefs"]}
    assert backends == {"shop-canary": 0, "shop-stable": 100}


def test_two_rollouts_that_share_an_http_route_keep_their_rules_apart(tmp_path: Path, objects: Any) -> None:
    shop = gateway(tmp_path, objects)
    assert isinstance(shop, GatewayRouter)
    strategy = replace(shop.rollout.strategy, stable_service="cart-stable", canary_service="cart-canary")
    cart = replace(shop, rollout=replace(shop.rollout, name="cart", strategy=strategy))
    route = objects.get("HTTPRoute", "shop")
    split = [{"name": "cart-stable", "port": 80}, {"name": "cart-canary", "port": 80, "weight": 0}]
    path = {"type": "PathPrefix", "value": "/cart"}
    route["spec"]["rules"].append({"matches": [{"path": path}], "backendRefs": split})
    objects.replace("HTTPRoute", route)
    shop.set_route(HEADER)
    only_shop = rules_of(objects.get("HTTPRoute", "shop"))
    cart.set_route(HEADER)  # of the same name
    assert len(rules_of(objects.get("HTTPRoute", "shop"))) == 5  # three of the user's, one of each rollout's step
    cart.remove_routes()
    assert rules_of(objects.get("HTTPRoute", "shop")) == only_shop
    shop.remove_routes()
    assert rules_of(objects.get("HTTPRoute", "shop")) == rules_of(route)

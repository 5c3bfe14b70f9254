"""What every router has to do, whatever kind it is: one contract, three routers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.core.actions import SetWeight
from controller.manifests.loading import load
from controller.manifests.values import Rollout
from controller.traffic.gateway import GatewayRouter
from controller.traffic.istio import IstioRouter
from controller.traffic.nginx import NginxRouter
from controller.traffic.routers import Router, RouterError, Together

Json = dict[str, Any]
OWNER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u-1", "controller": True}


def rollout_with(tmp_path: Path, routing: Json) -> Rollout:
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

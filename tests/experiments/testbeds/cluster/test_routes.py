"""What the API's objects say of a namespace's traffic, read as ingress-nginx and the Gateway API read it."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.testbeds.cluster.routes import Backend, RouteError, endpoints_of, find_route, selected_hash
from experiments.testbeds.local.places import Place

Json = dict[str, Any]
NGINX = "nginx.ingress.kubernetes.io"


def ingress(name: str, service: str, *, host: str = "shop.test", path: str = "/", **annotations: str) -> Json:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "backend": backend}]}}
    marks = {f"{NGINX}/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return {"metadata": {"name": name, "annotations": marks}, "spec": {"rules": [rule]}}


def http_route(*refs: Json) -> Json:
    return {"metadata": {"name": "shop"}, "spec": {"rules": [{"backendRefs": list(refs)}]}}


def weights(*items: Json, routes: tuple[Json, ...] = ()) -> dict[str, int]:
    route = find_route(items, routes)
    assert route is not None
    return {backend.service: backend.weight for backend in route.backends}


def test_without_a_canary_ingress_everybody_goes_to_the_one_service() -> None:
    assert weights(ingress("shop", "stable")) == {"stable": 100}


def test_a_canary_ingress_takes_its_weight_from_stable() -> None:
    canary = ingress("shop-canary", "canary", canary="true", canary_weight="30")
    assert weights(canary, ingress("shop", "stable")) == {"stable": 70, "canary": 30}


def test_a_weight_counts_in_parts_of_its_total() -> None:
    canary = ingress("shop-canary", "canary", canary="true", canary_weight="5", canary_weight_total="1000")
    assert weights(ingress("shop", "stable"), canary) == {"stable": 995, "canary": 5}


def test_a_canary_ingress_without_a_weight_gets_nobody() -> None:
    assert weights(ingress("shop", "stable"), ingress("c", "canary", canary="true")) == {"stable": 100, "canary": 0}


def test_a_canary_ingress_of_another_host_or_path_is_not_this_routes() -> None:
    for other in ({"host": "other.test"}, {"path": "/other"}):
        canary = ingress("c", "canary", canary="true", canary_weight="30", **other)
        assert weights(ingress("shop", "stable"), canary) == {"stable": 100}


def test_an_ingress_that_is_being_deleted_routes_nobody() -> None:
    gone = ingress("shop", "stable")
    gone["metadata"]["deletionTimestamp"] = "2026-11-24T14:00:00Z"
    assert find_route([gone], []) is None


def test_the_weights_of_an_http_route_are_those_of_its_backends_and_one_unless_said() -> None:
    route = http_route({"name": "stable", "port": 80, "weight": 60}, {"name": "canary", "port": 80, "weight": 40})
    assert weights(routes=(route,)) == {"stable": 60, "canary": 40}
    assert weights(routes=(http_route({"name": "stable", "port": 80}),)) == {"stable": 1}


@pytest.mark.parametrize(
    ("ingresses", "routes", "told"),
    [
        ([ingress("a", "x"), ingress("b", "y")], [], "Ingress a and Ingress b"),
        ([ingress("a", "x")], [http_route({"name": "y"})], "Ingress a and HTTPRoute shop"),
        ([], [http_route({"name": "a"}, {"name": "b"}, {"name": "c"})], "has 3 backendRefs"),
        (
            [ingress("a", "x"), ingress("c", "y", canary="true", canary_weight="a tenth")],
            [],
            "canary-weight 'a tenth'; it needs a whole number",
        ),
        (
            [ingress("a", "x"), ingress("c", "y", canary="true"), ingress("d", "y", canary="true")],
            [],
            "several canary Ingresses, c and d",
        ),
    ],
)
def test_what_does_not_make_one_route_is_told(ingresses: list[Json], routes: list[Json], told: str) -> None:
    with pytest.raises(RouteError, match=told):
        find_route(ingresses, routes)


SERVICE = {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}], "selector": {"app": "shop"}}}


def endpoint_slice(*endpoints: Json, service: str = "stable", name: str = "http") -> Json:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": name, "port": 8080}],
        "endpoints": list(endpoints),
    }


@pytest.mark.parametrize("port", [80, "http"])
def test_ready_pods_are_reached_at_the_loopbacks_twin_of_their_address(port: int | str) -> None:
    found = endpoints_of(
        Backend(service="stable", port=port, weight=1),
        SERVICE,
        [
            endpoint_slice({"addresses": ["10.7.0.2"]}, {"addresses": ["10.7.0.1"], "conditions": {"ready": True}}),
            endpoint_slice({"addresses": ["10.7.0.3"], "conditions": {"ready": False}}),
            endpoint_slice({"addresses": ["10.7.0.4"]}, service="another"),
            endpoint_slice({"addresses": ["10.7.0.5"]}, name="metrics"),
        ],
    )
    assert found == (Place("127.7.0.1", 8080), Place("127.7.0.2", 8080))


def test_a_pod_of_another_machine_is_told() -> None:
    with pytest.raises(RouteError, match=r"192\.168\.0\.1 is no pod of this machine"):
        endpoints_of(
            Backend(service="stable", port=80, weight=1), SERVICE, [endpoint_slice({"addresses": ["192.168.0.1"]})]
        )


def test_a_slice_without_endpoints_is_what_the_api_server_makes_of_a_service_without_pods() -> None:
    empty = {"metadata": {"labels": {"kubernetes.io/service-name": "stable"}}, "ports": None, "endpoints": None}
    assert endpoints_of(Backend(service="stable", port=80, weight=1), SERVICE, [empty]) == ()


def test_a_service_selects_a_revision_once_a_controller_has_said_so() -> None:
    assert (selected_hash(SERVICE), selected_hash(None)) == ("", "")
    assert selected_hash({"spec": {"selector": {"rollouts-pod-template-hash": "abc"}}}) == "abc"

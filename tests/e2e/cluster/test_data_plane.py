"""The test cluster without a controller of Rollouts: pods that are processes, a router fed from the API, and faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from controller.kubernetes.api import Connection, InvalidError
from controller.kubernetes.api.resources import INGRESSES, PODS, REPLICA_SETS, SERVICES
from controller.kubernetes.api.watching import Key
from experiments.testbeds.cluster.notes import (
    CONFIG_MAPS,
    METRICS,
    ROUTER,
    FaultWish,
    RouterState,
    state_of,
    write_wish,
)
from experiments.testbeds.cluster.pod_specs import ANNOTATION, annotation_of
from experiments.testbeds.cluster.router import ENDPOINT_SLICES
from sim.releases import Release

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster, pytest.mark.needs_prometheus]

Json = dict[str, Any]
HASH = "rollouts-pod-template-hash"
NGINX = "nginx.ingress.kubernetes.io"
PROBE = {"httpGet": {"path": "/healthy", "port": 8080}, "periodSeconds": 1}


def eventually(seen: Callable[[], Any], what: str, within_s: float = 40.0) -> Any:
    ends = time.monotonic() + within_s
    while not (value := seen()):
        assert time.monotonic() < ends, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
    return value


class Shop:
    """A stable and a canary revision of one pod each behind an Ingress, as a controller would have made them."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection, self.namespace = connection, namespace

    def create(self, resource: Any, kind: str, version: str, name: str, spec: Json, **metadata: Any) -> None:
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        self.connection.create(resource, self.namespace, body)

    def revision(self, side: str, pod_hash: str, release: Release, **container: Any) -> None:
        names = {"app": "shop", HASH: pod_hash}
        app = {"name": "app", "image": "example.test/shop", "ports": [{"containerPort": 8080}], **container}
        template = {
            "metadata": {"labels": names, "annotations": {ANNOTATION: annotation_of(release, (("GET", "/"),))}},
            "spec": {"containers": [{"readinessProbe": PROBE, **app}]},
        }
        spec = {"replicas": 1, "selector": {"matchLabels": names}, "template": template}
        self.create(REPLICA_SETS, "ReplicaSet", "apps/v1", f"shop-{pod_hash}", spec)
        ports = [{"port": 80, "targetPort": 8080}]
        self.create(SERVICES, "Service", "v1", f"shop-{side}", {"selector": names, "ports": ports})

    def route(self, name: str, side: str, **annotations: str) -> None:
        backend = {"service": {"name": f"shop-{side}", "port": {"number": 80}}}
        rule = {"host": "shop.localhost", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        marks = {f"{NGINX}/{key}": text for key, text in annotations.items()}
        self.create(INGRESSES, "Ingress", "networking.k8s.io/v1", name, {"rules": [rule]}, annotations=marks)

    def weigh(self, weight: int) -> None:
        patch = {"metadata": {"annotations": {f"{NGINX}/canary-weight": str(weight)}}}
        self.connection.patch(INGRESSES, self.namespace, "shop-canary", patch)
        eventually(lambda: self.state().shares[1].weight == weight, f"a weight of {weight}")

    def state(self) -> RouterState:
        items = {
            item["metadata"]["name"]: item for item in self.connection.list_all(CONFIG_MAPS, self.namespace)["items"]
        }
        found = state_of(items.get(ROUTER))
        return found if found is not None else RouterState(target="")

    def pods(self) -> list[Json]:
        items: list[Json] = self.connection.list_all(PODS, self.namespace)["items"]
        return items

    def answers(self, count: int) -> list[tuple[int, str]]:
        with httpx.Client(trust_env=False, timeout=5.0) as user:
            found = [user.get(self.state().target) for _ in range(count)]
        return [(answer.status_code, answer.headers.get("x-gamebird-revision", "")) for answer in found]

    def wish(self, name: str, wish: FaultWish | None) -> None:
        write_wish(self.connection, self.namespace, name, wish)
        eventually(lambda: (name in self.state().faults) == (wish is not None), f"the fault {name}")


@pytest.fixture(scope="module")
def shop(connection: Connection, namespace: Callable[[str], str]) -> Iterator[Shop]:
    found = Shop(connection, namespace("shop"))
    found.revision("stable", "aaa111", Release())
    found.revision("canary", "bbb222", Release(errors=1.0))
    found.route("shop", "stable")
    found.route("shop-canary", "canary", canary="true", **{"canary-weight": "0"})
    eventually(lambda: [share.pods for share in found.state().shares] == [1, 1], "a pod on each side")
    yield found
    for pod_hash in ("aaa111", "bbb222"):
        connection.delete(REPLICA_SETS, found.namespace, f"shop-{pod_hash}")


def test_the_api_server_refuses_loopback_addresses_in_endpoint_slices(shop: Shop) -> None:
    # Why pods tell addresses of 10.0.0.0/8 and listen on their twins of 127.0.0.0/8.
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "loopback"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"]}],
    }
    with pytest.raises(InvalidError, match="loopback"):
        shop.connection.create(ENDPOINT_SLICES, shop.namespace, body)


def test_each_pod_is_a_process_with_an_address_of_its_own_probed_as_its_spec_says(shop: Shop) -> None:
    statuses = {pod["metadata"]["labels"][HASH]: pod["status"] for pod in shop.pods()}
    addresses = {status["podIP"] for status in statuses.values()}
    assert len(addresses) == 2
    for address in addresses:
        place = address.replace("10.", "127.", 1)
        assert httpx.get(f"http://{place}:8080/healthy", trust_env=False).status_code == 200


def test_users_meet_the_revisions_by_the_weight_that_envoy_has_acknowledged(shop: Shop) -> None:
    assert set(shop.answers(40)) == {(200, "aaa111")}
    shop.weigh(100)
    assert set(shop.answers(40)) == {(500, "bbb222")}
    shop.weigh(0)
    assert set(shop.answers(40)) == {(200, "aaa111")}
    state = shop.state()
    assert 0 <= state.acknowledged_s - state.asked_s < 2.0


def test_a_fault_of_the_proxy_hits_one_service_and_ends_by_itself(shop: Shop) -> None:
    shop.wish("proxy-stable", FaultWish(service="shop-stable", share=1.0, status=503, until_s=time.time() + 3.0))
    assert set(shop.answers(10)) == {(503, "aaa111")}
    eventually(lambda: not shop.state().faults, "its end, although nobody ends it")
    assert set(shop.answers(10)) == {(200, "aaa111")}


def test_a_fault_of_another_service_hurts_nobody_here(shop: Shop) -> None:
    shop.wish("proxy-other", FaultWish(service="shop-other", status=503, until_s=time.time() + 60.0))
    assert set(shop.answers(10)) == {(200, "aaa111")}
    shop.wish("proxy-other", None)


def test_prometheus_is_gone_while_somebody_wishes_it_and_back_with_its_data(shop: Shop) -> None:
    def series() -> list[Any]:
        query = {"query": 'http_requests_total{job="shop",pod_template_hash="aaa111",status="200"}'}
        try:
            answer = httpx.get(f"http://{shop.state().metrics}/api/v1/query", params=query, trust_env=False)
        except httpx.HTTPError:
            return ["nobody"]
        found: list[Any] = answer.json()["data"]["result"]
        return found

    (before,) = eventually(series, "a scrape of the stable pod")
    assert before["metric"]["namespace"] == shop.namespace
    shop.wish("metrics", FaultWish(service=METRICS, until_s=time.time() + 60.0))
    assert series() == ["nobody"]
    shop.wish("metrics", None)
    eventually(lambda: series() not in ([], ["nobody"]), "an answer")


def test_a_pod_that_cannot_be_a_process_says_why(shop: Shop, connection: Connection) -> None:
    shop.revision("odd", "ccc333", Release(), readinessProbe={"exec": {"command": ["true"]}})

    def told() -> str:
        odd = [pod for pod in shop.pods() if pod["metadata"]["labels"][HASH] == "ccc333"]
        statuses = [each for pod in odd for each in pod["status"].get("containerStatuses", ())]
        return str(statuses[0]["state"]["waiting"]["message"]) if statuses else ""

    assert "readinessProbe has exec" in eventually(told, "a word")
    connection.delete(REPLICA_SETS, shop.namespace, "shop-ccc333")


def test_a_pod_that_is_deleted_loses_nobody_a_request(shop: Shop) -> None:
    old = next(pod for pod in shop.pods() if pod["metadata"]["labels"][HASH] == "aaa111")
    key = Key(shop.namespace, old["metadata"]["name"])
    shop.connection.patch(REPLICA_SETS, shop.namespace, "shop-aaa111", {"spec": {"replicas": 2}})
    eventually(lambda: shop.state().shares[0].pods == 2, "a second pod")
    shop.connection.delete(PODS, key.namespace, key.name)
    seen: set[tuple[int, str]] = set()
    ends = time.monotonic() + 4.0
    while time.monotonic() < ends:
        seen |= set(shop.answers(5))
    assert seen == {(200, "aaa111")}
    eventually(lambda: key.name not in {pod["metadata"]["name"] for pod in shop.pods()}, "its end")

"""An autoscaler changes the size of a rollout at the worst moments: weights and selectors stay what they were.

Most sizes are written to /scale, as an autoscaler writes them; the last test has the real autoscaler of
kube-controller-manager do it, whose bounds need no metrics. Every state of every object is counted, as a watch sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from patience import eventually

from controller.core.operator import Word
from controller.kubernetes import labels
from controller.kubernetes.api import Connection, Resource
from controller.kubernetes.api.resources import INGRESSES, REPLICA_SETS, ROLLOUTS, SERVICES
from controller.kubernetes.api.watching import Key, Reflector
from controller.kubernetes.operating import say

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
AUTOSCALERS = Resource(
    group="autoscaling", version="v2", plural="horizontalpodautoscalers", kind="HorizontalPodAutoscaler"
)
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
STEPS = [{"setWeight": 50}, {"pause": {}}]
DELAY_S = 8


class Watched:
    """A rollout behind an nginx Ingress, at its pause with half of the traffic, and all that is written meanwhile."""

    def __init__(self, connection: Connection, namespace: str, canary: Json) -> None:
        self.connection, self.namespace, self.key = connection, namespace, Key(namespace, "shop")
        self.weights: list[str] = []
        self.selectors: dict[str, list[str]] = {"shop-stable": [], "shop-canary": []}
        self.sizes: dict[str, list[int]] = {}  # by pod hash: each size that a ReplicaSet was to have
        self._watches = [
            Reflector(connection, resource, namespace=namespace, changed=note)
            for resource, note in ((INGRESSES, self._ingress), (SERVICES, self._service), (REPLICA_SETS, self._set))
        ]
        self._lay_out(canary)
        for watch in self._watches:
            watch.start()

    def close(self) -> None:
        for watch in self._watches:
            watch.stop()
        self.connection.delete(ROLLOUTS, self.namespace, "shop")

    def _lay_out(self, canary: Json) -> None:
        for name in self.selectors:
            spec: Json = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
            self.connection.create(SERVICES, self.namespace, {"metadata": {"name": name}, "spec": spec})
        backend = {"service": {"name": "shop-stable", "port": {"number": 80}}}
        rule = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ingress = {"metadata": {"name": "shop"}, "spec": {"rules": [rule]}}
        self.connection.create(INGRESSES, self.namespace, ingress)
        strategy = {
            "canaryService": "shop-canary",
            "stableService": "shop-stable",
            "trafficRouting": {"nginx": {"stableIngress": "shop"}},
            "steps": STEPS,
            "abortScaleDownDelaySeconds": DELAY_S,
            **canary,
        }
        spec = {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": self._template("1"),
            "strategy": {"canary": strategy},
        }
        body = {"apiVersion": ROLLOUTS.api_version, "kind": "Rollout", "metadata": {"name": "shop"}, "spec": spec}
        self.connection.create(ROLLOUTS, self.namespace, body)

    def _template(self, version: str) -> Json:
        return {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "image": f"shop:{version}"}]},
        }

    def release(self) -> None:
        eventually(lambda: self.status().get("phase") == "Healthy", "version 1")
        self.connection.patch(ROLLOUTS, self.namespace, "shop", {"spec": {"template": self._template("2")}})
        eventually(lambda: self.status().get("phase") == "Paused", "version 2 at its pause")
        eventually(lambda: self.weights[-1:] == ["50"], "half of the traffic")

    def forget(self) -> None:
        """Count anew from here."""
        self.weights.clear()
        for seen in (*self.selectors.values(), *self.sizes.values()):
            seen.clear()

    def scale(self, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        self.connection.patch(ROLLOUTS, self.namespace, "shop", body, subresource="scale")

    def status(self) -> Json:
        return self.connection.get(ROLLOUTS, self.namespace, "shop").get("status") or {}

    def wanted(self) -> tuple[int, int]:
        """Return how many pods canary and stable are to have."""
        items = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        pods = {item["metadata"]["labels"][labels.POD_HASH]: int(item["spec"]["replicas"]) for item in items}
        status = self.status()
        return pods[status["currentPodHash"]], pods[status["stableRS"]]

    def _ingress(self, before: Json | None, after: Json | None) -> None:
        if after is not None and WEIGHT in (after["metadata"].get("annotations") or {}):
            self.weights.append(after["metadata"]["annotations"][WEIGHT])

    def _service(self, before: Json | None, after: Json | None) -> None:
        if after is not None and after["metadata"]["name"] in self.selectors:
            self.selectors[after["metadata"]["name"]].append(after["spec"]["selector"].get(labels.POD_HASH, ""))

    def _set(self, before: Json | None, after: Json | None) -> None:
        if after is not None:
            self.sizes.setdefault(after["metadata"]["labels"][labels.POD_HASH], []).append(after["spec"]["replicas"])


@pytest.fixture
def begin(running_controller: None, connection: Connection, namespace: str) -> Iterator[Callable[..., Watched]]:
    """Return a function that brings a rollout to its pause."""
    begun: list[Watched] = []

    def make(**canary: Any) -> Watched:
        begun.append(Watched(connection, namespace, canary))
        begun[-1].release()
        begun[-1].forget()
        return begun[-1]

    yield make
    for each in begun:
        each.close()


def test_scaling_in_mid_canary_changes_pods_and_nothing_else(begin: Callable[..., Watched]) -> None:
    shop = begin()
    for replicas, canary in ((2, 1), (6, 3), (3, 2)):  # half of the replicas, rounded up
        shop.scale(replicas)
        eventually(lambda: shop.wanted() == (canary, replicas), f"{canary} and {replicas} pods")  # noqa: B023
    assert shop.status()["currentStepIndex"] == 1
    assert (shop.weights, shop.selectors) == ([], {"shop-stable": [], "shop-canary": []})


def test_an_aborted_canary_gets_no_new_pods_and_no_traffic_whatever_the_autoscaler_does(
    begin: Callable[..., Watched],
) -> None:
    shop = begin()
    canary, stable = shop.status()["currentPodHash"], shop.status()["stableRS"]
    say(shop.connection, shop.key, Word.ABORT)
    eventually(lambda: shop.weights[-1:] == ["0"], "no traffic for the canary")
    for replicas in (2, 6, 3, 5):
        shop.scale(replicas)
        eventually(lambda: shop.wanted()[1] == replicas, f"stable has {replicas} pods")  # noqa: B023
        time.sleep(0.5)
    eventually(lambda: shop.wanted() == (0, 5), "the canary's pods are gone once the delay is over")
    time.sleep(1.0)
    assert shop.weights == ["0"]
    assert shop.selectors == {"shop-stable": [], "shop-canary": [stable]}
    sizes = shop.sizes[canary]
    assert sizes == sorted(sizes, reverse=True)  # Argo scales it up again at each event of the autoscaler
    assert set(sizes) <= {0, 2}


def test_a_stable_that_shrinks_with_the_canary_is_never_too_small_when_the_autoscaler_scales_in(
    begin: Callable[..., Watched],
) -> None:
    shop = begin(dynamicStableScale=True)
    assert shop.wanted() == (2, 2)
    shop.scale(2)
    eventually(lambda: shop.wanted() == (1, 1), "half each")
    shop.scale(6)
    eventually(lambda: shop.wanted() == (3, 3), "half each")
    assert (shop.weights, shop.selectors) == ([], {"shop-stable": [], "shop-canary": []})


def test_the_real_autoscaler_reads_the_rollout_and_scales_it_in_mid_canary_and_after_an_abort(
    begin: Callable[..., Watched],
) -> None:
    shop = begin()
    target = {"apiVersion": ROLLOUTS.api_version, "kind": "Rollout", "name": "shop"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }

    def bounds(least: int, most: int) -> Json:
        spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": [metric]}
        return {"metadata": {"name": "shop"}, "spec": spec}

    shop.connection.create(AUTOSCALERS, shop.namespace, bounds(1, 2))
    eventually(lambda: shop.wanted() == (1, 2), "scaled in to two")
    assert (shop.weights, shop.selectors) == ([], {"shop-stable": [], "shop-canary": []})
    say(shop.connection, shop.key, Word.ABORT)
    eventually(lambda: shop.weights == ["0"], "no traffic for the canary")
    shop.connection.patch(AUTOSCALERS, shop.namespace, "shop", bounds(3, 5))
    eventually(lambda: shop.wanted() == (0, 3), "scaled out to three, and the canary is gone")
    seen = shop.connection.get(AUTOSCALERS, shop.namespace, "shop")["status"]
    assert seen["desiredReplicas"] == 3
    assert shop.weights == ["0"]
    assert shop.selectors == {"shop-stable": [], "shop-canary": [shop.status()["stableRS"]]}

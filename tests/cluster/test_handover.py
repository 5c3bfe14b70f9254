"""A rollout changes hands in mid-life, and a Deployment becomes a rollout, on a real API server.

What Argo Rollouts leaves behind is laid out by hand here, with the hashes that it gives (tests/conformance/hashes).
With GAMEBIRD_ARGO_ROLLOUTS naming its controller's binary, the real one hands over and takes back as well.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import eventually

from controller.core.operator import Word
from controller.kubernetes import labels
from controller.kubernetes.api import AlreadyExistsError, Connection, NotFoundError
from controller.kubernetes.api.resources import CRDS, DEPLOYMENTS, HTTP_ROUTES, REPLICA_SETS, ROLLOUTS, SERVICES
from controller.kubernetes.api.watching import Key
from controller.kubernetes.operating import say
from controller.kubernetes.replica_sets import new_replica_set
from controller.manifests.values import PodMetadata

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
Start = Callable[..., subprocess.Popen[bytes]]
# What Argo Rollouts 1.9.1 calls the two templates and the steps below (tests/conformance/hashes/recorder).
ARGOS_HASH = {"1": "586b57f64", "2": "5ddf54dd7"}
ARGOS_STEPS = "65d77f6b7"
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "1s"}}]


def pod_template(version: str) -> Json:
    container = {"name": "app", "image": f"shop:{version}", "resources": {"requests": {"cpu": "0.5"}}}
    return {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container]}}


def shop(namespace: str, **spec: Any) -> Json:
    """Return a rollout that only a controller with the namespace's name for an instance looks after."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": namespace, "labels": {labels.INSTANCE_ID: namespace}},
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": pod_template("1"),
            "strategy": {"canary": {"steps": STEPS}},
            **spec,
        },
    }


class Shop:
    """The rollout of a namespace, and its pods."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection, self.namespace, self.key = connection, namespace, Key(namespace, "shop")

    def status(self) -> Json:
        return self.connection.get(ROLLOUTS, self.namespace, "shop").get("status") or {}

    def sets(self) -> dict[str, tuple[str, int]]:
        """Return uid and pods of each ReplicaSet by its pod hash."""
        items = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        owned = [each for each in items if labels.POD_HASH in (each["metadata"].get("labels") or {})]
        return {
            each["metadata"]["labels"][labels.POD_HASH]: (each["metadata"]["uid"], each["spec"]["replicas"])
            for each in owned
        }

    def change(self, **spec: Any) -> None:
        self.connection.patch(ROLLOUTS, self.namespace, "shop", {"spec": spec})

    def await_phase(self, phase: str) -> None:
        eventually(lambda: self.status().get("phase") == phase, f"{phase}, not {self.status()}")


@pytest.fixture
def team(connection: Connection, custom_kinds: None, kubelet: Any, namespace: str) -> Iterator[Shop]:
    yield Shop(connection, namespace)
    with contextlib.suppress(NotFoundError):  # a test that was skipped has made none
        connection.delete(ROLLOUTS, namespace, "shop")


@pytest.fixture
def gamebird(controller_process: Start, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a controller of this test's rollout alone; those that still run are ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        own = ("--namespace", namespace, "--instance-id", namespace, "--workers", "1")
        started.append(controller_process(tmp_path / "gamebird.log", *own))
        return started[-1]

    yield start
    for process in started:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20.0)


def test_what_argo_left_in_mid_rollout_goes_on_with_the_same_pods_at_the_same_step(team: Shop, gamebird: Start) -> None:
    item = team.connection.create(ROLLOUTS, team.namespace, shop(team.namespace, template=pod_template("2")))
    for version, replicas in (("1", 4), ("2", 1)):
        made = new_replica_set(
            {**item, "spec": {**item["spec"], "template": pod_template(version)}},
            name=f"shop-{ARGOS_HASH[version]}",
            pod_hash=ARGOS_HASH[version],
            revision=int(version),
            desired_replicas=5,
            metadata=PodMetadata(),
        )
        made["spec"]["replicas"] = replicas
        team.connection.create(REPLICA_SETS, team.namespace, made)
    paused = {"reason": "CanaryPauseStep", "startTime": "2026-11-24T12:00:00Z"}
    status = {
        "phase": "Paused",
        "message": "CanaryPauseStep",
        "observedGeneration": str(item["metadata"]["generation"]),
        "currentPodHash": ARGOS_HASH["2"],
        "stableRS": ARGOS_HASH["1"],
        "currentStepHash": ARGOS_STEPS,
        "currentStepIndex": 1,
        "controllerPause": True,
        "pauseConditions": [paused],
    }
    team.connection.patch(ROLLOUTS, team.namespace, "shop", {"status": status}, subresource="status")
    before = team.sets()
    gamebird()
    eventually(lambda: team.status().get("availableReplicas") == 5, "it is looked after")
    assert team.sets() == before
    assert (team.status()["currentStepIndex"], team.status()["pauseConditions"]) == (1, [paused])
    say(team.connection, team.key, Word.PROMOTE)
    team.await_phase("Healthy")
    assert team.status()["stableRS"] == ARGOS_HASH["2"]
    assert {uid for uid, _ in team.sets().values()} == {uid for uid, _ in before.values()}


def test_a_rollout_of_another_instance_is_left_alone_whatever_happens_to_its_pods(
    running_controller: None, team: Shop
) -> None:
    item = team.connection.create(ROLLOUTS, team.namespace, shop(team.namespace))
    body = new_replica_set(item, name="shop-a", pod_hash="a", revision=1, desired_replicas=5, metadata=PodMetadata())
    team.connection.create(REPLICA_SETS, team.namespace, body)  # which wakes whoever owns it
    time.sleep(2.0)
    assert team.status() == {}
    assert list(team.sets()) == ["a"]


def test_a_name_that_somebody_else_has_taken_is_gone_round_as_argo_does(team: Shop, gamebird: Start) -> None:
    taken = f"shop-{ARGOS_HASH['1']}"
    selector = {"matchLabels": {"app": "other"}}
    template = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "app", "image": "other"}]}}
    body = {"metadata": {"name": taken}, "spec": {"replicas": 0, "selector": selector, "template": template}}
    team.connection.create(REPLICA_SETS, team.namespace, {"apiVersion": "apps/v1", "kind": "ReplicaSet", **body})
    team.connection.create(ROLLOUTS, team.namespace, shop(team.namespace))
    gamebird()
    team.await_phase("Healthy")
    assert team.status()["collisionCount"] == 1
    assert list(team.sets()) == [team.status()["currentPodHash"]] != [ARGOS_HASH["1"]]


def test_a_header_route_goes_with_an_abort_although_the_controller_that_set_it_is_gone(
    team: Shop, gamebird: Start, routing_kinds: None
) -> None:
    split = {"backendRefs": [{"name": f"shop-{side}", "port": 80} for side in ("stable", "canary")]}
    team.connection.create(HTTP_ROUTES, team.namespace, routed("shop", {"rules": [split]}))
    for side in ("stable", "canary"):
        spec = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
        team.connection.create(SERVICES, team.namespace, {"metadata": {"name": f"shop-{side}"}, "spec": spec})
    match = [{"headerName": "X-Tester", "headerValue": {"exact": "yes"}}]
    routing = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "shop"}}, "managedRoutes": [{"name": "testers"}]}
    canary = {
        "canaryService": "shop-canary",
        "stableService": "shop-stable",
        "trafficRouting": routing,
        "steps": [{"setWeight": 10}, {"setHeaderRoute": {"name": "testers", "match": match}}, {"pause": {}}],
    }
    team.connection.create(ROLLOUTS, team.namespace, shop(team.namespace, strategy={"canary": canary}))
    first = gamebird()
    team.await_phase("Healthy")
    team.change(template=pod_template("2"))
    eventually(lambda: team.status().get("phase") == "Paused", "the pause")

    def rules() -> str:
        return str(team.connection.get(HTTP_ROUTES, team.namespace, "shop")["spec"]["rules"])

    assert "X-Tester" in rules()
    end(first)
    gamebird()
    say(team.connection, team.key, Word.ABORT)
    team.await_phase("Degraded")
    eventually(lambda: "X-Tester" not in rules(), "the route is gone")


def routed(name: str, spec: Json) -> Json:
    return {"apiVersion": HTTP_ROUTES.api_version, "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


# ---- a Deployment becomes a rollout


def deployment(namespace: str, version: str, replicas: int) -> Json:
    selector, template = {"matchLabels": {"app": "shop"}}, pod_template(version)
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}


def follower(namespace: str, scale_down: str) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "scaleDown": scale_down}
    item = shop(namespace, workloadRef=reference)
    del item["spec"]["template"], item["spec"]["selector"]
    return item


@pytest.mark.parametrize(("scale_down", "left"), [("never", 5), ("onsuccess", 0), ("progressively", 0)])
def test_a_rollout_takes_over_from_a_deployment(team: Shop, gamebird: Start, scale_down: str, left: int) -> None:
    connection, namespace = team.connection, team.namespace
    connection.create(DEPLOYMENTS, namespace, deployment(namespace, "1", 5))
    connection.create(ROLLOUTS, namespace, follower(namespace, scale_down))
    gamebird()
    team.await_phase("Healthy")
    first = team.status()["currentPodHash"]
    assert team.sets()[first][1] == 5

    def pods() -> int:
        return int(connection.get(DEPLOYMENTS, namespace, "shop")["spec"]["replicas"])

    eventually(lambda: pods() == left, f"the Deployment has {left} pods")
    # A new template of the Deployment is a new revision of the rollout, and goes by its steps.
    connection.patch(DEPLOYMENTS, namespace, "shop", {"spec": {"template": pod_template("2")}})
    eventually(lambda: team.status().get("currentStepIndex") == 1, "the first pause")
    rollout = connection.get(ROLLOUTS, namespace, "shop")
    generation = str(connection.get(DEPLOYMENTS, namespace, "shop")["metadata"]["generation"])
    assert (rollout["status"]["stableRS"], rollout["status"]["currentPodHash"] == first) == (first, False)
    assert rollout["status"]["workloadObservedGeneration"] == generation
    assert rollout["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"] == generation
    assert "template" not in rollout["spec"]
    time.sleep(1.0)
    assert pods() == left


def test_a_workload_that_is_not_there_is_named_and_taken_up_when_it_comes(team: Shop, gamebird: Start) -> None:
    team.connection.create(ROLLOUTS, team.namespace, follower(team.namespace, "never"))
    gamebird()
    team.await_phase("Degraded")
    assert "there is no Deployment shop" in team.status()["message"]
    team.connection.create(DEPLOYMENTS, team.namespace, deployment(team.namespace, "1", 5))
    team.await_phase("Healthy")


# ---- with the real one


@pytest.fixture
def argo(connection: Connection, kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts Argo Rollouts' own controller for this test's rollout alone."""
    binary = os.environ.get("GAMEBIRD_ARGO_ROLLOUTS")
    if not binary:
        pytest.skip("GAMEBIRD_ARGO_ROLLOUTS does not name the controller of Argo Rollouts")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "experiments", "singular": "experiment", "kind": "Experiment"}
    spec = {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    with contextlib.suppress(AlreadyExistsError):
        connection.create(CRDS, None, {**body, "metadata": {"name": "experiments.argoproj.io"}, "spec": spec})
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        own = ["--namespaced", "--namespace", namespace, "--instance-id", namespace, "--leader-elect=false"]
        command = [binary, "--kubeconfig", str(kubeconfig), *own, "--metricsport", "0", "--healthzPort", "0"]
        with (tmp_path / "argo.log").open("ab") as out:
            started.append(subprocess.Popen(command, stdout=out, stderr=out))
        return started[-1]

    yield start
    for process in started:
        end(process)


def test_argo_and_gamebird_hand_a_rollout_to_and_fro(team: Shop, gamebird: Start, argo: Start) -> None:
    first = argo()
    team.connection.create(ROLLOUTS, team.namespace, shop(team.namespace))
    team.await_phase("Healthy")
    team.change(template=pod_template("2"))
    eventually(lambda: team.status().get("phase") == "Paused", "the first pause, by Argo")
    end(first)
    before = team.sets()
    second = gamebird()
    say(team.connection, team.key, Word.PROMOTE)
    eventually(lambda: team.status().get("currentStepIndex") == 3, "the third step, by Gamebird")
    end(second)
    argo()
    team.await_phase("Healthy")
    assert team.status()["stableRS"] == team.status()["currentPodHash"]
    assert {uid for uid, _ in team.sets().values()} == {uid for uid, _ in before.values()}
    assert team.status()["currentStepHash"] == ARGOS_STEPS

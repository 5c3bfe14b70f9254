"""The controller as a process of its own on a real API server, with pods that become ready after half a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from patience import eventually

from controller.core.operator import Word
from controller.kubernetes import labels
from controller.kubernetes.api import Connection, NotFoundError
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    EVENTS,
    INGRESSES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
)
from controller.kubernetes.api.watching import Key
from controller.kubernetes.operating import say

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
CANARY = "orders-api-orders-api-ingress-canary"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
STEPS = [
    {"setWeight": 10},
    {"pause": {"duration": 2}},
    {"analysis": {"templates": [{"templateName": "orders-api-slo-check"}]}},
    {"setWeight": 60},
    {"pause": {}},
]


class Team:
    """The example's manifests in a namespace, and what a person sees of them."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection, self.namespace, self.key = connection, namespace, Key(namespace, "orders-api")

    def rollout(self) -> Json:
        return self.connection.get(ROLLOUTS, self.namespace, "orders-api")

    def status(self) -> Json:
        return self.rollout().get("status") or {}

    def deploy(self, version: str) -> None:
        change = {"spec": {"template": {"metadata": {"annotations": {"version": version}}}}}
        self.connection.patch(ROLLOUTS, self.namespace, "orders-api", change)
        generation = self.rollout()["metadata"]["generation"]
        eventually(lambda: self.status().get("observedGeneration") == str(generation), f"{version} is seen")

    def await_phase(self, phase: str) -> None:
        eventually(lambda: self.status().get("phase") == phase, f"phase {phase}, not {self.status().get('message')}")

    def weight(self) -> str | None:
        try:
            item = self.connection.get(INGRESSES, self.namespace, CANARY)
        except NotFoundError:
            return None
        return (item["metadata"].get("annotations") or {}).get(WEIGHT)

    def selects(self, service: str) -> str | None:
        found: str | None = self.connection.get(SERVICES, self.namespace, service)["spec"]["selector"].get(
            labels.POD_HASH
        )
        return found

    def sets(self) -> dict[str, Json]:
        found = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        return {item["metadata"]["labels"][labels.POD_HASH]: item for item in found}

    def reasons(self) -> set[str]:
        return {event["reason"] for event in self.connection.list_all(EVENTS, self.namespace)["items"]}


@pytest.fixture
def team(
    running_controller: None, connection: Connection, namespace: str, root: Path, prometheus_that_says: Any
) -> Iterator[Team]:
    """The example with short waits, healthy at its first version."""
    folder = root / "examples" / "orders-api"
    kinds = {"Rollout": ROLLOUTS, "AnalysisTemplate": ANALYSIS_TEMPLATES, "Service": SERVICES, "Ingress": INGRESSES}
    names = ("rollout.yaml", "analysis-template.yaml", "routing.yaml")
    for item in (item for name in names for item in yaml.safe_load_all((folder / name).read_text("utf-8"))):
        item["metadata"]["namespace"] = namespace
        if item["kind"] == "Rollout":
            item["spec"]["strategy"]["canary"]["steps"] = STEPS
        for metric in item["spec"].get("metrics", ()):
            metric["interval"] = "1s"
            metric["provider"]["prometheus"]["address"] = prometheus_that_says.address
        connection.create(kinds[item["kind"]], namespace, item)
    found = Team(connection, namespace)
    found.await_phase("Healthy")
    yield found
    connection.delete(ROLLOUTS, namespace, "orders-api")


def test_a_good_release_goes_step_by_step_and_waits_for_the_person_it_asks(
    team: Team, prometheus_that_says: Any
) -> None:
    prometheus_that_says.value = 0.001
    stable = team.selects("orders-api-stable")
    team.deploy("2")
    eventually(lambda: team.status().get("currentStepIndex") == 4, "the last pause")
    team.await_phase("Paused")
    canary = team.status()["currentPodHash"]
    assert (team.selects("orders-api-stable"), team.selects("orders-api-canary")) == (stable, canary)
    assert team.weight() == "60"
    runs = team.connection.list_all(ANALYSIS_RUNS, team.namespace)["items"]
    assert [run["status"]["phase"] for run in runs] == ["Successful"]
    assert {r["name"]: r["count"] for r in runs[0]["status"]["metricResults"]} == {"error-rate": 3, "latency-p95": 3}
    say(team.connection, team.key, Word.PROMOTE, user="ann", reason="looks fine")
    team.await_phase("Healthy")
    eventually(lambda: team.weight() == "0", "the router sends everybody to stable, which is the new revision")
    assert team.selects("orders-api-stable") == canary
    assert "OperatorOverride" in team.reasons()


def test_a_bad_release_is_aborted_and_everything_is_written_once(team: Team, prometheus_that_says: Any) -> None:
    prometheus_that_says.value = 0.5
    stable = team.selects("orders-api-stable")
    team.deploy("2")
    team.await_phase("Degraded")
    assert team.status()["abort"] is True
    assert 'Metric "error-rate" assessed Failed due to failed (1) > failureLimit (0)' in team.status()["message"]
    eventually(lambda: team.weight() == "0", "the weight is 0")
    eventually(lambda: team.selects("orders-api-canary") == stable, "the canary Service selects stable again")
    versions = {
        "rollout": team.rollout()["metadata"]["resourceVersion"],
        "ingress": team.connection.get(INGRESSES, team.namespace, CANARY)["metadata"]["resourceVersion"],
        "service": team.connection.get(SERVICES, team.namespace, "orders-api-canary")["metadata"]["resourceVersion"],
    }
    time.sleep(3.0)  # nothing has changed, so nothing may be written: this is what a hot loop would not survive
    assert versions == {
        "rollout": team.rollout()["metadata"]["resourceVersion"],
        "ingress": team.connection.get(INGRESSES, team.namespace, CANARY)["metadata"]["resourceVersion"],
        "service": team.connection.get(SERVICES, team.namespace, "orders-api-canary")["metadata"]["resourceVersion"],
    }


def test_sets_of_pods_are_owned_labelled_and_numbered_as_argo_does(team: Team, prometheus_that_says: Any) -> None:
    prometheus_that_says.value = 0.001
    team.deploy("2")
    eventually(lambda: len(team.sets()) == 2, "a set for each revision")
    uid = team.rollout()["metadata"]["uid"]
    for pod_hash, item in team.sets().items():
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Rollout", uid, True)
        assert item["metadata"]["name"] == f"orders-api-{pod_hash}"
        assert item["spec"]["selector"]["matchLabels"] == {"app": "orders-api", labels.POD_HASH: pod_hash}
        assert item["spec"]["template"]["metadata"]["labels"][labels.POD_HASH] == pod_hash
    revisions = {item["metadata"]["annotations"][labels.REVISION] for item in team.sets().values()}
    assert revisions == {"1", "2"}
    assert team.rollout()["metadata"]["annotations"][labels.REVISION] == "2"


def test_an_abort_by_a_person_needs_nothing_but_the_api(team: Team, prometheus_that_says: Any) -> None:
    prometheus_that_says.value = None  # it does not answer any more
    team.deploy("2")
    eventually(lambda: team.weight() == "10", "the canary gets its share")
    say(team.connection, team.key, Word.ABORT, user="ann", reason="users complain")
    team.await_phase("Degraded")
    eventually(lambda: team.weight() == "0", "the weight is 0")


def test_a_rollout_that_does_not_validate_says_so_and_is_taken_up_when_it_does(team: Team) -> None:
    team.connection.patch(
        ROLLOUTS, team.namespace, "orders-api", {"spec": {"strategy": {"canary": {"maxSurge": "lots"}}}}
    )
    team.await_phase("Degraded")
    assert team.status()["message"].startswith('InvalidSpec: The Rollout "orders-api" is invalid: ')
    assert "InvalidSpec" in team.reasons()
    team.connection.patch(
        ROLLOUTS, team.namespace, "orders-api", {"spec": {"strategy": {"canary": {"maxSurge": None}}}}
    )
    team.await_phase("Healthy")


def test_a_rollout_goes_on_where_it_was_after_the_api_server_was_away(
    team: Team, prometheus_that_says: Any, restarted: Callable[[], None]
) -> None:
    prometheus_that_says.value = 0.001
    team.deploy("2")
    eventually(lambda: team.status().get("currentStepIndex") == 1, "the first pause")
    restarted()
    eventually(lambda: team.status().get("currentStepIndex") == 4, "the last pause")
    assert team.weight() == "60"

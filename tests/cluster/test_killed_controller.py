"""The controller is killed again and again in mid-rollout: the next one goes on from what is stored."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    INGRESSES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
)

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
INSTANCE = {labels.INSTANCE_ID: "killed"}
STEPS = [
    {"setWeight": 20},
    {"pause": {"duration": 1}},
    {"analysis": {"templates": [{"templateName": "slo"}]}},
    {"setWeight": 50},
    {"pause": {"duration": 1}},
]
LIVES_S = (0.0, 0.2, 0.4, 0.7, 1.1, 0.1, 0.3, 1.6)  # from being ready until it is killed
WITHIN_S = 90.0


def manifests(address: str) -> list[tuple[Any, Json]]:
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    rule = {"host": "a.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    services = [
        {"metadata": {"name": name}, "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}}
        for name in ("stable", "canary")
    ]
    metric = {
        "name": "errors",
        "interval": "1s",
        "count": 3,
        "successCondition": "result[0] < 0.01",
        "provider": {"prometheus": {"address": address, "query": "up"}},
    }
    rollout = {
        "metadata": {"name": "a", "labels": INSTANCE},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "a"}},
            "template": pod_template("1"),
            "strategy": {
                "canary": {
                    "canaryService": "canary",
                    "stableService": "stable",
                    "trafficRouting": {"nginx": {"stableIngress": "a"}},
                    "steps": STEPS,
                }
            },
        },
    }
    template = {"metadata": {"name": "slo", "labels": INSTANCE}, "spec": {"metrics": [metric]}}
    ingress = {"metadata": {"name": "a"}, "spec": {"ingressClassName": "nginx", "rules": [rule]}}
    return [
        *((SERVICES, service) for service in services),
        (INGRESSES, ingress),
        (ANALYSIS_TEMPLATES, template),
        (ROLLOUTS, rollout),
    ]


def pod_template(version: str) -> Json:
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]},
    }


def status_of(connection: Connection, namespace: str) -> Json:
    found: Json = connection.get(ROLLOUTS, namespace, "a").get("status") or {}
    return found


def await_phase(connection: Connection, namespace: str, phase: str, *, step: int | None = None) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        status = status_of(connection, namespace)
        if status.get("phase") == phase and (step is None or status.get("currentStepIndex") == step):
            return
        assert time.monotonic() < deadline_s, f"not {phase} in {WITHIN_S:g} s: {status.get('message')}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("value", "phase", "weights"), [(0.001, "Healthy", {0, 20, 50, 100}), (0.5, "Degraded", {0, 20})]
)
def test_a_rollout_ends_as_it_should_whenever_its_controller_is_killed(
    connection: Connection,
    namespace: str,
    controller_process: Callable[..., subprocess.Popen[bytes]],
    kubelet: Any,
    prometheus_that_says: Any,
    tmp_path: Path,
    value: float,
    phase: str,
    weights: set[int],
) -> None:
    prometheus_that_says.value = value
    for resource, item in manifests(prometheus_that_says.address):
        connection.create(resource, namespace, {"apiVersion": resource.api_version, "kind": resource.kind, **item})
    options = (tmp_path / "controller.log", "--namespace", namespace, "--instance-id", "killed")
    process = controller_process(*options)
    seen: set[int] = set()
    try:
        await_phase(connection, namespace, "Healthy")
        connection.patch(ROLLOUTS, namespace, "a", {"spec": {"template": pod_template("2")}})
        for life_s in LIVES_S:
            began_s = time.monotonic()
            while time.monotonic() - began_s < life_s + 1.5:  # a process needs about a second and a half to begin
                weight = (status_of(connection, namespace).get("canary") or {}).get("weights") or {}
                seen.add((weight.get("canary") or {}).get("weight", 0))
                time.sleep(0.05)
            process.kill()
            process.wait()
            process = controller_process(*options)
        await_phase(connection, namespace, phase)
    finally:
        process.kill()
        process.wait()
    assert seen <= weights
    runs = connection.list_all(ANALYSIS_RUNS, namespace)["items"]
    assert len(runs) == 1, "an analysis was begun twice"
    sets = connection.list_all(REPLICA_SETS, namespace)["items"]
    assert sorted(item["metadata"]["annotations"][labels.REVISION] for item in sets) == ["1", "2"]
    canary = connection.get(INGRESSES, namespace, "a-a-canary")["metadata"]["annotations"]
    if phase == "Degraded":
        assert canary["nginx.ingress.kubernetes.io/canary-weight"] == "0"

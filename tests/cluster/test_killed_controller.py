"""The controller is killed again and again in mid-rollout: the next one goes on from what is stored."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_canary import CANARY_INGRESS, WEIGHT, create, deploy, status_of

from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    INGRESSES,
    REPLICA_SETS,
)

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
INSTANCE = {labels.INSTANCE_ID: "killed"}
LIVES_S = (0.0, 0.2, 0.4, 0.7, 1.1, 0.1, 0.3, 1.6)  # from being ready until it is killed
WITHIN_S = 90.0


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
    create(connection, namespace, prometheus_that_says.address, labels=INSTANCE)
    options = (tmp_path / "controller.log", "--namespace", namespace, "--instance-id", "killed")
    process = controller_process(*options)
    seen: set[int] = set()
    try:
        await_phase(connection, namespace, "Healthy")
        deploy(connection, namespace, "2")
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
    canary = connection.get(INGRESSES, namespace, CANARY_INGRESS)["metadata"]["annotations"]
    if phase == "Degraded":
        assert canary[WEIGHT] == "0"

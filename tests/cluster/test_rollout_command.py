"""`gamebird rollout` against a real API server, without any controller: statuses are what the test writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, EVENTS, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.waiting import End, wait

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]


@pytest.fixture
def rollout(connection: Connection, custom_kinds: None, namespace: str, root: Path) -> Key:
    """The example's rollout, that no controller looks after (it has an instance id that nobody has)."""
    folder = root / "examples" / "orders-api"
    for name, resource in (("rollout.yaml", ROLLOUTS), ("analysis-template.yaml", ANALYSIS_TEMPLATES)):
        item = yaml.safe_load((folder / name).read_text("utf-8"))
        item["metadata"]["namespace"] = namespace
        item["metadata"]["labels"] = {"argo-rollouts.argoproj.io/controller-instance-id": "nobody"}
        connection.create(resource, namespace, item)
    return Key(namespace, "orders-api")


def set_status(connection: Connection, key: Key, **status: Any) -> None:
    item = connection.get(ROLLOUTS, key.namespace, key.name)
    status.setdefault("observedGeneration", str(item["metadata"]["generation"]))
    connection.patch(ROLLOUTS, key.namespace, key.name, {"status": status}, subresource="status")


def gamebird(kubeconfig: Path, key: Key, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gamebird.cli.main", "rollout", words[0], key.name, *words[1:]]
    options = ["-n", key.namespace, "--kubeconfig", str(kubeconfig)]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)


def test_waiting_for_less_than_the_policy_takes_is_refused(rollout: Key, kubeconfig: Path) -> None:
    # The guide's own guard waits 15 minutes for a policy that needs 17.
    ran = gamebird(kubeconfig, rollout, "wait", "--timeout", "900")
    assert ran.returncode == 2
    assert "takes 1020 s at least" in ran.stderr


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ({"phase": "Healthy", "stableRS": "a", "currentPodHash": "a"}, 0, "promoted: revision a is stable and healthy"),
        ({"phase": "Degraded", "abort": True, "message": "RolloutAborted: x"}, 1, "stopped: RolloutAborted: x"),
        ({"phase": "Degraded", "message": "ProgressDeadlineExceeded: y"}, 1, "stopped: ProgressDeadlineExceeded: y"),
    ],
)
def test_the_guard_says_what_became_of_the_newest_revision(
    connection: Connection, rollout: Key, kubeconfig: Path, status: Json, code: int, says: str
) -> None:
    set_status(connection, rollout, **status)
    ran = gamebird(kubeconfig, rollout, "wait", "--timeout", "1200")
    assert (ran.returncode, says in ran.stdout) == (code, True), ran.stdout + ran.stderr


def test_a_rollout_that_nobody_has_looked_at_is_not_promoted(connection: Connection, rollout: Key) -> None:
    # Healthy, but of the generation before: the controller is dead, and this must not pass.
    set_status(connection, rollout, phase="Healthy", stableRS="a", currentPodHash="a", observedGeneration="0")
    found = wait(connection, rollout, timeout_s=1.5)
    assert found.end is End.UNKNOWN
    assert "still Healthy" in found.why


def test_a_rollout_that_is_not_there_cannot_be_told(kubeconfig: Path, namespace: str, custom_kinds: None) -> None:
    ran = gamebird(kubeconfig, Key(namespace, "nobody"), "wait", "--timeout", "10")
    assert ran.returncode == 3
    assert 'rollouts.argoproj.io "nobody" not found' in ran.stderr


def test_a_word_changes_what_argos_command_line_changes_and_is_remembered(
    connection: Connection, rollout: Key, kubeconfig: Path
) -> None:
    set_status(
        connection,
        rollout,
        phase="Paused",
        currentStepIndex=1,
        controllerPause=True,
        pauseConditions=[{"reason": "CanaryPauseStep", "startTime": "2026-11-24T12:00:00Z"}],
    )
    ran = gamebird(kubeconfig, rollout, "promote", "--reason", "looks fine")
    assert ran.returncode == 0, ran.stderr
    item = connection.get(ROLLOUTS, rollout.namespace, rollout.name)
    assert "pauseConditions" not in item["status"]
    assert item["status"]["controllerPause"] is True  # with no pause left it says that a person has resumed
    note = json.loads(item["metadata"]["annotations"]["gamebird.dev/override"])
    assert (note["word"], note["reason"]) == ("promote", "looks fine")
    events = connection.list_all(EVENTS, rollout.namespace)["items"]
    assert any("looks fine" in event["message"] for event in events)
    assert gamebird(kubeconfig, rollout, "abort").returncode == 0
    assert connection.get(ROLLOUTS, rollout.namespace, rollout.name)["status"]["abort"] is True
    assert gamebird(kubeconfig, rollout, "pause").returncode == 0
    assert connection.get(ROLLOUTS, rollout.namespace, rollout.name)["spec"]["paused"] is True


def test_the_status_is_shown_as_a_tree_and_as_json(connection: Connection, rollout: Key, kubeconfig: Path) -> None:
    set_status(connection, rollout, phase="Paused", message="CanaryPauseStep", currentStepIndex=1, replicas=7)
    ran = gamebird(kubeconfig, rollout, "status")
    assert "Paused" in ran.stdout
    assert "step 1 of 10" in ran.stdout
    said = json.loads(gamebird(kubeconfig, rollout, "status", "--output", "json").stdout)
    assert (said["phase"], said["step"], said["replicas"]["all"]) == ("Paused", 1, 7)

"""`gamebird rollout` against a real API server, without any controller: statuses are what the test writes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from patience import eventually

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, DEPLOYMENTS, EVENTS, REPLICA_SETS, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.replica_sets import new_replica_set
from controller.kubernetes.waiting import End, wait
from controller.manifests.values import FrozenMap, PodMetadata

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


def follow_deployment(connection: Connection, key: Key) -> None:
    """Let the rollout take its template from a Deployment, which has the one that the rollout had."""
    item = connection.get(ROLLOUTS, key.namespace, key.name)
    spec = {name: item["spec"][name] for name in ("selector", "template")}
    connection.create(DEPLOYMENTS, key.namespace, {"metadata": {"name": "web"}, "spec": spec})
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    change = {"spec": {"template": None, "workloadRef": reference}}
    connection.patch(ROLLOUTS, key.namespace, key.name, change)


def command(kubeconfig: Path, key: Key, *words: str) -> list[str]:
    options = ["-n", key.namespace, "--kubeconfig", str(kubeconfig)]
    return [sys.executable, "-m", "gamebird.cli.main", "rollout", words[0], key.name, *words[1:], *options]


def gamebird(kubeconfig: Path, key: Key, *words: str) -> subprocess.CompletedProcess[str]:
    line = command(kubeconfig, key, *words)
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


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


def test_a_revision_that_comes_later_is_another_question(connection: Connection, rollout: Key) -> None:
    def come(said: str) -> None:
        change = {"spec": {"template": {"metadata": {"annotations": {"version": "later"}}}}}
        connection.patch(ROLLOUTS, rollout.namespace, rollout.name, change)

    found = wait(connection, rollout, timeout_s=30.0, told=come)
    assert (found.end, found.why) == (End.UNKNOWN, "another revision came, of which this was not asked")


def test_a_rollout_that_follows_a_deployment_is_not_promoted_before_the_deployments_change_was_seen(
    connection: Connection, rollout: Key
) -> None:
    follow_deployment(connection, rollout)
    healthy = {"phase": "Healthy", "stableRS": "a", "currentPodHash": "a"}
    set_status(connection, rollout, **healthy, workloadObservedGeneration="0")
    assert wait(connection, rollout, timeout_s=1.5).end is End.UNKNOWN
    set_status(connection, rollout, **healthy, workloadObservedGeneration="1")
    assert wait(connection, rollout, timeout_s=1.5).end is End.PROMOTED


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
    assert note["by"].endswith(" as admin")  # the name that the API server has for this kubeconfig
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


def test_the_guard_tells_a_program_what_it_came_to(connection: Connection, rollout: Key, kubeconfig: Path) -> None:
    set_status(connection, rollout, phase="Healthy", stableRS="a", currentPodHash="a")
    ran = gamebird(kubeconfig, rollout, "wait", "--timeout", "20m", "--output", "json")
    said = json.loads(ran.stdout)
    # Four pauses and the analyses of the example take 17 minutes, which fit into 20.
    assert (ran.returncode, said["end"], said["needed_s"]) == (0, "promoted", 1020)


# ---- revisions


class Kept:
    """A rollout with two revisions, as a controller leaves them: made here, so that no controller is needed."""

    def __init__(self, connection: Connection, key: Key) -> None:
        self.connection, self.key = connection, key
        item = connection.get(ROLLOUTS, key.namespace, key.name)
        for number, image in ((1, "orders-api:1"), (2, "orders-api:2")):
            item["spec"]["template"]["spec"]["containers"][0]["image"] = image
            role = PodMetadata(labels=FrozenMap({"role": "canary"})) if number == 2 else PodMetadata()
            made = new_replica_set(
                item, name=f"set-{number}", pod_hash=f"h{number}", revision=number, desired_replicas=1, metadata=role
            )
            connection.create(REPLICA_SETS, key.namespace, made)

    def rollout(self) -> Json:
        return self.connection.get(ROLLOUTS, self.key.namespace, self.key.name)

    def template(self) -> Json:
        found: Json = self.rollout()["spec"]["template"]
        return found


@pytest.fixture
def kept(connection: Connection, rollout: Key) -> Kept:
    return Kept(connection, rollout)


def test_undo_gives_the_rollout_the_template_of_the_revision_before(
    connection: Connection, kept: Kept, kubeconfig: Path
) -> None:
    ran = gamebird(kubeconfig, kept.key, "undo", "--reason", "slow")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"Rollout {kept.key}: undo to revision 1\n"
    assert kept.template()["spec"]["containers"][0]["image"] == "orders-api:1"
    assert "rollouts-pod-template-hash" not in kept.template()["metadata"]["labels"]
    note = json.loads(kept.rollout()["metadata"]["annotations"]["gamebird.dev/override"])
    assert (note["word"], note["reason"]) == ("undo to revision 1", "slow")
    events = connection.list_all(EVENTS, kept.key.namespace)["items"]
    assert any("undo to revision 1 by" in event["message"] for event in events)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("undo", "--to-revision", "7"), "--to-revision 7: Rollout {} keeps the revisions 1, 2"),
        (("undo", "--to-revision", "2"), "--to-revision 2: it is the newest revision of Rollout {} already"),
        (("set-image", "nobody=x:1"), "Rollout {} has no container nobody; it has app"),
        (("set-image", "app"), "'app' names no container and image; write CONTAINER=IMAGE"),
    ],
)
def test_a_revision_or_container_that_is_not_there_is_named_with_those_that_are(
    kept: Kept, kubeconfig: Path, words: tuple[str, ...], says: str
) -> None:
    ran = gamebird(kubeconfig, kept.key, *words)
    assert (ran.returncode, says.format(kept.key) in ran.stderr) == (2, True), ran.stderr


def test_another_image_is_set_without_touching_anything_else(kept: Kept, kubeconfig: Path) -> None:
    before = kept.rollout()["spec"]
    ran = gamebird(kubeconfig, kept.key, "set-image", "app=orders-api:3")
    assert ran.returncode == 0, ran.stderr
    after = kept.rollout()["spec"]
    assert after["template"]["spec"]["containers"][0]["image"] == "orders-api:3"
    before["template"]["spec"]["containers"][0]["image"] = "orders-api:3"
    assert after == before


def test_where_the_template_is_a_deployments_the_deployment_is_changed(
    connection: Connection, kept: Kept, kubeconfig: Path
) -> None:
    follow_deployment(connection, kept.key)

    def image() -> str:
        item = connection.get(DEPLOYMENTS, kept.key.namespace, "web")
        found: str = item["spec"]["template"]["spec"]["containers"][0]["image"]
        return found

    ran = gamebird(kubeconfig, kept.key, "set-image", "app=orders-api:3")
    assert (ran.returncode, image()) == (0, "orders-api:3"), ran.stderr
    ran = gamebird(kubeconfig, kept.key, "undo", "--to-revision", "1", "--reason", "slow")
    assert (ran.returncode, image()) == (0, "orders-api:1"), ran.stderr
    assert ran.stdout == f"Deployment {kept.key.namespace}/web: undo to revision 1\n"
    note = json.loads(kept.rollout()["metadata"]["annotations"]["gamebird.dev/override"])
    assert note["reason"] == "slow"
    assert "template" not in kept.rollout()["spec"]


def test_going_back_takes_the_old_pods_and_no_steps(
    running_controller: None, connection: Connection, namespace: str, kubeconfig: Path
) -> None:
    """The template comes back with the server's defaults, so its hash differs: it is the same revision all the same."""
    key = Key(namespace, "shop")
    containers = [{"name": "app", "image": "shop:1"}]
    canary = {"steps": [{"setWeight": 50}, {"pause": {}}], "canaryMetadata": {"labels": {"role": "canary"}}}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": containers}},
        "strategy": {"canary": canary},
    }
    body = {"apiVersion": ROLLOUTS.api_version, "kind": "Rollout", "metadata": {"name": "shop"}, "spec": spec}
    connection.create(ROLLOUTS, namespace, body)

    def status() -> Json:
        return connection.get(ROLLOUTS, namespace, "shop").get("status") or {}

    eventually(lambda: status().get("phase") == "Healthy", "revision 1")
    stable = status()["stableRS"]
    assert gamebird(kubeconfig, key, "set-image", "*=shop:2").returncode == 0
    eventually(lambda: status().get("phase") == "Paused", "revision 2 at its pause")
    assert gamebird(kubeconfig, key, "undo").returncode == 0
    eventually(lambda: status().get("phase") == "Healthy" and status()["currentPodHash"] == stable, "back at stable")
    sets = connection.list_all(REPLICA_SETS, namespace)["items"]
    numbers = {each["metadata"]["annotations"]["rollout.argoproj.io/revision"] for each in sets}
    assert (len(sets), numbers) == (2, {"2", "3"})
    tree = gamebird(kubeconfig, key, "status").stdout
    assert "revision 3 (stable, newest)  shop:1" in tree
    assert "Running, ready" in tree
    connection.delete(ROLLOUTS, namespace, "shop")


# ---- watching


def test_a_watch_shows_what_changes_and_ends_well_on_ctrl_c_with_the_cursor_given_back(
    connection: Connection, rollout: Key, kubeconfig: Path
) -> None:
    set_status(connection, rollout, phase="Progressing", currentStepIndex=0)
    master, slave = pty.openpty()
    line = command(kubeconfig, rollout, "status", "--watch")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    seen = Screen(master)
    eventually(lambda: b"Progressing" in seen.text, "the first picture")
    set_status(connection, rollout, phase="Paused", currentStepIndex=1)
    eventually(lambda: b"step 1 of 10" in seen.text, "the change")
    process.send_signal(signal.SIGINT)
    assert process.wait(20.0) == 0
    seen.close()
    assert seen.text.rindex(b"\x1b[?25h") > seen.text.rindex(b"\x1b[?25l")
    assert b"Traceback" not in seen.text


class Screen:
    """What a terminal was sent so far."""

    def __init__(self, master: int) -> None:
        self.text = b""
        self._master = master
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(5.0)
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is gone
            while more := os.read(self._master, 4096):
                self.text += more


def test_a_watch_in_a_pipe_prints_one_line_of_json_for_each_change(
    connection: Connection, rollout: Key, kubeconfig: Path
) -> None:
    set_status(connection, rollout, phase="Progressing", currentStepIndex=0)
    line = command(kubeconfig, rollout, "status", "-w", "-o", "json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["phase"] == "Progressing"
        set_status(connection, rollout, phase="Paused", currentStepIndex=1)
        assert json.loads(process.stdout.readline())["phase"] == "Paused"
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 0


def test_kubectl_finds_the_same_commands(rollout: Key, kubeconfig: Path) -> None:
    plugin = Path(sys.executable).with_name("kubectl-gamebird")
    for words in (["status"], ["rollout", "status"]):
        line = [str(plugin), *words, rollout.name, "-n", rollout.namespace, "--kubeconfig", str(kubeconfig)]
        ran = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout.startswith(f"{rollout}")) == (0, True), ran.stderr

"""Drills on a real API server: process pods, Envoy, Locust, a Prometheus that scrapes, and the controller as a process.

Each takes its minute on the wall, so they are played one after the other, once, and looked at from several sides.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.kubernetes.api import Connection, NotFoundError
from controller.kubernetes.api.resources import INGRESSES, PODS, REPLICA_SETS, ROLLOUTS, SERVICES
from experiments.gameday_files import load_game_day
from experiments.runner import Options, rehearse
from experiments.testbeds.cluster.notes import CONFIG_MAPS

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster, pytest.mark.needs_prometheus, pytest.mark.timeout(400)]

Json = dict[str, Any]
POLICIES = ("ingress", "gateway")
each = pytest.mark.parametrize(
    ("drill", "policy"), [(drill, policy) for policy in POLICIES for drill in ("good", "errors-20pct")]
)
LOCAL_SPEED = 4.0


@each
def test_a_drill_on_a_cluster_comes_out_as_its_file_expects(played: Any, drill: str, policy: str) -> None:
    seen = played(drill, policy)
    failed = [check for check in seen.card["checks"] if not check["held"] and check["what"] != "load"]
    assert failed == []


@each
def test_a_drill_on_a_cluster_ends_as_it_ends_in_the_local_world(
    played: Any, drills: Path, drill: str, policy: str
) -> None:
    local = rehearse(load_game_day(drills / f"{drill}.yaml"), policy, Options(speed=LOCAL_SPEED)).card
    card = played(drill, policy).card
    assert card["verdict"] == local.verdict.value
    # Behind the last step all traffic goes to a good release; the verdict may be told just before that or just after.
    allowed = (local.weight_max,) if drill == "errors-20pct" else (60.0, 100.0)
    assert card["weight_max"] in allowed


@each
def test_the_weight_never_exceeds_the_step_and_never_rises_after_an_abort(played: Any, drill: str, policy: str) -> None:
    # The router's word may overtake the status that asked for it by the time of one write, so the steps' weights are
    # taken from the policy: 30 first, 60 after the first analysis, 100 after the second, behind the last step.
    allowed = {0: 30, 1: 60, 2: 100}
    stable = next(event["pod_hash"] for event in played(drill, policy).events if event["event"] == "Deployed")
    weights, aborted, passed = [], False, set()
    for event in played(drill, policy).events:
        aborted |= event["event"] == "StatusChanged" and event["aborted"]
        if event["event"] == "RunChanged" and event["phase"] == "Successful":
            passed.add(event["run"])
        if event["event"] == "WeightSet" and event["stable_hash"] == stable:
            percent = 100 * event["canary"] / event["total"] if event["canary_hash"] != stable else 0
            assert percent <= allowed[len(passed)]
            assert not (aborted and percent)
            weights.append(percent)
    assert max(weights) in ((30,) if drill == "errors-20pct" else (60, 100))


@each
def test_measurements_are_real_and_tell_the_requests_behind_them(played: Any, drill: str, policy: str) -> None:
    lines = played(drill, policy).card["measurements"]
    # 30 % of 40 requests/s over ten seconds is 120; Prometheus takes up a new pod within five of the fifteen seconds.
    assert lines[0]["requests"] == pytest.approx(120, rel=0.35)
    # A fifth of them fail: a standard deviation is sqrt(0.2 x 0.8 / 110) = 0.038; four of them are 0.15.
    assert lines[0]["number"] == pytest.approx(0.2 if drill == "errors-20pct" else 0.0, abs=0.15)


@each
def test_envoy_acknowledges_what_the_objects_ask_for_within_a_second(played: Any, drill: str, policy: str) -> None:
    waits = [event["t_s"] - event["asked_s"] for event in played(drill, policy).events if event["event"] == "WeightSet"]
    assert waits
    assert all(0 <= wait < 1.0 for wait in waits)


@each
def test_a_game_day_takes_everything_away_that_it_brought(
    played: Any, connection: Connection, drill: str, policy: str
) -> None:
    played(drill, policy)
    left = [
        item["metadata"]["name"]
        for resource in (ROLLOUTS, REPLICA_SETS, PODS, SERVICES, INGRESSES, CONFIG_MAPS)
        for item in connection.list_all(resource, f"{drill}-{policy}")["items"]
    ]
    assert left == ["gamebird-router"]  # the data plane's own


def test_a_namespace_that_has_such_a_rollout_is_left_alone(
    controlled: Any, gameday: Any, drills: Path, connection: Connection, namespace: Callable[[str], str]
) -> None:
    home = namespace("taken")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "drill-canary", "namespace": home}}
    connection.create(SERVICES, home, {**service, "spec": {"ports": [{"port": 80}]}})
    done = gameday(drills / "good.yaml", "-n", home, "--no-predict")
    assert done.returncode == 3
    assert "Service drill-canary is in the namespace taken already" in done.stderr
    assert [item["metadata"]["name"] for item in connection.list_all(SERVICES, home)["items"]] == ["drill-canary"]


def test_a_namespace_that_is_not_there_is_named(controlled: Any, gameday: Any, drills: Path) -> None:
    done = gameday(drills / "good.yaml", "-n", "nowhere", "--no-predict")
    assert (done.returncode, "there is no namespace nowhere" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--speed", "20"), "a cluster lives in the wall's time"),
        (("--target", "http://shop.example.com"), "load is sent to this machine only"),
        (("--policy", "canary"), "has ingress, gateway"),
    ],
)
def test_what_does_not_fit_a_cluster_is_refused_before_anything_is_made(
    gameday: Any, drills: Path, options: tuple[str, ...], told: str
) -> None:
    done = gameday(drills / "good.yaml", *options)
    assert (done.returncode, told in " ".join(done.stderr.split())) == (2, True)


def test_ctrl_c_takes_everything_away(
    controlled: Any, drills: Path, connection: Connection, namespace: Callable[[str], str], tmp_path: Path
) -> None:
    home = namespace("interrupted")
    command = [sys.executable, "-P", "-m", "gamebird.cli.main", "gameday", str(drills / "good.yaml"), "--no-predict"]
    command += ["--world", "cluster", "--kubeconfig", str(controlled.kubeconfig), "-n", home]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    _await(lambda: _available(connection, home) == 3, "the stable revision")
    process.send_signal(signal.SIGINT)
    assert process.wait(90.0) == 130
    items = [item for kind in (ROLLOUTS, PODS, SERVICES) for item in connection.list_all(kind, home)["items"]]
    assert items == []


def _available(connection: Connection, namespace: str) -> int:
    try:
        status = connection.get(ROLLOUTS, namespace, "drill").get("status") or {}
    except NotFoundError:
        return 0
    return int(status.get("availableReplicas") or 0)


def _await(holds: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, f"{what} did not come about within {within_s:g} s"
        time.sleep(0.1)

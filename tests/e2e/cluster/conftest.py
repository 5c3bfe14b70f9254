"""A test cluster with Gamebird's controller, both as processes of their own, and drills that are played on it once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.kubernetes.api import Connection, connect
from controller.kubernetes.api.resources import NAMESPACES
from experiments.testbeds.local.children import free_port

Json = dict[str, Any]
STARTS_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCluster:
    """A cluster that runs: its kubeconfig, and where its Prometheus answers."""

    __test__ = False
    kubeconfig: Path
    prometheus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What `gamebird gameday` left of one rehearsal."""

    card: Json
    events: list[Json]


@pytest.fixture(scope="session")
def test_cluster(
    cluster_programs: Path,
    prometheus_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[TestCluster]:
    """A test cluster that scrapes every second unless its parameter says otherwise; told to end, it ends by itself."""
    scrape_s = getattr(request, "param", 1.0)
    log = tmp_path_factory.mktemp("cluster") / "cluster.log"
    command = [sys.executable, "-P", "-m", "experiments.testbeds.cluster", "--prometheus", str(prometheus_binary)]
    command += ["--scrape-s", str(scrape_s)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    said = _await(
        process, log, lambda: re.search(r"KUBECONFIG=(\S+)\n# Prometheus is at (\S+)", log.read_text("utf-8"))
    )
    yield TestCluster(kubeconfig=Path(said[1]), prometheus=said[2])
    process.send_signal(signal.SIGTERM)
    assert process.wait(60.0) == 0, log.read_text("utf-8")


@pytest.fixture(scope="session")
def controlled(test_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """The test cluster with `gamebird controller run`, which is told where the manifests' Prometheus is."""
    log, port = tmp_path_factory.mktemp("controller") / "controller.log", free_port()
    command = [sys.executable, "-P", "-m", "gamebird.cli.main", "controller", "run", "--listen", f"127.0.0.1:{port}"]
    command += ["--address", f"prometheus.monitoring:9090={test_cluster.prometheus}"]
    with log.open("wb") as out:
        environment = {**os.environ, "KUBECONFIG": str(test_cluster.kubeconfig)}
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    _await(process, log, lambda: _answers(f"http://127.0.0.1:{port}/readyz"))
    yield test_cluster
    process.send_signal(signal.SIGTERM)
    assert process.wait(20.0) == 0
    assert "met a bug" not in log.read_text("utf-8")


@pytest.fixture(scope="session")
def connection(test_cluster: TestCluster) -> Connection:
    """A connection as administrator."""
    found, _ = connect(kubeconfig=test_cluster.kubeconfig)
    return found


@pytest.fixture(scope="session")
def namespace(connection: Connection) -> Callable[[str], str]:
    """Make a namespace."""

    def make(name: str) -> str:
        connection.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    return make


@pytest.fixture(scope="session")
def drills(root: Path) -> Path:
    """The game days for clusters."""
    return root / "examples" / "cluster-drill" / "gamedays"


@pytest.fixture(scope="session")
def gameday(test_cluster: TestCluster) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Play a game day on the cluster by the command line."""

    def play(file: Path, *options: str, within_s: float = 360.0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "gamebird.cli.main", "gameday", "run", str(file), "--world", "cluster"]
        command += ["--kubeconfig", str(test_cluster.kubeconfig), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)

    return play


@pytest.fixture(scope="session")
def played(
    controlled: TestCluster,
    namespace: Callable[[str], str],
    drills: Path,
    gameday: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str], Played]:
    """Return what a drill showed under a policy; each pair is played once in a session, in a namespace of its own."""
    known: dict[tuple[str, str], Played] = {}

    def once(drill: str, policy: str) -> Played:
        if (drill, policy) not in known:
            report = tmp_path_factory.mktemp("reports") / "report"
            options = ["--policy", policy, "-n", namespace(f"{drill}-{policy}"), "--report", str(report)]
            # One prediction shows that it stands beside; four would cost as much as another drill.
            options += ["--runs", "200"] if drill == "good" and policy == "ingress" else ["--no-predict"]
            done = gameday(drills / f"{drill}.yaml", *options, "--output", "json")
            # A machine that does much else makes the load's own verdict void, which is exit code 3 with a report.
            assert done.stdout, done.stderr
            lines = (report / f"events-{policy}.jsonl").read_text("utf-8").splitlines()
            (card,) = json.loads(done.stdout)["rehearsals"]
            known[drill, policy] = Played(card=card, events=[json.loads(line) for line in lines])
        return known[drill, policy]

    return once


def _await(process: subprocess.Popen[bytes], log: Path, found: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + STARTS_WITHIN_S
    while not (value := found()):
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline_s, f"not ready in {STARTS_WITHIN_S:g} s:\n{log.read_text('utf-8')}"
        time.sleep(0.1)
    return value


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

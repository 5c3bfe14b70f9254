"""A real API server for every test here: etcd, kube-apiserver and kube-controller-manager on the loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_server import connection, control_plane, custom_kinds, kubeconfig, kubelet, namespace, prometheus_that_says
from routing_kinds import routing_kinds

from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kubelet import InstantKubelet
from experiments.testbeds.local.children import free_port

__all__ = [
    "connection",
    "control_plane",
    "custom_kinds",
    "kubeconfig",
    "kubelet",
    "namespace",
    "prometheus_that_says",
    "routing_kinds",
]


@pytest.fixture
def restarted(control_plane: ControlPlane) -> Callable[[], None]:
    """Restart the API server, with all its objects."""

    def restart() -> None:
        control_plane.stop_server()
        control_plane.start_server()

    return restart


@pytest.fixture(scope="session")
def controller_process(control_plane: ControlPlane, custom_kinds: None) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts `gamebird controller run`, with nothing but KUBECONFIG, and writes to a log."""

    def start(log: Path, *options: str, port: int | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gamebird.cli.main", "controller", "run", *options]
        environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
        with log.open("ab") as out:
            return subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{port or free_port()}"], env=environment, stdout=out, stderr=out
            )

    return start


@pytest.fixture(scope="session")
def running_controller(
    controller_process: Callable[..., subprocess.Popen[bytes]],
    kubelet: InstantKubelet,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """A controller of the whole cluster; it must end by itself when it is told to."""
    port = free_port()
    log = tmp_path_factory.mktemp("controller") / "controller.log"
    process = controller_process(log, port=port)
    deadline_s = time.monotonic() + 60.0
    while not _is_ready(port):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline_s, f"not ready in a minute:\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.1)
    yield
    process.send_signal(signal.SIGTERM)
    assert process.wait(20.0) == 0
    bugs = [line for line in log.read_text(encoding="utf-8").splitlines() if "met a bug" in line]
    assert bugs == []


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

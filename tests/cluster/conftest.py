"""A real API server for every test here: etcd, kube-apiserver and kube-controller-manager on the loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.kubernetes.api import Connection, connect
from controller.kubernetes.api.resources import NAMESPACES
from experiments.testbeds.cluster.control_plane import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, cluster_programs: Path) -> Iterator[ControlPlane]:
    """One API server for all tests; each has a namespace of its own."""
    plane = ControlPlane(programs=cluster_programs, folder=tmp_path_factory.mktemp("control-plane"))
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def connection(control_plane: ControlPlane) -> Connection:
    """A connection as administrator."""
    found, _ = connect(kubeconfig=control_plane.kubeconfig)
    return found


@pytest.fixture
def namespace(connection: Connection) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    connection.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def restarted(control_plane: ControlPlane) -> Callable[[], None]:
    """Restart the API server, with all its objects."""

    def restart() -> None:
        control_plane.stop_server()
        control_plane.start_server()

    return restart


@pytest.fixture
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The administrator's kubeconfig."""
    return control_plane.kubeconfig

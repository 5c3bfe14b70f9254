"""Fixtures of a real API server: etcd, kube-apiserver and kube-controller-manager on the loopback.

A room that imports them into its conftest has an API server of its own; what one does to the kinds of objects or to
the server cannot harm the other.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_prometheus import OneValue

from controller.kubernetes.api import Connection, connect
from controller.kubernetes.api.resources import CRDS, NAMESPACES, ROLLOUTS
from controller.kubernetes.crds import custom_resources
from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kinds import define_kinds
from experiments.testbeds.cluster.kubelet import InstantKubelet

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
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The administrator's kubeconfig."""
    return control_plane.kubeconfig


@pytest.fixture
def namespace(connection: Connection) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    create_namespace(connection, name)
    return name


@pytest.fixture(scope="session")
def custom_kinds(control_plane: ControlPlane) -> None:
    """The custom resources, served."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    define(connection, custom_resources())


@pytest.fixture(scope="session")
def kubelet(control_plane: ControlPlane) -> Iterator[InstantKubelet]:
    """Pods become ready half a second after they were created."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    found = InstantKubelet(connection)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def prometheus_that_says() -> Iterator[OneValue]:
    """A metrics server whose one value the test chooses."""
    found = OneValue()
    found.start()
    yield found
    found.stop()


def create_namespace(connection: Connection, name: str) -> None:
    """Create a namespace."""
    connection.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def define(connection: Connection, definitions: list[dict[str, Any]]) -> None:
    """Create custom resource definitions and return when Rollouts are served."""
    define_kinds(connection, definitions, last=ROLLOUTS)


def undefine(connection: Connection, definitions: list[dict[str, Any]]) -> None:
    """Delete custom resource definitions with all their objects and return when they are gone."""
    for definition in definitions:
        connection.delete(CRDS, None, definition["metadata"]["name"])
    names = {definition["metadata"]["name"] for definition in definitions}
    deadline_s = time.monotonic() + 60.0
    while names & {item["metadata"]["name"] for item in connection.list_all(CRDS)["items"]}:
        assert time.monotonic() < deadline_s, "the custom resources were not deleted in a minute"
        time.sleep(0.1)

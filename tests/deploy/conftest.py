"""What is deployed, held against a real API server of this room's own, and against a real helm."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import connection, control_plane, kubeconfig, kubelet, namespace, prometheus_that_says

from controller.kubernetes.api import Connection, Resource
from experiments.testbeds.cluster.control_plane import VERSION

__all__ = ["connection", "control_plane", "kubeconfig", "kubelet", "namespace", "prometheus_that_says"]

KUBERNETES = VERSION.partition("-")[0]  # helm has to be told where it asks no server

Rendered = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def chart(root: Path) -> Path:
    """The chart's folder."""
    return root / "deploy" / "helm" / "gamebird"


@pytest.fixture(scope="session")
def run_helm(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs helm, with folders of the tests' own."""
    home = tmp_path_factory.mktemp("helm")

    def run(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        own = {f"HELM_{each}_HOME": str(home / each.lower()) for each in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **own, "KUBECONFIG": str(kubeconfig or home / "none")}
        return subprocess.run([str(helm), *arguments], env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture(scope="session")
def render(run_helm: Callable[..., subprocess.CompletedProcess[str]], chart: Path) -> Rendered:
    """Return a function that renders the chart with some values, given as a mapping."""

    @cache
    def text(namespace: str, *sets: str) -> str:
        options = [f"--namespace={namespace}", f"--kube-version={KUBERNETES}", *sets]
        done = run_helm("template", "gamebird", str(chart), *options)
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout

    def rendered(values: dict[str, Any] | None = None, *, namespace: str = "gamebird") -> list[dict[str, Any]]:
        sets = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
        return [each for each in yaml.safe_load_all(text(namespace, *sets)) if each]

    return rendered


@pytest.fixture
def takes(connection: Connection) -> Callable[[dict[str, Any]], None]:
    """Return a function that lets the server judge an object, unknown fields refused, without keeping it."""

    def judge(item: dict[str, Any]) -> None:
        group, _, version = item["apiVersion"].rpartition("/")
        plural = {"NetworkPolicy": "networkpolicies"}.get(item["kind"], f"{item['kind'].lower()}s")
        namespaced = "namespace" in item["metadata"]
        resource = Resource(group=group, version=version, plural=plural, kind=item["kind"], namespaced=namespaced)
        if namespaced:
            item = {**item, "metadata": {**item["metadata"], "namespace": "default"}}
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        connection.call("POST", resource.path("default"), query=query, body=item, resource=resource)

    return judge

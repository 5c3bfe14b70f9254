"""The controller says before it begins what a cluster lacks: kinds, and rights by verb and resource."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_server import create_namespace

from controller.kubernetes.api import Connection, Resource
from controller.kubernetes.permissions import NEEDS, lease_needs
from experiments.testbeds.cluster.control_plane import ControlPlane
from gamebird.cli.controller import LEASE_NAME

Json = dict[str, Any]
ROLES = Resource(group="rbac.authorization.k8s.io", version="v1", plural="roles", kind="Role")
BINDINGS = Resource(group="rbac.authorization.k8s.io", version="v1", plural="rolebindings", kind="RoleBinding")
ACCOUNTS = Resource(group="", version="v1", plural="serviceaccounts", kind="ServiceAccount")


def test_the_chart_grants_what_the_controller_says_that_it_needs_and_no_more(
    render: Callable[..., list[Json]],
) -> None:
    granted = {
        (group, resource, verb)
        for item in render()
        for rule in item.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (need.resource.group, f"{need.resource.plural}/{need.part}" if need.part else need.resource.plural, need.verb)
        for need in (*NEEDS, *lease_needs(LEASE_NAME))
    }
    assert granted == needed


@pytest.mark.e2e
@pytest.mark.needs_cluster
def test_a_controller_that_lacks_rights_and_kinds_names_them_all_and_exits_with_3(
    control_plane: ControlPlane, connection: Connection, tmp_path: Path
) -> None:
    namespace = "hardly-any-rights"
    create_namespace(connection, namespace)
    connection.create(ACCOUNTS, namespace, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}})
    rules = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["list", "watch", "patch"]},
    ]
    meta = {"metadata": {"name": "a"}}
    connection.create(ROLES, namespace, {"apiVersion": f"{ROLES.group}/v1", "kind": "Role", **meta, "rules": rules})
    binding = {
        "roleRef": {"apiGroup": ROLES.group, "kind": "Role", "name": "a"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": namespace}],
    }
    connection.create(
        BINDINGS, namespace, {"apiVersion": f"{ROLES.group}/v1", "kind": "RoleBinding", **meta, **binding}
    )
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = connection.call("POST", ACCOUNTS.path(namespace, "a", "token"), body=body)["status"]["token"]
    done = _run(control_plane.write_kubeconfig(tmp_path / "few", token), "--namespace", namespace)
    assert done.returncode == 3
    assert "patch services" in done.stderr
    assert "update rollouts/status.argoproj.io" in done.stderr
    assert "list clusteranalysistemplates.argoproj.io" in done.stderr
    assert "list services" not in done.stderr
    # It may list Rollouts, and there are none to list: nobody has defined them.
    assert "does not know rollouts.argoproj.io: gamebird controller crds" in done.stderr


@pytest.mark.e2e
@pytest.mark.needs_cluster
def test_a_cluster_without_the_kinds_is_told_how_to_have_them(kubeconfig: Path) -> None:
    done = _run(kubeconfig)
    assert done.returncode == 3
    assert "does not know rollouts.argoproj.io, analysistemplates.argoproj.io" in done.stderr
    assert "do not allow" not in done.stderr


def _run(kubeconfig: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gamebird.cli.main", "controller", "run", "--listen", "127.0.0.1:0", *options]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

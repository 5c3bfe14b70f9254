"""The chart: what it renders, what it refuses, and that a real API server takes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import undefine

from controller.kubernetes.api import Connection, NotFoundError
from controller.kubernetes.api.resources import CRDS, DEPLOYMENTS
from controller.kubernetes.crds import custom_resources
from gamebird.cli.controller import LEASE_NAME

pytestmark = [pytest.mark.e2e]

Json = dict[str, Any]
Render = Callable[..., list[Json]]
FORMS: dict[str, Json] = {
    "as it is": {},
    "one namespace": {"controller.namespace": "production"},
    "beside Argo Rollouts": {"controller.instanceId": "gamebird", "controller.prometheus": "http://p.monitoring:9090"},
    "one replica, one router, all Secrets": {
        "replicas": 1,
        "routers.istio": False,
        "routers.gatewayAPI": False,
        "secrets.all": True,
    },
    "everything said": {
        "image.digest": "sha256:" + "0" * 64,
        "imagePullSecrets": [{"name": "pull"}],
        "secrets.names": ["prometheus-token"],
        "serviceAccount.annotations": {"a.example/role": "canary"},
        "networkPolicy.metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "sre"}}}],
        "podAnnotations": {"a.example/x": "y"},
        "podLabels": {"team": "sre"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
    },
}
form = pytest.mark.parametrize("values", FORMS.values(), ids=FORMS.keys())


def one(rendered: list[Json], kind: str) -> Json:
    (found,) = (each for each in rendered if each["kind"] == kind)
    return found


# ---- on a real API server


@pytest.mark.needs_cluster
@form
def test_a_real_api_server_takes_every_object_and_no_field_is_unknown_to_it(
    render: Render, takes: Callable[[Json], None], values: Json
) -> None:
    rendered = render(values)
    if values.get("controller.namespace"):
        assert {each["metadata"].get("namespace") for each in rendered} == {"gamebird", "production", None}
    for item in rendered:
        takes(item)


@pytest.mark.needs_cluster
def test_helm_installs_upgrades_and_uninstalls_it_and_leaves_definitions_that_are_there_alone(
    run_helm: Callable[..., subprocess.CompletedProcess[str]], connection: Connection, kubeconfig: Path, chart: Path
) -> None:
    others = custom_resources()[0]  # as somebody else has installed them before
    others["metadata"]["labels"] = {"app.kubernetes.io/part-of": "argo-rollouts"}
    before = connection.create(CRDS, None, others)["metadata"]["uid"]
    command = ("gamebird", str(chart), "--namespace=gamebird", "--create-namespace")
    try:
        done = run_helm("install", *command, kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
        assert "carry no controller-instance-id" in done.stdout
        found = connection.get(CRDS, None, "rollouts.argoproj.io")["metadata"]
        assert (found["uid"], found["labels"]) == (before, {"app.kubernetes.io/part-of": "argo-rollouts"})
        assert connection.get(CRDS, None, "analysisruns.argoproj.io")["metadata"]["labels"] == {
            "app.kubernetes.io/part-of": "gamebird"
        }
        assert connection.get(DEPLOYMENTS, "gamebird", "gamebird")["spec"]["replicas"] == 2
        done = run_helm("upgrade", *command[:3], "--set=replicas=3", kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
        assert connection.get(DEPLOYMENTS, "gamebird", "gamebird")["spec"]["replicas"] == 3
        done = run_helm("uninstall", "gamebird", "--namespace=gamebird", kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
        with pytest.raises(NotFoundError):
            connection.get(DEPLOYMENTS, "gamebird", "gamebird")
        assert connection.get(CRDS, None, "rollouts.argoproj.io")["metadata"]["uid"] == before
    finally:
        undefine(connection, custom_resources())


# ---- what it promises


@form
def test_a_pod_has_no_privilege_that_it_does_not_need(render: Render, values: Json) -> None:
    pod = one(render(values), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [set(each) for each in pod["volumes"]] == [{"name", "emptyDir"}]
    assert {container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")} == {
        "/healthz",
        "/readyz",
    }


def test_the_controller_is_started_with_options_that_it_knows(render: Render) -> None:
    command = [sys.executable, "-m", "gamebird.cli.main", "controller", "run", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for values in FORMS.values():
        (container,) = one(render(values), "Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["args"][:2] == ["controller", "run"]
        assert all(option.split("=")[0] in known for option in container["args"][2:])


@form
def test_the_selectors_find_the_pods_and_the_budget_and_the_policy_are_about_them(render: Render, values: Json) -> None:
    rendered = render(values)
    deployment = one(rendered, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    own = deployment["spec"]["selector"]["matchLabels"]
    assert own.items() <= labels.items()
    assert one(rendered, "Service")["spec"]["selector"] == own
    policy = one(rendered, "NetworkPolicy")["spec"]
    assert (policy["podSelector"]["matchLabels"], policy["policyTypes"]) == (own, ["Ingress", "Egress"])
    budgets = [each["spec"] for each in rendered if each["kind"] == "PodDisruptionBudget"]
    # With one replica a budget would only keep a node from being drained.
    assert [each["selector"]["matchLabels"] for each in budgets] == ([] if values.get("replicas") == 1 else [own])


def test_the_role_is_for_the_lease_that_the_controller_asks_for(render: Render) -> None:
    (rule,) = (each for each in one(render(), "Role")["rules"] if "resourceNames" in each)
    assert (rule["resourceNames"], rule["verbs"]) == ([LEASE_NAME], ["get", "update"])


def test_one_namespace_needs_nothing_of_the_cluster_but_its_templates(render: Render) -> None:
    rendered = render({"controller.namespace": "production"})
    assert one(rendered, "ClusterRole")["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["clusteranalysistemplates"], "verbs": ["list", "watch"]}
    ]
    role = one(rendered, "Role")
    assert role["metadata"]["namespace"] == "production"
    assert any("rollouts" in rule["resources"] for rule in role["rules"])


def test_no_role_has_a_wildcard_and_none_reads_secrets_unless_asked(render: Render) -> None:
    for values in FORMS.values():
        rules = [rule for each in render(values) for rule in each.get("rules", ())]
        assert all("*" not in rule[part] for rule in rules for part in ("apiGroups", "resources", "verbs"))
        secrets = [rule for rule in rules if "secrets" in rule["resources"]]
        asked = values.get("secrets.all") or values.get("secrets.names")
        assert [rule["verbs"] for rule in secrets] == ([["get"]] if asked else [])


def test_a_policy_without_ports_to_go_to_lets_nothing_but_questions_of_names_through(render: Render) -> None:
    rules = one(render({"networkPolicy.egressPorts": []}), "NetworkPolicy")["spec"]["egress"]
    # A rule whose list of ports is empty or missing would allow every port.
    assert [[port["port"] for port in rule["ports"] or ()] for rule in rules] == [[53, 53]]


def test_a_router_that_is_switched_off_is_not_written_to(render: Render) -> None:
    rendered = render({"routers.nginx": False, "routers.gatewayAPI": False, "routers.istio": False})
    rules = one(rendered, "ClusterRole")["rules"]
    (ingresses,) = (rule for rule in rules if "ingresses" in rule["resources"])
    assert ingresses["verbs"] == ["list", "watch"]
    assert not any(rule["apiGroups"][0] in ("gateway.networking.k8s.io", "networking.istio.io") for rule in rules)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 2}, "replica"),
        ({"controller.instanceID": "x"}, "instanceID"),
        ({"replicas": 0}, "minimum"),
        ({"controller.logLevel": "loud"}, "logLevel"),
        ({"metrics.port": 80}, "minimum"),
        ({"controller.prometheus": "prometheus:9090"}, "prometheus"),
        ({"metrics.service": False, "metrics.serviceMonitor.enabled": True}, "needs metrics.service"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(render: Render, values: Json, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render(values)


def test_the_service_monitor_is_there_when_asked_for_and_finds_the_service(render: Render) -> None:
    rendered = render({"metrics.serviceMonitor.enabled": True, "metrics.serviceMonitor.labels": {"release": "kps"}})
    monitor = one(rendered, "ServiceMonitor")
    service = one(rendered, "Service")
    assert monitor["metadata"]["labels"]["release"] == "kps"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_every_value_is_described_and_every_default_is_allowed(chart: Path, render: Render) -> None:
    render()  # the schema is checked
    values = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    schema = yaml.safe_load((chart / "values.schema.json").read_text("utf-8"))
    for name, known in schema["properties"].items():
        if name != "global":
            assert set(known.get("properties", ())) >= set(values[name] if isinstance(values[name], dict) else ())


def test_the_plain_manifests_and_the_charts_definitions_are_what_is_rendered(helm: Path, root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "deploy.py"), str(helm), "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

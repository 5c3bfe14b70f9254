"""A small canary behind an nginx Ingress, with pauses of a second and one analysis: what tests do harm to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, INGRESSES, ROLLOUTS, SERVICES

Json = dict[str, Any]

NAME = "a"
CANARY_INGRESS = "a-a-canary"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
REPLICAS = 3
STEPS: tuple[Json, ...] = (
    {"setWeight": 20},
    {"pause": {"duration": 1}},
    {"analysis": {"templates": [{"templateName": "slo"}]}},
    {"setWeight": 50},
    {"pause": {"duration": 1}},
)


def create(
    connection: Connection,
    namespace: str,
    prometheus: str,
    *,
    labels: Mapping[str, str] | None = None,
    without: str = "",
    canary: Mapping[str, Any] | None = None,
) -> None:
    """Create the canary and what it names.

    Args:
        prometheus: the address that its metric is asked at.
        labels: of the Rollout and its template.
        without: a kind that is left out.
        canary: more fields of its strategy.
    """
    for resource, item in _objects(prometheus, dict(labels or {}), dict(canary or {})):
        if resource.kind != without:
            full = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
            connection.create(resource, namespace, full)


def create_missing(connection: Connection, namespace: str, prometheus: str, kind: str) -> None:
    """Create what `create` was told to leave out."""
    for resource, item in _objects(prometheus, {}, {}):
        if resource.kind == kind:
            full = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
            connection.create(resource, namespace, full)


def deploy(connection: Connection, namespace: str, version: str) -> None:
    """Give the rollout the template of a version."""
    connection.patch(ROLLOUTS, namespace, NAME, {"spec": {"template": pod_template(version)}})


def status_of(connection: Connection, namespace: str) -> Json:
    """Return the rollout's status."""
    found: Json = connection.get(ROLLOUTS, namespace, NAME).get("status") or {}
    return found


def pod_template(version: str) -> Json:
    """Return the pod template of a version."""
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]},
    }


def _objects(prometheus: str, labels: dict[str, str], canary: dict[str, Any]) -> list[tuple[Any, Json]]:
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    rule = {"host": "a.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    metric = {
        "name": "errors",
        "interval": "1s",
        "count": 3,
        "successCondition": "result[0] < 0.01",
        "provider": {"prometheus": {"address": prometheus, "query": "up"}},
    }
    strategy = {
        "canaryService": "canary",
        "stableService": "stable",
        "trafficRouting": {"nginx": {"stableIngress": NAME}},
        "steps": list(STEPS),
        **canary,
    }
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": "a"}},
        "template": pod_template("1"),
        "strategy": {"canary": strategy},
    }
    services = [
        {"metadata": {"name": name}, "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}}
        for name in ("stable", "canary")
    ]
    return [
        *((SERVICES, service) for service in services),
        (INGRESSES, {"metadata": {"name": NAME}, "spec": {"ingressClassName": "nginx", "rules": [rule]}}),
        (ANALYSIS_TEMPLATES, {"metadata": {"name": "slo", "labels": labels}, "spec": {"metrics": [metric]}}),
        (ROLLOUTS, {"metadata": {"name": NAME, "labels": labels}, "spec": spec}),
    ]

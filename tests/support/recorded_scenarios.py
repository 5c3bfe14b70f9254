"""A recorded scenario as manifests, for tests that hand them to a cluster.

On the path of every test (`pythonpath` in pyproject.toml); knows no world that plays the scenario.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

NAMESPACE_LABEL = {"app": "a"}


def recordings(folder: Path) -> list[Json]:
    """Return what Argo Rollouts did in every scenario: `scenario`, `trace`, `queries`."""
    found: list[Json] = []
    for file in sorted((folder / "rollouts").glob("argo-rollouts*.json.gz")):
        found += json.loads(gzip.decompress(file.read_bytes()))
    return found


def rollout_of(scenario: Json, version: str, steps: list[Json] | None = None) -> Json:
    """Return the scenario's Rollout at one version of its pod template."""
    canary = dict(scenario["canary"])
    if "analysis" in canary:
        canary["analysis"] = _prefixed(scenario["name"], canary["analysis"])
    canary["steps"] = [
        {**step, "analysis": _prefixed(scenario["name"], step["analysis"])} if "analysis" in step else step
        for step in (scenario["steps"] if steps is None else steps)
    ]
    if scenario["traffic_routing"]:
        canary |= {"canaryService": "canary", "stableService": "stable"}
        canary["trafficRouting"] = {"nginx": {"stableIngress": "ingress"}}
        if "max_weight" in scenario:
            canary["trafficRouting"]["maxTrafficWeight"] = scenario["max_weight"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": scenario["name"]},
        "spec": {
            "replicas": scenario["replicas"],
            "selector": {"matchLabels": {"app": "a"}},
            "template": pod_template(version),
            "strategy": {"canary": canary},
            **scenario["spec"],
        },
    }


def pod_template(version: str) -> Json:
    """Return the pod template of a version."""
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]},
    }


def templates_of(scenario: Json, address: str) -> dict[str, Json]:
    """Return the scenario's AnalysisTemplates by the names that scenarios use; metrics ask at `address`."""
    return {name: _template(scenario, name, address) for name in scenario["templates"]}


def surroundings() -> list[Json]:
    """Return the Services and the Ingress that scenarios with a router name."""
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]},
        }
        for name in ("canary", "stable")
    ]
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    rule = {"host": "app.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "ingress"},
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }
    return [*services, ingress]


def never_ready(scenario: Json) -> frozenset[str]:
    """Return the versions whose pods never become ready."""
    if "never_ready" in scenario:
        return frozenset(scenario["never_ready"])
    return frozenset({"v2", "v3"} if "never-ready" in scenario["name"] else ())


def _template(scenario: Json, name: str, address: str) -> Json:
    metrics = scenario["templates"][name]
    args = list(scenario.get("template_args", {}).get(name, ()))
    known = {arg["name"] for arg in args}
    args += [{"name": arg} for metric in metrics for arg in metric.get("x_args", ()) if arg not in known]
    spec: Json = {"metrics": [_metric(scenario["name"], metric, address) for metric in metrics]}
    if args:
        spec["args"] = args
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": f"{scenario['name']}-{name}"},
        "spec": spec,
    }


def _metric(scenario: str, metric: Json, address: str) -> Json:
    labels = "".join(f',{arg}="{{{{args.{arg}}}}}"' for arg in metric.get("x_args", ()))
    query = f'gb{{s="{scenario}",m="{metric["name"]}"{labels}}}'
    plain = {key: value for key, value in metric.items() if key != "x_args"}
    return {**plain, "provider": {"prometheus": {"address": address, "query": query}}}


def _prefixed(scenario: str, analysis: Json) -> Json:
    names = [{**ref, "templateName": f"{scenario}-{ref['templateName']}"} for ref in analysis["templates"]]
    return {**analysis, "templates": names}

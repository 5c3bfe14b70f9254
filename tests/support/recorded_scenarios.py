"""A recorded scenario as manifests: for the core in virtual time, for a cluster, and for whoever records anew.

On the path of every test (`pythonpath` in pyproject.toml); knows no world that plays the scenario.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PROMETHEUS = "http://prometheus:9090"


def recordings(folder: Path) -> list[Json]:
    """Return what Argo Rollouts did in every scenario: `scenario`, `trace`, `queries`."""
    found: list[Json] = []
    for file in sorted((folder / "rollouts").glob("*.json.gz")):
        found += json.loads(gzip.decompress(file.read_bytes()))
    return found


def rollout_of(scenario: Json, version: str, steps: list[Json] | None = None) -> Json:
    """Return the scenario's Rollout at one version of its pod template."""
    canary = dict(scenario["canary"])
    if "analysis" in canary:
        canary["analysis"] = _prefixed(scenario["name"], canary["analysis"])
    canary["steps"] = steps_of(scenario["name"], scenario["steps"] if steps is None else steps)
    if scenario["traffic_routing"]:
        canary |= {"canaryService": "canary", "stableService": "stable"}
        canary["trafficRouting"] = {"nginx": {"stableIngress": "ingress"}}
        if scenario["traffic_routing"] == "no router":
            canary["trafficRouting"] = {}
        if "max_weight" in scenario:
            canary["trafficRouting"]["maxTrafficWeight"] = scenario["max_weight"]
    metadata: Json = {"name": scenario["name"]}
    annotations = dict(scenario.get("annotations", {}))
    if scenario.get("parity") == "off":
        annotations["gamebird.dev/parity"] = "off"
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": metadata,
        "spec": {
            "replicas": scenario["replicas"],
            "selector": {"matchLabels": {"app": "a"}},
            "template": pod_template(version),
            "strategy": {"canary": canary},
            **scenario["spec"],
        },
    }


def steps_of(scenario: str, steps: list[Json]) -> list[Json]:
    """Return steps whose templates have the names that they had: recordings leave the scenario's prefix out."""
    return [
        {**step, "analysis": _prefixed(scenario, step["analysis"])} if "analysis" in step else step for step in steps
    ]


def pod_template(version: str) -> Json:
    """Return the pod template of a version."""
    return {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]},
    }


def templates_of(scenario: Json, address: str = PROMETHEUS) -> dict[str, Json]:
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

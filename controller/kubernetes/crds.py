"""The custom resources that the controller works with, for clusters that do not have Argo Rollouts' own.

Subresources are those of Argo's definitions, so that one way of writing fits both: a Rollout has /status and /scale, an
AnalysisRun's status is written with the object. `schemas` says what is in them; what a schema cannot say is checked by
the controller itself, which names the field and what would do.
"""

from __future__ import annotations

from typing import Any

from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    ROLLOUTS,
    Resource,
)
from controller.kubernetes.schemas import schema_of

Json = dict[str, Any]

_COLUMNS: dict[str, list[Json]] = {
    "Rollout": [
        {"name": "Desired", "type": "integer", "jsonPath": ".spec.replicas"},
        {"name": "Current", "type": "integer", "jsonPath": ".status.replicas"},
        {"name": "Up-to-date", "type": "integer", "jsonPath": ".status.updatedReplicas"},
        {"name": "Available", "type": "integer", "jsonPath": ".status.availableReplicas"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
    "AnalysisRun": [
        {"name": "Status", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
}
_ABOUT = {
    "Rollout": "A workload whose new revisions get traffic step by step.",
    "AnalysisTemplate": "Metrics, and what their values have to be, for analysis runs of one namespace.",
    "ClusterAnalysisTemplate": "Metrics, and what their values have to be, for analysis runs of any namespace.",
    "AnalysisRun": "One judgement of one revision: metrics that are measured, and what they have shown so far.",
}


def custom_resources() -> list[Json]:
    """Return the definitions, ready to be applied."""
    return [
        _definition(ROLLOUTS, short="ro"),
        _definition(ANALYSIS_TEMPLATES, short="at"),
        _definition(CLUSTER_ANALYSIS_TEMPLATES, short="cat"),
        _definition(ANALYSIS_RUNS, short="ar"),
    ]


def _definition(resource: Resource, *, short: str) -> Json:
    subresources: Json = {}
    if resource.kind == "Rollout":
        subresources["status"] = {}
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.HPAReplicas",
            "labelSelectorPath": ".status.selector",
        }
    version: Json = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(resource.kind)},
        "additionalPrinterColumns": _COLUMNS.get(resource.kind, [_COLUMNS["AnalysisRun"][-1]]),
    }
    if subresources:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.text, "labels": {"app.kubernetes.io/part-of": "gamebird"}},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "shortNames": [short],
            },
            "versions": [version],
        },
    }


def _schema(kind: str) -> Json:
    found: Json = {
        "type": "object",
        "description": _ABOUT[kind],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Always argoproj.io/v1alpha1."},
            "kind": {"type": "string", "description": f"Always {kind}."},
            "metadata": {"type": "object"},
            "spec": schema_of("AnalysisTemplate" if kind == "ClusterAnalysisTemplate" else kind),
        },
    }
    if kind in ("Rollout", "AnalysisRun"):
        found["properties"]["status"] = schema_of(f"{kind}Status")
    return found

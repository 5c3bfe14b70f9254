"""The custom resources that the controller works with, for clusters that do not have Argo Rollouts' own.

Status and scale are subresources, as in Argo's. The schemas are structural and name the fields that Gamebird reads;
what they leave open is checked by the controller itself, which says more of it than a schema can.
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
from controller.manifests.reading.fields import BLOCKS, Treatment

Json = dict[str, Any]

_OPEN: Json = {"x-kubernetes-preserve-unknown-fields": True}
_WHOLE = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_FLAGS = ("paused", "progressDeadlineAbort", "terminate")
_LISTS = ("metrics", "args", "templates", "dryRun", "measurementRetention")
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
        _definition(ROLLOUTS, "rollout", short="ro"),
        _definition(ANALYSIS_TEMPLATES, "analysisTemplate", short="at"),
        _definition(CLUSTER_ANALYSIS_TEMPLATES, "analysisTemplate", short="cat"),
        _definition(ANALYSIS_RUNS, "analysisRun", short="ar"),
    ]


def _definition(resource: Resource, block: str, *, short: str) -> Json:
    subresources: Json = {}
    if resource.kind in ("Rollout", "AnalysisRun"):
        subresources["status"] = {}
    if resource.kind == "Rollout":
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.HPAReplicas",
            "labelSelectorPath": ".status.selector",
        }
    version: Json = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(resource.kind, block)},
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


def _schema(kind: str, block: str) -> Json:
    fields = BLOCKS[block].fields
    known = {name: _field(name) for name, field in fields.items() if field.treatment is not Treatment.REFUSED}
    return {
        "type": "object",
        "description": _ABOUT[kind],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {"type": "object", "properties": known, **_OPEN},
            "status": {"type": "object", "description": "Written by the controller.", **_OPEN},
        },
    }


def _field(name: str) -> Json:
    if name in _WHOLE:
        return {"type": "integer", "format": "int32"}
    if name in _FLAGS:
        return {"type": "boolean"}
    if name in _LISTS:
        return {"type": "array", "items": {"type": "object", **_OPEN}}
    if name == "restartAt":
        return {"type": "string", "format": "date-time"}
    return {"type": "object", **_OPEN}

"""AnalysisRuns as objects: made as Argo Rollouts makes them, and read back as the core's values.

The spec holds the templates' metrics as they were written and the arguments' values, as Argo's do, so that Argo can
go on with the run. What the core resolved from them is kept in an annotation, so that a restarted controller measures
exactly what was begun. A Secret's value is in neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from controller.core.runs import AnalysisRun, RunKind
from controller.kubernetes import labels
from controller.kubernetes.replica_sets import owner_reference
from controller.kubernetes.wire import analysis_status_from
from controller.kubernetes.wire.packing import UnpackError, pack, unpack
from controller.kubernetes.wire.stamps import seconds_of
from controller.manifests.loading import read_object
from controller.manifests.problems import ManifestError
from controller.manifests.values import (
    AnalysisRunManifest,
    AnalysisSpec,
    Argument,
    FrozenMap,
    PrometheusProvider,
    ResolutionError,
    RolloutAnalysis,
    SecretKeyRef,
    resolve,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a run's spec is made of: the templates' own JSON, in the order in which they are combined."""

    analysis: RolloutAnalysis
    templates: tuple[Json, ...]


def new_analysis_run(
    rollout: Json, run: AnalysisRun, sources: Sources, *, revision: int, instance_id: str = ""
) -> Json:
    """Return the object of a run that the core wants begun."""
    names = dict(sources.analysis.run_labels) | dict(rollout["spec"].get("selector", {}).get("matchLabels") or {})
    names |= {labels.POD_HASH: run.pod_hash, labels.ROLLOUT_TYPE: run.kind.value}
    if run.step_index is not None:
        names[labels.STEP_INDEX] = str(run.step_index)
    if instance_id:
        names[labels.INSTANCE_ID] = instance_id
    resolved = {"metrics": run.metrics, "dry_run": run.dry_run, "retention": run.retention, "problem": run.problem}
    return {
        "apiVersion": rollout["apiVersion"],
        "kind": "AnalysisRun",
        "metadata": {
            "name": run.name,
            "namespace": rollout["metadata"]["namespace"],
            "labels": names,
            "annotations": {
                **dict(sources.analysis.run_annotations),
                labels.REVISION: str(revision),
                labels.RESOLVED_RUN: json.dumps({name: pack(value) for name, value in resolved.items()}),
            },
            "ownerReferences": [owner_reference(rollout)],
        },
        "spec": _spec(run, sources),
    }


def _spec(run: AnalysisRun, sources: Sources) -> Json:
    specs = [template.get("spec") or {} for template in sources.templates]
    dry_run = [entry for spec in specs for entry in spec.get("dryRun") or ()]
    dry_run += [{"metricName": name} for name in sources.analysis.dry_run]
    retention = [entry for spec in specs for entry in spec.get("measurementRetention") or ()]
    retention += [{"metricName": each.metric, "limit": each.limit} for each in sources.analysis.measurement_retention]
    found: Json = {"metrics": [metric for spec in specs for metric in spec.get("metrics") or ()]}
    if run.args:
        found["args"] = [_argument(arg) for arg in run.args]
    if dry_run:
        found["dryRun"] = dry_run
    if retention:
        found["measurementRetention"] = retention
    return found


def _argument(arg: Argument) -> Json:
    if arg.secret is not None:
        return {"name": arg.name, "valueFrom": {"secretKeyRef": {"name": arg.secret.name, "key": arg.secret.key}}}
    return {"name": arg.name, "value": arg.value or ""}


def analysis_run_from(item: Json) -> AnalysisRun:
    """Return a run as the core knows it. One that cannot be read ends as an error, with the reason as its problem."""
    metadata = item["metadata"]
    names: Json = metadata.get("labels") or {}
    metrics, dry_run, retention, problem = _resolved(item)
    step = names.get(labels.STEP_INDEX)
    return AnalysisRun(
        name=metadata["name"],
        kind=RunKind.BACKGROUND if names.get(labels.ROLLOUT_TYPE) == RunKind.BACKGROUND.value else RunKind.STEP,
        pod_hash=str(names.get(labels.POD_HASH, "")),
        created_s=seconds_of(metadata["creationTimestamp"]),
        step_index=None if step is None else int(step),
        metrics=metrics,
        dry_run=dry_run,
        retention=retention,
        args=tuple(_argument_from(arg) for arg in item["spec"].get("args") or ()),
        problem=problem,
        terminate=bool(item["spec"].get("terminate")),
        status=analysis_status_from(item.get("status") or {}),
    )


def _resolved(item: Json) -> tuple[Any, frozenset[str], FrozenMap[int], str]:
    stored = (item["metadata"].get("annotations") or {}).get(labels.RESOLVED_RUN)
    if stored:
        try:
            found = json.loads(stored)
            return tuple(unpack(found[name]) for name in ("metrics", "dry_run", "retention", "problem"))
        except (ValueError, KeyError, TypeError, UnpackError):
            pass  # somebody edited it: what the spec says counts
    try:
        loaded = read_object(item, f"AnalysisRun {item['metadata']['name']}")
        if loaded is None or not isinstance(loaded.value, AnalysisRunManifest):
            return (), frozenset(), FrozenMap(), "it is no AnalysisRun that can be read"
        found_run = resolve(_spec_of(loaded.value))
    except (ManifestError, ResolutionError) as error:
        return (), frozenset(), FrozenMap(), str(error)
    return found_run.metrics, found_run.dry_run, found_run.retention, ""


def _spec_of(manifest: AnalysisRunManifest) -> AnalysisSpec:
    """Return a run that somebody else began (Argo Rollouts, or a person) as the core resolves it."""
    args = tuple(
        Argument(name=arg.name, secret=arg.value_from)
        if isinstance(arg.value_from, SecretKeyRef)
        else Argument(name=arg.name, value=arg.value or "")
        for arg in manifest.args
    )
    return AnalysisSpec(
        metrics=manifest.metrics,
        args=args,
        dry_run=manifest.dry_run,
        measurement_retention=manifest.measurement_retention,
        evidence=FrozenMap({each.name: manifest.extensions.rules_for(each.name) for each in manifest.metrics}),
    )


def _argument_from(stored: Json) -> Argument:
    secret = (stored.get("valueFrom") or {}).get("secretKeyRef")
    if secret:
        return Argument(name=stored["name"], secret=SecretKeyRef(name=secret["name"], key=secret["key"]))
    return Argument(name=stored["name"], value=str(stored.get("value", "")))


def queries_of(run: AnalysisRun) -> dict[str, str]:
    """Return what each metric asks, with arguments filled in; a metric whose query holds a secret is left out."""
    return {
        metric.name: metric.provider.query
        for metric in run.metrics
        if isinstance(metric.provider, PrometheusProvider) and "\x01" not in metric.provider.query
    }


def secrets_of(run: AnalysisRun) -> tuple[SecretKeyRef, ...]:
    """Return the Secrets that the run's arguments refer to."""
    return tuple(arg.secret for arg in run.args if arg.secret is not None)

"""A rollout as people look at it: phase, step, weight, revisions with their pods, analysis runs. Plain values."""

from __future__ import annotations

from typing import Any

from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import ANALYSIS_RUNS, REPLICA_SETS, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.replica_sets import is_owned, pod_hash_of

Json = dict[str, Any]


def picture_of(connection: Connection, key: Key) -> Json:
    """Return what there is to see of a rollout.

    Raises:
        ApiError: there is no such rollout, or no API.
    """
    item = connection.get(ROLLOUTS, key.namespace, key.name)
    uid, status = item["metadata"]["uid"], item.get("status") or {}
    sets = [each for each in connection.list_all(REPLICA_SETS, key.namespace)["items"] if is_owned(each, uid)]
    runs = [each for each in connection.list_all(ANALYSIS_RUNS, key.namespace)["items"] if is_owned(each, uid)]
    steps = (item["spec"]["strategy"].get("canary") or {}).get("steps") or []
    weights = (status.get("canary") or {}).get("weights") or {}
    return {
        "rollout": str(key),
        "phase": status.get("phase", ""),
        "message": status.get("message", ""),
        "aborted": bool(status.get("abort")),
        "step": status.get("currentStepIndex"),
        "steps": len(steps),
        "weight": (weights.get("canary") or {}).get("weight"),
        "replicas": {
            name: int(status.get(field) or 0)
            for name, field in (("all", "replicas"), ("updated", "updatedReplicas"), ("available", "availableReplicas"))
        },
        "revisions": sorted((_revision(each, status) for each in sets), key=lambda each: -int(each["revision"])),
        "runs": [_run(each) for each in sorted(runs, key=lambda each: str(each["metadata"]["creationTimestamp"]))],
    }


def _revision(item: Json, status: Json) -> Json:
    pod_hash = pod_hash_of(item)
    roles = [
        role for role, field in (("stable", "stableRS"), ("newest", "currentPodHash")) if status.get(field) == pod_hash
    ]
    images = [each.get("image", "") for each in item["spec"]["template"]["spec"].get("containers") or ()]
    pods = item.get("status") or {}
    return {
        "revision": (item["metadata"].get("annotations") or {}).get(labels.REVISION, "0"),
        "pod_template_hash": pod_hash,
        "roles": roles,
        "images": images,
        "wanted": int(item["spec"].get("replicas") or 0),
        "pods": int(pods.get("replicas") or 0),
        "available": int(pods.get("availableReplicas") or 0),
    }


def _run(item: Json) -> Json:
    status = item.get("status") or {}
    return {
        "name": item["metadata"]["name"],
        "phase": status.get("phase", ""),
        "message": status.get("message", ""),
        "metrics": [
            {
                "name": result["name"],
                "phase": result.get("phase", ""),
                **{name: result.get(name, 0) for name in ("successful", "failed", "inconclusive", "error")},
                "value": (result.get("measurements") or [{}])[-1].get("value"),
            }
            for result in status.get("metricResults") or ()
        ],
    }

"""A rollout as people look at it: phase, step, weight, revisions with their pods, analysis runs. Plain values."""

from __future__ import annotations

import json
from typing import Any

from controller.kubernetes import labels
from controller.kubernetes.api import Connection, ForbiddenError
from controller.kubernetes.api.resources import ANALYSIS_RUNS, PODS, REPLICA_SETS, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.operating import OVERRIDE
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
    pods = _pods(connection, key.namespace)
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
        "revisions": sorted((_revision(each, status, pods) for each in sets), key=lambda each: -int(each["revision"])),
        "runs": [_run(each) for each in sorted(runs, key=lambda each: str(each["metadata"]["creationTimestamp"]))],
        "last_word": _last_word(item),
    }


def _pods(connection: Connection, namespace: str) -> list[Json]:
    """Return the pods of all rollouts of a namespace; none for a person who may not see pods."""
    try:
        found: list[Json] = connection.list_all(PODS, namespace, selector=labels.POD_HASH)["items"]
    except ForbiddenError:
        return []
    return found


def _last_word(item: Json) -> Json | None:
    """Return what an operator last said to it, as it was noted."""
    text = (item["metadata"].get("annotations") or {}).get(OVERRIDE)
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None  # somebody else's text
    return found if isinstance(found, dict) else None


def _revision(item: Json, status: Json, pods: list[Json]) -> Json:
    pod_hash = pod_hash_of(item)
    roles = [
        role for role, field in (("stable", "stableRS"), ("newest", "currentPodHash")) if status.get(field) == pod_hash
    ]
    images = [each.get("image", "") for each in item["spec"]["template"]["spec"].get("containers") or ()]
    counts = item.get("status") or {}
    own = [_pod(pod) for pod in pods if is_owned(pod, item["metadata"]["uid"])]
    return {
        "replica_set": item["metadata"]["name"],
        "revision": (item["metadata"].get("annotations") or {}).get(labels.REVISION, "0"),
        "pod_template_hash": pod_hash,
        "roles": roles,
        "images": images,
        "wanted": int(item["spec"].get("replicas") or 0),
        "created": int(counts.get("replicas") or 0),
        "available": int(counts.get("availableReplicas") or 0),
        "kept_until": (item["metadata"].get("annotations") or {}).get(labels.SCALE_DOWN_DEADLINE),
        "pods": sorted(own, key=lambda pod: str(pod["name"])),
    }


def _pod(item: Json) -> Json:
    status = item.get("status") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    containers = status.get("containerStatuses") or ()
    return {
        "name": item["metadata"]["name"],
        "phase": "Terminating" if "deletionTimestamp" in item["metadata"] else status.get("phase", ""),
        "ready": ready,
        "restarts": sum(int(each.get("restartCount") or 0) for each in containers),
    }


def _run(item: Json) -> Json:
    status = item.get("status") or {}
    return {
        "name": item["metadata"]["name"],
        "revision": (item["metadata"].get("annotations") or {}).get(labels.REVISION, ""),
        "step": (item["metadata"].get("labels") or {}).get(labels.STEP_INDEX),
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

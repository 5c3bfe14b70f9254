"""ReplicaSets as Argo Rollouts makes and reads them: one for each revision, named and labelled by the pod hash."""

from __future__ import annotations

import json
from typing import Any

from controller.core.snapshot import NO_METADATA, PodSeen, ReplicaSetSeen
from controller.kubernetes import labels
from controller.kubernetes.wire.stamps import maybe_seconds, seconds_of
from controller.manifests.values import FrozenMap, PodMetadata

Json = dict[str, Any]


def owner_reference(rollout: Json) -> Json:
    """Return the reference that makes an object the rollout's, so that it goes when the rollout goes."""
    return {
        "apiVersion": rollout["apiVersion"],
        "kind": rollout["kind"],
        "name": rollout["metadata"]["name"],
        "uid": rollout["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned(item: Json, uid: str) -> bool:
    """Whether an object has this controller."""
    references = item["metadata"].get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)


def controller_of(item: Json) -> Json | None:
    """Return the reference to the object's controller."""
    references = item["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def pod_hash_of(replica_set: Json) -> str:
    """Return the pod hash by which everybody knows the set."""
    return str((replica_set["metadata"].get("labels") or {}).get(labels.POD_HASH, ""))


def revision_of(item: Json) -> int:
    """Return the revision number that stands on a set, or on a rollout for its newest one; 0 where there is none."""
    text = (item["metadata"].get("annotations") or {}).get(labels.REVISION, "")
    return int(text) if text.isdecimal() else 0


def new_replica_set(
    rollout: Json, *, name: str, pod_hash: str, revision: int, desired_replicas: int, metadata: PodMetadata
) -> Json:
    """Return the set of a new revision, with no pods yet.

    Args:
        metadata: what the set's first role gives its pods.
    """
    spec = rollout["spec"]
    template = json.loads(json.dumps(spec["template"]))
    own = template.setdefault("metadata", {})
    own["labels"] = {**(own.get("labels") or {}), labels.POD_HASH: pod_hash}
    selector = json.loads(json.dumps(spec["selector"]))
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), labels.POD_HASH: pod_hash}
    annotations = {
        labels.REVISION: str(revision),
        labels.DESIRED_REPLICAS: str(desired_replicas),
        **_carried_annotations(rollout),
    }
    found: Json = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": rollout["metadata"]["namespace"],
            "labels": dict(own["labels"]),
            "annotations": annotations,
            "ownerReferences": [owner_reference(rollout)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": int(spec.get("minReadySeconds") or 0),
            "selector": selector,
            "template": template,
        },
    }
    if metadata != NO_METADATA:
        put_metadata(found, metadata)
    return found


_NOT_CARRIED = ("kubectl.kubernetes.io/last-applied-configuration", labels.REVISION, labels.DESIRED_REPLICAS)


def _carried_annotations(rollout: Json) -> Json:
    """Return the rollout's annotations that its sets carry too, as Deployments' do."""
    own = rollout["metadata"].get("annotations") or {}
    return {
        name: text for name, text in own.items() if name not in _NOT_CARRIED and not name.startswith("gamebird.dev/")
    }


def put_metadata(replica_set: Json, metadata: PodMetadata) -> None:
    """Let future pods of the set carry this, and no longer what an earlier role gave them. Changes `replica_set`."""
    before = role_metadata(replica_set)
    own = replica_set["spec"]["template"].setdefault("metadata", {})
    for name in ("labels", "annotations"):
        old, new = getattr(before, name), getattr(metadata, name)
        kept = {key: text for key, text in (own.get(name) or {}).items() if old.get(key) != text}
        own[name] = {**kept, **new}
    annotations = replica_set["metadata"].setdefault("annotations", {})
    if metadata == NO_METADATA:
        annotations.pop(labels.EPHEMERAL_METADATA, None)
    else:
        kept = {"labels": dict(metadata.labels), "annotations": dict(metadata.annotations)}
        annotations[labels.EPHEMERAL_METADATA] = json.dumps({key: each for key, each in kept.items() if each})


def role_metadata(replica_set: Json) -> PodMetadata:
    """Return what a role has given the set's pods, as it is remembered on the set."""
    text = (replica_set["metadata"].get("annotations") or {}).get(labels.EPHEMERAL_METADATA)
    if not text:
        return NO_METADATA
    try:
        stored = json.loads(text)
        return PodMetadata(
            labels=FrozenMap(stored.get("labels") or {}), annotations=FrozenMap(stored.get("annotations") or {})
        )
    except (ValueError, AttributeError):
        return NO_METADATA  # somebody else's text; the next role writes its own


def seen(replica_set: Json, pods: tuple[PodSeen, ...] = ()) -> ReplicaSetSeen:
    """Return what the core may know of a set."""
    annotations = replica_set["metadata"].get("annotations") or {}
    spec, status = replica_set["spec"], replica_set.get("status") or {}
    desired = annotations.get(labels.DESIRED_REPLICAS, "")
    return ReplicaSetSeen(
        pod_hash=pod_hash_of(replica_set),
        revision=revision_of(replica_set),
        created_s=seconds_of(replica_set["metadata"]["creationTimestamp"]),
        wanted=int(spec.get("replicas") or 0),
        created=int(status.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        desired_replicas=int(desired) if desired.isdecimal() else None,
        scale_down_at_s=maybe_seconds(annotations.get(labels.SCALE_DOWN_DEADLINE)),
        metadata=role_metadata(replica_set),
        failure=_failure(status),
        pods=pods,
    )


def _failure(status: Json) -> str | None:
    """Return why pods could not be made, if the ReplicaSet controller says so."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "ReplicaFailure")
    return None

"""Workloads that rollouts refer to: a rollout with a workloadRef has the pod template of a Deployment, as in Argo.

The object that the rest of the controller sees is the rollout with that template (and selector) put in, so that
nothing else has to know. The workload's generation is noted on the rollout, by which Argo's command line tells
whether a change has been seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import DEPLOYMENTS, POD_TEMPLATES, REPLICA_SETS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.manifests.loading import read_object
from controller.manifests.problems import ManifestError
from controller.manifests.values import Rollout, Workload

Json = dict[str, Any]


KINDS = {"Deployment": DEPLOYMENTS, "ReplicaSet": REPLICA_SETS, "PodTemplate": POD_TEMPLATES}
"""What a workloadRef may name."""


class WorkloadError(Exception):
    """A workload cannot be followed: it is not there, or has no template that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A rollout as its workload makes it.

    Attributes:
        item: the rollout's object with the workload's template and selector.
        workload: the workload's own object.
    """

    item: Json
    rollout: Rollout
    workload: Json

    @property
    def version(self) -> str:
        """A text that differs when the workload's spec does."""
        metadata = self.workload["metadata"]
        return f"{metadata['uid']} {metadata.get('generation') or metadata['resourceVersion']}"

    @property
    def generation(self) -> str:
        """The workload's generation, as it is noted on the rollout."""
        return str(self.workload["metadata"].get("generation") or 0)

    @property
    def replicas(self) -> int | None:
        """How many pods the workload is to have; None for one that Argo does not scale."""
        if self.workload.get("kind") != "Deployment":
            return None
        found = self.workload["spec"].get("replicas")
        return 1 if found is None else int(found)


class Workloads:
    """Follows workloads, and keeps what it has read of each until it changes. Used by several threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: dict[str, tuple[Rollout, str, Rollout]] = {}  # uid -> own spec, workload's version, both together

    def follow(self, item: Json, rollout: Rollout) -> Followed:
        """Return a rollout that has a workloadRef as its workload makes it.

        Raises:
            WorkloadError: the message says what is missing.
        """
        reference = rollout.workload_ref
        assert reference is not None
        key = Key(item["metadata"]["namespace"], reference.name)
        workload = self._cluster.get(reference.kind, key)
        if workload is None or "deletionTimestamp" in workload["metadata"]:
            raise WorkloadError(f"spec.workloadRef: there is no {reference.kind} {reference.name}")
        holder = workload if reference.kind == "PodTemplate" else workload["spec"]
        spec = {**item["spec"], "template": holder["template"]}
        if not spec.get("selector") and "selector" in holder:
            spec["selector"] = holder["selector"]
        followed = Followed(item={**item, "spec": spec}, rollout=rollout, workload=workload)
        return replace(followed, rollout=self._together(item["metadata"]["uid"], followed))

    def forget(self, uid: str) -> None:
        """Drop what is known for a rollout that is gone."""
        self._read.pop(uid, None)

    def _together(self, uid: str, followed: Followed) -> Rollout:
        """Return the typed rollout with the workload's template: the same object until one of the two changes."""
        known = self._read.get(uid)
        if known is not None and known[0] is followed.rollout and known[1] == followed.version:
            return known[2]
        value = _typed(followed.workload)
        selector = followed.rollout.selector or value.selector
        found = replace(followed.rollout, template=value.template, selector=selector)
        self._read[uid] = (followed.rollout, followed.version, found)
        return found


def read_workload(connection: Connection, item: Json) -> Json | None:
    """Return the object that a rollout's template is taken from, read anew; None where the template is its own.

    Raises:
        ApiError: it is not there, or cannot be read.
    """
    reference = item["spec"].get("workloadRef")
    resource = KINDS.get((reference or {}).get("kind", ""))
    if reference is None or resource is None:
        return None
    return connection.get(resource, item["metadata"]["namespace"], reference["name"])


def _typed(workload: Json) -> Workload:
    name = f"{workload['kind']} {workload['metadata']['name']}"
    try:
        loaded = read_object(workload, name)
    except ManifestError as error:
        raise WorkloadError(f"spec.workloadRef: {error}") from error
    if loaded is None or not isinstance(loaded.value, Workload) or loaded.value.template is None:
        raise WorkloadError(f"spec.workloadRef: the {name} has no pod template")
    return loaded.value

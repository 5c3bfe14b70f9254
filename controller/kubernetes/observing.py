"""What is seen of one rollout: its spec, its sets of pods, its Services, its runs and templates, as a Snapshot.

Reads copies only, so a look costs the API server nothing. Typed values of objects that have not changed are kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from controller.core.runs import AnalysisRun
from controller.core.services import names_by_role
from controller.core.snapshot import PodSeen, ReplicaSetSeen, ServicesSeen, Snapshot
from controller.core.status import RolloutStatus
from controller.kubernetes import labels
from controller.kubernetes.analysis_runs import analysis_run_from
from controller.kubernetes.api.resources import PODS, REPLICA_SETS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.replica_sets import is_owned, pod_hash_of, revision_of, seen
from controller.kubernetes.wire import rollout_status_from
from controller.kubernetes.wire.stamps import maybe_seconds
from controller.manifests.loading import read_object
from controller.manifests.problems import ManifestError
from controller.manifests.values import AnalysisTemplate, Rollout

Json = dict[str, Any]

VALUES_KEPT = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A rollout whose spec Gamebird cannot follow, and why."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A snapshot, with the objects behind it that actions need; actions keep them up to date."""

    item: Json
    snapshot: Snapshot
    replica_sets: dict[str, Json]  # by pod hash

    @property
    def key(self) -> Key:
        """The rollout's key."""
        return Key(self.item["metadata"]["namespace"], self.item["metadata"]["name"])


class Observer:
    """Makes snapshots from the copies. Used by several threads, for different rollouts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._values: OrderedDict[tuple[str, ...], Any] = OrderedDict()
        self._hashes: dict[tuple[str, str], str] = {}  # (rollout, our hash) -> the hash of a set that others made

    def observe(self, item: Json, status: RolloutStatus) -> Observed | Unreadable:
        """Return what is seen of a rollout, or why its spec cannot be followed.

        Args:
            item: the rollout, as the copy has it.
            status: the status that the next decision goes on from.
        """
        rollout = self.rollout(item)
        if isinstance(rollout, Unreadable):
            return rollout
        metadata = item["metadata"]
        owned = self._cluster.copies["ReplicaSet"].owned_by(metadata["uid"])
        sets = {pod_hash_of(each): each for each in owned if "deletionTimestamp" not in each["metadata"]}
        if rollout.template is None:
            return Unreadable(message="spec.workloadRef: Gamebird's controller follows no workload yet")
        snapshot = Snapshot(
            rollout=rollout,
            template_hash=self._template_hash(item, rollout.template.pod_hash, sets),
            generation=int(metadata.get("generation") or 0),
            status=status,
            replica_sets=tuple(self._seen(each, rollout) for each in sets.values()),
            services=self._services(rollout, status.stable_ping_pong),
            runs=self._runs(metadata["uid"]),
            templates=self._templates(metadata["namespace"]),
        )
        return Observed(item=dict(item), snapshot=snapshot, replica_sets=sets)

    def rollout(self, item: Json) -> Rollout | Unreadable:
        """Return the rollout's typed spec."""
        metadata = item["metadata"]
        annotations = json.dumps(metadata.get("annotations") or {}, sort_keys=True)
        key = ("Rollout", metadata["uid"], str(metadata.get("generation")), annotations)
        found: Rollout | Unreadable = self._kept(key, lambda: read_rollout(item))
        return found

    def run(self, item: Json) -> AnalysisRun:
        """Return an analysis run's typed value."""
        metadata = item["metadata"]
        key = ("Run", metadata["uid"], metadata["resourceVersion"])
        found: AnalysisRun = self._kept(key, lambda: analysis_run_from(item))
        return found

    def template_items(self, namespace: str) -> dict[tuple[str, bool], Json]:
        """Return the templates' objects by name and whether they are of the cluster."""
        own = {
            (each["metadata"]["name"], False): each
            for each in self._cluster.all("AnalysisTemplate")
            if each["metadata"]["namespace"] == namespace
        }
        return own | {(each["metadata"]["name"], True): each for each in self._cluster.all("ClusterAnalysisTemplate")}

    # ---- parts

    def _kept(self, key: tuple[str, ...], make: Any) -> Any:
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = make()
            while len(self._values) > VALUES_KEPT:
                self._values.popitem(last=False)
        return found

    def _templates(self, namespace: str) -> tuple[AnalysisTemplate, ...]:
        found = []
        for item in self.template_items(namespace).values():
            metadata = item["metadata"]
            key = ("Template", metadata["uid"], metadata["resourceVersion"])
            template = self._kept(key, lambda item=item: read_template(item))
            if isinstance(template, AnalysisTemplate):
                found.append(template)
        return tuple(found)

    def _runs(self, uid: str) -> tuple[AnalysisRun, ...]:
        found = []
        for item in self._cluster.copies["AnalysisRun"].owned_by(uid):
            if "deletionTimestamp" not in item["metadata"]:
                found.append(self.run(item))
        return tuple(sorted(found, key=lambda run: (run.created_s, run.name)))

    def _services(self, rollout: Rollout, stable_ping_pong: str) -> ServicesSeen:
        stable, canary = names_by_role(rollout.strategy, stable_ping_pong)
        return ServicesSeen(
            stable_hash=self._selected(rollout.namespace, stable),
            canary_hash=self._selected(rollout.namespace, canary),
        )

    def _selected(self, namespace: str, service: str) -> str | None:
        item = self._cluster.get("Service", Key(namespace, service)) if service else None
        selector: Json = ((item or {}).get("spec") or {}).get("selector") or {}
        return selector.get(labels.POD_HASH)

    def _seen(self, item: Json, rollout: Rollout) -> ReplicaSetSeen:
        wants_pods = rollout.restart_at_s is not None
        return seen(item, self._pods(item) if wants_pods else ())

    def _pods(self, replica_set: Json) -> tuple[PodSeen, ...]:
        """Return the set's pods one by one; asked of the server, because only a restart needs them."""
        selector = ",".join(
            f"{name}={text}" for name, text in sorted(replica_set["spec"]["selector"]["matchLabels"].items())
        )
        found = self._cluster.connection.list_all(PODS, replica_set["metadata"]["namespace"], selector=selector)
        return tuple(_pod_seen(pod) for pod in found["items"] if is_owned(pod, replica_set["metadata"]["uid"]))

    def _template_hash(self, item: Json, own_hash: str, sets: dict[str, Json]) -> str:
        """Return the pod hash of the rollout's template: that of a set with this very template, whoever made it."""
        if own_hash in sets or not sets:
            return own_hash
        key = (item["metadata"]["uid"], own_hash)
        known = self._hashes.get(key)
        if known is None:
            known = self._hashes[key] = self._adopted(item, sets) or own_hash
        return known if known in sets else own_hash

    def _adopted(self, item: Json, sets: dict[str, Json]) -> str | None:
        """Find the set that another controller made of this template, once the server has filled in its defaults."""
        foreign = {pod_hash: each for pod_hash, each in sets.items() if not _is_ours(each)}
        if not foreign:
            return None
        template = json.loads(json.dumps(item["spec"]["template"]))
        probe = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"generateName": "gamebird-probe-", "namespace": item["metadata"]["namespace"]},
            "spec": {"replicas": 0, "selector": item["spec"]["selector"], "template": template},
        }
        path = REPLICA_SETS.path(item["metadata"]["namespace"])
        filled = self._cluster.connection.call("POST", path, query={"dryRun": "All"}, body=probe, resource=REPLICA_SETS)
        wanted = _comparable(filled["spec"]["template"])
        return next((h for h, each in foreign.items() if _comparable(each["spec"]["template"]) == wanted), None)


def _is_ours(replica_set: Json) -> bool:
    fields = replica_set["metadata"].get("managedFields") or ()
    return any(each.get("manager") == "gamebird" and not each.get("subresource") for each in fields)


def _comparable(template: Json) -> Json:
    """Return a template without what differs although nothing does."""
    found: Json = json.loads(json.dumps(template))
    own = found.get("metadata") or {}
    names = {name: text for name, text in (own.get("labels") or {}).items() if name != labels.POD_HASH}
    found["metadata"] = {"labels": names, "annotations": own.get("annotations") or {}}
    found["spec"].pop("serviceAccount", None)  # the old spelling of serviceAccountName, filled in by the server
    return found


def _pod_seen(pod: Json) -> PodSeen:
    conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or ()}
    return PodSeen(
        name=pod["metadata"]["name"],
        created_s=maybe_seconds(pod["metadata"]["creationTimestamp"]) or 0.0,
        available=conditions.get("Ready") == "True",
        leaving="deletionTimestamp" in pod["metadata"],
    )


def stored_status(item: Json) -> RolloutStatus:
    """Return the status that is stored of a rollout."""
    return rollout_status_from(item.get("status") or {}, revision=revision_of(item))


def read_rollout(item: Json) -> Rollout | Unreadable:
    """Return the typed spec of a rollout as the API server has it, or why there is none."""
    try:
        loaded = read_object(item, f"Rollout {item['metadata']['namespace']}/{item['metadata']['name']}")
    except ManifestError as error:
        return Unreadable(
            message="; ".join(f"{each.path} is {each.found}; it needs {each.need}" for each in error.problems)
        )
    if loaded is None or not isinstance(loaded.value, Rollout):
        return Unreadable(message="it has no canary strategy that Gamebird follows")
    return loaded.value


def read_template(item: Json) -> AnalysisTemplate | Unreadable:
    """Return a template as the API server has it, or why it cannot be read."""
    try:
        loaded = read_object(item, f"{item['kind']} {item['metadata']['name']}")
    except ManifestError as error:
        return Unreadable(message=str(error))
    if loaded is None or not isinstance(loaded.value, AnalysisTemplate):
        return Unreadable(message="it is no template")
    return loaded.value

"""What is seen of one rollout: its spec, its sets of pods, its Services, its runs and templates, as a Snapshot.

Reads copies only, so a look costs the API server nothing. The typed value of an object is kept until the object
changes, and of those that were not looked at for long the oldest go.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.core.runs import AnalysisRun
from controller.core.services import names_by_role
from controller.core.snapshot import PodSeen, ReplicaSetSeen, ServicesSeen, Snapshot
from controller.core.status import RolloutStatus
from controller.kubernetes import labels
from controller.kubernetes.analysis_runs import analysis_run_from
from controller.kubernetes.api import ForbiddenError, InvalidError
from controller.kubernetes.api.resources import PODS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.replica_sets import is_owned, pod_hash_of, revision_of, seen
from controller.kubernetes.templates_known import hash_of_same_template
from controller.kubernetes.wire import rollout_status_from
from controller.kubernetes.wire.go_json import NotAsTypedError
from controller.kubernetes.wire.hashes import pod_template_hash, steps_hash
from controller.kubernetes.wire.stamps import maybe_seconds
from controller.kubernetes.workloads import Followed, WorkloadError, Workloads
from controller.manifests.loading import read_object
from controller.manifests.problems import ManifestError
from controller.manifests.values import AnalysisTemplate, Rollout

Json = dict[str, Any]
T = TypeVar("T")

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
    workload: Followed | None = None  # where the rollout has another's pod template

    @property
    def key(self) -> Key:
        """The rollout's key."""
        return Key(self.item["metadata"]["namespace"], self.item["metadata"]["name"])


class Observer:
    """Makes snapshots from the copies. Used by several threads, for different rollouts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._workloads = Workloads(cluster)
        self._values: OrderedDict[tuple[str, str], tuple[str, Any]] = OrderedDict()  # (uid, part) -> version, value
        self._values_lock = threading.Lock()
        # By uid: the template's hash, and that of a set which has this very template.
        self._hashes: dict[str, tuple[str, str]] = {}

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
        workload: Followed | None = None
        if rollout.workload_ref is not None:
            try:
                workload = self._workloads.follow(item, rollout)
            except WorkloadError as error:
                return Unreadable(message=str(error))
            item, rollout = workload.item, workload.rollout
        pod_hash, step_hash = self._own_hashes(item, rollout, workload)
        snapshot = Snapshot(
            rollout=rollout,
            template_hash=self._template_hash(item, pod_hash, sets),
            step_hash=step_hash,
            workload_replicas=None if workload is None else workload.replicas,
            generation=int(metadata.get("generation") or 0),
            status=status,
            replica_sets=tuple(self._seen(each, rollout) for each in sets.values()),
            services=self._services(rollout, status.stable_ping_pong),
            runs=self._runs(metadata["uid"]),
            templates=self._templates(metadata["namespace"]),
        )
        return Observed(item=dict(item), snapshot=snapshot, replica_sets=sets, workload=workload)

    def rollout(self, item: Json) -> Rollout | Unreadable:
        """Return the rollout's typed spec."""
        metadata = item["metadata"]
        # The status changes all the time and is not part of the value, so the resourceVersion would not do.
        told = [metadata.get("generation"), metadata.get("annotations") or {}, metadata.get("labels") or {}]
        return self._kept(item, json.dumps(told, sort_keys=True), read_rollout)

    def names(self, item: Json) -> frozenset[str]:
        """Return every text in a rollout's strategy: what it may name, and more."""
        return self._kept(item, str(item["metadata"].get("generation")), _strategy_texts, part="names")

    def run(self, item: Json) -> AnalysisRun:
        """Return an analysis run's typed value."""
        return self._kept(item, item["metadata"]["resourceVersion"], analysis_run_from)

    def template_items(self, namespace: str) -> dict[tuple[str, bool], Json]:
        """Return the templates' objects by name and whether they are of the cluster."""
        copies = self._cluster.copies
        own = {(each["metadata"]["name"], False): each for each in copies["AnalysisTemplate"].in_namespace(namespace)}
        return own | {(each["metadata"]["name"], True): each for each in self._cluster.all("ClusterAnalysisTemplate")}

    def forget(self, uid: str) -> None:
        """Drop what is known of an object that is gone."""
        with self._values_lock:
            for part in ("", "names", "hashes"):
                self._values.pop((uid, part), None)
        self._workloads.forget(uid)
        self._hashes.pop(uid, None)

    # ---- parts

    def _kept(self, item: Json, version: str, make: Callable[[Json], T], *, part: str = "") -> T:
        key = (item["metadata"]["uid"], part)
        with self._values_lock:
            known = self._values.get(key)
            if known is not None and known[0] == version:
                self._values.move_to_end(key)
                found: T = known[1]
                return found
        made = make(item)
        with self._values_lock:
            self._values[key] = version, made
            self._values.move_to_end(key)
            while len(self._values) > VALUES_KEPT:
                self._values.popitem(last=False)
        return made

    def _templates(self, namespace: str) -> tuple[AnalysisTemplate, ...]:
        items = self.template_items(namespace).values()
        found = (self._kept(item, item["metadata"]["resourceVersion"], read_template) for item in items)
        return tuple(template for template in found if isinstance(template, AnalysisTemplate))

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

    def _own_hashes(self, item: Json, rollout: Rollout, workload: Followed | None) -> tuple[str, str]:
        """Return the hashes of template and steps: Argo's, or letters of our own for what Argo could not read."""
        collisions = (item.get("status") or {}).get("collisionCount")
        told = [item["metadata"].get("generation"), collisions, None if workload is None else workload.version]

        def work_out(item: Json) -> tuple[str, str]:
            steps = (item["spec"]["strategy"].get("canary") or {}).get("steps")
            try:
                return pod_template_hash(item["spec"]["template"], collisions), steps_hash(steps)
            except NotAsTypedError:
                assert rollout.template is not None
                return rollout.template.pod_hash, ""

        return self._kept(item, str(told), work_out, part="hashes")

    def _template_hash(self, item: Json, own_hash: str, sets: dict[str, Json]) -> str:
        """Return the pod hash of the rollout's template: that of a set with this very template, whoever made it."""
        if own_hash in sets or not sets:
            return own_hash
        uid: str = item["metadata"]["uid"]
        known = self._hashes.get(uid)
        if known is None or known[0] != own_hash:
            try:
                same = hash_of_same_template(self._cluster.connection, item, sets)
            except (InvalidError, ForbiddenError):
                # No set can be made of what the server refuses, and an abort of the revision before must go on.
                return own_hash
            known = self._hashes[uid] = (own_hash, same or own_hash)
        return known[1] if known[1] in sets else own_hash


def _pod_seen(pod: Json) -> PodSeen:
    conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or ()}
    return PodSeen(
        name=pod["metadata"]["name"],
        created_s=maybe_seconds(pod["metadata"]["creationTimestamp"]) or 0.0,
        available=conditions.get("Ready") == "True",
        leaving="deletionTimestamp" in pod["metadata"],
    )


def _strategy_texts(item: Json) -> frozenset[str]:
    found: set[str] = set()
    spec = item.get("spec") or {}
    waiting: list[Any] = [spec.get("strategy"), spec.get("workloadRef")]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.add(text)
            case dict() as fields:
                waiting.extend(fields.values())
            case list() as entries:
                waiting.extend(entries)
    return frozenset(found)


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

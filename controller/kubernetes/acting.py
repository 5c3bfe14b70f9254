"""Carry out what a decision asks for. Every action may be repeated, and writes nothing where nothing is to change."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteAnalysis,
    DeleteReplicaSet,
    EmitEvent,
    RemoveManagedRoutes,
    RestartPod,
    ScaleReplicaSet,
    ScaleWorkload,
    SelectService,
    SetHeaderRoute,
    SetMirrorRoute,
    SetPodMetadata,
    SetRevision,
    SetScaleDownDeadline,
    SetWeight,
    StartAnalysis,
    StopAnalysis,
)
from controller.core.runs import AnalysisRun, RunKind
from controller.core.snapshot import NO_METADATA
from controller.kubernetes import labels
from controller.kubernetes.analysis_runs import Sources, new_analysis_run
from controller.kubernetes.api import ForbiddenError
from controller.kubernetes.api.resources import PODS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.events import EventQueue
from controller.kubernetes.observing import Observed, Observer
from controller.kubernetes.replica_sets import is_owned, new_replica_set, put_metadata, role_metadata
from controller.kubernetes.wire.stamps import stamp
from controller.manifests.values import AnalysisTemplate, PodMetadata, Rollout, RolloutAnalysis, find_templates
from controller.traffic.routers import Router, RouterError

Json = dict[str, Any]

log = logging.getLogger(__name__)


class ActingError(Exception):
    """An action cannot be carried out as things are; it is tried again when they change, or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Carries actions out for any rollout.

    Args:
        router: makes the router of a rollout; None for one without traffic routing.
        wrote: called after each write, with the name of the action; for metrics.
    """

    cluster: Cluster
    observer: Observer
    events: EventQueue
    router: Callable[[Observed], Router | None]
    instance_id: str = ""
    wrote: Callable[[str], None] = lambda _: None

    def carry_out(self, action: Action, seen: Observed) -> None:
        """Carry one action out.

        Raises:
            ActingError: something that the rollout names is not there.
            ApiError: the API server did not do it.
        """
        handler = _HANDLERS.get(type(action))
        if handler is not None:
            try:
                handler(self, action, seen)
            except RouterError as error:
                raise ActingError(str(error)) from error
            except ForbiddenError as error:
                if type(action) not in _CAN_BE_WITHOUT:
                    raise
                log.warning("an action is not allowed", extra={"object": str(seen.key), "why": str(error)})
                return
            self.wrote(type(action).__name__)

    # ---- sets of pods

    def _create(self, action: CreateReplicaSet, seen: Observed) -> None:
        rollout = seen.snapshot.rollout
        body = new_replica_set(
            seen.item,
            name=action.name,
            pod_hash=action.pod_hash,
            revision=action.revision,
            desired_replicas=action.desired_replicas,
            metadata=_first_metadata(rollout, is_first=not seen.replica_sets),
        )
        found = self.cluster.create("ReplicaSet", body)
        if not is_owned(found, seen.item["metadata"]["uid"]):
            self._count_collision(seen)
            raise ActingError(f"a ReplicaSet {action.name} is there already and is of something else")
        seen.replica_sets[action.pod_hash] = found
        self._note_revision(seen, action.revision)

    def _scale(self, action: ScaleReplicaSet, seen: Observed) -> None:
        item = self._set(action.pod_hash, seen)
        annotations = item["metadata"].get("annotations") or {}
        patch: Json = {}
        if int(item["spec"].get("replicas") or 0) != action.replicas:
            patch["spec"] = {"replicas": action.replicas}
        if annotations.get(labels.DESIRED_REPLICAS) != str(action.desired_replicas):
            patch["metadata"] = {"annotations": {labels.DESIRED_REPLICAS: str(action.desired_replicas)}}
        self._patch_set(action.pod_hash, seen, patch)

    def _scale_workload(self, action: ScaleWorkload, seen: Observed) -> None:
        assert seen.workload is not None
        if seen.workload.replicas != action.replicas:
            metadata = seen.workload.workload["metadata"]
            patch = {
                "metadata": {"resourceVersion": metadata["resourceVersion"]},
                "spec": {"replicas": action.replicas},
            }
            self.cluster.patch("Deployment", Key(metadata["namespace"], metadata["name"]), patch)

    def _delete(self, action: DeleteReplicaSet, seen: Observed) -> None:
        item = seen.replica_sets.pop(action.pod_hash, None)
        if item is not None:
            self.cluster.delete("ReplicaSet", Key(item["metadata"]["namespace"], item["metadata"]["name"]))

    def _revise(self, action: SetRevision, seen: Observed) -> None:
        item = self._set(action.pod_hash, seen)
        if (item["metadata"].get("annotations") or {}).get(labels.REVISION) != str(action.revision):
            self._patch_set(
                action.pod_hash, seen, {"metadata": {"annotations": {labels.REVISION: str(action.revision)}}}
            )
        self._note_revision(seen, action.revision)

    def _set_deadline(self, action: SetScaleDownDeadline, seen: Observed) -> None:
        item = self._set(action.pod_hash, seen)
        known = (item["metadata"].get("annotations") or {}).get(labels.SCALE_DOWN_DEADLINE)
        wanted = None if action.at_s is None else stamp(action.at_s)
        if known != wanted:
            self._patch_set(action.pod_hash, seen, {"metadata": {"annotations": {labels.SCALE_DOWN_DEADLINE: wanted}}})

    def _label(self, action: SetPodMetadata, seen: Observed) -> None:
        """Let pods carry their role's metadata: those to come by the set's template, those that run by themselves."""
        item = self._set(action.pod_hash, seen)
        before = role_metadata(item)
        changed = copy.deepcopy(item)
        put_metadata(changed, action.metadata)
        if changed != item:
            seen.replica_sets[action.pod_hash] = self.cluster.replace("ReplicaSet", changed)
        namespace = item["metadata"]["namespace"]
        selector = f"{labels.POD_HASH}={action.pod_hash}"
        patch = _metadata_patch(before, action.metadata)
        for pod in self.cluster.connection.list_all(PODS, namespace, selector=selector)["items"]:
            # Another rollout with this very template has pods with the same hash.
            if patch and is_owned(pod, item["metadata"]["uid"]) and not _carries(pod, patch):
                self.cluster.patch("Pod", Key(namespace, pod["metadata"]["name"]), {"metadata": patch})

    def _restart(self, action: RestartPod, seen: Observed) -> None:
        self.cluster.delete("Pod", Key(seen.key.namespace, action.pod))

    # ---- traffic

    def _select(self, action: SelectService, seen: Observed) -> None:
        key = Key(seen.key.namespace, action.service)
        service = self.cluster.get("Service", key)
        if service is None:
            raise ActingError(f"the Service {action.service} that spec.strategy.canary names is not there")
        patch: Json = {}
        if ((service["spec"].get("selector") or {}).get(labels.POD_HASH)) != action.pod_hash:
            patch["spec"] = {"selector": {labels.POD_HASH: action.pod_hash}}
        if (service["metadata"].get("annotations") or {}).get(labels.MANAGED_BY) != seen.key.name:
            patch["metadata"] = {"annotations": {labels.MANAGED_BY: seen.key.name}}
        if patch:
            self.cluster.patch("Service", key, patch)

    def _weigh(self, action: SetWeight, seen: Observed) -> None:
        router = self.router(seen)
        if router is not None:
            router.set_weight(action)

    def _route(self, action: SetHeaderRoute | SetMirrorRoute, seen: Observed) -> None:
        router = self.router(seen)
        if router is not None:
            router.set_route(action.route)

    def _remove_routes(self, action: RemoveManagedRoutes, seen: Observed) -> None:
        router = self.router(seen)
        if router is not None:
            router.remove_routes()

    # ---- analysis

    def _start(self, action: StartAnalysis, seen: Observed) -> None:
        run = action.run
        sources = self._sources(run, seen)
        body = new_analysis_run(
            seen.item, run, sources, revision=seen.snapshot.status.revision, instance_id=self.instance_id
        )
        self.cluster.create("AnalysisRun", body)

    def _sources(self, run: AnalysisRun, seen: Observed) -> Sources:
        analysis = _analysis_of(seen.snapshot.rollout, run)
        items = self.observer.template_items(seen.key.namespace)
        try:
            found: tuple[AnalysisTemplate, ...] = find_templates(analysis.templates, seen.snapshot.templates)
        except ValueError:  # the run carries the problem, and ends with it
            found = ()
        return Sources(analysis=analysis, templates=tuple(items[(each.name, each.cluster_scope)] for each in found))

    def _stop(self, action: StopAnalysis, seen: Observed) -> None:
        key = Key(seen.key.namespace, action.name)
        item = self.cluster.get("AnalysisRun", key)
        if item is not None and not item["spec"].get("terminate"):
            self.cluster.patch("AnalysisRun", key, {"spec": {"terminate": True}})

    def _forget_run(self, action: DeleteAnalysis, seen: Observed) -> None:
        self.cluster.delete("AnalysisRun", Key(seen.key.namespace, action.name))

    def _emit(self, action: EmitEvent, seen: Observed) -> None:
        self.events.emit(seen.item, action.reason, action.message, warning=action.warning, now_s=time.time())

    # ---- what they share

    def _set(self, pod_hash: str, seen: Observed) -> Json:
        item = seen.replica_sets.get(pod_hash)
        if item is None:
            raise ActingError(f"the ReplicaSet of {pod_hash} is gone")
        return item

    def _patch_set(self, pod_hash: str, seen: Observed, patch: Json) -> None:
        if patch:
            item = self._set(pod_hash, seen)
            key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
            # Only if nobody has changed it since: two controllers that scale one set must not take turns.
            guarded = {
                **patch,
                "metadata": {**patch.get("metadata", {}), "resourceVersion": item["metadata"]["resourceVersion"]},
            }
            seen.replica_sets[pod_hash] = self.cluster.patch("ReplicaSet", key, guarded)

    def _count_collision(self, seen: Observed) -> None:
        """Let the template get another hash, as Argo does where a name is taken: the count goes into it."""
        status = seen.item.get("status") or {}
        count = int(status.get("collisionCount") or 0) + 1
        self.cluster.replace_status("Rollout", seen.item, {**status, "collisionCount": count})

    def _note_revision(self, seen: Observed, revision: int) -> None:
        if (seen.item["metadata"].get("annotations") or {}).get(labels.REVISION) != str(revision):
            seen.item.update(self.cluster.annotate("Rollout", seen.item, {labels.REVISION: str(revision)}))


_HANDLERS: dict[type, Callable[..., None]] = {
    CreateReplicaSet: Actor._create,
    ScaleReplicaSet: Actor._scale,
    ScaleWorkload: Actor._scale_workload,
    DeleteReplicaSet: Actor._delete,
    SetRevision: Actor._revise,
    SetScaleDownDeadline: Actor._set_deadline,
    SetPodMetadata: Actor._label,
    RestartPod: Actor._restart,
    SetWeight: Actor._weigh,
    SelectService: Actor._select,
    SetHeaderRoute: Actor._route,
    SetMirrorRoute: Actor._route,
    RemoveManagedRoutes: Actor._remove_routes,
    StartAnalysis: Actor._start,
    StopAnalysis: Actor._stop,
    DeleteAnalysis: Actor._forget_run,
    EmitEvent: Actor._emit,
}

_CAN_BE_WITHOUT = frozenset({DeleteReplicaSet, DeleteAnalysis, ScaleWorkload, SetPodMetadata})
"""What needs rights that are not essential (`permissions`): the decision that asks for it may be an abort's."""


def _first_metadata(rollout: Rollout, *, is_first: bool) -> PodMetadata:
    """Return what a new set's first role gives its pods: the very first set of all will be the stable one."""
    strategy = rollout.strategy
    return (strategy.stable_metadata if is_first else strategy.canary_metadata) or NO_METADATA


def _analysis_of(rollout: Rollout, run: AnalysisRun) -> RolloutAnalysis:
    strategy = rollout.strategy
    if run.kind is RunKind.BACKGROUND:
        assert strategy.analysis is not None
        return strategy.analysis.analysis
    assert run.step_index is not None
    step = strategy.steps[run.step_index]
    assert step.analysis is not None
    return step.analysis


def _metadata_patch(before: PodMetadata, after: PodMetadata) -> Json:
    patch: Json = {}
    for name in ("labels", "annotations"):
        old, new = getattr(before, name), getattr(after, name)
        change = {**{key: None for key in old if key not in new}, **dict(new)}
        if change:
            patch[name] = change
    return patch


def _carries(pod: Json, patch: Json) -> bool:
    own = pod["metadata"]
    return all((own.get(name) or {}).get(key) == text for name, change in patch.items() for key, text in change.items())

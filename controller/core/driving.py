"""What every driver has to remember of a platform: the half of a snapshot that actions write.

`PlatformLedger` turns actions into bookkeeping and bookkeeping into snapshots, so that a world only has to
start and stop pods, move weights and ask metrics. It holds plain values, does no I/O and knows no clock; it
can be thrown away and rebuilt from what the platform itself stores (a cluster does that).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from controller.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteAnalysis,
    DeleteReplicaSet,
    ScaleReplicaSet,
    SelectService,
    SetPodMetadata,
    SetRevision,
    SetScaleDownDeadline,
    SetWeight,
    StartAnalysis,
    StopAnalysis,
)
from controller.core.runs import AnalysisRun, AnalysisStatus
from controller.core.snapshot import PodSeen, ReplicaSetSeen, ServicesSeen, Snapshot
from controller.core.status import RolloutStatus
from controller.manifests.values import AnalysisTemplate, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCounts:
    """The pods of one revision as they are: existing, passing readiness, ready for long enough."""

    created: int = 0
    ready: int = 0
    available: int = 0
    failure: str | None = None
    pods: tuple[PodSeen, ...] = ()


_NO_PODS = PodCounts()


@dataclass(slots=True, kw_only=True)
class PlatformLedger:
    """What actions have written: replica sets by pod hash, selectors, the weight asked for, analysis runs.

    Beside what was written a replica set holds the pods that were last seen, so that a look at which nothing has
    changed makes no new values.
    """

    replica_sets: dict[str, ReplicaSetSeen]
    services: ServicesSeen
    weight: SetWeight | None
    runs: dict[str, AnalysisRun]

    @classmethod
    def empty(cls) -> PlatformLedger:
        """Return the ledger of a platform on which nothing was ever done."""
        return cls(replica_sets={}, services=ServicesSeen(), weight=None, runs={})

    def apply(self, action: Action, now_s: float) -> None:
        """Note what an action asks for. Applying it a second time changes nothing."""
        note = _NOTES.get(type(action))
        if note is not None:
            note(self, action, now_s)

    def update_run(self, name: str, status: AnalysisStatus) -> None:
        """Note the new status of an analysis run."""
        self.runs[name] = self.runs[name].with_status(status)

    def snapshot(
        self,
        *,
        rollout: Rollout,
        template_hash: str,
        generation: int,
        status: RolloutStatus,
        pods: Mapping[str, PodCounts],
        acknowledged_weight: int | None = None,
        templates: tuple[AnalysisTemplate, ...] = (),
    ) -> Snapshot:
        """Return the snapshot for a decision; `pods` is what runs now, by pod hash, and is noted."""
        for pod_hash, known in self.replica_sets.items():
            counts = pods.get(pod_hash, _NO_PODS)
            if not _agrees(known, counts):
                self.replica_sets[pod_hash] = _seen(known, counts)
        return Snapshot(
            rollout=rollout,
            template_hash=template_hash,
            generation=generation,
            status=status,
            replica_sets=tuple(self.replica_sets.values()),
            services=self.services,
            acknowledged_weight=acknowledged_weight,
            runs=tuple(self.runs.values()),
            templates=templates,
        )


def _agrees(known: ReplicaSetSeen, counts: PodCounts) -> bool:
    return (
        known.available == counts.available
        and known.created == counts.created
        and known.ready == counts.ready
        and known.failure == counts.failure
        and known.pods == counts.pods
    )


def _seen(written: ReplicaSetSeen, counts: PodCounts) -> ReplicaSetSeen:
    return ReplicaSetSeen(
        pod_hash=written.pod_hash,
        revision=written.revision,
        created_s=written.created_s,
        wanted=written.wanted,
        created=counts.created,
        ready=counts.ready,
        available=counts.available,
        desired_replicas=written.desired_replicas,
        scale_down_at_s=written.scale_down_at_s,
        metadata=written.metadata,
        failure=counts.failure,
        pods=counts.pods,
    )


def _create(ledger: PlatformLedger, action: CreateReplicaSet, now_s: float) -> None:
    if action.pod_hash not in ledger.replica_sets:
        ledger.replica_sets[action.pod_hash] = ReplicaSetSeen(
            pod_hash=action.pod_hash,
            revision=action.revision,
            created_s=now_s,
            wanted=0,
            created=0,
            ready=0,
            available=0,
            desired_replicas=action.desired_replicas,
        )


def _scale(ledger: PlatformLedger, action: ScaleReplicaSet, now_s: float) -> None:
    ledger.replica_sets[action.pod_hash] = replace(
        ledger.replica_sets[action.pod_hash], wanted=action.replicas, desired_replicas=action.desired_replicas
    )


def _delete(ledger: PlatformLedger, action: DeleteReplicaSet, now_s: float) -> None:
    ledger.replica_sets.pop(action.pod_hash, None)


def _revise(ledger: PlatformLedger, action: SetRevision, now_s: float) -> None:
    known = ledger.replica_sets[action.pod_hash]
    ledger.replica_sets[action.pod_hash] = replace(known, revision=action.revision)


def _set_deadline(ledger: PlatformLedger, action: SetScaleDownDeadline, now_s: float) -> None:
    known = ledger.replica_sets[action.pod_hash]
    ledger.replica_sets[action.pod_hash] = replace(known, scale_down_at_s=action.at_s)


def _label(ledger: PlatformLedger, action: SetPodMetadata, now_s: float) -> None:
    known = ledger.replica_sets[action.pod_hash]
    ledger.replica_sets[action.pod_hash] = replace(known, metadata=action.metadata)


def _select(ledger: PlatformLedger, action: SelectService, now_s: float) -> None:
    if action.role == "stable":
        ledger.services = replace(ledger.services, stable_hash=action.pod_hash)
    else:
        ledger.services = replace(ledger.services, canary_hash=action.pod_hash)


def _weigh(ledger: PlatformLedger, action: SetWeight, now_s: float) -> None:
    ledger.weight = action


def _start(ledger: PlatformLedger, action: StartAnalysis, now_s: float) -> None:
    ledger.runs.setdefault(action.run.name, action.run)


def _stop(ledger: PlatformLedger, action: StopAnalysis, now_s: float) -> None:
    run = ledger.runs.get(action.name)
    if run is not None and not run.status.phase.completed:
        ledger.runs[action.name] = replace(run, terminate=True)


def _forget_run(ledger: PlatformLedger, action: DeleteAnalysis, now_s: float) -> None:
    ledger.runs.pop(action.name, None)


_NOTES: dict[type, Callable[..., None]] = {
    CreateReplicaSet: _create,
    ScaleReplicaSet: _scale,
    DeleteReplicaSet: _delete,
    SetRevision: _revise,
    SetScaleDownDeadline: _set_deadline,
    SetPodMetadata: _label,
    SelectService: _select,
    SetWeight: _weigh,
    StartAnalysis: _start,
    StopAnalysis: _stop,
    DeleteAnalysis: _forget_run,
}

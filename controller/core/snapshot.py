"""All that one decision may know: the spec, the last status, and what was seen of the world.

A driver (virtual time, local processes, a cluster) builds a `Snapshot` and hands it to
`controller.core.decisions.decide`. The operator's wishes are not a field of their own: as in Argo Rollouts
they are edits of the spec or of the status, made by `controller.core.operator` between two decisions.

What a driver must get right:

* `rollout` is the spec as it is now. `generation` grows by one with every change of the spec (also paused,
  replicas and restartAt); `template_hash` is `rollout.template.pod_hash`,
  or what the world calls this template.
* `status` is the status that the last decision returned (or the default value for a new rollout), after any
  edit by an operator. Nothing else may change it.
* `replica_sets` has one entry for every `CreateReplicaSet` ever carried out and not deleted since. `wanted`,
  `desired_replicas`, `revision` and `scale_down_at_s` are what actions have written; `created`, `ready` and
  `available` are what is running: created counts pods that exist, ready those whose readiness probe passes,
  available those that have been ready for `minReadySeconds`. `PlatformLedger` in `controller.core.driving`
  keeps the written half, so that a driver only counts pods.
* `acknowledged_weight` is None for a router that takes a weight at once or cannot be asked. A router that
  answers (a data plane that confirms) puts the canary's weight here as it is in force now.
* `runs` holds every analysis run started and not deleted, with its newest status.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.analysis import AnalysisRun
from controller.core.status import RolloutStatus
from controller.manifests.values import AnalysisTemplate, PodMetadata, Rollout

NO_METADATA = PodMetadata()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """One pod. Only a restart (`spec.restartAt`) needs to know pods one by one."""

    name: str
    created_s: float
    available: bool
    leaving: bool = False  # asked to end and not gone yet


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetSeen:
    """The pods of one revision, as wanted and as seen."""

    pod_hash: str
    revision: int
    created_s: float
    wanted: int
    created: int
    ready: int
    available: int
    desired_replicas: int | None = None  # the rollout's size when this set was last scaled
    scale_down_at_s: float | None = None  # keep the pods of an old revision until then
    metadata: PodMetadata = NO_METADATA  # what a role has given the pods, beside the template's own
    failure: str | None = None  # why pods could not be created, if the platform says so
    pods: tuple[PodSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesSeen:
    """Which revision each Service selects now; None when it selects no single revision yet."""

    stable_hash: str | None = None
    canary_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a decision may depend on, beside the time."""

    rollout: Rollout
    template_hash: str
    generation: int
    status: RolloutStatus
    step_hash: str = ""  # of the spec's steps, where another controller has to know it too; "": one of our own
    workload_replicas: int | None = None  # of the workload that the spec refers to, if it can be scaled
    replica_sets: tuple[ReplicaSetSeen, ...] = ()
    services: ServicesSeen = ServicesSeen()
    acknowledged_weight: int | None = None
    runs: tuple[AnalysisRun, ...] = ()
    templates: tuple[AnalysisTemplate, ...] = ()  # of both scopes; all that the rollout may name

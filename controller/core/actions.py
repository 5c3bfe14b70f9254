"""What a decision asks of the world, as data.

Every action may be carried out twice (a crash between acting and remembering repeats it), so every action
says how things should be, never by how much to change them. A driver carries them out in the order in which
they stand in the decision, stops at the first that fails (and then does not store the status either), and
stores the status last. On an abort the router's actions stand first.

A driver that does not support an action's subject (pod metadata, header routes) may leave that action out;
none is needed for a later one to be right, except where a docstring says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.analysis import AnalysisRun
from controller.manifests import values


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicaSet:
    """Make the set of pods of a revision known, with no pods yet. If it exists, nothing is to be done."""

    pod_hash: str
    name: str
    revision: int
    desired_replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleReplicaSet:
    """Let this revision have so many pods, and note the rollout's size beside it."""

    pod_hash: str
    replicas: int
    desired_replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReplicaSet:
    """Forget a revision that has no pods and is beyond the revision history limit."""

    pod_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRevision:
    """Note the revision number of a pod template that came back (a rollback)."""

    pod_hash: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScaleDownDeadline:
    """Note until when the pods of a revision are kept; None forgets the deadline. Pods stay as they are."""

    pod_hash: str
    at_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPodMetadata:
    """Let the running and future pods of a revision carry this, and no longer what an earlier role gave them."""

    pod_hash: str
    metadata: values.PodMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPod:
    """End this pod; its set makes a new one."""

    pod_hash: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWorkload:
    """Let the workload that the spec refers to have so many pods: the rollout's own take their place."""

    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeight:
    """Let the router send `canary` of `total` parts of the traffic to the canary Service, the rest to stable.

    The hashes say which pods the two sides mean, for a router that selects pods itself.
    """

    canary: int
    total: int
    canary_hash: str
    stable_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectService:
    """Let the Service of this role ("stable" or "canary") select the pods of one revision."""

    role: str
    service: str
    pod_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHeaderRoute:
    """Route requests with certain headers to the canary, by the step's rules."""

    route: values.SetHeaderRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMirrorRoute:
    """Copy a share of requests to the canary, by the step's rules."""

    route: values.SetMirrorRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveManagedRoutes:
    """Remove every header and mirror route that steps have set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAnalysis:
    """Begin this analysis run. If a run of this name exists, nothing is to be done."""

    run: AnalysisRun


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAnalysis:
    """Set `terminate` on the run of this name, if it still runs."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAnalysis:
    """Forget a finished run beyond the history limits."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitEvent:
    """Tell people what happened, in the words of Argo Rollouts' events."""

    reason: str
    message: str
    warning: bool = False


Action = (
    CreateReplicaSet
    | ScaleReplicaSet
    | DeleteReplicaSet
    | SetRevision
    | SetScaleDownDeadline
    | SetPodMetadata
    | RestartPod
    | ScaleWorkload
    | SetWeight
    | SelectService
    | SetHeaderRoute
    | SetMirrorRoute
    | RemoveManagedRoutes
    | StartAnalysis
    | StopAnalysis
    | DeleteAnalysis
    | EmitEvent
)

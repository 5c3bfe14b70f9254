"""What a rollout remembers of itself from one decision to the next, and what people and tools read of it.

The words (phases, pause reasons, condition types) are those that Argo Rollouts writes into a Rollout's
status, because dashboards, CI jobs and alerts parse them. Everything a decision needs to go on after a
restart is here or can be observed; nothing is kept in memory between two decisions.

Times are float seconds of policy time. This module decides nothing; `controller.core.decisions` returns a
new `RolloutStatus`, drivers store it, and the edges (a cluster's API, a report) translate it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The one word that a rollout's state is summed up in."""

    UNKNOWN = ""
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"


class PauseReason(StrEnum):
    """Why a rollout waits for time or for a person."""

    CANARY_PAUSE_STEP = "CanaryPauseStep"
    INCONCLUSIVE_ANALYSIS = "InconclusiveAnalysisRun"


class ConditionKind(StrEnum):
    """The types of condition in a rollout's status."""

    INVALID_SPEC = "InvalidSpec"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    REPLICA_FAILURE = "ReplicaFailure"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    HEALTHY = "Healthy"


class Truth(StrEnum):
    """The status of a condition, as Kubernetes spells it."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCondition:
    """One reason to pause, and since when: a timed pause ends `duration` after `started_s`."""

    reason: PauseReason
    started_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of the status. `updated_s` moves with progress, `changed_s` when `status` turns."""

    kind: ConditionKind
    status: Truth
    reason: str
    message: str
    updated_s: float
    changed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The split last asked of the router. Canary and stable add up to the largest weight (100 by default)."""

    canary: int
    canary_hash: str
    stable: int
    stable_hash: str
    verified: bool | None = None  # None: the router cannot be asked, so nothing waits for its word


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReference:
    """The analysis run that a rollout watches, and what it was last seen to say."""

    name: str
    phase: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStatus:
    """All that a rollout remembers. The default value is that of a rollout that was never decided on."""

    phase: Phase = Phase.UNKNOWN
    message: str = ""
    observed_generation: int = 0

    revision: int = 0  # of the current pod template: 1 for the first deployment
    current_hash: str = ""  # pod-template hash of the newest revision that was decided on
    stable_hash: str = ""  # pod-template hash that traffic returns to; empty until the first deployment is up
    step_index: int | None = None  # zero-based; equal to the number of steps when all are done; None: no steps
    step_hash: str = ""

    pauses: tuple[PauseCondition, ...] = ()
    controller_pause: bool = False  # the core paused; with no pauses left, a person has resumed it
    abort: bool = False
    aborted_s: float | None = None
    promote_full: bool = False
    restarted_s: float | None = None  # the spec's restartAt that was last served

    weights: Weights | None = None  # None: no traffic router
    stable_ping_pong: str = ""  # "ping" or "pong": which of the two Services is stable's; empty before a promotion
    routes: tuple[str, ...] = ()  # header and mirror routes that steps have set, as "name@step"
    step_run: RunReference | None = None
    background_run: RunReference | None = None

    replicas: int = 0  # pods of all revisions
    updated_replicas: int = 0  # pods of the newest revision
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: ConditionKind) -> Condition | None:
        """Return the condition of this kind, if it was ever set."""
        for condition in self.conditions:
            if condition.kind is kind:
                return condition
        return None

    def pause(self, reason: PauseReason) -> PauseCondition | None:
        """Return the pause with this reason, if the rollout is in it."""
        for pause in self.pauses:
            if pause.reason is reason:
                return pause
        return None

    @property
    def is_fully_promoted(self) -> bool:
        """True when the newest revision is the stable one (also before anything was deployed)."""
        return self.stable_hash == self.current_hash


def decision_key(status: RolloutStatus) -> tuple[object, ...]:
    """Return what of a status decides, without messages and history: two equal keys have the same future.

    Simulated runs whose key, pods and weights have become equal again can be joined.
    """
    return (
        status.observed_generation,
        status.current_hash,
        status.stable_hash,
        status.step_index,
        status.step_hash,
        status.pauses,
        status.controller_pause,
        status.abort,
        status.promote_full,
        status.restarted_s,
        status.weights,
        status.routes,
        status.stable_ping_pong,
        status.step_run and (status.step_run.name, status.step_run.phase),
        status.background_run and (status.background_run.name, status.background_run.phase),
        tuple((c.kind, c.status, c.reason, c.updated_s) for c in status.conditions),
        (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas),
    )

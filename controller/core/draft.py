"""The next status while a decision works it out: counts of pods first, then what each room of the core adds.

Made and dropped within one call of `decide`. It begins with what was seen and what the stored status says, and
ends as a `RolloutStatus`, or as the stored one itself when nothing differs.
"""

from __future__ import annotations

from controller.core.look import Conditions, Look
from controller.core.pauses import NO_PAUSE, PauseState
from controller.core.status import Phase, RolloutStatus, RunReference, Weights


class Draft:
    """The next status while it is being worked out; see RolloutStatus for the fields."""

    __slots__ = (
        "available_replicas",
        "background_run",
        "conditions",
        "current_hash",
        "message",
        "pause",
        "phase",
        "promote_full",
        "ready_replicas",
        "replicas",
        "stable_hash",
        "stable_ping_pong",
        "step_hash",
        "step_index",
        "step_run",
        "updated_replicas",
    )

    def __init__(self, look: Look) -> None:
        status = look.status
        new = look.new
        self.current_hash = look.snapshot.template_hash
        self.stable_hash = status.stable_hash
        self.stable_ping_pong = status.stable_ping_pong
        self.step_hash = look.step_hash
        self.step_index: int | None = look.index
        self.promote_full = status.promote_full
        self.step_run: RunReference | None = look.step_ref
        self.background_run: RunReference | None = look.background_ref
        created = ready = available = 0
        for replica_set in look.all:
            created += replica_set.created
            ready += replica_set.ready
            available += replica_set.available
        self.replicas = created
        self.updated_replicas = new.created if new is not None else 0
        self.ready_replicas = ready
        self.available_replicas = available
        self.conditions: Conditions = look.conditions.copy()
        self.pause: PauseState = NO_PAUSE
        self.phase: Phase = status.phase
        self.message = status.message

    def keep_all_but_availability(self, status: RolloutStatus) -> None:
        """Take everything else from the stored status: what a change of the rollout's size alone leaves alone."""
        self.current_hash = status.current_hash
        self.step_hash = status.step_hash
        self.step_index = status.step_index
        self.step_run = status.step_run
        self.background_run = status.background_run
        self.replicas = status.replicas
        self.updated_replicas = status.updated_replicas
        self.ready_replicas = status.ready_replicas

    def freeze(self, look: Look, weights: Weights | None) -> RolloutStatus:
        """Return the status; the stored one itself if nothing differs."""
        if self._is_stored(look, weights):
            return look.status
        pause = self.pause
        return RolloutStatus(
            phase=self.phase,
            message=self.message,
            observed_generation=look.snapshot.generation,
            revision=look.revision,
            current_hash=self.current_hash,
            stable_hash=self.stable_hash,
            step_index=self.step_index,
            step_hash=self.step_hash,
            pauses=pause.pauses,
            controller_pause=pause.controller_pause,
            abort=pause.abort,
            aborted_s=pause.aborted_s,
            promote_full=self.promote_full,
            restarted_s=look.restarted_s,
            weights=weights,
            stable_ping_pong=self.stable_ping_pong,
            routes=look.routes,
            step_run=self.step_run,
            background_run=self.background_run,
            replicas=self.replicas,
            updated_replicas=self.updated_replicas,
            ready_replicas=self.ready_replicas,
            available_replicas=self.available_replicas,
            conditions=tuple(self.conditions.values()),
        )

    def _is_stored(self, look: Look, weights: Weights | None) -> bool:
        """Return whether this is the stored status, field by field, the likeliest differences first."""
        old, pause = look.status, self.pause
        return (
            self.phase is old.phase
            and self.step_index == old.step_index
            and self.updated_replicas == old.updated_replicas
            and self.available_replicas == old.available_replicas
            and self.replicas == old.replicas
            and self.ready_replicas == old.ready_replicas
            and weights == old.weights
            and self.message == old.message
            and pause.pauses == old.pauses
            and pause.controller_pause == old.controller_pause
            and pause.abort == old.abort
            and pause.aborted_s == old.aborted_s
            and self.step_run == old.step_run
            and self.background_run == old.background_run
            and self.promote_full == old.promote_full
            and self.current_hash == old.current_hash
            and self.stable_hash == old.stable_hash
            and self.stable_ping_pong == old.stable_ping_pong
            and self.step_hash == old.step_hash
            and look.revision == old.revision
            and look.restarted_s == old.restarted_s
            and look.routes == old.routes
            and look.snapshot.generation == old.observed_generation
            and tuple(self.conditions.values()) == old.conditions
        )

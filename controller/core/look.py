"""One look at one rollout: what was seen, and what the decision has gathered so far.

The only mutable thing in the core, made and dropped within one call of `decide`. The rooms of a decision
(services, weights, analysis, replicas, pauses, status) read it and write their part; the order in which they
run is `controller.core.decisions`'s.
"""

from __future__ import annotations

from controller.core.actions import Action, EmitEvent, ScaleReplicaSet, SetScaleDownDeadline
from controller.core.plan import Plan, plan_of
from controller.core.runs import AnalysisPhase, AnalysisRun
from controller.core.snapshot import ReplicaSetSeen, Snapshot
from controller.core.status import (
    Condition,
    ConditionKind,
    PauseCondition,
    PauseReason,
    RolloutStatus,
    RunReference,
    Weights,
)
from controller.manifests.values import Step

Conditions = dict[ConditionKind, Condition]

_CANARY_PAUSE_STEP = PauseReason.CANARY_PAUSE_STEP
_INCONCLUSIVE_ANALYSIS = PauseReason.INCONCLUSIVE_ANALYSIS


class Look:
    """The working state of one decision."""

    __slots__ = (
        "abort_added",
        "abort_lifted",
        "abort_message",
        "actions",
        "all",
        "background_ref",
        "conditions",
        "counts",
        "current_background",
        "current_step_run",
        "decided_by",
        "forgotten_deadlines",
        "index",
        "is_aborted",
        "is_fully_promoted",
        "is_inconclusive",
        "look_again_s",
        "new",
        "now_s",
        "other_runs",
        "others",
        "pause_added",
        "pause_step_over",
        "pauses_cleared",
        "plan",
        "restarted_s",
        "revision",
        "routes",
        "rule",
        "services",
        "snapshot",
        "stable",
        "status",
        "step",
        "step_hash",
        "step_pause",
        "step_ref",
        "step_run_phase",
        "weights",
    )

    def __init__(self, snapshot: Snapshot, now_s: float) -> None:
        status = snapshot.status
        self.snapshot = snapshot
        self.now_s = now_s
        self.plan: Plan = plan_of(snapshot.rollout)
        self.status: RolloutStatus = status  # as it was stored; never changed here
        self.conditions: Conditions = {condition.kind: condition for condition in status.conditions}  # as stored
        self.step_pause: PauseCondition | None = None  # as stored
        self.is_inconclusive = False  # an analysis paused the rollout for a person to decide
        if status.pauses:
            self._note_pauses(status.pauses)

        self.all: tuple[ReplicaSetSeen, ...] = snapshot.replica_sets
        new: ReplicaSetSeen | None = None
        stable: ReplicaSetSeen | None = None
        others: list[ReplicaSetSeen] = []
        for replica_set in snapshot.replica_sets:
            pod_hash = replica_set.pod_hash
            if pod_hash == snapshot.template_hash:
                new = replica_set
            if pod_hash == status.stable_hash:
                stable = replica_set
            elif replica_set is not new:
                others.append(replica_set)
        self.new, self.stable, self.others = new, stable, others

        self.step_hash = snapshot.step_hash or self.plan.step_hash
        self.index: int | None = None  # of the current step; equal to the number of steps after the last
        self.step: Step | None = None
        steps = self.plan.steps
        if steps:
            self.index = status.step_index or 0
            if self.index < len(steps):
                self.step = steps[self.index]

        self.current_step_run: AnalysisRun | None = None
        self.current_background: AnalysisRun | None = None
        self.other_runs: list[AnalysisRun] = []
        step_name = status.step_run.name if status.step_run is not None else ""
        background_name = status.background_run.name if status.background_run is not None else ""
        for run in snapshot.runs:
            if run.name == step_name:
                self.current_step_run = run
            elif run.name == background_name:
                self.current_background = run
            else:
                self.other_runs.append(run)

        # What the decision gathers.
        self.weights: Weights | None = status.weights
        self.services = snapshot.services
        self.revision = status.revision
        self.restarted_s = status.restarted_s
        self.routes = status.routes
        self.step_ref: RunReference | None = None
        self.step_run_phase: AnalysisPhase | None = None
        self.counts: tuple[int, int] | None = None  # kept by controller.core.replicas
        self.background_ref: RunReference | None = None
        self.pause_added = 0  # how many analyses were found inconclusive
        self.pause_step_over = False
        self.pauses_cleared = False
        # True when the rollout is aborted as far as this decision has come. Nothing is left to abort once the
        # newest revision is the stable one.
        self.is_fully_promoted = status.is_fully_promoted
        self.is_aborted = status.abort and not self.is_fully_promoted
        self.abort_lifted = status.abort and not self.is_aborted
        self.abort_added = False  # by this decision, also where it has lifted an abort
        self.abort_message = ""
        self.forgotten_deadlines: tuple[str, ...] = ()
        self.actions: list[Action] = []
        self.look_again_s: float | None = None
        self.decided_by: AnalysisRun | None = None  # the run whose verdict pauses or aborts
        self.rule = ""  # why the status is about to change, for the record

    def _note_pauses(self, pauses: tuple[PauseCondition, ...]) -> None:
        for pause in pauses:
            if pause.reason is _CANARY_PAUSE_STEP:
                self.step_pause = pause
            elif pause.reason is _INCONCLUSIVE_ANALYSIS:
                self.is_inconclusive = True

    # ---- questions

    @property
    def template_or_steps_changed(self) -> bool:
        """True when the spec asks for another revision or other steps than the status knows."""
        status = self.status
        return status.step_hash != self.step_hash or (
            status.current_hash != "" and status.current_hash != self.snapshot.template_hash
        )

    @property
    def stable_apart(self) -> ReplicaSetSeen | None:
        """The stable set when it is another one than the newest, else None."""
        if self.new is not None and self.stable is not None and self.stable.pod_hash == self.new.pod_hash:
            return None
        return self.stable

    def deadline_of(self, replica_set: ReplicaSetSeen) -> float | None:
        """Return until when the pods of this set are kept, unless this decision has forgotten it."""
        if replica_set.pod_hash in self.forgotten_deadlines:
            return None
        return replica_set.scale_down_at_s

    @property
    def is_held(self) -> bool:
        """True when an inconclusive analysis holds the rollout until a person decides.

        In Argo, and so in strict parity, it holds only the pods: steps that need none go on, to the promotion.
        """
        return not self.plan.strict and (self.pause_added > 0 or self.is_inconclusive)

    # ---- notes

    def wake_at(self, at_s: float) -> None:
        """Ask to be called again at this instant, or earlier if another part asks so."""
        if self.look_again_s is None or at_s < self.look_again_s:
            self.look_again_s = at_s

    def abort(self, message: str) -> None:
        """Abort the rollout.

        Where this decision has lifted an abort (a full promotion does), the next status is aborted all the same,
        but nothing in this decision sees it.
        """
        self.abort_message = message
        self.abort_added = True
        self.is_aborted = not self.abort_lifted

    def lift_abort(self) -> None:
        """End an abort, and let none begin in this decision."""
        self.abort_lifted = True
        self.is_aborted = False

    def event(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell people."""
        self.actions.append(EmitEvent(reason=reason, message=message, warning=warning))

    def set_deadline(self, replica_set: ReplicaSetSeen, at_s: float) -> None:
        """Keep the pods of a set until then."""
        self.actions.append(SetScaleDownDeadline(pod_hash=replica_set.pod_hash, at_s=at_s))
        self.wake_at(self.now_s)

    def forget_deadline(self, replica_set: ReplicaSetSeen) -> None:
        """Remove the deadline of a set that is wanted again."""
        if self.deadline_of(replica_set) is not None:
            self.actions.append(SetScaleDownDeadline(pod_hash=replica_set.pod_hash, at_s=None))
            self.wake_at(self.now_s)
            self.forgotten_deadlines += (replica_set.pod_hash,)

    def scale(self, replica_set: ReplicaSetSeen, replicas: int) -> bool:
        """Ask for so many pods and note the rollout's size beside them; True when the number changes."""
        size = self.plan.replicas
        number_changes = replica_set.wanted != replicas
        note_changes = replica_set.desired_replicas != size
        if not number_changes and not note_changes:
            return False
        self.actions.append(ScaleReplicaSet(pod_hash=replica_set.pod_hash, replicas=replicas, desired_replicas=size))
        self.wake_at(self.now_s)  # one set is scaled at a time, and the next need not wait for this one's pods
        if number_changes:
            way = "up" if replica_set.wanted < replicas else "down"
            self.event(
                "ScalingReplicaSet",
                f"Scaled {way} ReplicaSet {self.name_of(replica_set)} (revision {replica_set.revision}) "
                f"from {replica_set.wanted} to {replicas}",
            )
        return number_changes

    def name_of(self, replica_set: ReplicaSetSeen) -> str:
        """Return the name of a revision's set, as Argo names it."""
        return f"{self.plan.rollout.name}-{replica_set.pod_hash}"

"""Decide: what a rollout should do next, given all that was seen of it.

`decide` is one look at a rollout, as Argo Rollouts' controller would do it, and a pure function: equal
snapshots and times give equal decisions. A driver's whole duty:

    decision = decide(snapshot, now_s)
    for action in decision.actions:          # in this order; each is safe to repeat
        carry_out(action)
    store(decision.status)                   # last: a crash before it repeats the actions, which is safe

and again: at once when the status changed; when anything in the snapshot changed (pods, analysis runs, the
spec, an operator's word); and when `look_again_s` has come. Between two looks nothing else may change the
status except `controller.core.operator`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.core.actions import Action, CreateReplicaSet, SetRevision
from controller.core.draft import Draft
from controller.core.explaining import deciding_numbers
from controller.core.gates import reconcile_analysis
from controller.core.handing_over import scale_workload
from controller.core.look import Conditions, Look
from controller.core.metadata import metadata_at_birth, reconcile_metadata
from controller.core.pauses import PauseState, begins_pause, pause_state, reconcile_pause_step
from controller.core.promotion import is_rollback_within_window, reason_to_promote
from controller.core.records import Record, TransitionRecord
from controller.core.restarting import restart_pods
from controller.core.scaling import delete_old_revisions, reconcile_replica_sets
from controller.core.services import PING, PONG, reconcile_services
from controller.core.snapshot import ReplicaSetSeen, Snapshot
from controller.core.standing import (
    INVALID,
    abort_for_lack_of_progress,
    pause_conditions,
    set_condition,
    wake_for_progress,
    work_out_conditions,
    work_out_phase,
)
from controller.core.status import ConditionKind, RolloutStatus, Truth
from controller.core.steps import step_is_done
from controller.core.validity import fault_of
from controller.core.weights import put_abort_first, reconcile_weights

INVALID_RETRY_S = 20.0
_INVALID_SPEC = ConditionKind.INVALID_SPEC
_PROGRESSING = ConditionKind.PROGRESSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, what to remember, and when to look again."""

    status: RolloutStatus
    actions: tuple[Action, ...] = ()
    look_again_s: float | None = None  # policy time; None: not before something changes
    records: tuple[Record, ...] = ()
    changed: bool = False  # the status differs from the snapshot's: store it and decide again at once


def decide(snapshot: Snapshot, now_s: float) -> Decision:
    """Return what to do about the rollout at `now_s`."""
    look = Look(snapshot, now_s)
    fault = fault_of(snapshot.rollout, snapshot.templates)
    if fault:
        return _refuse(look, fault)
    new = look.new
    if new is None:
        return _make_known(look)
    conditions = pause_conditions(look)
    if conditions is not None:
        return _note_pause(look, conditions)
    if _PROGRESSING not in look.conditions:
        return _make_found(look, new)
    _number_revision(look, new)
    starts_over = look.template_or_steps_changed
    # Argo follows a new size first, by the step that the last revision had reached.
    if _size_changed(look) and (look.plan.strict or not starts_over):
        return _follow_size(look)
    if starts_over:
        return _begin_update(look)
    if restart_pods(look):
        # The pods just ended are still counted as available; look again before anything is scaled.
        return _finish(look, look.status)
    reconcile_metadata(look)
    delete_old_revisions(look)
    reconcile_services(look)
    reconcile_weights(look)
    reconcile_analysis(look)
    if look.pause_added:
        return _go_on(look, starts_pause=False)
    scaled = reconcile_replica_sets(look)
    scale_workload(look)
    starts_pause = not scaled and reconcile_pause_step(look) and begins_pause(look)
    if starts_pause:
        look.rule = look.rule or "pause step reached"
    return _go_on(look, starts_pause=starts_pause)


def _refuse(look: Look, fault: str) -> Decision:
    """Do nothing about a spec that is invalid, say so, and look again: a template may yet come."""
    status = look.status
    message = f'The Rollout "{look.plan.rollout.name}" is invalid: {fault}'
    draft = Draft(look)
    draft.keep_all_but_availability(status)
    draft.available_replicas = status.available_replicas
    draft.pause = _stored_pause(status)
    before = draft.conditions.get(_INVALID_SPEC)
    if before is not None and before.message != message:
        del draft.conditions[_INVALID_SPEC]
    set_condition(draft.conditions, _INVALID_SPEC, Truth.TRUE, INVALID, message, look.now_s)
    work_out_phase(look, draft)
    look.rule = "invalid spec"
    look.wake_at(look.now_s + INVALID_RETRY_S)
    return _finish(look, draft.freeze(look, status.weights))


def _make_known(look: Look) -> Decision:
    """A revision that has no set of pods yet gets one; everything else waits for the next decision."""
    plan, pod_hash = look.plan, look.snapshot.template_hash
    look.revision = max((rs.revision for rs in look.all), default=0) + 1
    name = f"{plan.rollout.name}-{pod_hash}"
    look.actions.append(
        CreateReplicaSet(pod_hash=pod_hash, name=name, revision=look.revision, desired_replicas=plan.replicas)
    )
    metadata_at_birth(look, pod_hash)
    look.event("RolloutUpdated", f"Rollout updated to revision {look.revision}")
    look.event("NewReplicaSetCreated", f"Created ReplicaSet {name} (revision {look.revision})")
    conditions = look.conditions.copy()
    set_condition(
        conditions,
        _PROGRESSING,
        Truth.TRUE,
        "NewReplicaSetCreated",
        f'Created new replica set "{name}"',
        look.now_s,
    )
    look.rule = "new revision"
    status = replace(look.status, revision=look.revision, conditions=tuple(conditions.values()))
    return _finish(look, status)


def _make_found(look: Look, new: ReplicaSetSeen) -> Decision:
    """Begin to count progress: the set was made by a decision whose status was lost, or by somebody else."""
    conditions = look.conditions.copy()
    message = f'Found new replica set "{look.name_of(new)}"'
    set_condition(conditions, _PROGRESSING, Truth.TRUE, "FoundNewReplicaSet", message, look.now_s)
    look.rule = "revision found"
    return _finish(look, replace(look.status, conditions=tuple(conditions.values())))


def _note_pause(look: Look, conditions: Conditions) -> Decision:
    status = look.status
    draft = Draft(look)
    draft.keep_all_but_availability(status)
    draft.available_replicas = status.available_replicas
    draft.conditions = conditions
    draft.pause = _stored_pause(status)
    work_out_phase(look, draft)
    look.rule = look.rule or "paused or resumed"
    return _finish(look, draft.freeze(look, status.weights))


def _stored_pause(status: RolloutStatus) -> PauseState:
    return PauseState(
        pauses=status.pauses,
        controller_pause=status.controller_pause,
        abort=status.abort,
        aborted_s=status.aborted_s,
    )


def _number_revision(look: Look, new: ReplicaSetSeen) -> None:
    """The newest revision has the highest number, also when it is an old one that came back."""
    highest = 0
    for replica_set in look.all:
        if replica_set is not new and replica_set.revision > highest:
            highest = replica_set.revision
    number = new.revision
    if number <= highest:
        number = highest + 1
        look.actions.append(SetRevision(pod_hash=new.pod_hash, revision=number))
    if look.revision != number:
        look.revision = number
        look.event("RolloutUpdated", f"Rollout updated to revision {number}")


def _size_changed(look: Look) -> bool:
    """Return whether the rollout's size changed since its newest or its stable revision was last scaled."""
    new, stable = look.new, look.stable
    return (new is not None and _other_size(look, new)) or (
        stable is not None and stable is not new and _other_size(look, stable)
    )


def _other_size(look: Look, replica_set: ReplicaSetSeen) -> bool:
    noted = replica_set.desired_replicas
    return noted != look.plan.replicas and noted is not None and replica_set.wanted > 0


def _follow_size(look: Look) -> Decision:
    """Bring the pods in line with a new size before anything else goes on."""
    reconcile_replica_sets(look)
    draft = Draft(look)
    draft.keep_all_but_availability(look.status)
    look.rule = look.rule or "size changed"
    return _settle(look, draft, kept=_stored_pause(look.status))


def _begin_update(look: Look) -> Decision:
    """Start over with the steps for a new template or new steps; going back to stable needs none."""
    draft = Draft(look)
    look.pauses_cleared = True
    look.lift_abort()
    draft.promote_full = False
    draft.step_run = None
    draft.background_run = None
    steps = len(look.plan.steps)
    draft.step_index = 0 if steps else None
    look.rule = look.rule or "pod template or steps changed"
    if steps and look.new is not None:
        if look.status.stable_hash == look.new.pod_hash:
            look.event("SkipSteps", "Rollback to stable ReplicaSets")
            draft.step_index = steps
        elif is_rollback_within_window(look) and look.new.wanted > 0:
            look.event("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow")
            draft.step_index = steps
    return _settle(look, draft)


def _go_on(look: Look, *, starts_pause: bool) -> Decision:
    """Promote, hold an abort, or take the next step, and work out the status."""
    draft = Draft(look)
    steps = len(look.plan.steps)
    # In Argo a quick way back lifts an abort at every look, so that nobody can abort it.
    if look.status.promote_full or (is_rollback_within_window(look) and (look.plan.strict or not look.status.abort)):
        look.pauses_cleared = True
        look.lift_abort()
        if steps:
            draft.step_index = steps
    reason = reason_to_promote(look)
    if reason:
        _promote(look, draft, reason)
        return _settle(look, draft)
    if look.is_aborted:
        if steps:
            draft.step_index = steps if draft.stable_hash == draft.current_hash else 0
        look.rule = look.rule or "aborted"
        return _settle(look, draft, starts_pause=starts_pause)
    if look.step is not None and not look.is_held and step_is_done(look):
        done = draft.step_index or 0
        text = look.plan.step_texts[done]
        look.rule = f"step done: {text}"
        draft.step_index = done + 1
        draft.step_run = None
        look.pause_step_over = True
        look.event(
            "RolloutStepCompleted",
            f"Rollout step {draft.step_index}/{steps} completed ({text})",
        )
    return _settle(look, draft, starts_pause=starts_pause)


def _promote(look: Look, draft: Draft, reason: str) -> None:
    look.pauses_cleared = True
    look.lift_abort()
    draft.promote_full = False
    draft.step_index = len(look.plan.steps) or None
    if draft.stable_hash != draft.current_hash:
        draft.stable_hash = draft.current_hash
        if look.plan.canary.ping_pong is not None:
            draft.stable_ping_pong = PONG if look.status.stable_ping_pong == PING else PING
        look.rule = reason
        look.event(
            "RolloutCompleted",
            f"Rollout completed update to revision {look.revision} ({draft.current_hash}): {reason}",
        )


def _settle(look: Look, draft: Draft, *, starts_pause: bool = False, kept: PauseState | None = None) -> Decision:
    """Work out pauses, conditions and phase, in this order, and close the decision."""
    if kept is None:
        draft.conditions.pop(_INVALID_SPEC, None)  # it was looked at, and is valid
    abort_for_lack_of_progress(look, draft)
    if look.abort_added and not look.plan.strict:
        draft.promote_full = False  # which would lift the abort at the next look, and so on for ever
    draft.pause = pause_state(look, starts_pause_step=starts_pause, kept=kept)
    work_out_conditions(look, draft)
    work_out_phase(look, draft)
    status = draft.freeze(look, look.weights)
    if (not status.pauses) != (not look.status.pauses):
        if status.pauses:
            look.event("RolloutPaused", f"Rollout is paused ({status.pauses[0].reason})")
        elif status.aborted_s is None:
            look.event("RolloutResumed", "Rollout is resumed")
    return _finish(look, status)


def _finish(look: Look, status: RolloutStatus) -> Decision:
    put_abort_first(look)
    changed = status is not look.status
    if changed:
        look.wake_at(look.now_s)
    else:
        wake_for_progress(look)
    return Decision(
        status=status,
        actions=tuple(look.actions),
        look_again_s=look.look_again_s,
        records=_records(look, status) if changed else (),
        changed=changed,
    )


def _records(look: Look, status: RolloutStatus) -> tuple[Record, ...]:
    old = look.status
    if (
        old.phase is status.phase
        and old.step_index == status.step_index
        and old.weights == status.weights
        and old.pauses == status.pauses
        and old.abort == status.abort
        and old.stable_hash == status.stable_hash
    ):
        return ()
    deciding, flip = deciding_numbers(look.decided_by) if look.decided_by is not None else ((), "")
    record = TransitionRecord(
        t_s=look.now_s,
        rule=look.rule or "pods changed",
        old=old,
        new=status,
        canary=look.new,
        stable=look.stable,
        deciding=deciding,
        flip=flip,
    )
    return (record,)

"""How a rollout stands: its conditions, its phase and its message, in the words that tools parse.

Conditions are kept across decisions and change only as Argo Rollouts changes them: one that is set again with
the same status and reason keeps its message and its times. The phase is read off the conditions, the pauses
and the pods, never the other way round.
"""

from __future__ import annotations

from controller.core.draft import Draft
from controller.core.look import Conditions, Look
from controller.core.status import Condition, ConditionKind, Phase, RolloutStatus, Truth

ABORTED = "RolloutAborted"
PAUSED = "RolloutPaused"
TIMED_OUT = "ProgressDeadlineExceeded"
INVALID = "InvalidSpec"
UNAVAILABLE_MESSAGE = "Rollout does not have minimum availability"

# Members bound once, here and in the rooms that every decision passes: to Python 3.11 a member looked up in its enum
# costs as much as ten names of a module.
_INVALID_SPEC = ConditionKind.INVALID_SPEC
_AVAILABLE = ConditionKind.AVAILABLE
_PROGRESSING = ConditionKind.PROGRESSING
_REPLICA_FAILURE = ConditionKind.REPLICA_FAILURE
_PAUSED = ConditionKind.PAUSED
_COMPLETED = ConditionKind.COMPLETED
_HEALTHY = ConditionKind.HEALTHY
_TRUE, _FALSE, _UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
_IN_PROGRESS, _AT_PAUSE = Phase.PROGRESSING, Phase.PAUSED

# ---- conditions


def set_condition(
    conditions: Conditions, kind: ConditionKind, truth: Truth, reason: str, message: str, now_s: float
) -> bool:
    """Set a condition unless it says the same already; True when it was set."""
    current = conditions.get(kind)
    if current is not None and current.status is truth and current.reason == reason:
        return False
    changed_s = current.changed_s if current is not None and current.status is truth else now_s
    conditions.pop(kind, None)  # the newest stands last
    conditions[kind] = Condition(
        kind=kind, status=truth, reason=reason, message=message, updated_s=now_s, changed_s=changed_s
    )
    return True


def pause_conditions(look: Look) -> Conditions | None:
    """Return the conditions with what a pause, a resume or a retry changes in them; None if nothing does.

    Written in a decision of their own, before anything else, so that a rollout that was paused for long is
    not taken for one that makes no progress. Not while a change of the spec has not been looked at yet.
    """
    status = look.status
    if status.observed_generation != look.snapshot.generation:
        return None
    progressing, paused = look.conditions.get(_PROGRESSING), look.conditions.get(_PAUSED)
    reason = progressing.reason if progressing is not None else ""
    paused_now = paused is not None and paused.status is _TRUE
    is_paused = bool(status.pauses) or look.plan.rollout.paused
    retried = reason == ABORTED and not status.abort
    if is_paused == paused_now == (reason == PAUSED) and not retried:
        return None  # most decisions
    changes: list[tuple[ConditionKind, Truth, str, str]] = []
    if is_paused != (reason == PAUSED) and reason != ABORTED and not _completed(status):
        if is_paused:
            changes.append((_PROGRESSING, _UNKNOWN, PAUSED, "Rollout is paused"))
        else:
            changes.append((_PROGRESSING, _UNKNOWN, "RolloutResumed", "Rollout is resumed"))
    if retried:
        changes.append((_PROGRESSING, _UNKNOWN, "RolloutRetry", "Retrying Rollout after abort"))
    if is_paused != paused_now and reason != ABORTED:
        truth = _TRUE if is_paused else _FALSE
        changes.append((_PAUSED, truth, PAUSED, "Rollout is paused"))
    if not changes:
        return None
    conditions = look.conditions.copy()
    for kind, truth, why, message in changes:
        set_condition(conditions, kind, truth, why, message, look.now_s)
    return conditions


def _completed(status: RolloutStatus | Draft) -> bool:
    return status.stable_hash != "" and status.stable_hash == status.current_hash


def _is_healthy(look: Look, draft: Draft) -> bool:
    """All pods are of the newest revision, available, and no other pods run."""
    replicas = look.plan.replicas
    steps = len(look.plan.steps)
    return (
        draft.updated_replicas == replicas
        and draft.available_replicas == replicas
        and draft.replicas == replicas
        and look.status.observed_generation == look.snapshot.generation
        and _completed(draft)
        and (steps == 0 or draft.step_index is None or draft.step_index == steps)
    )


def _makes_progress(look: Look, draft: Draft) -> bool:
    before = look.status
    step_moved = (
        draft.step_index is not None and before.step_index is not None and draft.step_index != before.step_index
    )
    old_before = before.replicas - before.updated_replicas
    old_after = draft.replicas - draft.updated_replicas
    return (
        draft.updated_replicas != before.updated_replicas
        or old_after < old_before
        or draft.ready_replicas > before.ready_replicas
        or draft.available_replicas > before.available_replicas
        or draft.stable_hash != before.stable_hash
        or step_moved
        or draft.step_hash != before.step_hash
    )


def _waits_without_deadline(look: Look) -> bool:
    """At a pause or an analysis, or with old pods that count down, lack of progress means nothing."""
    if look.step is not None and (look.step.pause is not None or look.step.analysis is not None):
        return True
    paused = look.conditions.get(_PAUSED)
    if paused is not None and paused.status is _TRUE:
        return True
    for other in look.others:  # noqa: SIM110  (a generator costs more than the loop)
        if look.deadline_of(other) is not None:
            return True
    return False


def _progress_deadline_s(look: Look, progressing: Condition | None) -> float | None:
    """Return when lack of progress becomes a timeout; None where no deadline runs."""
    if progressing is None or progressing.reason in (ABORTED, PAUSED):
        return None
    if progressing.reason == TIMED_OUT:
        return look.now_s
    return progressing.updated_s + look.plan.rollout.progress_deadline_s


def abort_for_lack_of_progress(look: Look, draft: Draft) -> None:
    """Abort an update that is past its progress deadline, if the spec asks for that."""
    if not look.plan.rollout.progress_deadline_abort or look.is_aborted or _completed(draft):
        return
    if _makes_progress(look, draft) or _waits_without_deadline(look):
        return
    deadline_s = _progress_deadline_s(look, look.conditions.get(_PROGRESSING))
    if deadline_s is None or deadline_s > look.now_s:
        return
    message = _timeout_message(look)
    look.abort(message)
    look.rule = "progress deadline exceeded"
    look.event(ABORTED, message, warning=True)


def _timeout_message(look: Look) -> str:
    if look.new is None:
        return f'Rollout "{look.plan.rollout.name}" has timed out progressing.'
    return f'ReplicaSet "{look.name_of(look.new)}" has timed out progressing.'


def work_out_conditions(look: Look, draft: Draft) -> None:
    """Bring the conditions up to date. Pauses and abort must have been decided."""
    now_s, conditions = look.now_s, draft.conditions
    is_paused = bool(draft.pause.pauses) or look.plan.rollout.paused
    is_healthy = _is_healthy(look, draft)
    fell_ill = False
    if not is_paused and is_healthy:
        set_condition(conditions, _HEALTHY, _TRUE, "RolloutHealthy", "Rollout is healthy", now_s)
    elif _HEALTHY in conditions:
        fell_ill = set_condition(conditions, _HEALTHY, _FALSE, "RolloutHealthy", "Rollout is not healthy", now_s)
    if look.is_aborted:
        message = f"Rollout aborted update to revision {look.revision}"
        if look.abort_message:
            message += f": {look.abort_message}"
        if set_condition(conditions, _PROGRESSING, _FALSE, ABORTED, message, now_s):
            look.event(ABORTED, message, warning=True)
    else:
        _work_out_progress(look, draft, is_healthy=is_healthy, fell_ill=fell_ill)
    if draft.available_replicas >= look.plan.replicas:
        available, message = _TRUE, "Rollout has minimum availability"
    else:
        available, message = _FALSE, UNAVAILABLE_MESSAGE
    set_condition(conditions, _AVAILABLE, available, "AvailableReason", message, now_s)
    _work_out_failures(look, conditions)
    done = _completed(draft)
    changed = set_condition(
        conditions,
        _COMPLETED,
        _TRUE if done else _FALSE,
        "RolloutCompleted",
        "RolloutCompleted",
        now_s,
    )
    if changed and not done:
        look.event(
            "RolloutNotCompleted",
            f"Rollout not completed, started update to revision {look.revision} ({draft.current_hash})",
        )


def _work_out_progress(look: Look, draft: Draft, *, is_healthy: bool, fell_ill: bool) -> None:
    now_s, conditions = look.now_s, draft.conditions
    kind = _PROGRESSING
    if is_healthy:
        current = conditions.get(kind)
        if current is not None and current.reason == "NewReplicaSetAvailable":
            return
        name = look.name_of(look.new) if look.new is not None else ""
        message = f'ReplicaSet "{name}" has successfully progressed.'
        set_condition(conditions, kind, _TRUE, "NewReplicaSetAvailable", message, now_s)
        return
    if _makes_progress(look, draft) or fell_ill:
        if _completed(draft) and fell_ill:
            reason, message = "ReplicaSetNotAvailable", UNAVAILABLE_MESSAGE
        else:
            name = look.name_of(look.new) if look.new is not None else ""
            reason, message = "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
        current = conditions.get(kind)
        same_truth = current is not None and current.status is _TRUE
        conditions.pop(kind, None)
        conditions[kind] = Condition(
            kind=kind,
            status=_TRUE,
            reason=reason,
            message=message,
            updated_s=now_s,  # progress moves the deadline, also with the same reason
            changed_s=current.changed_s if current is not None and same_truth else now_s,
        )
        return
    if _waits_without_deadline(look):
        return
    deadline_s = _progress_deadline_s(look, conditions.get(kind))
    if deadline_s is not None and deadline_s <= now_s:
        set_condition(conditions, kind, _FALSE, TIMED_OUT, _timeout_message(look), now_s)


def _work_out_failures(look: Look, conditions: Conditions) -> None:
    failure = look.new.failure if look.new is not None else None
    if failure is None:
        for replica_set in look.all:
            if replica_set.failure is not None:
                failure = replica_set.failure
                break
    if failure is not None:
        kind = _REPLICA_FAILURE
        set_condition(conditions, kind, _TRUE, "FailedCreate", failure, look.now_s)
    else:
        conditions.pop(_REPLICA_FAILURE, None)


def wake_for_progress(look: Look) -> None:
    """Ask to be called when the progress deadline passes, if one runs; for a status that stays as it is stored."""
    status = look.status
    progressing = look.conditions.get(_PROGRESSING)
    if progressing is None or progressing.reason == TIMED_OUT or status.pauses or status.abort:
        return
    healthy = look.conditions.get(_HEALTHY)
    if healthy is not None and healthy.status is _TRUE:
        return
    if look.plan.rollout.paused or _waits_without_deadline(look):
        return
    deadline_s = _progress_deadline_s(look, progressing)
    if deadline_s is not None and deadline_s > look.now_s:
        look.wake_at(deadline_s)


# ---- phase


def work_out_phase(look: Look, draft: Draft) -> None:
    """Read the phase and its message off the rest of the status."""
    draft.phase, draft.message = _phase(look, draft)


def _phase(look: Look, draft: Draft) -> tuple[Phase, str]:
    progressing = draft.conditions.get(_PROGRESSING)
    if _INVALID_SPEC in draft.conditions or (progressing is not None and progressing.reason in (ABORTED, TIMED_OUT)):
        # Of an invalid spec and an abort the one that was noted first is told.
        for condition in draft.conditions.values():
            if condition.reason in (INVALID, ABORTED, TIMED_OUT):
                return Phase.DEGRADED, f"{condition.reason}: {condition.message}"
    rollout = look.plan.rollout
    if rollout.paused:
        return _AT_PAUSE, "manually paused"
    if draft.pause.pauses:
        return _AT_PAUSE, str(draft.pause.pauses[0].reason)
    if rollout.restart_at_s is not None and rollout.restart_at_s != look.restarted_s:
        return _IN_PROGRESS, "rollout is restarting"
    if draft.updated_replicas < rollout.replicas:
        return _IN_PROGRESS, "more replicas need to be updated"
    if draft.available_replicas < draft.updated_replicas:
        return _IN_PROGRESS, "updated replicas are still becoming available"
    if not look.plan.routed and draft.replicas > draft.updated_replicas:
        return _IN_PROGRESS, "old replicas are pending termination"
    if not _completed(draft):
        return _IN_PROGRESS, "waiting for all steps to complete"
    return Phase.HEALTHY, ""

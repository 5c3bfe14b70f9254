"""Pauses and aborts: what starts one, what ends one, and how they end up in the status.

A pause has a reason and a start. A timed pause ends by the clock, any pause by a person, who clears the list;
the core sees that by `controller_pause` standing alone. An abort clears all pauses and keeps its first time.
"""

from __future__ import annotations

from typing import NamedTuple

from controller.core.look import Look
from controller.core.status import PauseCondition, PauseReason

_CANARY_PAUSE_STEP = PauseReason.CANARY_PAUSE_STEP
_INCONCLUSIVE_ANALYSIS = PauseReason.INCONCLUSIVE_ANALYSIS


class PauseState(NamedTuple):
    """The part of the next status that pauses and aborts make up."""

    pauses: tuple[PauseCondition, ...] = ()
    controller_pause: bool = False
    abort: bool = False
    aborted_s: float | None = None


NO_PAUSE = PauseState()


def reconcile_pause_step(look: Look) -> bool:
    """Begin or keep the pause of a pause step; True when the rollout is at one."""
    if look.plan.rollout.paused or look.status.promote_full or look.step is None or look.step.pause is None:
        return False
    pause = look.step_pause
    duration_s = look.step.pause.duration_s
    if pause is not None and duration_s is not None:
        end_s = pause.started_s + duration_s
        if end_s > look.now_s:
            look.wake_at(end_s)
    return True


def begins_pause(look: Look) -> bool:
    """Return whether a pause step was reached and its pause has not begun."""
    return not look.status.controller_pause and look.step_pause is None


def pause_is_over(look: Look) -> bool:
    """Return whether the current pause step is done: a person has resumed it, or its time has passed."""
    step = look.step
    if step is None or step.pause is None:
        return False
    pause = look.step_pause
    if pause is None:
        return look.status.controller_pause
    duration_s = step.pause.duration_s
    return duration_s is not None and pause.started_s + duration_s <= look.now_s


def pause_state(look: Look, *, starts_pause_step: bool, kept: PauseState | None = None) -> PauseState:
    """Return pauses and abort of the next status.

    Args:
        starts_pause_step: a pause step was reached in this decision.
        kept: what stands when nothing here changes it; None for nothing.
    """
    status = look.status
    base = kept or NO_PAUSE
    if look.is_aborted or look.abort_added:
        first_s = look.now_s if status.aborted_s is None else status.aborted_s
        return PauseState(pauses=base.pauses, controller_pause=base.controller_pause, abort=True, aborted_s=first_s)
    left = NO_PAUSE if kept is None else PauseState(pauses=kept.pauses, controller_pause=kept.controller_pause)
    if look.pauses_cleared or not (status.pauses or look.pause_added or starts_pause_step):
        return left
    if not (look.pause_added or starts_pause_step or look.pause_step_over):
        return PauseState(pauses=status.pauses, controller_pause=status.controller_pause)
    pauses: list[PauseCondition] = []
    controller_pause = status.controller_pause
    for pause in status.pauses:
        if not (look.pause_step_over and pause.reason is _CANARY_PAUSE_STEP):
            pauses.append(pause)
    added = []
    if look.pause_added:
        # Argo adds one for each inconclusive analysis that it meets in one look.
        added += [_INCONCLUSIVE_ANALYSIS] * (look.pause_added if look.plan.strict else 1)
    if starts_pause_step:
        added.append(_CANARY_PAUSE_STEP)
    for reason in added:
        if status.pause(reason) is None:
            pauses.append(PauseCondition(reason=reason, started_s=look.now_s))
            controller_pause = True
    if not pauses:
        return left
    return PauseState(pauses=tuple(pauses), controller_pause=controller_pause)

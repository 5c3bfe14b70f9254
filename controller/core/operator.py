"""What a person may ask of a rollout, as edits of its spec and status: the edits of Argo's command line.

Pure. A driver applies a word between two decisions and decides again at once. Every word gives a record,
because some steps are allowed by nothing but a person's word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from controller.core.records import OperatorRecord
from controller.core.runs import AnalysisPhase
from controller.core.status import RolloutStatus
from controller.manifests.values import Parity, Rollout


class Word(StrEnum):
    """What can be asked. `undo` is no word: it gives the rollout an older pod template, which the driver has."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The spec and status after a word. When `rollout` is another object, its generation has grown by one."""

    rollout: Rollout
    status: RolloutStatus
    record: OperatorRecord


def ask(word: Word, rollout: Rollout, status: RolloutStatus, now_s: float) -> Asked:
    """Return the spec and status that this word makes of the given ones."""
    before = status
    match word:
        case Word.PROMOTE:
            rollout, status = _promote(rollout, status)
        case Word.PROMOTE_FULL:
            if rollout.paused:
                rollout = replace(rollout, paused=False)
            if not status.is_fully_promoted:
                status = replace(status, promote_full=True)
        case Word.ABORT:
            keeps_full = status.promote_full and rollout.extensions.parity is not Parity.OFF
            status = replace(status, abort=True, promote_full=keeps_full)  # in Argo a full promotion lifts the abort
        case Word.RETRY:
            status = replace(status, abort=False)
        case Word.PAUSE:
            rollout = replace(rollout, paused=True)
        case Word.RESUME:
            rollout = replace(rollout, paused=False)
        case Word.SKIP:
            status = replace(status, step_index=_next_step(rollout, status))
        case Word.RESTART:
            rollout = replace(rollout, restart_at_s=now_s)
    effect = f"step {before.step_index} to {status.step_index}, pauses {len(before.pauses)} to {len(status.pauses)}"
    return Asked(rollout=rollout, status=status, record=OperatorRecord(t_s=now_s, word=word.value, effect=effect))


def _promote(rollout: Rollout, status: RolloutStatus) -> tuple[Rollout, RolloutStatus]:
    """Go on from a pause, or past the current step: never both, except at an inconclusive step analysis."""
    if rollout.paused:
        rollout = replace(rollout, paused=False)
    inconclusive = status.step_run is not None and status.step_run.phase == AnalysisPhase.INCONCLUSIVE
    if inconclusive and status.pauses and status.controller_pause:
        onward = _next_step(rollout, status)
        return rollout, replace(status, pauses=(), controller_pause=False, step_index=onward)
    if status.pauses:
        return rollout, replace(status, pauses=())
    return rollout, replace(status, step_index=_next_step(rollout, status))


def _next_step(rollout: Rollout, status: RolloutStatus) -> int | None:
    steps = len(rollout.strategy.steps)
    if steps == 0:
        return status.step_index
    return min((status.step_index or 0) + 1, steps)

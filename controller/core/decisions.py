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

from dataclasses import dataclass

from controller.core.actions import Action
from controller.core.records import Record
from controller.core.snapshot import Snapshot
from controller.core.status import RolloutStatus


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
    raise NotImplementedError

"""What became of the release under test, read from the rollout's status alone.

Pure, and used twice: while a rehearsal runs, to know when it is over, and afterwards by the scorecard.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from experiments.events import Event, StatusChanged


class Verdict(StrEnum):
    """How a rollout ended, as far as it goes without a person."""

    PROMOTED = "promoted"
    ABORTED = "aborted"
    PAUSED = "paused"  # a person is waited for
    DEGRADED = "degraded"  # it made no progress before its deadline, and did not abort
    UNFINISHED = "unfinished"  # the rehearsal ended first


def verdict_in(status: StatusChanged, release_hash: str) -> Verdict | None:
    """Return what this status says of the release, or None while it is under way.

    A rollout whose newest revision is not the release yet (the controller has not looked) says nothing of it.
    """
    if status.current_hash != release_hash:
        return None
    if status.aborted:
        return Verdict.ABORTED
    if status.phase == "Healthy" and status.stable_hash == release_hash:
        return Verdict.PROMOTED
    if status.phase == "Degraded":
        return Verdict.DEGRADED
    if "InconclusiveAnalysisRun" in status.pauses or (status.pauses and status.step == "pause"):
        return Verdict.PAUSED
    return None


def find_verdict(events: Iterable[Event], release_hash: str) -> tuple[Verdict, StatusChanged | None]:
    """Return the last word on the release and the status that first said it; UNFINISHED where there is none."""
    verdict, said_by = None, None
    for event in events:
        if isinstance(event, StatusChanged):
            now = verdict_in(event, release_hash)
            if now is not verdict:
                verdict, said_by = now, event
    return (verdict, said_by) if verdict is not None else (Verdict.UNFINISHED, None)

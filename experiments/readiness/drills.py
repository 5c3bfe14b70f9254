"""Item 3: the abort path was drilled on these very manifests, not long ago, and passed; and what any drill is worth.

Only records that a rehearsal wrote count, and only unchanged ones: reading refuses the others, and each that was
refused is told. Both worlds that leave records send users through a real proxy: `local` through Envoy in place of the
team's own router, `cluster` through the one that the manifests name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.records.record import Record

FRESH = timedelta(days=30)
"""How long a drill is evidence: the guide asks for one each month."""

_CLOCKS_APART_MAX = timedelta(minutes=-5)
"""The clock of the machine that drilled may be a little ahead of this one's."""

ABORTED = "aborted"
_ROUTERS = {"local": "Envoy on one machine, in place of the router of the manifests", "cluster": "the cluster's router"}


def check_abort_path(case: Case) -> tuple[Finding, ...]:
    """Return what the records say of the abort path."""
    play = (
        "play one: gamebird gameday run errors --policy "
        + " ".join(str(file) for file in case.files)
        + world_option(case)
    )
    meant = [one for one in case.drills if one.expected == ABORTED and not _has_help(one)]
    good = [one for one in meant if one.holds and one.verdict == ABORTED and _is_in_world(case, one)]
    fresh = [one for one in good if is_fresh(one, case.now)]
    if fresh:
        newest = fresh[-1]
        later = [one for one in meant if one.started_at > newest.started_at and is_fresh(one, case.now)]
        failed = [one for one in later if not one.holds]
        if failed:
            return (no(f"the newest drill of these manifests did not pass: {told(failed[-1], case.now)}", play),)
        if case.records.refused:
            # It may be a later drill of these very manifests that did not pass.
            text = f"passed: {told(newest, case.now)}; but what cannot be believed may be a later one: {_refused(case)}"
            return (unknown(text, "bring back what was written, or take it out and drill again"),)
        return (yes(f"passed: {told(newest, case.now)}; router: {_ROUTERS[newest.world]}"),)
    return (_why_not(case, meant, good, play),)


def _why_not(case: Case, meant: list[Record], good: list[Record], play: str) -> Finding:
    if good:
        return no(
            f"the last that passed does not count: {told(good[-1], case.now)}; drills of the last 30 days do", play
        )
    if meant:
        newest = meant[-1]
        if newest.holds:
            return no(f"drilled elsewhere than in the world {case.world}: {told(newest, case.now)}", play)
        return no(f"drilled and did not pass: {told(newest, case.now)}", play)
    others = len(case.records.records)
    beside = (
        f"; {others} records there are of other manifests, or of drills that abort nothing by themselves"
        if others
        else ""
    )
    text = f"{case.records_folder} holds no record of an abort drill of these manifests{beside}"
    if case.records.refused:
        return unknown(f"{text}; what cannot be believed: {_refused(case)}", play)
    return no(text, play)


def _has_help(record: Record) -> bool:
    """Return whether a person was to abort, or did: then it says nothing of what the rollout does by itself."""
    return record.by_people or any(line["word"] == "abort" for line in record.data.get("operator", ()))


def _refused(case: Case) -> str:
    return "; ".join(f"{file.name}: {why}" for file, why in case.records.refused)


def usable(case: Case) -> Iterator[Record]:
    """Yield the drills of these manifests that still count, the oldest first, whether they passed or not."""
    return (one for one in case.drills if is_fresh(one, case.now) and _is_in_world(case, one))


def is_fresh(record: Record, now: datetime) -> bool:
    """Return whether the drill was within 30 days; one from the future is none."""
    return _CLOCKS_APART_MAX <= _age(record, now) <= FRESH


def _age(record: Record, now: datetime) -> timedelta:
    """Return how old a record is; one whose time cannot be read is as old as can be."""
    try:
        return now - datetime.fromisoformat(record.started_at)
    except (TypeError, ValueError):
        return timedelta.max


def told(record: Record, now: datetime) -> str:
    """Return which drill it was, where, on which files, how old, and what came out."""
    age = _age(record, now)
    days = "ahead of this clock" if age < timedelta(0) else f"{age.days} days ago" if age.days else "today"
    files = ", ".join(sorted(record.data["inputs"].get("manifests", ())))
    return (
        f"{record.game_day} ({record.world}, {record.started_at}, {days}) on {files}: {record.verdict}, "
        f"{record.passed} of {record.planned} checks"
    )


def world_option(case: Case) -> str:
    """Return the option of `gamebird gameday run` that drills in the world that counts."""
    return " --world cluster" if case.world == "cluster" else ""


def _is_in_world(case: Case, record: Record) -> bool:
    return record.world in _ROUTERS and case.world in ("", record.world)

"""What a replay showed: the records of all its generators as one, their totals, and whether the run may be believed.

Each generator's total is checked against its part of the timetable. A part that is missing, late or counted twice makes
the run invalid: what was not sent, nobody saw fail. Pure but for reading the generators' folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from loadgen.openloop.figures import (
    ON_TIME_S,
    Judgement,
    Outcome,
    Quantiles,
    UsersSaw,
    Validity,
    bad_requests,
    by_revision,
    by_route,
    judge,
    plain,
)
from loadgen.openloop.records import ROW, Failure, Rows, Tail
from loadgen.replay.score import due_times, routes_in

SILENT_MAX_S = 3.0
"""A generator that gave no sign of life for so long, with two signs a second, was late with what was due then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one generator's process, as whoever started it saw.

    Attributes:
        planned: requests of its part.
        exit_code: None: it was never started.
        lost_at_s: when it was found dead before its end, seconds since the traffic began; None: it was not.
    """

    shard: int
    planned: int
    exit_code: int | None
    lost_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTotals:
    """One generator's requests. `due` is up to the end of the run; `unaccounted` are those due that left no record.

    Attributes:
        strangers: records of requests that are not its own, or that it has twice.
        late: requests that were sent more than a second after they were due.
        silent_s: the longest time between two of its signs of life.
    """

    shard: int
    planned: int
    due: int
    recorded: int
    sent: int
    answered: int
    dropped: int
    cut_off: int
    unaccounted: int
    strangers: int
    late: int
    silent_s: float
    ended: str | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A replay that has ended.

    Attributes:
        ended: why, in words. traffic_s: how long it lasted, seconds of the wall.
        corrected: latencies of all answers from the intended instant; uncorrected: from the sent one.
        statuses: answers by status.
        rows: every record, by its place in the whole replay.
    """

    ended: str
    traffic_s: float
    planned: int
    shards: tuple[ShardTotals, ...]
    validity: Validity
    corrected: Quantiles
    uncorrected: Quantiles
    bad: int
    statuses: dict[int, int]
    revisions: tuple[UsersSaw, ...]
    routes: tuple[UsersSaw, ...]
    rows: Rows

    @property
    def evidence(self) -> bool:
        """Whether something can be learnt from this run: it was valid, and something was sent and answered."""
        return self.validity.counts.outcome is self.validity.latency.outcome is Outcome.VALID

    def total(self, name: str) -> int:
        """Return the sum of one of the generators' totals."""
        return sum(int(getattr(shard, name)) for shard in self.shards)

    def as_json(self) -> dict[str, Any]:
        """Return everything but the records as plain values; NaN becomes null."""
        names = ("due", "recorded", "sent", "answered", "dropped", "cut_off", "unaccounted")
        found: dict[str, Any] = plain(
            {
                "ended": self.ended,
                "traffic_s": self.traffic_s,
                "valid": self.validity.holds,
                "evidence": self.evidence,
                "validity": self.validity.as_json(),
                "totals": {"planned": self.planned, **{name: self.total(name) for name in names}, "bad": self.bad},
                "statuses": {str(status): count for status, count in self.statuses.items()},
                "latency": asdict(self.corrected),
                "service": asdict(self.uncorrected),
                "shards": [asdict(shard) for shard in self.shards],
                "revisions": [seen.as_json() for seen in self.revisions],
                "routes": [seen.as_json() for seen in self.routes],
            }
        )
        return found


@dataclass(frozen=True, slots=True)
class _Part:
    rows: Rows
    names: dict[str, list[str]]
    events: tuple[dict[str, Any], ...]

    @property
    def ended(self) -> dict[str, Any] | None:
        return next((event for event in self.events if event["event"] == "ended"), None)

    @property
    def silent_s(self) -> float:
        beats = [0.0, *(event["at_s"] for event in self.events if event["event"] == "beat")]
        beats += [self.ended["traffic_s"]] if self.ended else []
        return float(max(np.diff(beats), default=0.0))


def assemble(
    folder: Path, score: Path, fates: Sequence[Fate], *, ended: str, ended_s: float, slow_after_s: float | None = None
) -> Result:
    """Return what a replay showed.

    Args:
        folder: where the generators' folders are.
        ended: why the run ended; ended_s: how long its traffic lasted.
        slow_after_s: an answer later than this is bad, seconds of the wall; None: lateness alone is never bad.
    """
    parts = [_read(folder / f"shard-{fate.shard}") for fate in fates]
    lasted_s = max((part.ended["traffic_s"] for part in parts if part.ended), default=ended_s)
    totals = tuple(
        _totals(part, fate, due_times(score, fate.shard), lasted_s, len(fates))
        for part, fate in zip(parts, fates, strict=True)
    )
    rows, names = _together(parts)
    ends = [part.ended for part in parts if part.ended]
    validity = judge(
        rows,
        due=sum(shard.due for shard in totals),
        speed=1.0,
        cpu_shares=[share for end in ends for share in end["cpu_shares"]],
        machine_shares=[share for end in ends for share in end["machine_shares"]],
    )
    answered = rows[rows["failure"] == Failure.NONE]
    codes, counts = np.unique(answered["status"], return_counts=True)
    routes = [f"{method} {path}" for method, path in routes_in(score)]
    return Result(
        ended=ended,
        traffic_s=lasted_s,
        planned=sum(fate.planned for fate in fates),
        shards=totals,
        validity=_with_shards(validity, _problems(totals, fates)),
        corrected=Quantiles.of(answered["finished_s"] - answered["intended_s"]),
        uncorrected=Quantiles.of(answered["finished_s"] - answered["sent_s"]),
        bad=int(np.count_nonzero(bad_requests(rows, slow_after_s=slow_after_s))),
        statuses=dict(zip(codes.tolist(), counts.tolist(), strict=True)),
        revisions=by_revision(rows, names["revision"], slow_after_s=slow_after_s),
        routes=by_route(rows, routes, slow_after_s=slow_after_s),
        rows=rows,
    )


def _read(folder: Path) -> _Part:
    tail = Tail(folder)
    rows = tail.rows()
    events = tuple(tail.events())
    return _Part(rows, tail.names, events)


def _totals(part: _Part, fate: Fate, due_s: np.ndarray[Any, Any], lasted_s: float, workers: int) -> ShardTotals:
    rows, end = part.rows, part.ended
    due = int(end["due"]) if end else int(np.searchsorted(due_s, lasted_s, side="right"))
    own = rows["number"][rows["number"] % workers == fate.shard]
    return ShardTotals(
        shard=fate.shard,
        planned=fate.planned,
        due=due,
        recorded=len(rows),
        sent=int(np.count_nonzero(rows["failure"] != Failure.DROPPED)),
        answered=int(np.count_nonzero(rows["failure"] == Failure.NONE)),
        dropped=int(np.count_nonzero(rows["failure"] == Failure.DROPPED)),
        cut_off=int(np.count_nonzero(rows["failure"] == Failure.CUT_OFF)),
        unaccounted=max(0, due - len(rows)),
        strangers=len(rows) - len(np.unique(own)),
        late=int(np.count_nonzero(rows["sent_s"] - rows["intended_s"] > ON_TIME_S)),
        silent_s=part.silent_s,
        ended=str(end["why"]) if end else None,
        exit_code=fate.exit_code,
    )


def _together(parts: Sequence[_Part]) -> tuple[Rows, dict[str, list[str]]]:
    """Return all rows by their place in the replay, with names numbered alike."""
    names: dict[str, list[str]] = {"revision": [""], "pod": [""]}
    found = []
    for part in parts:
        rows = part.rows.copy()
        for kind, known in names.items():
            mine = part.names.get(kind, [""])
            known += [name for name in mine if name not in known]
            rows[kind] = np.array([known.index(name) for name in mine], dtype=np.uint16)[rows[kind]]
        found.append(rows)
    whole = np.concatenate(found) if found else np.zeros(0, dtype=ROW)
    return whole[np.argsort(whole["number"], kind="stable")], names


def _problems(totals: Sequence[ShardTotals], fates: Sequence[Fate]) -> tuple[str, ...]:
    planned = sum(fate.planned for fate in fates) or 1
    problems = []
    for shard, fate in zip(totals, fates, strict=True):
        name = f"generator {shard.shard + 1} of {len(totals)}"
        if shard.ended is None or fate.lost_at_s is not None:
            when = "" if fate.lost_at_s is None else f" after {fate.lost_at_s:.1f} s"
            problems.append(
                f"{name} was lost{when} (exit code {fate.exit_code}), and with it {shard.planned / planned:.0%} of the "
                f"traffic: {shard.due:,} of its requests were due, {shard.recorded:,} of them are recorded"
            )
        if shard.strangers:
            problems.append(f"{name} recorded {shard.strangers:,} requests that are not its own, or twice")
        if shard.silent_s > SILENT_MAX_S:
            problems.append(
                f"{name} was late, and with it {shard.planned / planned:.0%} of the traffic: it gave no sign of life "
                f"for {shard.silent_s:.1f} s and sent {shard.late:,} of its {shard.sent:,} requests over "
                f"{ON_TIME_S:g} s late"
            )
    return tuple(problems)


def _with_shards(validity: Validity, problems: tuple[str, ...]) -> Validity:
    if not problems:
        return validity

    def invalid(half: Judgement) -> Judgement:
        return Judgement(outcome=Outcome.INVALID, reasons=(*problems, *half.reasons))

    return replace(validity, counts=invalid(validity.counts), latency=invalid(validity.latency))

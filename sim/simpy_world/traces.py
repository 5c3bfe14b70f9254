"""What happened in one run, in order: events for people who watch and for `--trace`, and tallies of requests between.

Values only. `Trace.data` is plain data for JSON: {"run", "cohort", "seed", "events": [{"t_s", "kind", "text", ...}]}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KINDS = ("deployed", "decided", "acted", "pods", "traffic", "asked", "measured", "tally", "incident", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        t_s: policy seconds since the first request.
        kind: one of `KINDS`.
        text: what, in words.
        data: the same in numbers, by name.
    """

    t_s: float
    kind: str
    text: str
    data: tuple[tuple[str, Any], ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return {"t_s": round(self.t_s, 3), "kind": self.kind, "text": self.text, **dict(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One run's events, in order."""

    scenario: str
    seed: int
    run: int
    cohort: int
    deploy_s: float
    events: tuple[Event, ...] = field(repr=False)
    requests: int = 0

    def data(self) -> dict[str, Any]:
        """Return the trace as plain data, for a file."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "run": self.run,
            "cohort": self.cohort,
            "deploy_s": self.deploy_s,
            "requests": self.requests,
            "events": [event.plain() for event in self.events],
        }

    def lines(self) -> list[str]:
        """Return one line an event, times counted from the deployment, for a terminal."""
        return [f"{event.t_s - self.deploy_s:9.1f} s  {event.kind:<8}  {event.text}" for event in self.events]

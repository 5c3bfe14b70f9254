"""Faults that always end: each has a lease, stands in a journal before it is put in force, and is ended once.

Restoring depends on nobody's good manners: not on the experiment's rollbacks, not on the runner's next line. A fault
ends when its lease is over, when it is restored, or when the rehearsal is torn down, whichever comes first; and what
it does lives in processes that end with the rehearsal's own. This module knows how faults end, not what they are.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from experiments.events import Event, FaultBegan, FaultEnded


class Clock(Protocol):
    """Policy time, and how long a stretch of it takes on the wall."""

    def now_s(self) -> float: ...
    def wall_s(self, policy_s: float) -> float: ...


class FaultError(RuntimeError):
    """A fault that could not be put in force or, worse, not be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a fault does: how it is put in force, how it ends (safe to repeat), and what it is in words.

    Attributes:
        place: what it takes hold of, where faults of another kind take hold of it too; "": only its own kind does.
    """

    start: Callable[[], None]
    end: Callable[[], None]
    detail: str
    place: str = ""


@dataclass(slots=True)
class _Held:
    name: str
    end: Callable[[], None]
    timer: threading.Timer
    ends_s: float
    place: str


@dataclass(slots=True, kw_only=True)
class Leases:
    """The faults in force. Safe from every thread."""

    clock: Clock
    tell: Callable[[Event], None]
    journal: Path
    failures: list[str] = field(default_factory=list)
    _held: dict[str, _Held] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closed: bool = False

    def begin(
        self,
        name: str,
        *,
        kind: str,
        detail: str,
        for_s: float,
        start: Callable[[], None],
        end: Callable[[], None],
        place: str = "",
    ) -> None:
        """Put a fault in force for `for_s` seconds of policy time at most.

        Args:
            start: puts it in force.
            end: ends it; called also when `start` failed half-way, so it must be safe to repeat.
            place: what it takes hold of. One that is in force there ends first, or its end would later be this one's.

        Raises:
            FaultError: it could not be put in force. Nothing of it is left, or what is left is known and tried again
                at the end.
        """
        with self._lock:
            if self._closed:
                raise FaultError(f"{name}: the rehearsal is over")
            for held in [held for held in self._held.values() if place and held.place == place]:
                self.end(held.name, "replaced")
            name = self._free_name(name)
            ends_s = self.clock.now_s() + for_s
            self._note({"do": "begin", "fault": name, "kind": kind, "lease_ends_s": ends_s})
            timer = threading.Timer(self.clock.wall_s(for_s), self.end, args=(name, "lease"))
            timer.daemon = True
            self._held[name] = _Held(name=name, end=end, timer=timer, ends_s=ends_s, place=place)
            try:
                start()
            except Exception as error:
                self._take_back(name)
                raise FaultError(f"{name} could not be put in force: {error}") from error
            began_s = self.clock.now_s()
            self.tell(FaultBegan(t_s=began_s, fault=name, kind=kind, detail=detail, lease_ends_s=ends_s))
            timer.start()

    def end(self, name: str, why: str) -> None:
        """End a fault; one that is not in force any more is left alone."""
        with self._lock:
            held = self._held.get(name)
            if held is None:
                return
            held.timer.cancel()
            try:
                held.end()
            except Exception as error:
                # It stays in the list, so that the next attempt, and the scorecard, know of it.
                self.failures.append(f"{name}: {error}")
                return
            del self._held[name]
            self._note({"do": "end", "fault": name, "why": why})
            self.tell(FaultEnded(t_s=self.clock.now_s(), fault=name, why=why))

    def _take_back(self, name: str) -> None:
        """End a fault that began half-way; nobody was told of it, so nobody is told of its end."""
        try:
            self._held[name].end()
        except Exception as error:
            self.failures.append(f"{name}: {error}")
            return
        del self._held[name]
        self._note({"do": "end", "fault": name, "why": "did not start"})

    def end_all(self, why: str) -> None:
        """End every fault, the newest first."""
        with self._lock:
            for name in reversed(list(self._held)):
                self.end(name, why)

    def close(self) -> None:
        """End every fault and take no new one."""
        with self._lock:
            self._closed = True
            self.end_all("teardown")

    @property
    def in_force(self) -> tuple[str, ...]:
        """The names of the faults in force."""
        with self._lock:
            return tuple(self._held)

    def _free_name(self, name: str) -> str:
        if name not in self._held:
            return name
        number = 2
        while f"{name} ({number})" in self._held:
            number += 1
        return f"{name} ({number})"

    def _note(self, line: dict[str, object]) -> None:
        # Written through before anything is done, so that the journal never knows less than the world.
        with self.journal.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

"""What users saw, request by request, in files that can be read while they are being written.

A run's directory holds
    plan.json      what was asked for, written before the start
    records.bin    one row of 40 bytes per request (`ROW`), appended when its fate is known
    journal.jsonl  one JSON object a line: when traffic began, names behind the codes in the rows, changes, beats
    summary.json   the figures and the verdict on the run's validity; there when the run has ended, whole or not at all
A name is written before the first row that uses it, and a last line or row that is not whole yet is left for
the next look. This module knows no Locust and no policy; the generator writes through it, everybody else reads.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loadgen.openloop.clock import Origin
from loadgen.openloop.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

PLAN, RECORDS, JOURNAL, SUMMARY, LOG = "plan.json", "records.bin", "journal.jsonl", "summary.json", "generator.log"

ROW = np.dtype(
    [
        ("intended_s", "<f8"),  # seconds of the wall since the traffic began
        ("sent_s", "<f8"),  # NaN: never sent
        ("finished_s", "<f8"),  # NaN: never sent
        ("number", "<u4"),  # the request's place in the schedule
        ("status", "<u2"),  # 0: no answer
        ("revision", "<u2"),
        ("pod", "<u2"),
        ("route", "<u2"),
        ("failure", "<u1"),
        ("spare", "V3"),
    ]
)
_PACK = struct.Struct("<dddIHHHHB3x")
assert _PACK.size == ROW.itemsize == 40

Rows = NDArray[np.void]


NAMES_MAX = 65_536
OTHERS = "(others)"
"""The last number of a kind is shared by all names that come too late for one of their own."""


class Failure(IntEnum):
    """What became of a request that got no whole answer."""

    NONE = 0
    REFUSED = 1  # nobody listens
    UNREACHABLE = 2  # no connection, for another reason
    TIMED_OUT = 3  # no whole answer in time
    CLOSED = 4  # the connection ended before the answer did
    UNREADABLE = 5  # the answer was not HTTP
    DROPPED = 6  # never sent: too many were waiting for an answer. The generator's failure, not the service's
    CUT_OFF = 7  # still waiting when the run ended: nobody knows how it would have gone

    @property
    def word(self) -> str:
        """The name in reports and tables."""
        return self.name.lower().replace("_", " ") if self else ""


class Writer:
    """Appends rows and journal lines; `flush` makes them visible."""

    def __init__(self, directory: Path) -> None:
        self._rows = os.open(directory / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._journal = os.open(directory / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._waiting = bytearray()
        self._codes: dict[tuple[str, str], int] = {}
        self._next: dict[str, int] = {}

    def code(self, kind: str, name: str) -> int:
        """Return the number that stands for a name in rows, telling the journal of a new one at once."""
        known = self._codes.get((kind, name))
        if known is not None:
            return known
        code = self._next.get(kind, 0)
        if code >= NAMES_MAX - 1 and name != OTHERS:
            return self.code(kind, OTHERS)
        self._next[kind] = code + 1
        self._codes[kind, name] = code
        self.note({"event": "name", "kind": kind, "code": code, "name": name})
        return code

    def row(
        self,
        intended_s: float,
        sent_s: float,
        finished_s: float,
        number: int,
        status: int,
        revision: int,
        pod: int,
        route: int,
        failure: int,
    ) -> None:
        """Keep one request's fate for the next flush."""
        self._waiting += _PACK.pack(intended_s, sent_s, finished_s, number, status, revision, pod, route, failure)

    def note(self, event: dict[str, Any]) -> None:
        """Append one line to the journal, now."""
        _write_all(self._journal, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def flush(self) -> None:
        """Append the rows that wait."""
        if self._waiting:
            rows, self._waiting = self._waiting, bytearray()
            _write_all(self._rows, rows)

    def close(self) -> None:
        """Flush and close both files."""
        self.flush()
        os.close(self._rows)
        os.close(self._journal)


def _write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


@dataclass(slots=True)
class Tail:
    """Reads a run's directory as it grows: each `rows()` and `events()` returns what is new since the last."""

    directory: Path
    names: dict[str, list[str]] = field(default_factory=dict)  # kind → names, by code
    _rows_read: int = 0
    _journal_read: int = 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the journal's new whole lines; names go into `names` as well."""
        for line in self._new_bytes(JOURNAL, self._journal_read).split(b"\n")[:-1]:
            self._journal_read += len(line) + 1
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "name":
                self.names.setdefault(event["kind"], []).append(event["name"])
            yield event

    def rows(self) -> Rows:
        """Return the new whole rows, dtype `ROW`. Read `events` afterwards, so that every name is known."""
        data = self._new_bytes(RECORDS, self._rows_read * ROW.itemsize)
        whole = len(data) // ROW.itemsize
        self._rows_read += whole
        return np.frombuffer(data, dtype=ROW, count=whole)

    def name(self, kind: str, code: int) -> str:
        """Return the name behind a code."""
        return self.names[kind][code]

    def _new_bytes(self, file: str, offset: int) -> bytes:
        try:
            with (self.directory / file).open("rb") as stream:
                stream.seek(offset)
                return stream.read()
        except FileNotFoundError:
            return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that a run's directory holds so far.

    Attributes:
        rows: (requests,) dtype `ROW`, in the order in which their fates were known.
        began_monotonic_s: the instant that `intended_s` and its neighbours count from; None: not begun.
        ended: the journal's last word, None while the run goes on or when it was killed.
    """

    plan: Plan
    rows: Rows
    names: dict[str, list[str]]
    events: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, directory: Path) -> Run:
        """Return what a run has left in its directory so far, ended or not."""
        plan = Plan.model_validate_json((directory / PLAN).read_text(encoding="utf-8"))
        tail = Tail(directory)
        rows = tail.rows()
        events = tuple(tail.events())
        return cls(plan=plan, rows=rows, names=tail.names, events=events)

    @property
    def began_monotonic_s(self) -> float | None:
        """The instant that `intended_s` and its neighbours count from; None: the traffic has not begun."""
        return next((event["monotonic_s"] for event in self.events if event["event"] == "began"), None)

    @property
    def ended(self) -> dict[str, Any] | None:
        """The journal's last word; None while the run goes on, or when it was killed."""
        return next((event for event in self.events if event["event"] == "ended"), None)

    @property
    def origin(self) -> Origin:
        """Where policy time stands on the monotonic clock."""
        return Origin(
            monotonic_s=self.plan.origin_monotonic_s, policy_s=self.plan.origin_policy_s, speed=self.plan.speed
        )

    def frame(self) -> pd.DataFrame:
        """Return one row per request, by its place in the schedule.

        Columns: intended_s, sent_s, finished_s in policy time; latency_s (from the intended instant), service_s
        (from the sent one) and lag_s (sent - intended) in seconds of the wall; status (0: no answer); failure,
        revision, pod, method, path as categories ("" where there is none).
        """
        return frame_of(self.rows, self.names, self.plan, self.origin, self.began_monotonic_s or 0.0)


def frame_of(
    rows: Rows, names: dict[str, list[str]], plan: Plan, origin: Origin, began_monotonic_s: float
) -> pd.DataFrame:
    """Return rows as a table in policy time; see `Run.frame` for its columns."""
    import pandas as pd  # here, because the generator writes records and has no use for it

    began_policy_s = origin.policy_at(began_monotonic_s)
    routes = plan.traffic.routes
    words = [failure.word for failure in Failure]

    def category(codes: NDArray[Any], labels: list[str]) -> pd.Series[Any]:
        unique = list(dict.fromkeys(labels))  # two routes may share a path
        place = np.array([unique.index(label) for label in labels], dtype=np.intp)
        return pd.Series(pd.Categorical.from_codes(place[codes], categories=pd.Index(unique)))

    table = pd.DataFrame(
        {
            "intended_s": began_policy_s + rows["intended_s"] * origin.speed,
            "sent_s": began_policy_s + rows["sent_s"] * origin.speed,
            "finished_s": began_policy_s + rows["finished_s"] * origin.speed,
            "latency_s": rows["finished_s"] - rows["intended_s"],
            "service_s": rows["finished_s"] - rows["sent_s"],
            "lag_s": rows["sent_s"] - rows["intended_s"],
            "status": rows["status"],
            "failure": category(rows["failure"], words),
            "revision": category(rows["revision"], names.get("revision", [])),
            "pod": category(rows["pod"], names.get("pod", [])),
            "method": category(rows["route"], [route.method for route in routes]),
            "path": category(rows["route"], [route.path for route in routes]),
        }
    )
    return table.set_index(pd.Index(rows["number"].astype(np.int64), name="number")).sort_index()

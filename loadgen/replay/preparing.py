"""From recorded traffic to a score: which requests are sent, what each looks like on the wire, and when it is due.

What is left out is counted with its reason, never silently dropped: methods that change things unless they were asked
for, and what cannot be sent at all.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadgen.openloop.wire import wire_bytes
from loadgen.replay.score import Requests, write_shards
from loadgen.replay.templates import Templates
from loadgen.replay.timing import REQUESTS_MAX, Pace, ReplayError, Timetable, period_of, timetable
from loadgen.traces.routes import route_of

if TYPE_CHECKING:
    import pyarrow as pa

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FILLER_MAX_BYTES = 1 << 20
RPS_MAX = 1_000.0
"""Requests/s of the wall that one generator may be asked for unless told otherwise."""

DURATION_MAX_S = 6 * 3600.0

_TARGET = re.compile(r"/(?!/)[\x21-\x7e]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_UNSENDABLE = "the path cannot be sent as it was recorded"
_COLUMNS = ("method", "path", "query", "headers", "body", "body_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be prepared.

    Attributes:
        host: the Host header. tag: the value of the header x-gamebird-load on every request.
        unsafe_methods: whether requests that change things are sent.
        workers: how many generators share the requests.
        rps_max: a replay in which more are due in any second of the wall is refused.
    """

    host: str
    pace: Pace = field(default_factory=Pace)
    templates: Templates = field(default_factory=Templates)
    tag: str = "gamebird-replay"
    unsafe_methods: bool = False
    workers: int = 1
    rps_max: float = RPS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A score, and what became of the recording.

    Attributes:
        folder: where the score is.
        shards: requests of each generator.
        recorded: requests of the recording that are replayed, each once or oftener or, by chance, not at all.
        left_out: requests of the recording that are not, by reason.
        altered: requests that are sent otherwise than they were recorded, by how.
    """

    folder: Path
    shards: tuple[int, ...]
    lasts_s: float
    peak_rps: float
    passes: int
    recorded: int
    left_out: dict[str, int]
    altered: dict[str, int]


def prepare(tables: Iterable[pa.Table], wanted: Wanted, folder: Path) -> Prepared:
    """Make a score in `folder`, which is there and empty.

    Args:
        tables: a recording in order of time, as `loadgen.traces.Trace` gives it; read no further than is needed.

    Raises:
        ReplayError: nothing is left to send, or it would be too much or take too long.
    """
    lasts_s = wanted.pace.lasts_s
    if lasts_s is not None and lasts_s > DURATION_MAX_S:
        raise ReplayError(f"--for is {lasts_s:,.0f} s; a replay lasts at most {DURATION_MAX_S:,.0f} s")
    until_s = None if lasts_s is None else lasts_s * wanted.pace.speed
    gathered = _Gathered(wanted=wanted, requests=Requests(folder))
    cut_short = gathered.read(tables, until_s)
    if not gathered.of:
        reasons = "; ".join(f"{count:,} × {why}" for why, count in gathered.left_out.most_common()) or "it is empty"
        raise ReplayError(f"nothing of this recording can be replayed: {reasons}")
    gathered.requests.write()
    time_s = np.array(gathered.time_s)
    period_s = until_s if cut_short else max(period_of(time_s), gathered.last_s - float(time_s[0]))
    planned = timetable(time_s, wanted.pace, period_s=period_s)
    _refuse(planned, wanted)
    shards = write_shards(folder, planned, np.array(gathered.of, dtype=np.uint32), workers=wanted.workers)
    return Prepared(
        folder=folder,
        shards=tuple(shards),
        lasts_s=planned.lasts_s,
        peak_rps=planned.peak_rps(),
        passes=planned.passes,
        recorded=len(time_s),
        left_out=dict(gathered.left_out),
        altered=dict(gathered.altered),
    )


def _refuse(planned: Timetable, wanted: Wanted) -> None:
    if planned.lasts_s > DURATION_MAX_S:
        raise ReplayError(
            f"the replay would take {planned.lasts_s:,.0f} s; it lasts at most {DURATION_MAX_S:,.0f} s: "
            "say --for, or a higher --speed"
        )
    if not len(planned):
        raise ReplayError("chance left no request to send: raise --rate, or give another --seed")
    peak = planned.peak_rps()
    if peak > wanted.rps_max * wanted.workers:
        raise ReplayError(
            f"{peak:,.0f} requests are due in the busiest second; "
            f"{'one generator sends' if wanted.workers == 1 else f'{wanted.workers} generators send'} at most "
            f"{wanted.rps_max * wanted.workers:,.0f}: lower --speed or --rate, or raise --workers or --rate-max"
        )


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What was read of the recording so far."""

    wanted: Wanted
    requests: Requests
    time_s: array[float] = field(default_factory=lambda: array("d"))  # since the recording's first request
    of: array[int] = field(default_factory=lambda: array("I"))  # the prepared request of each
    left_out: Counter[str] = field(default_factory=Counter)
    altered: Counter[str] = field(default_factory=Counter)
    last_s: float = 0.0

    def read(self, tables: Iterable[pa.Table], until_s: float | None) -> bool:
        """Take the recording up to an instant; return whether it goes on behind it."""
        begin_s: float | None = None
        for table in tables:
            if not table.num_rows:
                continue
            times_s = table.column("time_s").to_numpy()
            begin_s = float(times_s[0]) if begin_s is None else begin_s
            for time_s, row in zip((times_s - begin_s).tolist(), _rows(table), strict=True):
                if until_s is not None and time_s >= until_s:
                    return True
                self._take(time_s, *row)
            if len(self.of) > REQUESTS_MAX:
                raise ReplayError(
                    f"the recording has over {REQUESTS_MAX:,} requests; take a stretch of it with gamebird trace "
                    "sample, or say --for"
                )
        return False

    def _take(
        self, time_s: float, method: str, path: str, query: str, headers: Any, body: bytes | None, size: int | None
    ) -> None:
        self.last_s = time_s
        if "\x00" in path or "\x00" in query:  # which marks what is fresh
            self.left_out[_UNSENDABLE] += 1
            return
        target = self.wanted.templates.target(path, query)
        if why := self._why_not(method, target):
            self.left_out[why] += 1
            return
        kept = self.wanted.templates.headers_of(tuple(pair for pair in headers if _can_be_sent(*pair)))
        data = wire_bytes(
            method,
            target,
            host=self.wanted.host,
            tag=self.wanted.tag,
            headers=kept,
            body=self._body(method, body, size),
        )
        self.time_s.append(time_s)
        self.of.append(self.requests.place(data, method, route_of(path)))

    def _why_not(self, method: str, target: str) -> str:
        if method in UNSAFE_METHODS:
            return "" if self.wanted.unsafe_methods else f"{method} changes things (--unsafe-methods sends it)"
        if method not in SAFE_METHODS:
            return f"the method {method[:20]} is not replayed"
        return "" if _TARGET.fullmatch(target.replace("\x00", "")) else _UNSENDABLE

    def _body(self, method: str, body: bytes | None, size: int | None) -> bytes:
        if method not in UNSAFE_METHODS:
            return b""
        if body is None and size:
            self.altered["a body that was not recorded is sent as so many blanks"] += 1
            return b" " * min(size, FILLER_MAX_BYTES)
        return body or b""


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    yield from zip(*(table.column(name).to_pylist() for name in _COLUMNS), strict=True)


def _can_be_sent(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None

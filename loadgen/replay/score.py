"""A replay ready to be played, as files: prepared requests once, and for each generator its part of the timetable.

Generators map the requests into memory and read their part, so that nothing is parsed, and no second library loaded,
while requests are due. The parts deal the requests out in turn: request i belongs to generator i modulo their number.

    requests.bin     prepared requests, one behind the other
    requests.npy     where each is (`REQUEST`)
    routes.json      the names of the routes that figures are told by
    shard-K-at.npy   when each request of generator K is due, seconds of the wall
    shard-K-of.npy   which prepared request it is
"""

from __future__ import annotations

import hashlib
import json
import mmap
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.openloop.script import Asked
from loadgen.replay.templates import fill, is_fresh
from loadgen.replay.timing import Floats, Timetable

REQUEST = np.dtype([("offset", "<u8"), ("length", "<u4"), ("route", "<u2"), ("fresh", "?"), ("spare", "V1")])

KNOWN_MAX = 1_000_000
"""So many different requests are recognised when they come again; more are kept again, so that memory stays flat."""

ROUTES_MAX = 20_000
OTHERS = ("*", "(others)")


@dataclass(slots=True)
class Requests:
    """Prepared requests as they are found, each different one once."""

    folder: Path
    routes: list[tuple[str, str]] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)  # by digest
    _length: array[int] = field(default_factory=lambda: array("I"))
    _route_of: array[int] = field(default_factory=lambda: array("H"))
    _fresh: array[int] = field(default_factory=lambda: array("B"))
    _routes: dict[tuple[str, str], int] = field(default_factory=dict)
    _waiting: bytearray = field(default_factory=bytearray)

    def place(self, data: bytes, method: str, route: str) -> int:
        """Return the place of a prepared request, new or known."""
        digest = hashlib.blake2b(data, digest_size=16).digest()
        known = self._places.get(digest)
        if known is not None:
            return known
        place = len(self._length)
        if place < KNOWN_MAX:
            self._places[digest] = place
        self._length.append(len(data))
        self._route_of.append(self._route(method, route))
        self._fresh.append(is_fresh(data))
        self._waiting += data
        if len(self._waiting) > 1 << 22:
            self._append()
        return place

    def write(self) -> None:
        """Write what is still in memory."""
        self._append()
        rows = np.zeros(len(self._length), dtype=REQUEST)
        rows["length"], rows["route"], rows["fresh"] = self._length, self._route_of, self._fresh
        rows["offset"][1:] = np.cumsum(rows["length"][:-1], dtype=np.uint64)
        np.save(self.folder / "requests.npy", rows)
        (self.folder / "routes.json").write_text(json.dumps(self.routes), encoding="utf-8")
        self._places.clear()

    def _append(self) -> None:
        with (self.folder / "requests.bin").open("ab") as file:
            file.write(self._waiting)
        self._waiting.clear()

    def _route(self, method: str, route: str) -> int:
        name = (method, route)
        if name not in self._routes and len(self._routes) >= ROUTES_MAX:
            name = OTHERS
        if name not in self._routes:
            self._routes[name] = len(self.routes)
            self.routes.append(name)
        return self._routes[name]


def write_shards(folder: Path, planned: Timetable, requests: NDArray[np.uint32], *, workers: int) -> list[int]:
    """Deal the requests of a timetable out to `workers` generators; return how many each has.

    Args:
        requests: (recorded requests,) the place of each recorded request among the prepared ones.
    """
    counts = []
    for shard in range(workers):
        at_s = np.ascontiguousarray(planned.at_s[shard::workers])
        np.save(folder / f"shard-{shard}-at.npy", at_s)
        np.save(folder / f"shard-{shard}-of.npy", requests[planned.base[shard::workers]])
        counts.append(len(at_s))
    return counts


def routes_in(folder: Path) -> list[tuple[str, str]]:
    """Return method and path of each route of a score."""
    return [(method, path) for method, path in json.loads((folder / "routes.json").read_text(encoding="utf-8"))]


def due_times(folder: Path, shard: int) -> Floats:
    """Return (requests,) when the requests of one generator are due, seconds of the wall."""
    found: Floats = np.load(folder / f"shard-{shard}-at.npy", mmap_mode="r")
    return found


class ShardScript:
    """One generator's part of a score, for the player."""

    def __init__(self, folder: Path, shard: int, workers: int) -> None:
        self._shard, self._workers = shard, workers
        self._wall_s: Floats = np.load(folder / f"shard-{shard}-at.npy")
        self._of = np.load(folder / f"shard-{shard}-of.npy")
        self._requests: NDArray[Any] = np.load(folder / "requests.npy", mmap_mode="r")
        self._routes = routes_in(folder)
        with (folder / "requests.bin").open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def wall_s(self) -> Floats:
        """(requests,) when each is due, seconds of the wall."""
        return self._wall_s

    def number(self, place: int) -> tuple[int, int]:
        """Return the request's place in the whole replay, and its route."""
        return self._shard + place * self._workers, int(self._requests[self._of[place]]["route"])

    def asked(self, place: int) -> Asked:
        """Return the request at a place, its fresh values made now."""
        offset, length, route, is_fresh_, _ = self._requests[self._of[place]].item()
        number = self._shard + place * self._workers
        data = self._data[offset : offset + length]
        method, name = self._routes[route]
        # Of a route that shares its name with others the method is in the request itself.
        asked_by = method if method != OTHERS[0] else data.partition(b" ")[0].decode()
        return Asked(number, route, asked_by, name, fill(data, number) if is_fresh_ else data)

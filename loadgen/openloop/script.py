"""What a player plays: requests in order of time. Imports no gevent, so that scores can be made anywhere."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from loadgen.traffic.rates import Floats


class Asked(NamedTuple):
    """One request of a script. A tuple and not a dataclass: one is made for each request, at the instant of sending.

    Attributes:
        number: its place in the whole schedule, of which this process may send only a part.
        route: its place among the routes that figures are told by.
        method, name: what it is called in Locust's statistics.
        data: what goes over the wire.
    """

    number: int
    route: int
    method: str
    name: str
    data: bytes


class Script(Protocol):
    """The requests of one process, in order of time."""

    @property
    def wall_s(self) -> Floats:
        """(requests,) when each is due, seconds of the wall after the first instant of traffic."""
        ...

    def number(self, place: int) -> tuple[int, int]:
        """Return number and route of the request at a place, without making it."""
        ...

    def asked(self, place: int) -> Asked:
        """Return the request at a place, made now."""
        ...

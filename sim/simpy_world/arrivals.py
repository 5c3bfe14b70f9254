"""The requests of one run, one event each: when they come and which pod the router gives them to.

The i-th request comes when the expected number of requests reaches the i-th point of a unit-rate process, so a change
of the traffic moves only what comes after it. Numbers are drawn in blocks; every request is an event all the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment

from loadgen.traffic import RateCurve, Traffic
from sim.chance import stream

Floats = NDArray[np.float64]

_BLOCK = 16_384

Route = Callable[[float], None]


class Turns:
    """Gives requests to pods in turns, as a proxy of one worker does."""

    __slots__ = ("_next", "_routes")

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._next = 0

    def __call__(self, now_s: float) -> None:
        place = self._next
        self._next = place + 1 if place + 1 < len(self._routes) else 0
        self._routes[place](now_s)


class Arrivals:
    """Sends requests on their way, until nobody wants more.

    Args:
        ends_s: no request comes after that.
        nobody: called for each request that no pod is there for.

    Attributes:
        sent: requests so far.
    """

    __slots__ = (
        "_bounds",
        "_chance",
        "_come",
        "_coming",
        "_curve",
        "_env",
        "_left",
        "_next",
        "_nobody",
        "_picks",
        "_reached",
        "_routes",
        "_scheduled",
        "sent",
    )

    def __init__(
        self, env: Environment, traffic: Traffic, *, seed: int, run: int, ends_s: float, nobody: Callable[[], None]
    ) -> None:
        self._env = env
        self._nobody = nobody
        self._curve = traffic.curve(ends_s)
        self._chance = None if traffic.arrivals == "even" else stream(seed, "arrivals", run)
        self._picks = stream(seed, "router picks", run)
        self._reached = 0.0 if self._chance is not None else -0.5  # the last unit point that was drawn
        self._come = self._arrived  # bound once: it is the callback of every request
        self._bounds: list[float] = []
        self._routes: Sequence[Route] = ()
        self._left: Floats = np.zeros(0)  # unit points of this block, the ones that have come included
        self._coming: Iterator[tuple[float, float]] = iter(())
        self._next = 0.0
        self._scheduled = 0
        self.sent = 0
        self._schedule_next()

    def split(self, shares: Sequence[tuple[float, Route]]) -> None:
        """Let requests from now on be shared so; what is missing to 1 is served by nobody."""
        self._bounds = list(accumulate(share for share, _ in shares))
        self._routes = [route for _, route in shares]
        if self._bounds and abs(self._bounds[-1] - 1.0) < 1e-9:
            self._bounds[-1] = 1.0

    def changed(self, curve: RateCurve) -> None:
        """Let the rate be another from now on; requests that are still to come move."""
        self._curve = curve
        now_s = self._env.now
        at_s = curve.when(self._left[self._left < curve.requests])
        self._coming = iter([(come_s, pick) for come_s, pick in self._paired(at_s) if come_s > now_s])
        self._schedule_next()

    def _schedule_next(self) -> None:
        coming = next(self._coming, None)
        if coming is None:
            coming = self._next_block()
            if coming is None:
                return
        at_s, self._next = coming
        self._scheduled += 1
        delay_s = at_s - self._env.now
        event = self._env.timeout(delay_s if delay_s > 0.0 else 0.0, self._scheduled)
        event.callbacks.append(self._come)

    def _next_block(self) -> tuple[float, float] | None:
        """Draw the next requests; None when no more come before the end."""
        if self._reached >= self._curve.requests:
            return None
        spans = np.ones(_BLOCK) if self._chance is None else self._chance.exponential(size=_BLOCK)
        self._left = self._reached + np.cumsum(spans)
        self._reached = float(self._left[-1])
        at_s = self._curve.when(self._left[self._left < self._curve.requests])
        self._coming = iter(self._paired(at_s))
        return next(self._coming, None)

    def _paired(self, at_s: Floats) -> list[tuple[float, float]]:
        """Return each request's instant and the number that picks its pod."""
        return list(zip(at_s.tolist(), self._picks.random(len(at_s)).tolist(), strict=True))

    def _arrived(self, event: Any) -> None:
        if event._value != self._scheduled:
            return  # the traffic has changed since, and the request with it
        self.sent += 1
        place = bisect_right(self._bounds, self._next)
        if place < len(self._routes):
            self._routes[place](self._env.now)
        else:
            self._nobody()
        self._schedule_next()

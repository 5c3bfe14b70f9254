"""When each request begins and what it asks for: a schedule that is the same for the same seed, everywhere.

The i-th request is where the expected number of requests reaches the i-th point of a unit-rate process, so a
change of rate moves only what comes after it. Pure; the load generator plays schedules, the model may count them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadgen.traffic.rates import Change, Floats, RateCurve, TrafficError
from loadgen.traffic.shapes import Trace, Traffic

REQUESTS_MAX = 20_000_000
"""One schedule holds at most this many requests (200 MB); more is refused, not truncated."""

_BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """The requests of one run, in order.

    Attributes:
        at_s: (requests,) policy seconds after the first instant of traffic.
        route: (requests,) index into `Traffic.routes`.
    """

    at_s: Floats
    route: NDArray[np.uint16]

    def wall_s(self, speed: float) -> Floats:
        """Return (requests,) seconds of the wall after the first instant of traffic, at `speed`."""
        return self.at_s / speed

    def __len__(self) -> int:
        return len(self.at_s)


def schedule(traffic: Traffic, *, duration_s: float, changes: Sequence[Change] = ()) -> Schedule:
    """Return every request of `traffic` from 0 s up to `duration_s`, in policy time.

    Args:
        duration_s: how long the traffic lasts, policy seconds.
        changes: changes of the rate on the way; requests before a change stay where they were.
    """
    if not 0 <= duration_s < float("inf"):
        raise TrafficError(f"traffic lasts {duration_s} s; it needs a finite duration of 0 or more")
    if duration_s == 0:
        return Schedule(at_s=np.zeros(0), route=np.zeros(0, dtype=np.uint16))
    curve = traffic.curve(duration_s, changes)
    if curve.requests > REQUESTS_MAX:
        raise TrafficError(
            f"{curve.requests:,.0f} requests in {duration_s:g} s; one run sends at most {REQUESTS_MAX:,}: "
            "lower the rate or the duration"
        )
    if traffic.arrivals == "recorded":
        return _as_recorded(traffic, duration_s, curve)
    at_s = curve.when(_unit_points(traffic, curve))
    return Schedule(at_s=at_s, route=_routes(traffic, len(at_s)))


def _as_recorded(traffic: Traffic, duration_s: float, curve: RateCurve) -> Schedule:
    """Return each recorded request at its own instant; behind a change of the rate, as much sooner or later."""
    assert isinstance(traffic.shape, Trace)
    asked_s, route = traffic.shape.requests(duration_s)
    # As counts of expected requests, the time of a unit-rate process: where nothing changes, the way back is the same.
    points = traffic.curve(duration_s).until(asked_s)
    within = int(np.searchsorted(points, curve.requests, side="left"))
    return Schedule(at_s=curve.when(points[:within]), route=route[:within])


def _unit_points(traffic: Traffic, curve: RateCurve) -> Floats:
    """Return the points of a process of one request per unit, up to the expected number of requests."""
    total = curve.requests
    if traffic.arrivals == "even":
        # The middle of each unit, so that no request falls on the first instant of a run or of a level.
        return np.arange(max(round(total), 0), dtype=np.float64) + 0.5
    chance, reached, blocks = _stream(traffic.seed, "arrivals"), 0.0, []
    while reached < total:
        block = reached + np.cumsum(chance.exponential(size=_BLOCK))
        reached = float(block[-1])
        blocks.append(block)
    points = np.concatenate(blocks) if blocks else np.zeros(0)
    return points[points < total]


def _routes(traffic: Traffic, requests: int) -> NDArray[np.uint16]:
    """Draw a route for each request by weight. The i-th request keeps its route when the rate changes."""
    bounds = np.cumsum([route.weight for route in traffic.routes])
    drawn = _stream(traffic.seed, "routes").random(requests) * bounds[-1]
    found = np.minimum(np.searchsorted(bounds, drawn, side="right"), len(bounds) - 1)
    return np.asarray(found, dtype=np.uint16)


def _stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random stream of one purpose, so that more routes do not move old arrivals."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])

"""The load that the platform's own machinery sees: expected requests, never one run's draws.

The load model gives it; `CurveLoad` is the least of it, the traffic's own curve.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from loadgen.traffic import RateCurve


class ExpectedLoad(Protocol):
    """How many requests all pods together are expected to get."""

    def rps_at(self, t_s: float) -> float: ...
    def requests(self, from_s: float, to_s: float) -> float: ...


class CurveLoad:
    """The load of a rate curve."""

    __slots__ = ("_by_edge", "_curve")

    def __init__(self, curve: RateCurve) -> None:
        self._curve = curve
        self._by_edge = curve.requests_by_edge()

    def rps_at(self, t_s: float) -> float:
        return float(self._curve.rate_at(np.array([t_s]))[0])

    def requests(self, from_s: float, to_s: float) -> float:
        """Return the expected requests of a span; exact, the curve is of straight pieces."""
        return self._until(to_s) - self._until(from_s)

    def _until(self, at_s: float) -> float:
        curve = self._curve
        piece = int(np.clip(np.searchsorted(curve.edges_s, at_s, side="right") - 1, 0, len(curve.first_rps) - 1))
        begin_s = curve.edges_s[piece]
        at_s = min(max(at_s, begin_s), curve.edges_s[piece + 1])
        return float(
            self._by_edge[piece] + (curve.first_rps[piece] + curve.rate_at(np.array([at_s]))[0]) / 2 * (at_s - begin_s)
        )

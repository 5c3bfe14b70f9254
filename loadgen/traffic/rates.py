"""A rate of requests that changes over time, as straight pieces: its value, its integral, and the inverse of that.

Every shape of traffic becomes a `RateCurve`, so that the expected number of requests and the instants at
which they begin come from one formula and agree exactly. Pure; `shapes` builds curves, `arrivals` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TrafficError(ValueError):
    """Traffic that cannot be made: what was asked, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the rate while traffic runs: to `rps`, or `factor` times what it would have been."""

    from_s: float
    until_s: float | None = None  # None: until somebody ends it
    rps: float | None = None
    factor: float | None = None

    def __post_init__(self) -> None:
        if (self.rps is None) == (self.factor is None):
            raise TrafficError("a change of traffic names rps or factor, one of them and not both")
        amount = self.rps if self.rps is not None else self.factor
        if amount is None or not math.isfinite(amount) or amount < 0:
            raise TrafficError(f"a change of traffic is to {amount}; it needs a finite number of 0 or more")
        if not math.isfinite(self.from_s) or (self.until_s is not None and not self.until_s >= self.from_s):
            raise TrafficError(f"a change of traffic runs from {self.from_s} s to {self.until_s} s, never backwards")

    def ended(self, at_s: float) -> Self:
        """Return the same change, over at `at_s` if it was not over before."""
        until_s = at_s if self.until_s is None else min(self.until_s, at_s)
        return type(self)(from_s=self.from_s, until_s=max(until_s, self.from_s), rps=self.rps, factor=self.factor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RateCurve:
    """A rate over time in straight pieces that touch; it may jump from one piece to the next.

    Attributes:
        edges_s: (pieces + 1,) policy seconds, increasing.
        first_rps: (pieces,) the rate at each piece's beginning, requests/s.
        last_rps: (pieces,) the rate that each piece reaches at its end, requests/s.
    """

    edges_s: Floats
    first_rps: Floats
    last_rps: Floats

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]], *, duration_s: float) -> RateCurve:
        """Return the curve through (s, rps) points, cut or prolonged at its last rate to `duration_s`.

        Two points at one instant are a jump. The first point is at 0 s.
        """
        edges, first, last = [0.0], [], []
        for (left_s, left_rps), (right_s, right_rps) in pairwise(points):
            if right_s <= left_s or left_s >= duration_s:
                continue
            end_s = min(right_s, duration_s)
            edges.append(end_s)
            first.append(left_rps)
            last.append(left_rps + (right_rps - left_rps) * (end_s - left_s) / (right_s - left_s))
        if edges[-1] < duration_s:
            edges.append(duration_s)
            first.append(points[-1][1])
            last.append(points[-1][1])
        return cls(edges_s=np.array(edges), first_rps=np.array(first), last_rps=np.array(last))

    def changed(self, changes: Sequence[Change]) -> RateCurve:
        """Return the curve with each change laid over what the ones before it left."""
        curve = self
        for change in changes:
            curve = curve._overlaid(change)
        return curve

    def _overlaid(self, change: Change) -> RateCurve:
        until_s = math.inf if change.until_s is None else change.until_s
        cuts = [cut for cut in (change.from_s, until_s) if self.edges_s[0] < cut < self.edges_s[-1]]
        edges = np.unique(np.concatenate([self.edges_s, np.array(cuts, dtype=np.float64)]))
        left, right = edges[:-1], edges[1:]
        home = np.clip(np.searchsorted(self.edges_s, left, side="right") - 1, 0, len(self.first_rps) - 1)
        first, last = self._on_piece(home, left), self._on_piece(home, right)
        inside = (left >= change.from_s) & (left < until_s)
        if change.rps is not None:
            first, last = np.where(inside, change.rps, first), np.where(inside, change.rps, last)
        elif change.factor is not None:
            scale = np.where(inside, change.factor, 1.0)
            first, last = first * scale, last * scale
        return RateCurve(edges_s=edges, first_rps=first, last_rps=last)

    def _on_piece(self, piece: NDArray[np.intp], at_s: Floats) -> Floats:
        begin, end = self.edges_s[piece], self.edges_s[piece + 1]
        share = (at_s - begin) / (end - begin)
        return self.first_rps[piece] + (self.last_rps[piece] - self.first_rps[piece]) * share

    def rate_at(self, at_s: Floats) -> Floats:
        """Return the rate at each instant, requests/s; at a jump, the rate after it. Zero outside the curve."""
        at_s = np.asarray(at_s, dtype=np.float64)
        inside = (at_s >= self.edges_s[0]) & (at_s <= self.edges_s[-1])
        piece = np.clip(np.searchsorted(self.edges_s, at_s, side="right") - 1, 0, len(self.first_rps) - 1)
        return np.where(inside, self._on_piece(piece, at_s), 0.0)

    @property
    def peak_rps(self) -> float:
        """The highest rate that the curve reaches, requests/s."""
        return float(max(self.first_rps.max(initial=0.0), self.last_rps.max(initial=0.0)))

    def requests_by_edge(self) -> Floats:
        """Return (pieces + 1,) the expected number of requests from 0 s to each edge."""
        pieces = (self.first_rps + self.last_rps) / 2 * np.diff(self.edges_s)
        return np.concatenate([np.zeros(1), np.cumsum(pieces)])

    @property
    def requests(self) -> float:
        """The expected number of requests over the whole curve."""
        return float(self.requests_by_edge()[-1])

    def until(self, at_s: Floats) -> Floats:
        """Return the expected number of requests from 0 s to each instant within the curve; the way back is `when`."""
        piece = np.clip(np.searchsorted(self.edges_s, at_s, side="right") - 1, 0, len(self.first_rps) - 1)
        within_s = at_s - self.edges_s[piece]
        mean_rps = (self.first_rps[piece] + self._on_piece(piece, at_s)) / 2
        return np.asarray(self.requests_by_edge()[piece] + mean_rps * within_s, dtype=np.float64)

    def when(self, requests: Floats) -> Floats:
        """Return the instants at which the expected number of requests reaches each of `requests`, in s.

        Args:
            requests: (n,) counts from 0 to `self.requests`, increasing.
        """
        by_edge = self.requests_by_edge()
        # Where nothing is expected the integral is flat; "left" puts a count that falls on it at its beginning.
        piece = np.clip(np.searchsorted(by_edge, requests, side="left") - 1, 0, len(self.first_rps) - 1)
        begin, width = self.edges_s[piece], np.diff(self.edges_s)[piece]
        first = self.first_rps[piece]
        slope = (self.last_rps[piece] - first) / width
        missing = np.maximum(requests - by_edge[piece], 0.0)
        # first·x + slope·x²/2 = missing, solved in the form that stays exact as the slope goes to zero.
        root = first + np.sqrt(np.maximum(first * first + 2.0 * slope * missing, 0.0))
        within = np.divide(2.0 * missing, root, out=np.zeros_like(root), where=root > 0)
        return np.asarray(begin + np.minimum(within, width), dtype=np.float64)

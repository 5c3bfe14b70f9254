"""What was seen of a service, in the one form that fitting reads, whether a log or a Prometheus told it.

Everything is counts: requests and failures by time and by route, answers by how long they took. So a fit costs the
same for a thousand requests and for a hundred million.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class FitError(ValueError):
    """A service that cannot be fitted: what was seen, and what it would need."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Durations:
    """How long answers took, counted in adjoining bins.

    Attributes:
        edges_s: (bins + 1,) increasing; the first is 0, the last may be infinite.
        counts: (bins,) answers in (edge, next edge].
        is_coarse: whether the bins are a histogram's buckets, so that quantiles between them are not known.
    """

    edges_s: Floats
    counts: Counts
    is_coarse: bool = False

    @property
    def total(self) -> int:
        """How many answers were counted."""
        return int(self.counts.sum())

    def shares_at(self) -> Floats:
        """Return (bins + 1,) the share of answers that took at most as long as each edge."""
        return np.concatenate([[0.0], np.cumsum(self.counts)]) / max(self.total, 1)

    def quantile_s(self, q: float) -> float:
        """Return the q-quantile, in a straight line within its bin; the last finite edge where it lies beyond."""
        shares = self.shares_at()
        at = int(np.clip(np.searchsorted(shares, q, side="left") - 1, 0, len(self.counts) - 1))
        low, high = float(self.edges_s[at]), float(self.edges_s[at + 1])
        if not np.isfinite(high):
            return low
        width = float(shares[at + 1] - shares[at])
        return low + (high - low) * (q - float(shares[at])) / width if width > 0 else high


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSeen:
    """One route: what it is called, a target that can be asked for, how often it was and how often it failed."""

    method: str
    name: str
    target: str
    requests: float
    failed: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """A service as it was seen.

    Attributes:
        source: where from, in words.
        begin_s: when it begins, Unix s.
        bin_s: width of the bins of time.
        requests: (bins,) requests in each bin; from a Prometheus not whole numbers, because it extrapolates.
        failed: (bins,) those answered with a 5xx.
        last_bin_s: width of the last bin, which may be cut short.
        has_status: whether anything tells failures at all.
        routes: the most asked for first.
        durations: None where nothing tells them.
        buckets_s: the bounds of the service's own histogram, without +Inf.
        scrape_interval_s: how often Prometheus looks.
        segments: label -> value -> requests, where a log tells them.
        cpu_s: CPU time that all of it took; None where nothing tells.
        memory_bytes: what a pod holds, on average; None where nothing tells.
        burstiness: variance over mean of the requests in a second about the rate around it; 1 for a Poisson process.
        remarks: what whoever uses the fit should know of how it was seen.
    """

    source: str
    begin_s: float
    bin_s: float
    requests: Floats
    failed: Floats
    last_bin_s: float
    has_status: bool
    routes: tuple[RouteSeen, ...] = ()
    durations: Durations | None = None
    buckets_s: tuple[float, ...] = ()
    scrape_interval_s: float | None = None
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cpu_s: float | None = None
    memory_bytes: float | None = None
    burstiness: float | None = None
    remarks: tuple[str, ...] = field(default=())

    @property
    def widths_s(self) -> Floats:
        """(bins,) how long each bin is."""
        widths_s = np.full(len(self.requests), self.bin_s)
        widths_s[-1] = self.last_bin_s
        return widths_s

    @property
    def duration_s(self) -> float:
        """How long the service was seen."""
        return float(self.widths_s.sum())

    @property
    def mean_rps(self) -> float:
        """Requests per second on average."""
        return float(self.requests.sum()) / self.duration_s

"""What recorded traffic looks like: its rate over time, its mix of routes, its answers, the shape of its day.

Filled from a trace's tables as they pass, in memory that does not grow with the number of requests: seconds, routes
and a histogram of durations whose buckets are one per cent wide.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loadgen.traces.ordering import times_of
from loadgen.traces.routes import route_of

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ROUTES_MAX = 5_000
OTHER = "(other)"
SECONDS_MAX = 5_000_000
"""58 days by the second; a longer trace is counted by more seconds at once."""

BINS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
BINS_MAX = 2_880
PER_BIN_MIN = 100.0

_DURATION_EDGES_S: Floats = np.concatenate([[0.0], np.exp(np.arange(np.log(1e-5), np.log(1e5), 0.01))])


@dataclass(slots=True)
class RouteCount:
    """How often a route was asked for, how often it failed (5xx), and the first target that was seen of it."""

    requests: int = 0
    failed: int = 0
    example: str = ""


class Profile:
    """Counts of a trace; `add` every table, then read.

    Attributes:
        begin_s: the first request, Unix s.
        requests: how many there were.
        routes: (method, route) -> its counts.
        statuses: status (0 where none was recorded) -> requests.
        segments: segment -> requests, at most as many as there are routes.
    """

    def __init__(self) -> None:
        self.begin_s = math.nan
        self.last_s = math.nan
        self.requests = 0
        self.routes: dict[tuple[str, str], RouteCount] = {}
        self.statuses: Counter[int] = Counter()
        self.segments: Counter[str] = Counter()
        self.durations: Counts = np.zeros(len(_DURATION_EDGES_S), dtype=np.int64)
        self._unit_s = 1.0
        self._seconds: Counts = np.zeros((2, 0), dtype=np.int64)  # all requests, and those that failed

    def add(self, table: pa.Table) -> None:
        """Count the requests of a table; tables come in order of time."""
        time_s = times_of(table)
        if len(time_s) == 0:
            return
        if self.requests == 0:
            self.begin_s = float(time_s[0])
        self.last_s = float(time_s[-1])
        self.requests += len(time_s)
        self._add_times(table, time_s)
        self._add_routes(table)
        self._add_answers(table)

    def _add_times(self, table: pa.Table, time_s: Floats) -> None:
        import pyarrow.compute as pc

        begin_s = math.floor(self.begin_s)
        while (self.last_s - begin_s) / self._unit_s >= SECONDS_MAX:
            self._unit_s *= 2
            self._seconds = np.pad(self._seconds, ((0, 0), (0, self._seconds.shape[1] % 2)))
            self._seconds = self._seconds.reshape(2, -1, 2).sum(axis=2)
        at = ((time_s - begin_s) / self._unit_s).astype(np.int64)
        have = self._seconds.shape[1]
        if (needed := int(at[-1]) + 1) > have:
            more = max(needed, min(2 * have, SECONDS_MAX))
            self._seconds = np.pad(self._seconds, ((0, 0), (0, more - have)))
        failed = pc.fill_null(pc.greater_equal(table.column("status"), 500), False).to_numpy()
        low, high = int(at[0]), int(at[-1]) + 1
        self._seconds[0, low:high] += np.bincount(at - low, minlength=high - low)
        self._seconds[1, low:high] += np.bincount(at[failed] - low, minlength=high - low)

    def _add_routes(self, table: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        failed = pc.fill_null(pc.greater_equal(table.column("status"), 500), False)
        small = pa.table(
            {
                "method": table.column("method"),
                "path": table.column("path"),
                "query": table.column("query"),
                "failed": pc.cast(failed, pa.int64()),
            }
        )
        found = small.group_by(["method", "path"], use_threads=False).aggregate(
            [("failed", "count"), ("failed", "sum"), ("query", "first")]
        )
        rows = zip(*(found.column(name).to_pylist() for name in found.schema.names), strict=True)
        position = {name: at for at, name in enumerate(found.schema.names)}
        for row in rows:
            method, path, query = (row[position[name]] for name in ("method", "path", "query_first"))
            key = (method, route_of(path))
            counts = self.routes.get(key)
            if counts is None:
                if len(self.routes) >= ROUTES_MAX:
                    key = (method, OTHER)
                counts = self.routes.setdefault(key, RouteCount(example=f"{path}?{query}" if query else path))
            counts.requests += row[position["failed_count"]]
            counts.failed += row[position["failed_sum"]]

    def _add_answers(self, table: pa.Table) -> None:
        import pyarrow.compute as pc

        for entry in pc.value_counts(table.column("status")).to_pylist():
            self.statuses[entry["values"] or 0] += entry["counts"]
        for entry in pc.value_counts(table.column("segment")).to_pylist():
            name = entry["values"]
            if name is not None:
                known = name in self.segments or len(self.segments) < ROUTES_MAX
                self.segments[name if known else OTHER] += entry["counts"]
        duration_s = table.column("duration_s").drop_null().to_numpy()
        at = np.searchsorted(_DURATION_EDGES_S, duration_s, side="right") - 1
        self.durations += np.bincount(at, minlength=len(self.durations))

    @property
    def duration_s(self) -> float:
        """From the second of the first request to the end of that of the last."""
        return 0.0 if self.requests == 0 else math.floor(self.last_s) + 1.0 - math.floor(self.begin_s)

    @property
    def rate_rps(self) -> float:
        """Requests per second, on average."""
        return self.requests / self.duration_s if self.requests else 0.0

    @property
    def with_status(self) -> int:
        """How many requests have a recorded status."""
        return self.requests - self.statuses[0]

    @property
    def failed(self) -> int:
        """How many were answered with a 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    def bin_s(self) -> float:
        """Return the width of bins that shows the rate and not its chance: the narrowest that holds a hundred
        requests on average (chance is then 10 % of it) and leaves at most 2,880 bins."""
        wide = max(self._unit_s, self.duration_s / BINS_MAX)
        fitting = (width_s for width_s in BINS_S if width_s >= wide and self.rate_rps * width_s >= PER_BIN_MIN)
        return next(fitting, max(BINS_S[-1], wide))

    @property
    def unit_s(self) -> float:
        """The finest that requests are counted by: a second, unless the trace is very long."""
        return self._unit_s

    def counts(self, bin_s: float, *, failed: bool = False) -> Counts:
        """Return (bins,) requests (or those that failed) in each `bin_s` from the second of the first request on."""
        seconds = self._within(failed)
        at = (np.arange(len(seconds)) * self._unit_s / bin_s).astype(np.int64)
        return np.bincount(at, weights=seconds, minlength=1).astype(np.int64)

    def _within(self, failed: bool = False) -> Counts:
        return self._seconds[int(failed), : math.ceil(self.duration_s / self._unit_s)]

    def last_bin_s(self, bin_s: float) -> float:
        """Return how wide the last bin is, which the end of the trace may cut short."""
        bins = len(self.counts(bin_s))
        return max(self.duration_s - bin_s * (bins - 1), min(self._unit_s, bin_s))

    def rates(self, bin_s: float) -> Floats:
        """Return (bins,) requests per second in each bin; the last one may be shorter and is counted as such."""
        counts = self.counts(bin_s)
        width_s = np.full(len(counts), bin_s)
        width_s[-1] = self.last_bin_s(bin_s)
        return np.asarray(counts / width_s, dtype=np.float64)

    def day(self, ahead_s: float = 0.0) -> Floats:
        """Return (24,) requests per second in each hour of the day, `ahead_s` ahead of UTC; NaN for hours not seen."""
        seconds = self._within()
        at_s = math.floor(self.begin_s) + np.arange(len(seconds)) * self._unit_s + ahead_s
        hour = (at_s // 3_600 % 24).astype(np.int64)
        asked, seen_s = np.bincount(hour, weights=seconds, minlength=24), np.bincount(hour, minlength=24) * self._unit_s
        rate = np.full(24, np.nan)
        np.divide(asked, seen_s, out=rate, where=seen_s > 0)
        return rate

    def quantile_s(self, q: float) -> float:
        """Return the q-quantile of the recorded durations, within one per cent; NaN where none is recorded."""
        total = int(self.durations.sum())
        if total == 0:
            return math.nan
        at = int(np.searchsorted(np.cumsum(self.durations), q * total, side="left"))
        low = float(_DURATION_EDGES_S[at])
        high = float(_DURATION_EDGES_S[min(at + 1, len(_DURATION_EDGES_S) - 1)])
        return math.sqrt(low * high) if low > 0 else 0.0

    def mix(self) -> list[tuple[str, str, RouteCount]]:
        """Return (method, route, counts), the most asked for first."""
        return sorted(
            ((method, route, counts) for (method, route), counts in self.routes.items()),
            key=lambda each: (-each[2].requests, each[1], each[0]),
        )


def profile_of(tables: Iterable[pa.Table]) -> Profile:
    """Return the profile of all tables of a trace."""
    found = Profile()
    for table in tables:
        found.add(table)
    return found

"""A service as its access log or trace tells it, in one pass and in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from loadgen.traces.profile import OTHER, Profile
from sim.fit.observed import Counts, Durations, FitError, Floats, Observed, RouteSeen

if TYPE_CHECKING:
    import pyarrow as pa

MILLISECONDS_MAX = 120_000
SEGMENTS_MAX = 20
_LOCAL_S = 30
_FINE_EDGES_S: Floats = np.concatenate([[0.0], np.exp(np.arange(np.log(1e-6), np.log(1e4), 0.005)), [np.inf]])


class _Answers:
    """Counts how long answers took, of requests that did not fail: a failure is fast or a time-out, and neither tells
    how long the service takes to do its work. Whole milliseconds keep a bin each, for as long as all are whole."""

    def __init__(self) -> None:
        self._whole: Counts | None = np.zeros(MILLISECONDS_MAX + 2, dtype=np.int64)
        self._fine: Counts = np.zeros(len(_FINE_EDGES_S) - 1, dtype=np.int64)

    def add(self, table: pa.Table) -> None:
        import pyarrow.compute as pc

        status = table.column("status")
        good = pc.fill_null(pc.less(status, 500), True)
        duration_s = table.column("duration_s").filter(good).drop_null().to_numpy()
        if len(duration_s) == 0:
            return
        at = np.clip(np.searchsorted(_FINE_EDGES_S, duration_s, side="left") - 1, 0, len(self._fine) - 1)
        self._fine += np.bincount(at, minlength=len(self._fine))
        if self._whole is not None:
            in_ms = duration_s * 1000
            rounded = np.rint(in_ms)
            if np.abs(in_ms - rounded).max() > 1e-4:
                self._whole = None
            else:
                at = np.minimum(rounded, MILLISECONDS_MAX + 1).astype(np.int64)
                self._whole += np.bincount(at, minlength=len(self._whole))

    def durations(self) -> Durations | None:
        if not self._fine.any():
            return None
        if self._whole is None:
            return Durations(edges_s=_FINE_EDGES_S, counts=self._fine)
        # A stamp of k ms stands for anything from k - 0.5 to k + 0.5 ms.
        edges_s = np.concatenate([[0.0], np.arange(MILLISECONDS_MAX + 1) / 1000 + 0.0005, [np.inf]])
        return Durations(edges_s=edges_s, counts=self._whole)


def observe_trace(tables: Iterable[pa.Table], source: str, *, segment: str = "segment") -> Observed:
    """Return what the tables of a trace tell.

    Args:
        segment: what the label is called whose values the trace has as segments.

    Raises:
        FitError: there is no request in it.
    """
    profile, answers = Profile(), _Answers()
    for table in tables:
        profile.add(table)
        answers.add(table)
    if not profile.requests:
        raise FitError(f"{source}: there is no request in it")
    bin_s = profile.bin_s()
    remarks = []
    if profile.with_status < profile.requests:
        remarks.append(f"{profile.requests - profile.with_status:,} requests have no status and count as answered")
    return Observed(
        source=source,
        begin_s=profile.begin_s,
        bin_s=bin_s,
        requests=profile.counts(bin_s).astype(np.float64),
        failed=profile.counts(bin_s, failed=True).astype(np.float64),
        last_bin_s=profile.last_bin_s(bin_s),
        has_status=profile.with_status > 0,
        routes=_routes(profile),
        durations=answers.durations(),
        segments={segment: _segments(profile)} if profile.segments else {},
        burstiness=_burstiness(profile),
        remarks=tuple(remarks),
    )


def _segments(profile: Profile) -> dict[str, float]:
    """Return the requests of each segment: the largest by their names, the others together."""
    found = {name: float(count) for name, count in profile.segments.most_common(SEGMENTS_MAX)}
    rest = profile.requests - sum(found.values())
    return {**found, "other": found.get("other", 0.0) + rest} if rest else found


def _routes(profile: Profile) -> tuple[RouteSeen, ...]:
    return tuple(
        RouteSeen(method=method, name=route, target=counts.example, requests=counts.requests, failed=counts.failed)
        for method, route, counts in profile.mix()
        if route != OTHER
    )


def _burstiness(profile: Profile) -> float | None:
    """Return variance over mean of the requests in a second, about the mean of their half minute; None where there
    is no whole half minute, or where the trace is too long to be counted by the second."""
    within = _LOCAL_S
    seconds = profile.counts(profile.unit_s)
    bins = len(seconds) // within
    if bins < 1 or profile.unit_s != 1.0:
        return None
    counts = seconds[: bins * within].reshape(bins, within).astype(np.float64)
    mean = counts.mean(axis=1, keepdims=True)
    known = mean[:, 0] > 0
    if not known.any():
        return None
    statistic = ((counts[known] - mean[known]) ** 2 / mean[known]).sum()
    return float(statistic / (known.sum() * (within - 1)))

"""What users saw of each revision, from the load generator's records: counts, bad requests, latencies.

Pure. The one place that says which request was bad; the scorecard, the picture and the live view count by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.events import Deployed, Event
from loadgen.traces.routes import route_of

if TYPE_CHECKING:
    import pandas as pd

STABLE, UNDER_TEST, NOBODY = "stable", "under test", "nobody"
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionCount:
    """What users saw of one revision, from the start of the traffic to its end; latencies in seconds of the wall."""

    role: str  # stable, under test, or nobody: no revision answered
    pod_hash: str
    requests: int
    bad: int
    error_answers: int
    no_answer: int
    too_slow: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCount:
    """What users saw of one route, over all revisions and of the release under test alone.

    Attributes:
        name: method and path without its query, identifiers as {id}.
    """

    name: str
    requests: int
    bad: int
    release_requests: int
    release_bad: int

    @property
    def release_share(self) -> float:
        """The share of the release's requests that were bad; 0 where it got none."""
        return self.release_bad / self.release_requests if self.release_requests else 0.0


def settled(requests: pd.DataFrame) -> pd.DataFrame:
    """Return the requests that were sent and whose fate is known."""
    return requests[~requests["failure"].isin(["dropped", "cut off"])]


def is_bad(requests: pd.DataFrame, slow_after_s: float | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (requests,) whether a user saw the request fail, or saw it too slow."""
    bad = (requests["status"] >= SERVER_ERROR) | (requests["failure"] != "")
    if slow_after_s is not None:
        bad |= requests["latency_s"] > slow_after_s
    return np.asarray(bad, dtype=np.bool_)


def revision_counts(
    requests: pd.DataFrame, slow_after_s: float | None, events: Sequence[Event]
) -> tuple[RevisionCount, ...]:
    """Return what users saw of each revision: stable first, then the release, then what nobody answered."""
    roles = {event.pod_hash: event.role for event in events if isinstance(event, Deployed)}
    order = list(roles)
    counts = []
    for pod_hash in requests["revision"].unique().tolist():
        mine = requests[requests["revision"] == pod_hash]
        bad = is_bad(mine, slow_after_s)
        errors = np.asarray((mine["failure"] == "") & (mine["status"] >= SERVER_ERROR))
        silent = np.asarray(mine["failure"] != "")
        answered = mine[mine["failure"] == ""]["latency_s"].to_numpy()
        quantiles = np.quantile(answered, [0.5, 0.95, 0.99]).tolist() if len(answered) else [None] * 3
        counts.append(
            RevisionCount(
                role=roles.get(pod_hash, NOBODY),
                pod_hash=pod_hash,
                requests=len(mine),
                bad=int(np.count_nonzero(bad)),
                error_answers=int(np.count_nonzero(errors)),
                no_answer=int(np.count_nonzero(silent)),
                too_slow=int(np.count_nonzero(bad & ~errors & ~silent)),
                p50_s=quantiles[0],
                p95_s=quantiles[1],
                p99_s=quantiles[2],
            )
        )
    return tuple(sorted(counts, key=lambda one: order.index(one.pod_hash) if one.pod_hash in order else len(order)))


def route_counts(requests: pd.DataFrame, slow_after_s: float | None, release_hash: str) -> tuple[RouteCount, ...]:
    """Return what users saw of each route: those that the release failed most come first, then the most asked for."""
    if not len(requests):
        return ()
    paths = requests["path"].astype(object).map(lambda path: route_of(str(path).partition("?")[0]))
    met = requests["revision"].to_numpy() == release_hash
    bad = is_bad(requests, slow_after_s)
    names = (requests["method"].astype(object) + " " + paths).to_numpy()
    order = {name: np.flatnonzero(names == name) for name in dict.fromkeys(names)}
    counts = [
        RouteCount(
            name=str(name),
            requests=len(places),
            bad=int(np.count_nonzero(bad[places])),
            release_requests=int(np.count_nonzero(met[places])),
            release_bad=int(np.count_nonzero(bad[places] & met[places])),
        )
        for name, places in order.items()
    ]
    return tuple(sorted(counts, key=lambda one: (-one.release_bad, -one.bad, -one.requests, one.name)))

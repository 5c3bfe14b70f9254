"""What the picture shows, as numbers over time: the weight, and what users saw of each revision.

Pure. Times count from the deployment of the release under test, in seconds of policy time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.events import Deployed, Event, WeightSet
from experiments.users import SERVER_ERROR, STABLE, UNDER_TEST, settled

if TYPE_CHECKING:
    import pandas as pd

BINS_MAX = 30
STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
SAMPLES_MIN = 20
"""A quantile of fewer answers than this is not drawn: the p95 of three answers is their slowest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSeries:
    """What users saw of one revision, interval by interval; NaN where it got no request (or too few for a p95).

    Attributes:
        middle_s: (intervals,) the middle of each interval.
        error_ratio: (intervals,) failed over all, 0 to 1.
        p95_s: (intervals,) of answered requests, seconds of the wall.
        requests: (intervals,) a count.
    """

    role: str
    pod_hash: str
    middle_s: tuple[float, ...]
    error_ratio: tuple[float, ...]
    p95_s: tuple[float, ...]
    requests: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Everything over time: `interval_s` is the length of one interval, `weight` the points of a step line."""

    from_s: float
    to_s: float
    interval_s: float
    weight: tuple[tuple[float, float], ...]
    revisions: tuple[RevisionSeries, ...]


def series_of(events: Sequence[Event], requests: pd.DataFrame, *, ended_s: float) -> Series:
    """Return the series of one rehearsal, from a little before the deployment to its end."""
    deployed = [event for event in events if isinstance(event, Deployed)]
    under_test = next((event for event in deployed if event.role == UNDER_TEST), None)
    t0_s = under_test.t_s if under_test else ended_s
    release_hash = under_test.pod_hash if under_test else ""
    to_s = ended_s - t0_s
    from_s = -min(60.0, max(to_s, 60.0) * 0.05)
    interval_s = interval_for(to_s - from_s)
    edges_s = np.arange(math.ceil((to_s - from_s) / interval_s) + 1) * interval_s + from_s
    users = settled(requests)
    roles = {STABLE: next((event.pod_hash for event in deployed if event.role == STABLE), "")}
    if release_hash and release_hash != roles[STABLE]:
        roles[UNDER_TEST] = release_hash
    return Series(
        from_s=from_s,
        to_s=to_s,
        interval_s=interval_s,
        weight=_weights(events, t0_s, from_s, to_s, release_hash),
        revisions=tuple(
            _revision(users[users["revision"] == pod_hash], role, pod_hash, t0_s, edges_s)
            for role, pod_hash in roles.items()
        ),
    )


def interval_for(span_s: float) -> float:
    """Return a round length of interval that cuts a span into BINS_MAX pieces at most."""
    return float(next((step for step in STEPS_S if span_s / step <= BINS_MAX), math.ceil(span_s / BINS_MAX)))


def _weights(
    events: Sequence[Event], t0_s: float, from_s: float, to_s: float, release_hash: str
) -> tuple[tuple[float, float], ...]:
    points = [(from_s, 0.0)]
    for event in events:
        if not isinstance(event, WeightSet) or event.t_s < t0_s:
            continue
        given = 100.0 if event.stable_hash == release_hash else event.percent
        points.append((event.t_s - t0_s, given if release_hash in (event.canary_hash, event.stable_hash) else 0.0))
    return (*points, (to_s, points[-1][1]))


def _revision(mine: pd.DataFrame, role: str, pod_hash: str, t0_s: float, edges_s: np.ndarray) -> RevisionSeries:
    at_s = mine["intended_s"].to_numpy() - t0_s
    place = np.digitize(at_s, edges_s) - 1
    failed = np.asarray((mine["failure"] != "") | (mine["status"] >= SERVER_ERROR))
    answered = np.asarray(mine["failure"] == "")
    latency_s = mine["latency_s"].to_numpy()
    count = len(edges_s) - 1
    inside = (place >= 0) & (place < count)
    requests = np.bincount(place[inside], minlength=count)
    errors = np.bincount(place[inside & failed], minlength=count)
    ratio = np.full(count, np.nan)
    np.divide(errors, requests, out=ratio, where=requests > 0)
    p95_s = np.full(count, np.nan)
    for interval in range(count):
        here = latency_s[(place == interval) & answered]
        if len(here) >= SAMPLES_MIN:
            p95_s[interval] = np.quantile(here, 0.95)
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    return RevisionSeries(
        role=role,
        pod_hash=pod_hash,
        middle_s=tuple(middle_s.tolist()),
        error_ratio=tuple(ratio.tolist()),
        p95_s=tuple(p95_s.tolist()),
        requests=tuple(int(n) for n in requests),
    )

"""What one simulated release came to, in figures: each with its interval, each worked out from the run table alone.

docs/simulate.md defines every figure for users; the names here are the names there and in the JSON. Pure; the tables,
the page, the pictures and the command line print what stands here and add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.outcomes.intervals import Estimate, mean, quantile, share
from sim.outcomes.table import Floats, Outcome, RunTable

NO_METRIC = "no metric"
"""Under this name stand aborts that no metric's failure explains, such as a deadline for progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a figure is spread over runs: half of them at or below the median, 95 % at or below p95."""

    median: Estimate
    p95: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequests:
    """How many requests users saw fail or too slow, of those that the release answered."""

    mean: Estimate
    p95: Estimate
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersHurt:
    """The share of all requests from the deployment to the end that were bad because they met the release.

    Attributes:
        worst: in the worst run; the runs say nothing of worse ones that were not played.
        weight_max: the largest share of the traffic that the canary got in any run.
    """

    mean: Estimate
    p95: Estimate
    worst: float
    weight_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that is said of one release.

    Attributes:
        caught: share of the runs in which the release was aborted; for a good release, of false aborts.
        outcomes: name of an outcome -> share of the runs.
        by_step: zero-based index of a step -> share of the runs that were aborted there.
        by_metric: metric -> share of the runs that were aborted with it as the first metric that failed.
        detection_s: over aborted runs in which the canary had a request; None: there was none.
        recovery_s: over aborted runs; None: there was none.
        to_promote_s: from the deployment, over promoted runs; None: there was none.
    """

    name: str
    kind: Literal["good", "bad"]
    about: str
    release: str
    runs: int
    cohorts: int
    caught: Estimate
    outcomes: dict[str, Estimate]
    by_step: dict[int, Estimate]
    by_metric: dict[str, Estimate]
    detection_s: Spread | None
    recovery_s: Spread | None
    to_promote_s: Spread | None
    bad_requests: BadRequests
    users_hurt: UsersHurt
    requests_mean: Estimate
    canary_requests_mean: Estimate

    @property
    def false_abort(self) -> bool:
        """Whether aborting this release is a mistake."""
        return self.kind == "good"


def figures_of(table: RunTable, *, name: str, kind: Literal["good", "bad"], about: str, release: str) -> Figures:
    """Return the figures of the runs of one release.

    Args:
        release: the release in words.

    Raises:
        ValueError: a table without a run.
    """
    if not len(table):
        raise ValueError(f"{name}: no run was finished, so there is nothing to say of it")
    aborted = table.outcome == Outcome.ABORTED
    promoted = table.outcome == Outcome.PROMOTED
    return Figures(
        name=name,
        kind=kind,
        about=about,
        release=release,
        runs=len(table),
        cohorts=len(np.unique(table.cohort)),
        caught=_share(aborted, table),
        outcomes={one.name.lower(): _share(table.outcome == one, table) for one in Outcome},
        by_step={int(step): _share(aborted & (table.step == step), table) for step in np.unique(table.step[aborted])},
        by_metric=_by_metric(table, aborted),
        detection_s=_spread(table.detected_s, aborted, table),
        recovery_s=_spread(table.recovered_s, aborted, table),
        to_promote_s=_spread(table.ended_s, promoted, table),
        bad_requests=_bad_requests(table),
        users_hurt=_users_hurt(table),
        requests_mean=_mean(table.requests, table),
        canary_requests_mean=_mean(table.canary_requests, table),
    )


def _share(hits: np.ndarray, table: RunTable) -> Estimate:
    found = share(hits, table.cohort)
    assert found is not None
    return found


def _mean(values: Floats, table: RunTable) -> Estimate:
    found = mean(values, table.cohort)
    assert found is not None
    return found


def _quantile(values: Floats, table: RunTable, q: float) -> Estimate:
    found = quantile(values, table.cohort, q)
    assert found is not None
    return found


def _spread(values: Floats, of: np.ndarray, table: RunTable) -> Spread | None:
    seen = of & np.isfinite(values)
    median, p95 = (quantile(values[seen], table.cohort[seen], q) for q in (0.5, 0.95))
    return None if median is None or p95 is None else Spread(median=median, p95=p95)


def _by_metric(table: RunTable, aborted: np.ndarray) -> dict[str, Estimate]:
    found = {}
    for position in np.unique(table.metric[aborted]).tolist():
        name = NO_METRIC if position < 0 else table.metrics[position]
        found[name] = _share(aborted & (table.metric == position), table)
    return dict(sorted(found.items(), key=lambda item: (-item[1].value, item[0])))


def _bad_requests(table: RunTable) -> BadRequests:
    return BadRequests(
        mean=_mean(table.bad_requests, table),
        p95=_quantile(table.bad_requests, table, 0.95),
        worst=float(table.bad_requests.max()),
    )


def _users_hurt(table: RunTable) -> UsersHurt:
    """Return the shares of users; a run in which nobody asked anything hurt nobody."""
    hurt = np.divide(table.bad_requests, table.requests, out=np.zeros(len(table)), where=table.requests > 0)
    return UsersHurt(
        mean=_mean(hurt, table),
        p95=_quantile(hurt, table, 0.95),
        worst=float(hurt.max()),
        weight_max=float(np.nan_to_num(table.weight_max).max()) / 100,
    )

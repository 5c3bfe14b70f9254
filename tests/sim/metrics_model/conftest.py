"""Plans for queries of a small shop whose canary and stable Services and hashes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.manifests.loading import load
from controller.manifests.values import Metric
from loadgen.traffic import Traffic
from sim.metrics_model import MetricsPlan, Naming, metrics_map_of, naming_of, plan_metrics, plan_queries
from sim.metrics_model.plan import SeriesSpec, Target
from sim.releases import Release
from sim.scenarios import Scenario

STABLE_HASH, RELEASE_HASH = "55b6c7", "9f8d7c"


@dataclass(frozen=True, kw_only=True)
class OnePod:
    name: str
    pod_hash: str
    is_release: bool
    ordinal: int = 0
    created_s: float = 0.0
    ready_s: float = 0.0
    ended_s: float = float("inf")


@dataclass(frozen=True)
class Planned:
    """A plan with one stable pod and one pod of the release."""

    plan: MetricsPlan

    def target(self, side: str) -> Target | None:
        """Return the target of the stable pod, of the release's, or of the proxy."""
        pods = (
            OnePod(name="stable-0", pod_hash=STABLE_HASH, is_release=False),
            OnePod(name="release-0", pod_hash=RELEASE_HASH, is_release=True),
        )
        targets = self.plan.targets(pods)
        place = {"stable": 0, "release": 1, "proxy": 2}[side]
        return targets[place] if place < len(targets) else None

    def series(self, side: str) -> tuple[SeriesSpec, ...]:
        target = self.target(side)
        return () if target is None else target.series

    def labels(self, side: str, *names: str) -> list[tuple[str, ...]]:
        """Return, of each series, the values of these labels."""
        return [tuple(dict(one.labels).get(name, "") for name in names) for one in self.series(side)]


@pytest.fixture
def naming() -> Naming:
    return Naming(
        rollout="orders",
        namespace="shop",
        app="orders",
        stable_hash=STABLE_HASH,
        release_hash=RELEASE_HASH,
        canary_service="orders-canary",
        stable_service="orders-stable",
        ingress="orders-ingress",
    )


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    def make(**told: Any) -> Scenario:
        return Scenario(**{"traffic": Traffic(rps=20), "release": Release(errors=0.05), **told})

    return make


@pytest.fixture
def planned(naming: Naming, scenario: Callable[..., Scenario]) -> Callable[..., Planned]:
    def make(*queries: str, metrics_map: Any = None, **told: Any) -> Planned:
        likenesses = None if metrics_map is None else metrics_map_of(metrics_map)
        return Planned(plan_queries(queries, scenario(**told), naming, likenesses))

    return make


@pytest.fixture
def planned_policy(scenario: Callable[..., Scenario]) -> Callable[..., Planned]:
    """Plans all metrics of the policy in some files."""

    def make(files: Sequence[Path], **told: Any) -> Planned:
        policy = load(list(files)).policy()
        metrics: list[Metric] = []
        for analysis in policy.analyses:
            resolved = policy.resolve(analysis.analysis, latest_hash=RELEASE_HASH, stable_hash=STABLE_HASH)
            metrics += resolved.metrics
        names = naming_of(policy.rollout, stable_hash=STABLE_HASH, release_hash=RELEASE_HASH)
        return Planned(plan_metrics(metrics, scenario(**told), names))

    return make

"""Pods, stretches and plans for the load model, small enough to work everything out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from loadgen.traffic import Traffic
from sim.load.model import LoadModel
from sim.metrics_model import MetricsPlan, Naming, plan_queries
from sim.releases import Release
from sim.scenarios import Scenario

ERRORS = 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))'
LATENCY = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"


@dataclass(frozen=True, kw_only=True)
class OnePod:
    """A pod of the release that is ready from 0 s on."""

    name: str = "release-0"
    pod_hash: str = "new"
    is_release: bool = True
    ordinal: int = 0
    created_s: float = 0.0
    ready_s: float = 0.0
    ended_s: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class OneStretch:
    from_s: float
    until_s: float = float("inf")
    shares: tuple[tuple[int, float], ...] = field(default_factory=tuple)
    unserved: float = 0.0


@dataclass(frozen=True)
class Loaded:
    """A load model with the questions that tests ask of it."""

    model: LoadModel

    @property
    def plan(self) -> MetricsPlan:
        return self.model.plan

    def bad(self, found: Any) -> Any:
        return np.asarray(found)[..., self.plan.bad].sum(axis=-1)

    def counted(self, found: Any, **labels: str) -> float:
        """Return what the series of the pod that have these labels count together."""
        total = 0.0
        for series in self.plan.target(OnePod(), 0).series:
            own = dict(series.labels)
            if all(own.get(name.replace("metric", "__name__")) == value for name, value in labels.items()):
                total += float(np.asarray(found)[series.atoms].sum())
        return total


@pytest.fixture
def pod() -> Callable[..., OnePod]:
    return OnePod


@pytest.fixture
def stretch() -> Callable[..., OneStretch]:
    return OneStretch


@pytest.fixture
def naming() -> Naming:
    return Naming(
        rollout="shop",
        stable_hash="old",
        release_hash="new",
        canary_service="shop-canary",
        stable_service="shop-stable",
    )


@pytest.fixture
def loaded(naming: Naming) -> Callable[..., Loaded]:
    """Makes the load model of a release in a scenario, for an error ratio and a quantile."""

    def make(
        *, rps: float = 20.0, queries: Sequence[str] = (ERRORS, LATENCY), release: Any = None, **scenario: Any
    ) -> Loaded:
        traffic = scenario.pop("traffic", None) or Traffic(rps=rps)
        whole = Scenario(traffic=traffic, release=Release(**(release or {})), **scenario)
        return Loaded(LoadModel(whole, plan_queries(queries, whole, naming)))

    return make

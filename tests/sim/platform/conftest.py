"""A platform with nothing of chance, and the actions that a decision would ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controller.core.actions import CreateReplicaSet, ScaleReplicaSet, SelectService, SetWeight
from loadgen.traffic import Traffic
from sim.platform import Births, Fates, Ground, Platform
from sim.scenarios import PodStarts, Router, Scenario


@pytest.fixture
def platform_of() -> Callable[..., Platform]:
    """Return a platform of four stable pods; pods are ready after 5 s, weights hold after 1 s."""

    def make(*, routed: bool = True, seed: int = 1, min_ready_s: float = 0.0, **changes: Any) -> Platform:
        values: dict[str, Any] = {
            "traffic": Traffic(rps=100.0),
            "pods": PodStarts(start_s=5.0, sigma=0.0),
            "router": Router(delay_s=1.0, sigma=0.0),
        }
        scenario = Scenario(**(values | changes))
        ground = Ground(
            scenario=scenario,
            births=Births(scenario, Fates(seed, 0)),
            release_hash="new",
            stable_hash="old",
            routed=routed,
            min_ready_s=min_ready_s,
        )
        return Platform(ground, stable_pods=4)

    return make


@pytest.fixture
def released(platform_of) -> Callable[..., Platform]:
    """Return such a platform on which, at 100 s, the release was given pods and 10 % of the traffic."""

    def make(pods: int = 1, weight: int = 10, **changes: Any) -> Platform:
        platform = platform_of(**changes)
        platform.advance(100.0)
        platform.carry_out(CreateReplicaSet(pod_hash="new", name="new", revision=2, desired_replicas=4))
        platform.carry_out(ScaleReplicaSet(pod_hash="new", replicas=pods, desired_replicas=4))
        if changes.get("routed", True):
            platform.carry_out(SelectService(role="canary", service="canary", pod_hash="new"))
            platform.carry_out(SetWeight(canary=weight, total=100, canary_hash="new", stable_hash="old"))
        return platform

    return make

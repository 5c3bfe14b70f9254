"""Policies and scenarios for the SimPy world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.scenarios import ControllerModel, PodStarts, Router, Scenario

GUIDE = Path(__file__).parents[3] / "examples" / "orders-api"


@pytest.fixture(scope="session")
def guide() -> Policy:
    return load([GUIDE / "rollout.yaml", GUIDE / "analysis-template.yaml"]).policy()


@pytest.fixture(scope="session")
def even() -> Callable[..., Scenario]:
    """Return a scenario whose platform leaves nothing to chance: 5 s to start, 1 s for a weight, 0.1 s for a look."""

    def make(**changes: Any) -> Scenario:
        values: dict[str, Any] = {
            "traffic": Traffic(rps=50.0),
            "pods": PodStarts(start_s=5.0, sigma=0.0),
            "router": Router(delay_s=1.0, sigma=0.0),
            "controller": ControllerModel(delay_s=0.1, sigma=0.0),
        }
        return Scenario(**(values | changes))

    return make

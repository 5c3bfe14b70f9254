"""What several of the simulator's rooms try: the guide's policy, and a platform that leaves nothing to chance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.scenarios import ControllerModel, PodStarts, Router, Scenario


@pytest.fixture(scope="session")
def guide(root: Path) -> Policy:
    folder = root / "examples" / "orders-api"
    return load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()


@pytest.fixture(scope="session")
def even() -> Callable[..., Scenario]:
    """Return a scenario without chance: pods are ready after 5 s, weights hold after 1 s, looks come after 0.1 s."""

    def make(**changes: Any) -> Scenario:
        values: dict[str, Any] = {
            "traffic": Traffic(rps=100.0),
            "pods": PodStarts(start_s=5.0, sigma=0.0),
            "router": Router(delay_s=1.0, sigma=0.0),
            "controller": ControllerModel(delay_s=0.1, sigma=0.0),
        }
        return Scenario(**(values | changes))

    return make

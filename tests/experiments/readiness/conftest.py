"""A repository in which every item is a yes, and a way to ask about it at a fixed time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from team_repository import TeamRepository, team_repository

from experiments.readiness.case import Case, Simulation, gather
from loadgen.traffic import Traffic
from sim.releases import Release
from sim.scenarios import Scenario

SCENARIOS: tuple[tuple[str, Literal["good", "bad"], Release], ...] = (
    ("good", "good", Release()),
    ("errors-5pct", "bad", Release(errors=0.05)),
)
NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def repository(tmp_path: Path) -> TeamRepository:
    return team_repository(tmp_path / "team", now=NOW)


@pytest.fixture
def case_of() -> Callable[..., Case]:
    """Return the case of a repository, with some of how it is gathered changed."""
    scenarios = tuple(
        Scenario(name=name, kind=kind, release=release, traffic=Traffic(rps=100)) for name, kind, release in SCENARIOS
    )

    def make(repository: TeamRepository, **changes: Any) -> Case:
        values: dict[str, Any] = {
            "rollout": "",
            "records": None,
            "world": "",
            "root": None,
            "dashboards": (),
            "prometheus": "",
            "simulation": Simulation(scenarios=scenarios, runs=120, seed=1, workers=1),
            "now": NOW,
        }
        return gather(repository.files, **(values | changes))

    return make

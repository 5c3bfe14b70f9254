"""Rehearsals of the example, each run once and looked at by several tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.gameday_files import load_game_day
from experiments.report.writing import Rehearsed
from experiments.runner import Options, rehearse

SPEED = float(os.environ.get("GAMEBIRD_E2E_SPEED", "30"))
Rehearse = Callable[[str, str], Rehearsed]


@pytest.fixture(scope="session")
def speed() -> float:
    """The speed at which everything here is rehearsed; 30 unless GAMEBIRD_E2E_SPEED says otherwise."""
    return SPEED


@pytest.fixture(scope="session")
def game_days(root: Path) -> Path:
    """The example's game days."""
    return root / "examples" / "orders-api" / "gamedays"


@pytest.fixture(scope="session")
def rehearsed(game_days: Path) -> Iterator[Rehearse]:
    """Return what a drill showed under a policy; each pair is rehearsed once in a session."""
    known: dict[tuple[str, str], Rehearsed] = {}

    def once(drill: str, policy: str) -> Rehearsed:
        if (drill, policy) not in known:
            game_day = load_game_day(game_days / f"{drill}.yaml")
            # Two requests a second are little work at any speed, so those drills may run twice as fast.
            speed = SPEED * 2 if game_day.setup.traffic.rps <= 2 else SPEED
            known[drill, policy] = rehearse(game_day, policy, Options(speed=speed))
        return known[drill, policy]

    yield once
    known.clear()

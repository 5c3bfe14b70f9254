"""The simulator expects of every drill of the example what the drill itself expects.

The rehearsals in tests/e2e hold reality to the same expectations, so prediction and observation agree wherever both
tests pass.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.gameday_files import GameDay, load_game_day
from experiments.prediction.playing import needs_every_request, predict
from experiments.prediction.scenarios import scenario_of

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "orders-api" / "gamedays"
DRILLS = [(file.stem, policy) for file in sorted(EXAMPLE.glob("*.yaml")) for policy in load_game_day(file).policies]
SPEED = 20.0
RUNS = 300
RUNS_ONE_BY_ONE = 12


@pytest.fixture(scope="module")
def drill() -> Callable[[str], GameDay]:
    return lambda name: load_game_day(EXAMPLE / f"{name}.yaml")


@pytest.mark.parametrize(("name", "policy"), DRILLS)
def test_the_simulator_expects_the_verdict_that_the_drill_expects(
    drill: Callable[[str], GameDay], name: str, policy: str
) -> None:
    game_day = drill(name)
    one_by_one = needs_every_request(scenario_of(game_day, speed=SPEED))
    said = predict(game_day, policy, speed=SPEED, seed=1, runs=RUNS_ONE_BY_ONE if one_by_one else RUNS)
    print(f"{name}, {policy}: {dict(said.verdicts)}, as expected {said.as_expected:.1%}")
    assert said.verdict.value == game_day.setup.expect[policy].verdict
    # Of those whose requests are played one by one, a few runs may end otherwise: their margin is narrow on purpose.
    assert said.as_expected >= (0.5 if one_by_one else 0.99)

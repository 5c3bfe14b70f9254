"""The simulator expects of every drill of the examples what the drill itself expects, in all but one run of a thousand.

The rehearsals in tests/e2e hold reality to the same expectations, so prediction and observation agree wherever both
tests pass. A drill that comes out otherwise now and then teaches nothing but to run it again.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scipy.stats import binom, nbinom

from experiments.gameday_files import GameDay, load_game_day
from experiments.prediction.playing import needs_every_request, predict
from experiments.prediction.predicting import Prediction
from experiments.prediction.scenarios import scenario_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
EDGE = "short-policy"
"""Its game day lies where a look may go either way, on purpose: docs/truth.md holds it to its shares instead."""

DRILLS = [
    (str(file.relative_to(EXAMPLES)), policy)
    for file in sorted(EXAMPLES.glob("**/gamedays/*.yaml"))
    if EDGE not in file.parts
    for policy in load_game_day(file).policies
]
SPEED = 20.0
RUNS = 500
RUNS_ONE_BY_ONE = 12
# Without a miss in 3,000 runs the share is above 99.9 % with 95 % confidence: 0.999 ** 3000 = 0.0497.
RUNS_OF_A_LONG_SEARCH = 3_000
RUNS_OF_A_LONG_SEARCH_ONE_BY_ONE = 200

every_drill = pytest.mark.parametrize(("name", "policy"), DRILLS)


def said_of(name: str, policy: str, runs: int, runs_one_by_one: int) -> tuple[GameDay, Prediction]:
    game_day = load_game_day(EXAMPLES / name)
    one_by_one = needs_every_request(scenario_of(game_day, speed=SPEED))
    said = predict(game_day, policy, speed=SPEED, seed=1, runs=runs_one_by_one if one_by_one else runs)
    print(f"{name}, {policy}: {dict(said.verdicts)}, as expected {said.as_expected:.2%} of {said.runs}")
    return game_day, said


@every_drill
def test_a_drill_comes_out_as_expected_in_every_simulated_run(name: str, policy: str) -> None:
    game_day, said = said_of(name, policy, RUNS, RUNS_ONE_BY_ONE)
    assert said.verdict.value == game_day.setup.expect[policy].verdict
    assert said.as_expected == 1.0


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="thousands of runs of each drill, run by make fuzz")
@every_drill
def test_a_drill_comes_out_as_expected_in_all_of_so_many_runs_that_999_in_1000_are_sure(name: str, policy: str) -> None:
    _, said = said_of(name, policy, RUNS_OF_A_LONG_SEARCH, RUNS_OF_A_LONG_SEARCH_ONE_BY_ONE)
    assert said.as_expected == 1.0


def test_the_one_unlucky_error_falls_between_the_first_scrape_and_the_first_look() -> None:
    """The first of three pods that take turns gets its 10th request with the canary's 28th to 30th.

    Two requests a second come evenly and each goes to the canary with probability 1/2. The first scrape is at most
    15 s after a pod listens, the last one before the look at 60 s is after 45 s: so the 28th must not be among the
    first 30 requests, and the 30th must be among the first 90.
    """
    too_soon = nbinom.cdf(30 - 28, 28, 0.5)
    too_late = nbinom.sf(90 - 30, 30, 0.5)
    assert too_soon + too_late < 0.001


def test_one_in_thirty_of_one_pod_stays_below_one_in_a_hundred_of_all() -> None:
    """Six errors of the 600 requests of a window are 1 %: the first pod would need 151 requests, and gets 90.

    It has half of the canary's 30 %, or a quarter of its 60 %: 0.15 of all either way. Turns make that less random.
    """
    assert binom.sf(150, 600, 0.15) < 1e-9

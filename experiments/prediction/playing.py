"""Let the simulator play a game day, for one of its policies.

The flock draws independent requests. Where a drill fails requests by their number, or sends them as a metronome does,
what happens hangs on the very order of requests: there the reference engine plays each of them, in fewer runs.
"""

from __future__ import annotations

from collections.abc import Callable

from experiments.gameday_files import GameDay
from experiments.prediction.predicting import Prediction, predict_from
from experiments.prediction.scenarios import scenario_of
from sim.engines import Flock, Simpy
from sim.scenarios import Scenario
from sim.simulating import Engine

RUNS = 2_000
RUNS_ONE_BY_ONE = 200

Progress = Callable[[int], None]


def predict(
    game_day: GameDay,
    policy: str,
    *,
    speed: float,
    seed: int,
    runs: int | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Return what the simulator says of this game day under one of its policies.

    Args:
        speed: of the local world that is predicted; 1 for a cluster.
        runs: None for 2,000, or 200 where each request has to be played.
        progress: told of runs as they are done.

    Raises:
        ManifestError: the game day has an action that the simulator does not play.
        sim.metrics_model.PlanError, sim.driving.DrivingError: the policy asks for what the model does not have.
    """
    scenario = scenario_of(game_day, speed=speed)
    one_by_one = needs_every_request(scenario)
    engine: Engine = Simpy() if one_by_one else Flock()
    [played] = engine.play(
        game_day.policies[policy],
        [scenario],
        runs=runs or (RUNS_ONE_BY_ONE if one_by_one else RUNS),
        seed=seed,
        measurements=False,
        progress=lambda _name, more: None if progress is None else progress(more),
    )
    if played.table is None:  # interrupted before any run was done
        raise KeyboardInterrupt
    return predict_from(played.table, game_day.setup.expect[policy], seed=seed)


def needs_every_request(scenario: Scenario) -> bool:
    """Whether the order of single requests decides, so that the flock would predict another drill."""
    by_number = any(side.errors_at or side.every_nth for side in (scenario.release, scenario.stable))
    return by_number or scenario.traffic.arrivals == "even"

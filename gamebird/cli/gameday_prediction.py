"""`gamebird gameday --world sim`: what the simulator says of a game day, and the short form beside a rehearsal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from experiments.gameday_files import GameDay
    from experiments.prediction.predicting import Prediction
    from experiments.runner import Options
    from gamebird.cli.gameday_choice import Choice

AS_EXPECTED_MIN = 0.999
"""A game day whose expectations hold in fewer simulated runs is not one that must pass."""

QUICK_RUNS = 500
QUICK_RUNS_ONE_BY_ONE = 40


def simulate_game_day(choice: Choice, *, speed: float, seed: int, runs: int | None, as_json: bool) -> int:
    """Simulate a game day, print what came out, and return the exit code: 0 where the expectations hold."""
    from controller.manifests.problems import ManifestError
    from experiments.prediction.playing import predict
    from gamebird.cli.gameday_choice import UsageError
    from sim.driving import DrivingError
    from sim.metrics_model import PlanError

    with exits(wrong_input=(ManifestError, UsageError, PlanError, DrivingError)):
        game_day = choice.game_day()
        found: dict[str, Prediction] = {}
        for name in choice.names(game_day):
            with _progress(f"{game_day.name}, {name}", quiet=as_json) as told:
                found[name] = predict(game_day, name, speed=speed, seed=seed, runs=runs, progress=told)
    if as_json:
        print(json.dumps(_document(game_day, found, speed), indent=2))
    else:
        _print(game_day, found)
    return Exit.GOOD if all(one.as_expected >= AS_EXPECTED_MIN for one in found.values()) else Exit.NO


def predict_quickly(game_day: GameDay, policy: str, options: Options, runs: int | None) -> Prediction | None:
    """Return the prediction that goes beside a rehearsal; None, with a word why, where there can be none."""
    from controller.manifests.problems import ManifestError
    from experiments.prediction.playing import needs_every_request, predict
    from experiments.prediction.scenarios import scenario_of
    from sim.driving import DrivingError
    from sim.metrics_model import PlanError

    try:
        scenario = scenario_of(game_day, speed=options.speed)
        quick = QUICK_RUNS_ONE_BY_ONE if needs_every_request(scenario) else QUICK_RUNS
        return predict(game_day, policy, speed=options.speed, seed=options.seed, runs=runs or quick)
    except (ManifestError, PlanError, DrivingError) as error:
        print(f"policy {policy}: no prediction, because the simulator cannot play it: {error}", file=sys.stderr)
        return None


@contextmanager
def _progress(title: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many runs are done, where somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done: bar.advance(task, done)


def _print(game_day: GameDay, found: dict[str, Prediction]) -> None:
    from rich.console import Console
    from rich.table import Table

    from experiments.prediction.beside import between, interval_note, sentence, verdicts
    from experiments.report import words

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), title=game_day.title, title_justify="left")
    table.add_column("", style="dim")
    for name in found:
        table.add_column(f"policy {name}")
    rows: list[tuple[str, Callable[[str, Prediction], str]]] = [
        ("expected", lambda name, _: game_day.setup.expect[name].verdict),
        ("verdict", lambda _, one: verdicts(one)),
        ("detected after", lambda _, one: between(one.detection_s, words.seconds)),
        ("largest weight", lambda _, one: between(one.weight_max, lambda value: f"{value or 0:g} %")),
        ("bad requests of the release", lambda _, one: between(one.bad_requests, words.count)),
        ("back on stable after", lambda _, one: between(one.recovery_s, words.seconds)),
    ]
    for title, said in rows:
        table.add_row(title, *(said(name, one) for name, one in found.items()))
    console.print(table)
    console.print()
    for name, one in found.items():
        console.print(f"{name}: {sentence(one)}", markup=False)
    console.print(f"{interval_note()} Times are policy time.", style="dim")


def _document(game_day: GameDay, found: dict[str, Prediction], speed: float) -> dict[str, Any]:
    from experiments.report.writing import plain

    return {
        "schema": "gamebird.dev/gameday-prediction/v1",
        "game_day": game_day.name,
        "speed": speed,
        "policies": {
            name: {"expected": game_day.setup.expect[name].verdict, **plain(one)} for name, one in found.items()
        },
    }

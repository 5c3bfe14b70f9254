"""A game day read as a scenario of the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.manifests.problems import ManifestError
from experiments.gameday_files import load_game_day
from experiments.prediction.scenarios import scenario_of
from sim.scenarios import Trigger


def test_every_game_day_of_the_example_is_a_scenario(root: Path) -> None:
    files = sorted((root / "examples" / "orders-api" / "gamedays").glob("*.yaml"))
    scenarios = [scenario_of(load_game_day(file), speed=20.0) for file in files]
    assert [scenario.name for scenario in scenarios] == [file.stem for file in files]
    assert all(scenario.deploy_s == 90.0 for scenario in scenarios)
    assert {scenario.name for scenario in scenarios if scenario.kind == "good"} >= {"good"}


def test_a_fault_that_waits_for_a_weight_waits_for_it_in_the_scenario_too(root: Path) -> None:
    game_day = load_game_day(root / "examples" / "orders-api" / "gamedays" / "prometheus-gone.yaml")
    (outage,) = scenario_of(game_day, speed=20.0).prometheus.outages
    assert (outage.when, outage.for_s) == (Trigger(weight_at_least=30.0), 1200.0)


def test_what_takes_wall_time_is_longer_in_policy_time_the_faster_the_rehearsal_is(root: Path) -> None:
    game_day = load_game_day(root / "examples" / "orders-api" / "gamedays" / "good.yaml")
    slow, fast = scenario_of(game_day, speed=1.0), scenario_of(game_day, speed=20.0)
    assert fast.pods.start_s == pytest.approx(20 * slow.pods.start_s)
    assert fast.router.delay_s == pytest.approx(20 * slow.router.delay_s)
    assert fast.scrapes.interval_s == slow.scrapes.interval_s


def changed(root: Path, tmp_path: Path, old: str, new: str) -> Path:
    """Return an example's game day with one piece of text changed, beside manifests that it still finds."""
    example = root / "examples" / "orders-api"
    text = (example / "gamedays" / "errors-5pct.yaml").read_text()
    assert old in text
    file = tmp_path / "changed.yaml"
    file.write_text(text.replace(old, new).replace("../", f"{example}/"))
    return file


def test_an_action_of_another_extension_is_refused_by_name_with_its_place(root: Path, tmp_path: Path) -> None:
    other = """method:
  - type: action
    name: delete a pod
    provider: {type: python, module: chaosk8s.pod.actions, func: terminate_pods}
"""
    file = changed(root, tmp_path, "method:\n", other)
    with pytest.raises(
        ManifestError, match=r"changed\.yaml:\d+:\d+: method\[0\].*chaosk8s\.pod\.actions\.terminate_pods"
    ):
        scenario_of(load_game_day(file), speed=20.0)


def test_a_program_of_ones_own_is_refused_because_nobody_knows_its_numbers(root: Path, tmp_path: Path) -> None:
    file = changed(root, tmp_path, "    traffic: {rps: 20}", "    traffic: {rps: 20}\n    command: [./orders-api]")
    with pytest.raises(ManifestError, match=r"extensions\[0\]\.command is a program of your own"):
        scenario_of(load_game_day(file), speed=20.0)

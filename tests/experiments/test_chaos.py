"""The Chaos Toolkit extension, as a user of Chaos Toolkit meets it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from chaoslib.exceptions import InterruptExecution
from chaoslib.loader import load_experiment

from experiments import chaos
from experiments.chaos import actions, control, probes, stage
from experiments.chaos.stage import NoRehearsalError
from experiments.method import ACTIONS


def test_every_action_takes_the_arguments_of_its_model_with_the_same_defaults() -> None:
    assert set(actions.__all__) == set(ACTIONS)
    for name, model in ACTIONS.items():
        parameters = inspect.signature(getattr(actions, name)).parameters
        assert set(parameters) == set(model.model_fields), name
        for field_name, field in model.model_fields.items():
            if field.is_required():
                assert parameters[field_name].default is inspect.Parameter.empty, (name, field_name)
            else:
                assert parameters[field_name].default == field.default, (name, field_name)


def test_discovery_finds_every_action_and_probe() -> None:
    found = chaos.discover()["activities"]
    assert {one["name"] for one in found if one["type"] == "action"} == set(actions.__all__)
    assert {one["name"] for one in found if one["type"] == "probe"} == set(probes.__all__)
    assert all(one["doc"] for one in found)


def test_chaos_discover_finds_the_extension_by_the_name_that_pip_knows(tmp_path: Path) -> None:
    found = tmp_path / "discovery.json"
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--no-log-file", "discover", "gamebird"]
    command += ["--no-install", "--no-system-info", "--discovery-path", str(found)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    names = {activity["name"] for activity in json.loads(found.read_text())["activities"]}
    assert names == {*actions.__all__, *probes.__all__}


def test_an_action_outside_a_game_day_says_what_is_missing() -> None:
    with pytest.raises(NoRehearsalError, match=r"needs a control with module experiments\.chaos\.control"):
        actions.restore_everything()


def test_chaos_validate_passes_on_every_file_of_the_example(root: Path, tmp_path: Path) -> None:
    files = sorted((root / "examples" / "orders-api" / "gamedays").glob("*.yaml"))
    assert len(files) == 11
    code = (
        "import sys, yaml\n"
        "from chaoslib.experiment import ensure_experiment_is_valid\n"
        "for file in sys.argv[1:]: ensure_experiment_is_valid(yaml.safe_load(open(file)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_command_chaos_validate_accepts_a_game_day(root: Path, tmp_path: Path) -> None:
    chaos_command = Path(sys.executable).parent / "chaos"
    file = root / "examples" / "orders-api" / "gamedays" / "errors-5pct.yaml"
    done = subprocess.run(
        [str(chaos_command), "--no-version-check", "validate", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("GAMEBIRD_SPEED", "fast", "GAMEBIRD_SPEED is 'fast'; it needs a number"),
        ("GAMEBIRD_SEED", "1.5", "GAMEBIRD_SEED is '1.5'; it needs a whole number"),
        ("GAMEBIRD_SPEED", "60", "1200 real requests/s; it needs 1000 at most"),
        ("GAMEBIRD_POLICY", "other", "GAMEBIRD_POLICY is 'other'; the file has as-written, corrected"),
    ],
)
def test_chaos_run_says_which_variable_is_wrong_and_starts_no_world(
    root: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str
) -> None:
    file = root / "examples" / "orders-api" / "gamedays" / "good.yaml"
    monkeypatch.setenv(variable, text)
    monkeypatch.setattr(sys, "argv", ["chaos", "run", str(file)])
    with pytest.raises(InterruptExecution, match=re.escape(said)):
        control.before_experiment_control(load_experiment(str(file)))
    assert not stage.is_on()

"""The pipelines that teams copy: YAML that loads, and commands whose options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from gamebird.cli.ready import ready
from gamebird.cli.rollout import app as rollout

CI = Path(__file__).resolve().parents[2] / "deploy" / "ci"
FILES = sorted(CI.glob("*.yaml"))


def texts(value: object) -> list[str]:
    """Return every text in a YAML document."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def options_of(command: str) -> set[str]:
    """Return the options that `gamebird ready` or `gamebird rollout wait` takes."""
    app = rollout
    if command == "ready":
        app = typer.Typer()
        app.command()(ready)
    found = typer.main.get_command(app)
    if command != "ready":
        found = found.commands["wait"]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in parameter.opts}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_pipeline_asks_the_checklist_and_waits_by_commands_that_exist(file: Path) -> None:
    script = "\n".join(texts(yaml.safe_load(file.read_text(encoding="utf-8"))))
    asked = re.findall(r"(?<!<!-- )gamebird (ready|rollout wait) ([^>|\n]*)", script)
    assert [command for command, _ in asked] == ["ready", "rollout wait"]
    for command, rest in asked:
        words = [word for word in shlex.split(rest) if word.startswith("--")]
        assert words
        assert set(words) <= options_of(command)


def test_there_is_one_for_each_of_the_two_services() -> None:
    assert [file.name for file in FILES] == ["github-action.yaml", "gitlab-ci.yaml"]

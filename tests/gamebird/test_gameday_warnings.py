"""What the manifests of a game day count on and do not hold is said before a world is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.gameday_files import load_game_day
from gamebird.cli.gameday import _warn


def test_a_service_that_no_file_holds_is_warned_of_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = root / "examples" / "orders-api"
    text = (example / "gamedays" / "good.yaml").read_text(encoding="utf-8")
    without = text.replace("        - ../routing.yaml\n", "").replace("../", f"{example}/")
    (tmp_path / "good.yaml").write_text(without, encoding="utf-8")
    game_day = load_game_day(tmp_path / "good.yaml")
    _warn(game_day, list(game_day.policies))
    said = capsys.readouterr().err.splitlines()
    assert any("orders-api-canary" in line for line in said)
    assert all(line.startswith("warning: ") for line in said)
    assert len(said) == len(set(said))


def test_the_example_is_whole_and_gives_no_warning(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game_day = load_game_day(root / "examples" / "orders-api" / "gamedays" / "good.yaml")
    _warn(game_day, list(game_day.policies))
    assert capsys.readouterr().err == ""

"""`gamebird gameday` before any world is started: what it refuses, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from gamebird.cli.main import main

DRILL = "examples/orders-api/gamedays/errors-5pct.yaml"


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["gameday", *words])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def drill(root: Path) -> str:
    return str(root / DRILL)


@pytest.mark.parametrize("words", [(), ("run",)])
def test_a_game_day_that_is_wrong_ends_with_2_and_one_line_for_each_problem(
    tmp_path: Path, drill: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    file = tmp_path / "drill.yaml"
    text = Path(drill).read_text(encoding="utf-8").replace("../", f"{Path(drill).parent.parent}/")
    file.write_text(text.replace("rps: 20", "rps: -2").replace("at_s: 90", "at_s: soon"), encoding="utf-8")
    assert exit_code(*words, str(file)) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.startswith(f"{file}:") for line in said)
    assert "at_s is 'soon'; it needs a valid number" in said[0]
    assert "traffic.rps is -2" in said[1]


def test_a_file_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("nowhere.yaml") == 2
    assert "nowhere.yaml" in capsys.readouterr().err


def test_a_policy_that_the_file_does_not_have_is_named_with_those_it_has(
    drill: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(drill, "--policy", "other") == 2
    assert "has as-written, corrected, and both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("speed", "said"),
    [
        ("0", "the speed is 0; it needs a number above 0"),
        ("-1", "the speed is -1"),
        ("nan", "the speed is nan"),
        ("60", "1200 real requests/s; it needs 1000 at most, so a speed of 50 or less"),
    ],
)
def test_an_impossible_speed_ends_with_2(
    drill: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, speed: str, said: str
) -> None:
    assert exit_code(drill, f"--speed={speed}", "--report", str(tmp_path / "out")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_report_folder_that_holds_something_is_refused_before_an_hour_is_spent(
    drill: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert exit_code(drill, "--report", str(tmp_path)) == 2
    assert "it is not empty" in capsys.readouterr().err


def test_a_prometheus_that_is_not_there_ends_with_2(drill: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(drill, "--prometheus", "/nowhere/prometheus") == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "reports"])
def test_a_report_folder_that_cannot_be_made_is_refused_before_an_hour_is_spent(
    drill: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, below: str
) -> None:
    file = tmp_path / "taken"
    file.write_text("mine", encoding="utf-8")
    assert exit_code(drill, "--report", str(file / below)) == 2
    assert "it is a file" in (said := capsys.readouterr().err) or "nothing can be written in" in said
    assert file.read_text(encoding="utf-8") == "mine"

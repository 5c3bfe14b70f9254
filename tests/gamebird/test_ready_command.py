"""`gamebird ready` as it is typed: exit codes, the three outputs, and input that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from team_repository import ANNOTATIONS, EXAMPLE, TeamRepository, team_repository

from gamebird.cli.main import main

SEED = Path(__file__).resolve().parents[3] / "shared" / "seed"
WITHOUT_BUDGET = {name: text for name, text in ANNOTATIONS.items() if name != "budget"}  # so that nothing is simulated

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command and return its exit code, what it printed, and what it complained of."""

    def ready(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["ready", *map(str, words)])
        told = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, told.out, told.err

    return ready


@pytest.fixture
def repository(tmp_path: Path) -> TeamRepository:
    return team_repository(tmp_path / "team", now=datetime.now(UTC), annotations=WITHOUT_BUDGET)


def test_a_complete_repository_is_ready_and_the_exit_code_says_so(tmp_path: Path, run: Run) -> None:
    made = team_repository(tmp_path / "team", now=datetime.now(UTC))
    quick = ("--release", "good", "--release", "errors=5%", "--runs", "120", "--workers", "1")
    code, out, _ = run(*made.files, *quick, "--output", "json")
    document = json.loads(out)
    assert (code, document["ready"]) == (0, True)
    assert "120 runs in 120 cohorts, seed 1" in json.dumps(document["items"][-1])


@pytest.mark.parametrize("folder", [EXAMPLE, SEED], ids=["example", "seed"])
def test_the_guides_files_are_refused_in_words_with_what_to_do(folder: Path, run: Run) -> None:
    if not folder.is_dir():
        pytest.skip("the guide's files lie outside this repository")
    code, out, _ = run(folder / "rollout.yaml", folder / "analysis-template.yaml", "--root", folder)
    assert code == 1
    assert "mixes canary and stable" in out
    assert "the Rollout names no owner" in out
    assert "next: write what may be lost: gamebird.dev/budget" in out
    assert "Auto-promotion of orders-api may not be switched on: 6 of 7 items are not yes" in out


def test_one_item_that_is_no_ends_the_yes(repository: TeamRepository, run: Run) -> None:
    code, out, _ = run(*repository.files, "--output", "json")
    answers = {item["name"]: item["answer"] for item in json.loads(out)["items"]}
    assert (code, answers.pop("budget"), set(answers.values())) == (1, "no", {"yes"})


def test_only_drills_of_the_named_world_count(repository: TeamRepository, run: Run) -> None:
    _, out, _ = run(*repository.files, "--world", "cluster", "--output", "json")
    answers = {item["name"]: item["answer"] for item in json.loads(out)["items"]}
    assert answers["abort-path"] == "no"
    assert "drilled elsewhere than in the world cluster" in out


def test_a_pull_request_gets_a_comment_that_can_be_found_again(repository: TeamRepository, run: Run) -> None:
    code, out, _ = run(*repository.files, "--output", "markdown")
    assert code == 1
    assert out.startswith("<!-- gamebird ready -->\n### ❌ ")
    assert "| ❌ no | Simulated losses are within the team's budget |" in out


@pytest.mark.parametrize(
    ("name", "text", "need"),
    [
        ("budget", "miss=1%", "all of miss=SHARE"),
        ("budget", "miss=101%, false-abort=1%, bad-requests=5", "all of miss=SHARE"),
        ("budget", "miss=1%, miss=2%, false-abort=1%, bad-requests=5", "all of miss=SHARE"),
        ("kill-switches", "a,,b", "names of flags"),
        ("owner", "", "who owns the rollout"),
    ],
)
def test_a_promise_that_cannot_be_read_is_named_with_file_line_and_field(
    tmp_path: Path, run: Run, name: str, text: str, need: str
) -> None:
    made = team_repository(tmp_path / "team", now=datetime.now(UTC), annotations=ANNOTATIONS | {name: text})
    code, _, err = run(*made.files)
    line = 8 + list(ANNOTATIONS).index(name)  # annotations: is on line 7 of the file
    assert code == 2
    assert f"rollout.yaml:{line}:" in err
    assert f"gamebird.dev/{name}" in err
    assert need in err


def test_a_promise_on_a_template_is_an_error_because_nobody_would_read_it(repository: TeamRepository, run: Run) -> None:
    repository.replace(
        "deploy/analysis-template.yaml",
        "  namespace: production\n",
        '  namespace: production\n  annotations: {gamebird.dev/owner: "x"}\n',
    )
    code, _, err = run(*repository.files)
    assert code == 2
    assert "it needs to stand on the Rollout" in err


def test_what_is_not_there_is_bad_input(repository: TeamRepository, run: Run, tmp_path: Path) -> None:
    assert run(*repository.files, "--records", tmp_path / "nowhere")[0] == 2
    assert run(*repository.files, "--root", tmp_path / "nowhere")[0] == 2
    assert run(*repository.files, "--dashboard", tmp_path / "nowhere.json")[0] == 2
    assert run(tmp_path / "nowhere.yaml")[0] == 2
    assert run(*repository.files, "--prometheus", "not a url")[0] == 2


def test_a_prometheus_that_does_not_answer_leaves_the_question_open(repository: TeamRepository, run: Run) -> None:
    _, out, _ = run(*repository.files, "--prometheus", "http://127.0.0.1:9", "--output", "json")  # discard: nobody
    answers = {item["name"]: item["answer"] for item in json.loads(out)["items"]}
    assert answers["separation"] == "unknown"

"""`gamebird simulate` as a user types it: small simulations with the real engine, and what wrong input is answered."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gamebird.cli.main import main

Ran = Callable[..., tuple[int, str, str]]
SMALL = ("--runs", "12", "--workers", "1", "--rps", "20", "--release", "errors=50%", "--release", "good")


@pytest.fixture
def files(root: Path) -> list[str]:
    folder = root / "examples" / "orders-api"
    return [str(folder / name) for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml")]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], files: list[str]) -> Ran:
    def ran(*options: str, on: list[str] | None = None) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["simulate", *(files if on is None else on), *options])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ran


def test_the_table_begins_with_a_sentence_and_has_a_row_a_release(run: Ran) -> None:
    code, out, err = run(*SMALL)
    assert code == 0
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("A canary that fails 50 % of requests is caught in 100 %")
    assert any(line.startswith("errors-50pct") and "error-rate, 2" in line for line in lines)
    assert any(line.startswith("good") for line in lines)


def test_what_is_assumed_of_a_label_is_said_once_in_every_output(run: Ran, files: list[str], tmp_path: Path) -> None:
    template, page = tmp_path / "template.yaml", tmp_path / "page.html"
    written = Path(files[1]).read_text()
    template.write_text(written.replace("http_requests_total{", 'http_requests_total{track="beta",'))
    on = [files[0], str(template), files[2]]
    said = "http_requests_total: track='beta' is taken to be the release under test"
    table = run(*SMALL, "--html", str(page), on=on)[1]
    assert table.count(said) == 1
    assert table.index(said) > table.index("errors-50pct")
    assert page.read_text().count(said.replace("'", "&#39;")) == 1
    assert json.loads(run(*SMALL, "--output", "json", on=on)[1])["assumed"] == [said]
    assert json.loads(run(*SMALL, "--output", "json")[1])["assumed"] == []


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(run: Ran) -> None:
    options = [*SMALL, "--output", "json", "--seed", "5"]
    alone = run(*options)[1]
    options[options.index("--workers") + 1] = "2"
    assert run(*options)[1] == alone
    assert json.loads(alone)["seed"] == 5


def test_another_seed_is_another_chance(run: Ran) -> None:
    one, other = (json.loads(run(*SMALL, "--output", "json", "--seed", seed)[1]) for seed in ("1", "2"))
    assert one["releases"][0]["bad_requests"] != other["releases"][0]["bad_requests"]


def test_json_has_every_release_and_its_runs(run: Ran) -> None:
    document = json.loads(run(*SMALL, "--output", "json")[1])
    assert [one["name"] for one in document["releases"]] == ["errors-50pct", "good"]
    assert [one["runs"] for one in document["releases"]] == [12, 12]
    assert document["complete"] is True


def test_csv_is_one_row_a_release(run: Ran) -> None:
    frame = pd.read_csv(io.StringIO(run(*SMALL, "--output", "csv")[1]))
    assert frame["name"].tolist() == ["errors-50pct", "good"]
    assert frame["caught"].tolist() == [1.0, 0.0]


def test_parquet_is_the_same_table(files: list[str], tmp_path: Path) -> None:
    target = tmp_path / "releases.parquet"
    with target.open("wb") as out:
        command = [sys.executable, "-m", "gamebird", "simulate", *files, *SMALL, "--output", "parquet"]
        subprocess.run(command, stdout=out, check=True)
    assert pd.read_parquet(target)["caught"].tolist() == [1.0, 0.0]


def test_the_page_is_written_whole_and_says_how_to_make_it_again(run: Ran, tmp_path: Path) -> None:
    code, _, err = run(*SMALL, "--html", str(tmp_path / "report"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert code == 0
    assert "Report: " in err
    assert page.rstrip().endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_quick_options_make_one_release_and_a_good_one_beside_it(run: Ran) -> None:
    options = ("--runs", "4", "--workers", "1", "--rps", "20", "--canary-errors", "0.5", "--canary-latency", "x2")
    document = json.loads(run(*options, "--output", "json")[1])
    assert [one["release"] for one in document["releases"]] == ["50 % errors, latency x2", "a good release"]


def test_a_floor_is_tried_without_an_edit(run: Ran) -> None:
    # At 0.2 requests/s no window of five minutes holds 300 requests: nothing but proof may end the wait.
    quiet = ("--runs", "4", "--workers", "1", "--rps", "0.2", "--release", "good", "--output", "json")
    without = json.loads(run(*quiet)[1])["releases"][0]["outcomes"]
    floored = json.loads(run(*quiet, "--min-requests", "300")[1])["releases"][0]["outcomes"]
    assert floored["promoted"] == 0.0
    assert floored["paused"] == 1.0
    assert without["paused"] == 0.0


def test_one_run_is_watched_and_written(run: Ran, tmp_path: Path) -> None:
    trace = tmp_path / "out.json"
    options = ("--rps", "5", "--release", "errors=50%", "--run", "7", "--watch", "--trace", str(trace))
    code, out, _ = run(*options)
    assert code == 0
    assert "measured" in out
    assert out.splitlines()[-2].startswith("Run 7 of errors-50pct (seed 1): aborted")
    assert json.loads(trace.read_text(encoding="utf-8"))["run"] == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--release", "errors=150%"), "errors is 1.5; it needs a number less than or equal to 1"),
        (("--release", "suite:nothing"), "the suite has no scenario 'nothing'"),
        (("--release", "nowhere.yaml"), "nowhere.yaml"),
        (("--traffic", "rps=-1"), "--traffic: rps is -1"),
        (("--rps", "5", "--traffic", "7"), "use one of the two"),
        (("--suite", "--rps", "5"), "--suite brings its own"),
        (("--release", "good", "--canary-errors", "0.1"), "use one of the two"),
        (("--release", "good", "--release", "good"), "two releases are named good"),
        (("--watch",), "name it with --run N"),
        (("--run", "3"), "--run shows one release and there are 13"),
        (("--metrics-map", "nowhere.yaml", "--release", "good"), "nowhere.yaml"),
        (("--html", "nowhere/report", "--runs", "1", "--release", "good"), "there is no folder"),
        (("--rollout", "other"), "other"),
    ],
)
def test_wrong_input_is_answered_in_a_line_with_exit_code_2(run: Ran, options: tuple[str, ...], said: str) -> None:
    code, out, err = run(*options)
    assert code == 2
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_a_rollout_without_pods_is_refused(run: Ran, files: list[str], tmp_path: Path) -> None:
    text = Path(files[0]).read_text(encoding="utf-8").replace("replicas: 6", "replicas: 0")
    (tmp_path / "rollout.yaml").write_text(text, encoding="utf-8")
    code, _, err = run(*SMALL, on=[str(tmp_path / "rollout.yaml"), *files[1:]])
    assert code == 2
    assert "spec.replicas 0; it needs 1 or more" in err


def test_an_analysis_that_can_never_end_is_refused(run: Ran, files: list[str], tmp_path: Path) -> None:
    text = Path(files[1]).read_text(encoding="utf-8").replace("      count: 3\n", "")
    (tmp_path / "template.yaml").write_text(text, encoding="utf-8")
    code, _, err = run(*SMALL, on=[files[0], str(tmp_path / "template.yaml"), files[2]])
    assert code == 2
    assert "without end" in err


def test_a_metric_that_the_model_does_not_produce_is_named_with_the_way_out(
    run: Ran, files: list[str], tmp_path: Path
) -> None:
    text = Path(files[1]).read_text(encoding="utf-8").replace("http_requests_total", "checkout_moments")
    mine = tmp_path / "template.yaml"
    mine.write_text(text, encoding="utf-8")
    code, _, err = run(*SMALL, on=[files[0], str(mine), files[2]])
    assert code == 2
    assert "checkout_moments" in err
    assert "--metrics-map" in err


def test_an_interrupted_simulation_prints_what_is_known(files: list[str]) -> None:
    command = [sys.executable, "-m", "gamebird", "simulate", *files, "--runs", "50000", "--workers", "1"]
    playing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(6.0)
        playing.send_signal(signal.SIGINT)
        out, err = playing.communicate(timeout=60)
    finally:
        playing.kill()
    assert playing.returncode == 130
    assert "Traceback" not in err
    # On a busy machine not even the first cohort may have been finished; then that is said.
    assert "Interrupted: " in out or "interrupted before the first runs were finished" in err

"""The commands as users type them: what they leave, and what they do not leave, however they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from leftovers import gone, words

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BIN = Path(sys.executable).parent
SPEED = "30"


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose temporary files go into a folder of the test's own."""
    return {**os.environ, "TMPDIR": str(folder), "GAMEBIRD_SPEED": SPEED, "GAMEBIRD_POLICY": "corrected"}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def running(game_days: Path, tmp_path: Path, scratch: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A game day whose release has been deployed, and every process that it has started."""
    process = subprocess.Popen(
        [str(BIN / "gamebird"), "gameday", str(game_days / "errors-5pct.yaml"), "--speed", SPEED, "--report", "out"],
        cwd=tmp_path,
        env=environment(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "the router sends 10 %" in line:
                break
        else:
            pytest.fail("the canary never got any traffic")
        yield process, [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_ctrl_c_ends_everything_within_seconds_and_leaves_nothing(
    running: tuple[subprocess.Popen[str], list[int]], tmp_path: Path, scratch: Path
) -> None:
    process, children = running
    assert len(children) >= 9  # seven pods, Envoy, the load generator, …
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 10
    assert gone(children, scratch, 3.0) == []
    assert not (tmp_path / "out").exists()


def test_a_generator_that_froze_for_a_while_voids_the_game_day(
    running: tuple[subprocess.Popen[str], list[int]], tmp_path: Path
) -> None:
    process, children = running
    [generator] = [pid for pid in children if "loadgen.openloop" in words(pid)]
    os.kill(generator, signal.SIGSTOP)
    # At speed 30 three seconds are 90 of the some 1,000 s that a rehearsal takes: far more than 1 % of the requests
    # are then sent later than a second of policy time.
    time.sleep(3)
    os.kill(generator, signal.SIGCONT)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 3
    assert "no evidence, because the load was not as planned: " in said
    assert "of policy time late" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert (report["void"], report["holds"]) == (True, False)
    assert report["rehearsals"][0]["void_because"]
    assert not (tmp_path / "gamedays").exists()  # where records are kept


def test_a_command_that_is_killed_outright_leaves_no_process_and_no_file(
    running: tuple[subprocess.Popen[str], list[int]], tmp_path: Path, scratch: Path
) -> None:
    process, children = running
    process.kill()
    process.wait(timeout=10)
    assert gone(children, scratch, 10.0) == []
    assert not (tmp_path / "out").exists()


def test_two_game_days_side_by_side_do_not_meet(game_days: Path, tmp_path: Path, scratch: Path) -> None:
    drill = str(game_days / "guard-total-failure.yaml")
    words = [str(BIN / "gamebird"), "gameday", drill, "--policy", "corrected", "--speed", SPEED, "--output", "json"]
    both = [
        subprocess.Popen(
            [*words, "--seed", str(seed), "--report", f"out-{seed}"],
            cwd=tmp_path,
            env=environment(scratch),
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    said = [json.loads(process.communicate(timeout=200)[0]) for process in both]
    for one in said:
        [card] = one["rehearsals"]
        assert card["verdict"] == "aborted"
        # Nobody met a revision of the other: each request was answered by stable or by the release of its own.
        assert sum(seen["requests"] for seen in card["revisions"]) == card["requests"]
        assert {seen["role"] for seen in card["revisions"]} == {"stable", "under test"}
    assert gone([], scratch, 3.0) == []


@pytest.mark.parametrize("drill", ["guard-total-failure", "no-traffic"])
def test_chaos_run_plays_a_game_day_as_a_user_of_chaos_toolkit_would(
    game_days: Path, tmp_path: Path, scratch: Path, drill: str
) -> None:
    done = subprocess.run(
        [
            str(BIN / "chaos"),
            "--no-version-check",
            "run",
            "--journal-path",
            "journal.json",
            f"{game_days / drill}.yaml",
        ],
        cwd=tmp_path,
        env=environment(scratch),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    journal = json.loads((tmp_path / "journal.json").read_text(encoding="utf-8"))
    assert journal["status"] == "completed"
    assert not journal["deviated"]
    assert journal["gamebird"]["verdict"] == "aborted"
    assert [check["held"] for check in journal["gamebird"]["checks"] if check["what"] == "verdict"] == [True]
    assert gone([], scratch, 3.0) == []


def test_a_service_that_dies_at_its_start_ends_with_3_and_the_last_lines_of_its_log(
    game_days: Path, tmp_path: Path, scratch: Path
) -> None:
    text = (game_days / "good.yaml").read_text(encoding="utf-8").replace("../", f"{game_days.parent}/")
    program = "    command: [/bin/sh, -c, 'echo the database cannot be opened; exit 4']\n"
    file = tmp_path / "own.yaml"
    file.write_text(text.replace("    release: {}\n", f"{program}    release: {{}}\n"), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "gamebird"), "gameday", str(file), "--speed", SPEED, "--report", "out"],
        cwd=tmp_path,
        env=environment(scratch),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 3
    assert "ended at its start (exit code 4)" in done.stderr
    assert "the database cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert gone([], scratch, 3.0) == []

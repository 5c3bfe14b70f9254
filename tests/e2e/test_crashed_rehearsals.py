"""The runner is killed outright at each stage of a game day: nothing runs on, and a sweep leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from leftovers import gone, words

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

GAMEBIRD = str(Path(sys.executable).parent / "gamebird")
STAGES = {
    "the world is being brought up": "policy watchful:",
    "the traffic begins": "stable deployed",
    "the release is deployed": "under test deployed",
    "a fault is in force": "fault:",
    "everything is being restored": "ABORTED",
}


def run_until(words_of_stage: str, folder: Path, scratch: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a game day of the catalogue, wait for a line of its story, and return it with its processes."""
    process = subprocess.Popen(
        [GAMEBIRD, "gameday", "run", "prometheus-gone", "--no-predict", "--speed", "15", "--report", "out"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words_of_stage in line:
            return process, [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    process.communicate()
    pytest.fail("".join(seen))


def sweep(folder: Path, scratch: Path) -> str:
    done = subprocess.run(
        [GAMEBIRD, "gameday", "--sweep"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_runner_that_is_killed_leaves_no_process_no_file_and_no_record(
    tmp_path: Path, scratch: Path, stage: str
) -> None:
    process, children = run_until(STAGES[stage], tmp_path, scratch)
    process.kill()
    process.communicate()
    assert gone(children, scratch, 10.0) == []
    assert sweep(tmp_path, scratch) == "Nothing was left behind.\n"
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "gamedays").rglob("*.json")) == []


def test_a_sweep_removes_what_is_left_when_the_cleaner_was_killed_too(tmp_path: Path, scratch: Path) -> None:
    process, children = run_until(STAGES["a fault is in force"], tmp_path, scratch)
    empty = tmp_path / "empty"
    empty.mkdir()
    [cleaner] = [pid for pid in children if words(pid).startswith("/bin/sh -c cat")]
    os.kill(cleaner, signal.SIGKILL)
    process.kill()
    process.communicate()
    assert gone(children, empty, 10.0) == []
    [folder] = scratch.iterdir()
    assert sweep(tmp_path, scratch) == f"removed {folder}\n"
    assert list(scratch.iterdir()) == []

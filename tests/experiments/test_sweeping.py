"""A sweep ends and removes what a dead rehearsal owned, and nothing that only looks like it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.run_folders import PROCESSES, Identity, claim, identity_of, left_running, note_process, processes_of
from experiments.sweeping import find_leftovers, remove

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that sleep for a minute; those that a test leaves are ended after it."""
    started: list[subprocess.Popen[bytes]] = []

    def sleeper() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[-1]

    yield sleeper
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def dead() -> Identity:
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    found = identity_of(process.pid)
    process.communicate()
    assert found is not None
    return found


def folder_of(above: Path, owner: Identity | None, name: str = "gamebird-x1") -> Path:
    folder = above / name
    folder.mkdir()
    if owner is not None:
        (folder / "owner.json").write_text(json.dumps({"pid": owner.pid, "began_s": owner.began_s}), encoding="utf-8")
    return folder


def test_a_folder_whose_owner_is_gone_goes_with_its_processes(tmp_path: Path, start: Start, dead: Identity) -> None:
    folder, process = folder_of(tmp_path, dead), start()
    inner = folder / "prometheus"
    inner.mkdir()
    note_process(inner, process.pid, "prometheus")
    [leftover] = find_leftovers(tmp_path / "gamedays", scratch=tmp_path)
    assert leftover.text == f"{folder}, with prometheus ({process.pid}) still running"
    remove(leftover)
    assert identity_of(process.pid) is None
    assert not folder.exists()


def test_a_process_that_stands_still_is_ended_too(tmp_path: Path, start: Start, dead: Identity) -> None:
    folder, process = folder_of(tmp_path, dead), start()
    note_process(folder, process.pid, "frozen")
    process.send_signal(signal.SIGSTOP)
    [leftover] = find_leftovers(tmp_path / "gamedays", scratch=tmp_path)
    remove(leftover)
    assert identity_of(process.pid) is None


def test_a_rehearsal_that_runs_is_left_alone(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "gamebird-x1"
    folder.mkdir()
    claim(folder)
    note_process(folder, start().pid, "envoy")
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()
    assert len(left_running(folder)) == 1


def test_a_folder_that_names_no_owner_is_nobodys_business(tmp_path: Path) -> None:
    folder_of(tmp_path, None)
    (folder_of(tmp_path, None, "gamebird-x2") / "owner.json").write_text("not json", encoding="utf-8")
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()


def test_another_process_with_the_same_id_is_not_ours(tmp_path: Path, start: Start, dead: Identity) -> None:
    folder, process = folder_of(tmp_path, dead), start()
    line = {"pid": process.pid, "began_s": 1.0, "name": "long gone"}
    (folder / PROCESSES).write_text(json.dumps(line) + "\n", encoding="utf-8")
    [leftover] = find_leftovers(tmp_path / "gamedays", scratch=tmp_path)
    assert leftover.processes == ()
    remove(leftover)
    assert process.poll() is None


def test_an_owner_whose_id_another_process_has_now_is_gone(tmp_path: Path, start: Start) -> None:
    folder_of(tmp_path, Identity(pid=start().pid, began_s=1.0))
    assert len(find_leftovers(tmp_path / "gamedays", scratch=tmp_path)) == 1


def test_an_owner_is_not_taken_for_gone_because_the_clock_was_put_right(tmp_path: Path, start: Start) -> None:
    living = identity_of(start().pid)
    assert living is not None
    for number, moved_s in enumerate((-1.0, 1.0, 3600.0)):
        folder_of(tmp_path, Identity(pid=living.pid, began_s=living.began_s + moved_s), f"gamebird-x{number}")
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()


def test_a_process_is_found_again_after_the_clock_was_slewed(tmp_path: Path, start: Start, dead: Identity) -> None:
    folder, process = folder_of(tmp_path, dead), start()
    known = identity_of(process.pid)
    assert known is not None
    line = {"pid": process.pid, "began_s": known.began_s - 1.0, "name": "envoy"}
    (folder / PROCESSES).write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert left_running(folder) == (f"envoy ({process.pid})",)


def test_what_another_user_left_is_left_alone(
    tmp_path: Path, start: Start, dead: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, process = folder_of(tmp_path, dead), start()
    note_process(folder, process.pid, "somebody's")
    drafts = tmp_path / "gamedays" / "records"
    drafts.mkdir(parents=True)
    (drafts / f".record-{dead.pid}-a").write_text("{", encoding="utf-8")
    me = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: me + 1)  # nobody here may change the owner of a file
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    ['{"pid": 4711}', '{"pid": 4711, "began_s": null}', '{"pid": -1, "began_s": 1}', '{"pid": true, "began_s": 1}'],
)
def test_an_owner_that_is_half_named_is_none(tmp_path: Path, text: str) -> None:
    (folder_of(tmp_path, None) / "owner.json").write_text(text, encoding="utf-8")
    (tmp_path / PROCESSES).write_text(text + "\n", encoding="utf-8")
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()
    assert processes_of(tmp_path) == ()


def test_a_link_to_a_folder_is_never_followed(tmp_path: Path, dead: Identity) -> None:
    elsewhere = folder_of(tmp_path, dead, "elsewhere")
    (tmp_path / "gamebird-link").symlink_to(elsewhere)
    assert find_leftovers(tmp_path / "gamedays", scratch=tmp_path) == ()


def test_a_torn_last_line_hides_no_process_above_it(tmp_path: Path, start: Start) -> None:
    note_process(tmp_path, start().pid, "envoy")
    with (tmp_path / PROCESSES).open("a", encoding="utf-8") as stream:
        stream.write('{"pid": 1')
    assert [name for _, name in processes_of(tmp_path)] == ["envoy"]


def test_drafts_of_reports_and_records_go_when_their_writer_is_gone(tmp_path: Path, dead: Identity) -> None:
    gamedays = tmp_path / "gamedays"
    (gamedays / "records" / "journals").mkdir(parents=True)
    report = folder_of(gamedays, dead, ".20260101-errors-abc")
    drafts = [
        gamedays / "records" / f".record-{dead.pid}-a",
        gamedays / "records" / "journals" / f".record-{dead.pid}-b",
    ]
    for draft in drafts:
        draft.write_text("{", encoding="utf-8")
    whole = gamedays / "records" / "a.json"
    whole.write_text("{}", encoding="utf-8")
    found = find_leftovers(gamedays, scratch=tmp_path / "nowhere")
    assert sorted(one.path for one in found) == sorted([report, *drafts])
    for leftover in found:
        remove(leftover)
    assert whole.exists()
    assert sorted(path for path in gamedays.rglob("*") if path.is_file()) == [whole]

"""The files of a run: readable while they grow, and never half-read."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from loadgen.openloop import Failure, Origin, Run, Tail
from loadgen.openloop.plan import Plan
from loadgen.openloop.records import JOURNAL, PLAN, RECORDS, Writer, write_whole
from loadgen.traffic import Route, Traffic


def write(writer: Writer, number: int, *, revision: str, failure: Failure = Failure.NONE) -> None:
    code = writer.code("revision", revision)
    pod = writer.code("pod", revision)
    writer.row(number / 10, number / 10, number / 10 + 0.05, number, 200, code, pod, 0, failure)


def test_a_reader_sees_what_was_flushed_and_only_what_is_new(tmp_path: Path) -> None:
    writer, tail = Writer(tmp_path), Tail(tmp_path)
    assert len(tail.rows()) == 0
    write(writer, 0, revision="stable")
    assert len(tail.rows()) == 0  # not flushed yet
    writer.flush()
    write(writer, 1, revision="canary")
    writer.flush()
    rows = tail.rows()
    list(tail.events())
    assert [tail.name("revision", code) for code in rows["revision"].tolist()] == ["stable", "canary"]
    assert len(tail.rows()) == 0
    writer.close()


def test_a_reader_waits_for_the_rest_of_a_row_and_of_a_line(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    write(writer, 0, revision="stable")
    write(writer, 1, revision="canary")
    writer.close()
    rows, journal = (tmp_path / RECORDS).read_bytes(), (tmp_path / JOURNAL).read_bytes()
    assert len(rows) == 80
    for cut in range(len(rows) + 1):
        (tmp_path / RECORDS).write_bytes(rows[:cut])
        tail = Tail(tmp_path)
        first = tail.rows()
        assert len(first) == cut // 40
        (tmp_path / RECORDS).write_bytes(rows)
        assert [*first["number"].tolist(), *tail.rows()["number"].tolist()] == [0, 1]
    for cut in range(len(journal) + 1):
        (tmp_path / JOURNAL).write_bytes(journal[:cut])
        tail = Tail(tmp_path)
        early = list(tail.events())
        (tmp_path / JOURNAL).write_bytes(journal)
        assert len(early) + len(list(tail.events())) == 4
        assert tail.names == {"revision": ["stable", "canary"], "pod": ["stable", "canary"]}


def test_more_names_than_numbers_share_the_last_one(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    codes = {writer.code("pod", f"pod-{i}") for i in range(65_540)}
    assert max(codes) == 65_535
    assert writer.code("pod", "pod-0") == 0
    assert writer.code("pod", "one more") == 65_535
    writer.close()
    tail = Tail(tmp_path)
    list(tail.events())
    assert tail.name("pod", 65_535) == "(others)"


def test_a_run_is_read_in_policy_time(tmp_path: Path) -> None:
    origin = Origin(monotonic_s=100.0, policy_s=5_000.0, speed=20)
    plan = Plan(
        traffic=Traffic(rps=20, routes=(Route(path="/a"), Route(path="/b"))),
        target_url="http://127.0.0.1:1",
        speed=20,
        duration_s=60,
        origin_monotonic_s=origin.monotonic_s,
        origin_policy_s=origin.policy_s,
    )
    write_whole(tmp_path / PLAN, plan.model_dump_json())
    writer = Writer(tmp_path)
    writer.note({"event": "began", "monotonic_s": 101.0})
    writer.code("revision", "")
    writer.code("pod", "")
    canary, pod = writer.code("revision", "canary"), writer.code("pod", "canary-7")
    writer.row(2.0, 2.001, 2.101, 1, 500, canary, pod, 1, Failure.NONE)
    writer.row(1.0, math.nan, math.nan, 0, 0, 0, 0, 0, Failure.DROPPED)
    writer.close()
    run = Run.read(tmp_path)
    table = run.frame()
    # Traffic began at monotonic 101, which is policy 5,020. Two seconds of the wall later is policy 5,060.
    assert table.index.tolist() == [0, 1]
    assert table["intended_s"].tolist() == [5_040.0, 5_060.0]
    assert np.allclose(table.loc[1, ["latency_s", "service_s", "lag_s"]].astype(float), [0.101, 0.1, 0.001])
    assert table.loc[1, ["status", "revision", "pod", "path", "failure"]].tolist() == [
        500,
        "canary",
        "canary-7",
        "/b",
        "",
    ]
    assert table.loc[0, ["revision", "path", "failure"]].tolist() == ["", "/a", "dropped"]
    assert np.isnan(table.loc[0, "sent_s"])
    assert run.ended is None


def test_policy_time_and_the_monotonic_clock_translate_both_ways() -> None:
    origin = Origin(monotonic_s=10.0, policy_s=1_000.0, speed=20)
    assert origin.policy_at(10.5) == 1_010.0
    assert origin.monotonic_at(1_010.0) == 10.5


def test_a_file_appears_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    write_whole(tmp_path / "summary.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]

"""Requests come out in order of time, whatever the order of lines and files, and no silence lasts for ever."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.traces import Reading, Recorded, Trace, requests_of, table_of, tables_of_parquet, write_parquet
from loadgen.traces.ordering import Gaps, Sorter, spread, times_of
from loadgen.traces.tallies import Tally

T0 = 1_795_478_400.0


def write(file: Path, times_s: list[float], path: str = "/") -> Path:
    file.write_text("time,path\n" + "".join(f"{T0 + at_s:.3f},{path}\n" for at_s in times_s), encoding="utf-8")
    return file


def read(paths: list[Path], **reading: float) -> tuple[list[float], Tally]:
    trace = Trace(paths, Reading(**reading))  # type: ignore[arg-type]
    times = [round(float(at_s) - T0, 3) for table in trace for at_s in times_of(table)]
    return times, trace.tally


def test_lines_out_of_order_within_the_window_are_sorted_and_counted(tmp_path: Path) -> None:
    times, tally = read([write(tmp_path / "a", [0, 5, 3, 4, 10])])
    assert times == [0, 3, 4, 5, 10]
    assert (tally.sorted, tally.late) == (2, 0)


def test_a_request_later_than_the_window_is_left_out_and_counted_with_its_time(tmp_path: Path) -> None:
    # 60,000 requests so that the first part has gone on before the late one comes; readers give 20,000 at a time
    steady = [k / 100 for k in range(80_000)]
    times, tally = read([write(tmp_path / "a", [*steady, 1.005])])
    assert times == steady
    assert (tally.late, tally.sorted) == (1, 0)
    assert tally.late_examples == ["2026-11-24T00:00:01.005+00:00: came 799 s out of order"]


def test_files_may_be_named_in_any_order_and_those_of_two_servers_are_merged(tmp_path: Path) -> None:
    one, two, three = (
        write(tmp_path / "one", [0, 2, 4]),
        write(tmp_path / "two", [1, 3, 5]),
        write(tmp_path / "three", [200, 201]),
    )
    times, tally = read([three, two, one])
    assert times == [0, 1, 2, 3, 4, 5, 200, 201]
    assert tally.files == [str(one), str(two), str(three)]
    assert tally.late == 0


def test_long_logs_of_two_servers_are_merged_in_little_memory(tmp_path: Path) -> None:
    both = [k / 100 for k in range(200_000)]
    times, tally = read([write(tmp_path / "a", both[::2]), write(tmp_path / "b", both[1::2])])
    assert times == both
    assert tally.late == 0


def test_a_silence_longer_than_the_limit_is_shortened_and_reported(tmp_path: Path) -> None:
    times, tally = read([write(tmp_path / "a", [0, 10, 10_010, 10_020, 90_020])], gap_max_s=100)
    assert times == [0, 10, 110, 120, 220]
    assert [(gap.at_s - T0, gap.was_s, gap.became_s) for gap in tally.gaps] == [
        (10, 10_000, 100),
        (10_020, 80_000, 100),
    ]


def test_a_silence_across_two_tables_is_one_silence() -> None:
    tally = Tally()
    gaps = Gaps(5.0, tally)
    first, second = (table_of([Recorded(at_s, "GET", "/", "")]) for at_s in (0.0, 100.0))
    assert times_of(gaps.shorten(first)).tolist() == [0.0]
    assert times_of(gaps.shorten(second)).tolist() == [5.0]
    assert tally.gap_count == 1


def test_requests_of_a_whole_second_are_spread_over_it_and_over_nothing_else() -> None:
    # three tables; the middle second goes on from one into the next
    seconds = [[10.0] * 50, [10.0] * 50 + [11.0] * 100, [11.0] * 20 + [12.25, 13.0]]
    tables = [table_of([Recorded(at_s, "GET", f"/{at_s:g}", "") for at_s in each]) for each in seconds]
    found = [request for table in spread(tables) for request in requests_of(table)]
    times = [request.time_s for request in found]
    assert times == sorted(times)
    assert all(math.floor(request.time_s) == int(float(request.path[1:])) for request in found)
    assert (len(found), len(set(times))) == (222, 222)
    assert 12.25 in times
    # a hundred instants in [10, 11): their mean within four standard errors, 4 × 0.29 / 10
    assert np.mean([at_s % 1 for at_s in times[:100]]) == pytest.approx(0.5, abs=0.12)
    again = [request for table in spread(tables) for request in requests_of(table)]
    assert again == found


@given(st.lists(st.floats(0, 59.9), max_size=40), st.integers(0, 3))
def test_whatever_comes_within_the_window_comes_out_sorted_and_whole(times: list[float], seed: int) -> None:
    random.Random(seed).shuffle(times)
    tally = Tally()
    sorter = Sorter(60.0, tally)
    given_tables = [out for at_s in times for out in sorter.take(table_of([Recorded(at_s, "GET", "/", "")]))] + list(
        sorter.rest()
    )
    found = np.concatenate([times_of(table) for table in given_tables]) if given_tables else np.zeros(0)
    assert found.tolist() == sorted(times)
    assert tally.late == 0


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PATHS = st.text("abcXYZ019-._~%", max_size=12).map(lambda tail: "/" + tail)
REQUESTS = st.builds(
    Recorded,
    time_s=st.floats(0, 3e10),
    method=st.sampled_from(["GET", "POST", "PROPFIND"]),
    path=PATHS,
    query=st.text("abc=&019", max_size=10),
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    body=st.none() | st.binary(max_size=20),
    body_bytes=st.none() | st.integers(0, 2**60),
    status=st.none() | st.integers(100, 599),
    duration_s=st.none() | st.floats(0, 1e8),
    response_bytes=st.none() | st.integers(0, 2**60),
    segment=st.none() | TEXT,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, max_size=8))
def test_a_trace_comes_back_from_its_file_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, requests: list[Recorded]
) -> None:
    file = tmp_path_factory.mktemp("trace") / "a.parquet"
    requests = sorted(requests, key=lambda request: request.time_s)
    write_parquet([table_of(requests)], file)
    assert [back for table in tables_of_parquet(file) for back in requests_of(table)] == requests
    again = Trace([file], Reading(gap_max_s=None))
    assert [back for table in again for back in requests_of(table)] == requests


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    log = write(tmp_path / "a", [k / 100 for k in range(300_000)])
    before = pa.total_allocated_bytes()
    most = 0
    for table in Trace([log]):
        most = max(most, pa.total_allocated_bytes() - before - table.nbytes)
    # a window of 60 s holds 6,000 requests, a batch 20,000 and a sorter gives from 50,000 on: about 60 bytes each
    assert most < 20e6

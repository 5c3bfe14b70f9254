"""Garbage in a log is counted, never a crash and never a request that nobody sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadgen.traces import Reading, Recorded, Trace, TraceError, requests_of, table_of, write_parquet
from loadgen.traces.formats import FORMATS
from loadgen.traces.sources import LINE_MAX_BYTES
from loadgen.traces.targets import split_request_line

KINDS = tuple(name for name in FORMATS if name != "parquet")
FIRST = {"csv": "time,path,status\n", "har": '{"log":{"entries":[', "gor": ""}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused_by_a_typed_error(kind: str, tmp_path: Path, noise: bytes) -> None:
    log = tmp_path / "noise"
    log.write_bytes(FIRST.get(kind, "").encode() + noise)
    trace = Trace([log], Reading(format=kind), bad_share_max=1.0)
    refusal = ""
    try:
        requests = sum(table.num_rows for table in trace)
    except TraceError as error:
        refusal = str(error)
    assert str(log) in refusal if refusal else trace.tally.lines == requests + trace.tally.bad_count


@pytest.mark.parametrize(
    "kind", ["nginx", "nginx custom", "apache-common", "apache-combined", "envoy", "envoy-json", "alb", "csv"]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_line_with_something_changed_in_it_is_a_request_that_can_be_sent_or_a_bad_line(
    kind: str, tmp_path: Path, formats: Any, data: st.DataObject
) -> None:
    form = formats[kind]
    first, *rest = list(form.write(3))
    lines = [line.rstrip("\n") for line in rest]
    line = lines[-1]
    at = data.draw(st.integers(0, len(line)))
    noise = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=5))
    lines[-1] = line[:at] + noise + line[min(at + data.draw(st.integers(0, 5)), len(line)) :]
    log = tmp_path / "log"
    log.write_text(first + "\n".join(lines) + "\n", encoding="utf-8")
    reading = Reading(format="nginx" if kind == "nginx custom" else kind, log_format=form.log_format)
    trace = Trace([log], reading, bad_share_max=1.0)
    for table in trace:
        for request in requests_of(table):
            again = split_request_line(f"{request.method} {request.target} HTTP/1.1")
            assert again == (request.method, request.path, request.query)
            assert request.target.isascii()
            assert request.target.isprintable()
    assert trace.tally.lines == trace.tally.requests + trace.tally.bad_count


def test_a_line_that_never_ends_is_one_bad_line(tmp_path: Path, formats: Any) -> None:
    good = "".join(formats["nginx"].write(2))
    log = tmp_path / "a.log"
    log.write_text(good + "x" * (3 * LINE_MAX_BYTES) + "\n" + good, encoding="utf-8")
    trace = Trace([log])
    assert sum(table.num_rows for table in trace) == 4
    assert [(bad.line, bad.why) for bad in trace.tally.examples] == [(3, "the line is longer than 1,048,576 bytes")]


def test_lines_that_are_no_text_keep_the_numbers_of_the_others_right(tmp_path: Path, formats: Any) -> None:
    good = "".join(formats["nginx"].write(2)).encode()
    log = tmp_path / "a.log"
    log.write_bytes(good + b"\xff\xfe\n" + good + b"\xff\n")
    trace = Trace([log])
    assert sum(table.num_rows for table in trace) == 4
    assert [(bad.line, bad.why) for bad in trace.tally.examples] == [
        (3, "the line is no UTF-8 text"),
        (6, "the line is no UTF-8 text"),
    ]


@pytest.mark.parametrize("name", ["nowhere.log", "."])
def test_what_is_no_file_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=name.replace(".", r"\.")):
        list(Trace([tmp_path / name]))


def test_an_empty_file_is_an_empty_trace(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    trace = Trace([tmp_path / "a.log"])
    assert list(trace) == []
    assert trace.tally.requests == 0


def test_a_trace_with_a_time_that_is_no_number_is_refused(tmp_path: Path) -> None:
    write_parquet([table_of([Recorded(float("nan"), "GET", "/", "")])], tmp_path / "a.parquet")
    with pytest.raises(TraceError, match=r"a\.parquet: holds a time_s that is no number"):
        list(Trace([tmp_path / "a.parquet"]))


def test_parquet_that_is_no_trace_says_which_column_it_lacks(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(TraceError, match=r"a\.parquet: is Parquet but no trace: it has no column time_s; it has a"):
        list(Trace([tmp_path / "a.parquet"]))

"""Logs of every format, a hundred thousand requests long, become exactly the requests that were written."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loadgen.traces import Keep, Reading, Trace, TraceError, notes_of, requests_of, tables_of_parquet, write_parquet

NAMES = (
    "nginx",
    "nginx custom",
    "apache-common",
    "apache-combined",
    "envoy",
    "envoy-json",
    "alb",
    "csv",
    "har",
    "gor",
)
N = 100_000
MIDNIGHT_S = 1_795_478_400.0  # 2026-11-24T00:00:00Z: 20,781 days × 86,400 s


def reading(form: Any, **more: Any) -> Reading:
    return Reading(log_format=form.log_format, **more)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_log_converts_with_exact_counts(name: str, formats: Any, tmp_path: Path) -> None:
    form = formats[name]
    log = tmp_path / "a.log"
    with log.open("w", encoding="utf-8") as file:
        file.writelines(form.write(N))
    trace = Trace([log], reading(form))
    assert write_parquet(trace, tmp_path / "a.parquet") == N
    table = pa.concat_tables(tables_of_parquet(tmp_path / "a.parquet"))
    assert (trace.tally.lines, trace.tally.requests, trace.tally.bad_count, trace.tally.late) == (N, N, 0, 0)
    # one in a hundred fails; a quarter asks for each of the four routes, the last of them by POST
    assert pc.sum(pc.equal(table["status"], 503)).as_py() == N // 100
    assert pc.sum(pc.equal(table["method"], "POST")).as_py() == N // 4
    assert pc.sum(pc.equal(table["path"], "/search")).as_py() == N // 4
    assert len(pc.unique(table["path"])) == 3 + N // 4  # /, /search, /orders, and every /orders/…
    assert set(pc.unique(table["query"]).to_pylist()) == {"", *(f"q=a{k}&page=2" for k in (0, 2, 4, 6, 8))}
    times = table["time_s"].to_numpy()
    assert (np.diff(times) >= 0).all()
    if form.begins_exactly:
        # 2 ms: %f of a double near 1.8e9 and logs in whole milliseconds
        assert np.abs(times - (MIDNIGHT_S + np.arange(N) / 50)).max() < 2e-3
    else:
        assert times[0] == MIDNIGHT_S
        assert (times % 1 == 0).all()
    if form.durations:
        # 10 + i % 90 ms over 100,000: 1,111 rounds of 90 (mean 54.5) and i % 90 = 0…9 (mean 14.5)
        assert pc.sum(table["duration_s"]).as_py() == pytest.approx((1_111 * 90 * 54.5 + 10 * 14.5) / 1000)


@pytest.mark.parametrize("name", NAMES)
def test_no_cookie_and_no_address_of_a_client_is_kept_unless_asked_for(name: str, formats: Any, tmp_path: Path) -> None:
    form = formats[name]
    log = tmp_path / "a.log"
    log.write_text("".join(form.write(8)), encoding="utf-8")
    (table,) = Trace([log], reading(form))
    text = str([request._replace(path="", query="") for request in requests_of(table)])
    for secret in ("ookie", "secret", "10.1.2.3", "frank", "a.example", "Root="):
        assert secret not in text


@pytest.mark.parametrize("name", NAMES)
def test_each_format_is_found_by_how_a_file_begins_and_gzip_by_its_content(
    name: str, formats: Any, tmp_path: Path
) -> None:
    form = formats[name]
    log = tmp_path / "a.log"
    log.write_bytes(gzip.compress("".join(form.write(30)).encode()))
    trace = Trace([log], reading(form))
    assert sum(table.num_rows for table in trace) == 30
    assert trace.tally.formats == [{"nginx custom": "nginx", "apache-combined": "apache-combined"}.get(name, name)]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("har", "gor")])
def test_every_bad_line_is_counted_with_its_number(name: str, formats: Any, tmp_path: Path) -> None:
    form = formats[name]
    lines = list(form.write(300))
    lines[100:100] = ["this is no log line\n", "\n", "\x00\x01\x02\n"]
    log = tmp_path / "a.log"
    log.write_text("".join(lines), encoding="utf-8")
    trace = Trace([log], reading(form))
    assert sum(table.num_rows for table in trace) == 300
    tally = trace.tally
    assert (tally.lines, tally.bad_count) == (302, 2)  # an empty line is nothing
    assert [bad.line for bad in tally.examples] == [101, 103]
    assert tally.examples[0].text.startswith(f"{log}:101: ")


def test_a_custom_format_may_be_shown_as_the_whole_directive(formats: Any, tmp_path: Path) -> None:
    directive = """
        log_format timed '$msec $remote_addr "$request" $status '
                         '$request_time $upstream_response_time region="$http_x_region"';
    """
    log = tmp_path / "a.log"
    log.write_text("".join(formats["nginx custom"].write(4)), encoding="utf-8")
    (table,) = Trace([log], Reading(log_format=directive, keep=Keep(segment="x-region")))
    assert table["segment"].to_pylist() == ["eu", "us", "eu", "us"]


def test_a_request_that_went_through_two_upstreams_took_the_sum_of_both(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text('[24/Nov/2026:01:00:00 +0100] "GET / HTTP/1.1" 200 0.010, 0.200 : 0.040\n', encoding="utf-8")
    (table,) = Trace([log], Reading(log_format='[$time_local] "$request" $status $upstream_response_time'))
    assert table["duration_s"].to_pylist() == [pytest.approx(0.25)]
    assert table["time_s"].to_pylist() == [MIDNIGHT_S]  # one o'clock, an hour ahead of UTC


def test_an_nginx_request_began_before_its_stamp_by_the_time_that_it_took(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text('[24/Nov/2026:00:00:02 +0000] "GET / HTTP/1.1" 200 1.500\n', encoding="utf-8")
    (table,) = Trace([log], Reading(log_format='[$time_local] "$request" $status $request_time'))
    assert table["time_s"].to_pylist() == [MIDNIGHT_S + 0.5]


@pytest.mark.parametrize(
    ("log_format", "complaint"),
    [
        ('"$request" $status', "tells no time"),
        ("$time_local $status", "tells no request"),
        ("[$time_local] $status$request", "side by side"),
        ("log_format main;", "no quoted format"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused_with_its_reason(
    log_format: str, complaint: str, tmp_path: Path
) -> None:
    log = tmp_path / "a.log"
    log.write_text("x\n", encoding="utf-8")
    with pytest.raises(TraceError, match=complaint):
        list(Trace([log], Reading(log_format=log_format)))


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /a\\x22b HTTP/1.1", "/a%22b"),  # nginx' escape of a quote
        ('GET /a\\"b HTTP/1.1', "/a%22b"),  # Apache's
        ("GET /caf\\xC3\\xA9 HTTP/1.1", "/caf%C3%A9"),  # two bytes, one letter
        ("GET /a b HTTP/1.1", "/a%20b"),  # nginx logs a raw space as it came
        ("GET http://shop.example/a HTTP/1.1", "/a"),
        ("GET http://shop.example HTTP/1.1", "/"),
        ("GET //evil.example/a HTTP/1.1", "/evil.example/a"),  # joined to a base URL it would be another host
        ("GET /a#top HTTP/1.1", "/a"),
    ],
)
def test_what_comes_out_can_be_sent_again(request_line: str, expected: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(f'1.2.3.4 - - [24/Nov/2026:00:00:00 +0000] "{request_line}" 200 1 "-" "-"\n', encoding="utf-8")
    (table,) = Trace([log])
    assert table["path"].to_pylist() == [expected]


@pytest.mark.parametrize("request_line", ["-", "", "\\x16\\x03\\x01", "CONNECT a:443 HTTP/1.1", "OPTIONS * HTTP/1.1"])
def test_what_cannot_be_sent_again_is_a_bad_line(request_line: str, tmp_path: Path) -> None:
    good = '1.2.3.4 - - [24/Nov/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n'
    log = tmp_path / "a.log"
    log.write_text(good + good.replace("GET / HTTP/1.1", request_line) + good, encoding="utf-8")
    trace = Trace([log], Reading(format="nginx"))
    assert sum(table.num_rows for table in trace) == 2
    assert [bad.line for bad in trace.tally.examples] == [2]


def test_istios_longer_line_is_read_as_well(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        '[2026-11-24T00:00:00.250Z] "GET /a HTTP/1.1" 503 UF via_upstream - "-" 0 91 12 - "-" "curl/8" '
        '"3f2a" "orders:8000" "10.0.0.1:80" outbound|8000||orders 10.0.0.2:1 10.0.0.3:2 - -\n',
        encoding="utf-8",
    )
    (table,) = Trace([log])
    (request,) = requests_of(table)
    assert (request.time_s, request.status, request.duration_s) == (MIDNIGHT_S + 0.25, 503, 0.012)


def test_a_file_in_no_known_format_is_refused_with_its_first_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("Dear diary,\nnothing happened.\n", encoding="utf-8")
    with pytest.raises(TraceError, match=r"a\.log:1: no format reads 'Dear diary,'.*--format"):
        list(Trace([log]))


def test_a_file_read_in_the_wrong_format_is_refused_with_its_first_bad_line(formats: Any, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(formats["envoy"].write(20)), encoding="utf-8")
    with pytest.raises(TraceError, match=r"20 of 20 lines are no requests in the format alb, first .*a\.log:1: "):
        list(Trace([log], Reading(format="alb")))


def test_a_gzip_file_that_was_cut_off_is_an_error(formats: Any, tmp_path: Path) -> None:
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress("".join(formats["nginx"].write(5_000)).encode())[:-20])
    with pytest.raises(TraceError, match=r"a\.log\.gz: its gzip data are damaged or cut off"):
        list(Trace([log]))


def test_a_har_file_that_was_cut_off_is_an_error(formats: Any, tmp_path: Path) -> None:
    log = tmp_path / "a.har"
    log.write_text("".join(formats["har"].write(5))[:-200], encoding="utf-8")
    with pytest.raises(TraceError, match="ends in the middle of its entries"):
        list(Trace([log]))


def test_csv_without_a_known_column_says_how_to_name_it(tmp_path: Path) -> None:
    log = tmp_path / "a.csv"
    log.write_text("when,path\n1795478400,/\n", encoding="utf-8")
    with pytest.raises(TraceError, match=r"a\.csv:1: has no column for the time .*--columns time=when"):
        list(Trace([log]))
    (table,) = Trace([log], Reading(columns={"time": "when"}))
    assert table["time_s"].to_pylist() == [MIDNIGHT_S]


def test_bodies_are_kept_only_when_asked_for_and_their_size_always(formats: Any, tmp_path: Path) -> None:
    for name in ("har", "gor"):
        log = tmp_path / name
        log.write_text("".join(formats[name].write(4)), encoding="utf-8")
        (sizes,) = Trace([log])
        (bodies,) = Trace([log], Reading(keep=Keep(bodies=True)))
        assert (sizes["body"].to_pylist()[3], sizes["body_bytes"].to_pylist()[3]) == (None, 11)
        assert bodies["body"].to_pylist()[3] == b'{"item": 1}'


def test_the_file_remembers_what_its_making_met(formats: Any, tmp_path: Path) -> None:
    log, out = tmp_path / "a.log", tmp_path / "a.parquet"
    log.write_text("".join(formats["nginx"].write(5)), encoding="utf-8")
    about: dict[str, Any] = {}
    trace = Trace([log])

    def noting() -> Any:
        yield from trace
        about["requests"] = trace.tally.requests

    write_parquet(noting(), out, about=about)
    assert notes_of(out) == {"requests": 5}
    assert [path.name for path in tmp_path.iterdir()] != []
    assert not list(tmp_path.glob(".*.part"))

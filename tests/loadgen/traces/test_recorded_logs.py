"""Logs that real servers wrote: nginx 1.22, Apache 2.4.71 and Envoy 1.40, asked the same odd questions.

Among them a user agent with quotes, a path with quotes and angle brackets, raw bytes in a path, a TLS handshake on the
plain port, HTTP/0.9, a proxy's absolute URL, an upstream that is down, OPTIONS *.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.traces import Keep, Reading, Recorded, Trace, requests_of

FOLDER = Path(__file__).parent / "recorded"
TIMED = '$msec $remote_addr "$request" $status $request_time $upstream_response_time region="$http_x_region"'
JSON = (
    '{"t":"$time_iso8601","m":"$request_method","u":"$request_uri","s":$status,"d":$request_time,'
    '"up":"$upstream_response_time","ua":"$http_user_agent"}'
)
AGENT = 'Mozilla/5.0 ("quoted" \\ agent)'
NGINX = [
    ("GET", "/index.html?a=1&b=%20x", 200),
    ("GET", "/api/orders/1", 200),
    ("GET", "/api/orders/2", 200),
    ("POST", "/api/orders", 200),
    ("GET", "/slow/x", 502),
    ("GET", "/a%22b%3Cc%3E", 404),
    ("HEAD", "/missing", 404),
    ("GET", "/caf%C3%A9", 404),
    ("GET", "/", 200),
    ("GET", "/abs?x=1", 404),
]
APACHE = [
    ("GET", "/index.html?a=1&b=%20x", 200),
    ("POST", "/orders", 404),
    ("GET", "/a%22b%3Cc%3E", 404),
    ("HEAD", "/missing", 404),
    ("GET", "/caf%C3%A9", 404),
    ("GET", "/", 404),
]
ENVOY = [("GET", "/index.html?a=1&b=%20x", 200), ("POST", "/orders", 200), ("GET", "/down/x", 503), ("GET", "/", 400)]


def read(name: str, **reading: object) -> tuple[list[Recorded], list[int]]:
    trace = Trace([FOLDER / name], Reading(**reading))  # type: ignore[arg-type]
    requests = [request for table in trace for request in requests_of(table)]
    return requests, [bad.line for bad in trace.tally.examples]


@pytest.mark.parametrize(
    ("name", "reading", "expected", "bad"),
    [
        ("nginx-combined.log", {}, NGINX, [9, 12]),
        ("nginx-timed.log", {"log_format": TIMED}, NGINX, [9, 12]),
        ("nginx-json.log", {"log_format": JSON}, NGINX, [9, 12]),
        ("apache-common.log", {"format": "apache-common"}, APACHE, [6, 8]),
        ("apache-combined.log", {"format": "apache-combined"}, APACHE, [6, 8]),
        ("envoy.log", {}, ENVOY, [4, 5]),
        ("envoy-json.log", {}, ENVOY, [4, 5]),
    ],
)
def test_a_real_log_becomes_the_requests_that_were_asked(
    name: str, reading: dict[str, object], expected: list[tuple[str, str, int]], bad: list[int]
) -> None:
    requests, bad_lines = read(name, **reading)
    assert [(request.method, request.target, request.status) for request in requests] == expected
    assert bad_lines == bad


@pytest.mark.parametrize(
    ("name", "log_format"),
    [
        ("nginx-combined.log", None),
        ("nginx-json.log", JSON),
        ("apache-combined.log", None),
        ("envoy.log", None),
        ("envoy-json.log", None),
    ],
)
def test_a_user_agent_comes_back_as_it_was_sent(name: str, log_format: str | None) -> None:
    first = read(name, log_format=log_format)[0][0]
    assert dict(first.headers)["user-agent"] == AGENT


def test_segments_and_durations_of_a_real_custom_format() -> None:
    requests, _ = read("nginx-timed.log", log_format=TIMED, keep=Keep(segment="x-region"))
    assert [request.segment for request in requests[:5]] == [None, "eu", "eu", "us", None]
    assert requests[0].time_s == 1_795_532_040.886
    assert {request.duration_s for request in requests} == {0.0}


def test_apaches_microseconds_are_seconds() -> None:
    requests, _ = read("apache-combined.log")
    assert [request.duration_s for request in requests[:2]] == [pytest.approx(3_609e-6), pytest.approx(180e-6)]
    assert requests[0].response_bytes == 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nginx-combined.log", "nginx"),
        ("apache-common.log", "apache-common"),
        ("apache-combined.log", "apache-combined"),
        ("envoy.log", "envoy"),
        ("envoy-json.log", "envoy-json"),
    ],
)
def test_a_real_logs_format_is_found(name: str, kind: str) -> None:
    trace = Trace([FOLDER / name])
    list(trace)
    assert trace.tally.formats == [kind]

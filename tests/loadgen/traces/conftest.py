"""Logs written the way servers write them, with properties that are known because they were chosen.

Request i of n begins i/50 s after midnight, asks for one of four routes in turn, fails with a 503 when i % 100 is 7,
and takes 10 + i % 90 ms. Nothing here uses the readers: the lines are put together by hand.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) like Gecko"


@dataclass(frozen=True)
class Asked:
    """One request of the made-up day."""

    i: int

    @property
    def at(self) -> datetime:
        return MIDNIGHT + timedelta(milliseconds=20 * self.i)

    @property
    def method(self) -> str:
        return "POST" if self.i % 4 == 3 else "GET"

    @property
    def target(self) -> str:
        return ("/", f"/orders/{self.i}", f"/search?q=a{self.i % 10}&page=2", "/orders")[self.i % 4]

    @property
    def status(self) -> int:
        return 503 if self.i % 100 == 7 else 200

    @property
    def ms(self) -> int:
        return 10 + self.i % 90

    @property
    def ended(self) -> datetime:
        return self.at + timedelta(milliseconds=self.ms)


def common(at: datetime) -> str:
    return at.strftime("%d/%b/%Y:%H:%M:%S +0000")


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def nginx(a: Asked) -> str:
    return f'10.1.2.{a.i % 250} - - [{common(a.ended)}] "{a.method} {a.target} HTTP/1.1" {a.status} 512 "-" "{AGENT}"'


def nginx_custom(a: Asked) -> str:
    took = f"{a.ms / 1000:.3f}"
    stamp = f"{a.ended.timestamp():.3f}"
    return f'{stamp} 10.1.2.3 "{a.method} {a.target} HTTP/2.0" {a.status} {took} {took} region="{REGIONS[a.i % 2]}"'


REGIONS = ("eu", "us")
CUSTOM = '$msec $remote_addr "$request" $status $request_time $upstream_response_time region="$http_x_region"'


def apache_common(a: Asked) -> str:
    return f'10.1.2.3 - frank [{common(a.at)}] "{a.method} {a.target} HTTP/1.0" {a.status} 512'


def apache_combined(a: Asked) -> str:
    return f'{apache_common(a)} "http://a.example/" "{AGENT}" {a.ms * 1000}'


def envoy(a: Asked) -> str:
    return (
        f'[{iso(a.at)}] "{a.method} {a.target} HTTP/1.1" {a.status} - 0 512 {a.ms} {a.ms - 1} "10.1.2.3" '
        f'"{AGENT}" "5f1b2c3d-0000-4000-8000-{a.i:012}" "orders.example" "127.0.0.1:8080"'
    )


def envoy_json(a: Asked) -> str:
    return json.dumps(
        {
            "start_time": iso(a.at),
            "method": a.method,
            "path": a.target,
            "protocol": "HTTP/1.1",
            "response_code": a.status,
            "response_flags": "-",
            "bytes_received": 0,
            "bytes_sent": 512,
            "duration": a.ms,
            "upstream_service_time": str(a.ms - 1),
            "user_agent": AGENT,
            "request_id": f"id-{a.i}",
            "authority": "orders.example",
        }
    )


def alb(a: Asked) -> str:
    ended = a.ended.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    created = a.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"https {ended} app/orders/50dc6c495c0c9188 10.1.2.3:2817 10.0.0.1:80 0.000 {a.ms / 1000:.3f} 0.000 "
        f'{a.status} {a.status} 34 512 "{a.method} https://orders.example:443{a.target} HTTP/1.1" "{AGENT}" '
        "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/orders/73e2 "
        f'"Root=1-58337262-36d228ad5d99923122bbe354" "orders.example" "-" 0 {created} "forward" "-" "-" '
        f'"10.0.0.1:80" "{a.status}" "-" "-"'
    )


def csv_row(a: Asked) -> str:
    return f'{a.at.timestamp():.3f},{a.method},"{a.target}",{a.status},{a.ms}'


def har_entry(a: Asked) -> str:
    entry = {
        "startedDateTime": iso(a.at),
        "time": a.ms,
        "request": {
            "method": a.method,
            "url": f"https://orders.example{a.target}",
            "headers": [{"name": "Accept", "value": "*/*"}, {"name": "Cookie", "value": 'session={}[]\\"secret'}],
            "bodySize": -1,
        },
        "response": {"status": a.status, "content": {"size": 512}},
    }
    if a.method == "POST":
        text = base64.b64encode(b'{"item": 1}').decode()
        entry["request"]["postData"] = {"text": text, "encoding": "base64"}  # type: ignore[index]
    return json.dumps(entry)


def gor(a: Asked) -> str:
    begun, ended = (int(at.timestamp() * 1000) * 1_000_000 for at in (a.at, a.ended))
    body = '{"item": 1}' if a.method == "POST" else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (
        f"1 {a.i:024x} {begun}\n{a.method} {a.target} HTTP/1.1\r\nHost: orders.example\r\nCookie: s=1\r\n"
        f"Accept: */*\r\n{length}\r\n{body}\n🐵🙈🙉\n"
        f"2 {a.i:024x} {ended} {a.ms * 1_000_000}\nHTTP/1.1 {a.status} X\r\nContent-Length: 2\r\n\r\nok\n🐵🙈🙉\n"
    )


@dataclass(frozen=True)
class Format:
    """A format: how a file in it is put together, and what it can tell beside time, method and target."""

    name: str
    write: Callable[[int], Iterator[str]]
    log_format: str | None = None
    durations: bool = True
    begins_exactly: bool = True


def lines_of(line: Callable[[Asked], str]) -> Callable[[int], Iterator[str]]:
    def write(n: int) -> Iterator[str]:
        for i in range(n):
            yield line(Asked(i)) + "\n"

    return write


def csv_file(n: int) -> Iterator[str]:
    yield "ts,verb,url,status,duration_ms\n"
    yield from lines_of(csv_row)(n)


def har_file(n: int) -> Iterator[str]:
    yield '{"log": {"version": "1.2", "pages": [], "entries": ['
    for i in range(n):
        yield ("," if i else "") + har_entry(Asked(i))
    yield "]}}"


def gor_file(n: int) -> Iterator[str]:
    for i in range(n):
        yield gor(Asked(i))


ALL = {
    each.name: each
    for each in (
        Format("nginx", lines_of(nginx), durations=False, begins_exactly=False),
        Format("nginx custom", lines_of(nginx_custom), log_format=CUSTOM),
        Format("apache-common", lines_of(apache_common), durations=False, begins_exactly=False),
        Format("apache-combined", lines_of(apache_combined), begins_exactly=False),
        Format("envoy", lines_of(envoy)),
        Format("envoy-json", lines_of(envoy_json)),
        Format("alb", lines_of(alb)),
        Format("csv", csv_file),
        Format("har", har_file),
        Format("gor", gor_file),
    )
}


@pytest.fixture
def formats() -> dict[str, Format]:
    """Every format by its name."""
    return ALL


@pytest.fixture
def asked() -> type[Asked]:
    """The made-up day's requests."""
    return Asked

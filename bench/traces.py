"""How fast logs of each format become a trace, in MB of log a minute on one core, and what memory it takes.

The work is that of `gamebird trace convert`: parsing, sorting, looking for secrets, Parquet. The goal is 200 MB a
minute.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

MEGABYTES = 25
GOAL_MB_PER_MINUTE = 200
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"

_ONE = """
import json, resource, sys, time
from pathlib import Path
from loadgen.traces import Reading, Trace, write_parquet
from loadgen.traces.secrets import Censor
log, out, log_format = sys.argv[1:]
import pyarrow.parquet
began_s, busy_s = time.perf_counter(), time.process_time()
trace = Trace([log], Reading(log_format=log_format or None))
requests = write_parquet(Censor().tables(trace), Path(out))
print(json.dumps({"requests": requests, "bad": trace.tally.bad_count, "s": time.perf_counter() - began_s,
                  "cpu_s": time.process_time() - busy_s,
                  "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
CUSTOM = (
    '$msec $remote_addr "$request" $status $body_bytes_sent $request_time $upstream_response_time "$http_user_agent"'
)


def main() -> None:
    """Print MB/min by the wall and by the CPU for each format, and memory for one log and for four times as much."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
        for name, (line, log_format) in LINES.items():
            log = _written(Path(folder) / f"{name.replace(' ', '-')}.log", line, MEGABYTES)
            _print(name, log, _converted(log, log_format))
            if name == "nginx":
                packed = Path(folder) / "nginx.log.gz"
                packed.write_bytes(gzip.compress(log.read_bytes(), 6))
                _print("nginx, gzip", log, _converted(packed, ""))
            log.unlink()
        small = _converted(_written(Path(folder) / "small", _nginx, MEGABYTES), "")
        large = _converted(_written(Path(folder) / "large", _nginx, 4 * MEGABYTES), "")
        print(
            f"memory: {small['mib']:.0f} MiB for {MEGABYTES} MB, {large['mib']:.0f} MiB for {4 * MEGABYTES} MB, "
            "Python and Arrow with it"
        )


def _print(name: str, log: Path, found: dict[str, float]) -> None:
    megabytes = log.stat().st_size / 1e6
    print(
        f"{name:<16} {megabytes / found['s'] * 60:6,.0f} MB/min by the wall, {megabytes / found['cpu_s'] * 60:6,.0f} "
        f"by the CPU; {found['requests'] / found['s']:9,.0f} requests/s (goal {GOAL_MB_PER_MINUTE} MB/min)"
    )
    assert found["bad"] == 0, found


def _converted(log: Path, log_format: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _ONE, str(log), f"{log}.parquet", log_format],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _written(log: Path, line: Callable[[int, datetime], str], megabytes: int) -> Path:
    size, i = 0, 0
    with log.open("w", encoding="utf-8") as file:
        while size < megabytes * 1e6:
            text = line(i, MIDNIGHT + timedelta(milliseconds=10 * i))
            size += file.write(text + "\n") + 1
            i += 1
        if line is _har:
            file.write("]}}\n")
    return log


def _target(i: int) -> str:
    return f"/orders/{i * 7919 % 100_000}?page={i % 5}"


def _common(at: datetime) -> str:
    return at.strftime("%d/%b/%Y:%H:%M:%S +0000")


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _nginx(i: int, at: datetime) -> str:
    return f'10.0.{i % 250}.7 - - [{_common(at)}] "GET {_target(i)} HTTP/1.1" 200 {i % 9000} "https://shop/" "{AGENT}"'


def _custom(i: int, at: datetime) -> str:
    return f'{at.timestamp():.3f} 10.0.0.7 "GET {_target(i)} HTTP/1.1" 200 {i % 9000} 0.0{i % 90 + 10} 0.012 "{AGENT}"'


def _apache(i: int, at: datetime) -> str:
    return f'10.0.0.7 - frank [{_common(at)}] "GET {_target(i)} HTTP/1.1" 200 {i % 9000}'


def _envoy(i: int, at: datetime) -> str:
    return (
        f'[{_iso(at)}] "GET {_target(i)} HTTP/1.1" 200 - 0 512 {i % 90} 11 "10.0.0.7" "{AGENT}" '
        f'"5f1b2c3d-0000-4000-8000-{i:012}" "orders.example" "127.0.0.1:8080"'
    )


def _envoy_json(i: int, at: datetime) -> str:
    fields = {"start_time": _iso(at), "method": "GET", "path": _target(i), "response_code": 200, "bytes_received": 0,
              "bytes_sent": 512, "duration": i % 90, "user_agent": AGENT, "authority": "orders.example"}  # fmt: skip
    return json.dumps(fields)


def _alb(i: int, at: datetime) -> str:
    return (
        f"https {_iso(at)} app/orders/50dc6c495c0c9188 10.1.2.3:2817 10.0.0.1:80 0.000 0.0{i % 90 + 10} 0.000 200 200 "
        f'34 512 "GET https://orders.example:443{_target(i)} HTTP/1.1" "{AGENT}" ECDHE-RSA-AES128 TLSv1.2 arn:aws:tg '
        f'"Root=1-58337262" "orders.example" "-" 0 {_iso(at)} "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"'
    )


def _csv(i: int, at: datetime) -> str:
    return "time,method,path,status,duration_ms" if i == 0 else f"{at.timestamp():.3f},GET,{_target(i)},200,{i % 90}"


def _combined(i: int, at: datetime) -> str:
    return f'{_apache(i, at)} "https://shop/" "{AGENT}" {i % 90_000}'


def _har(i: int, at: datetime) -> str:
    entry = {"startedDateTime": _iso(at), "time": i % 90, "request": {"method": "GET", "bodySize": 0,
             "url": f"https://orders.example{_target(i)}", "headers": [{"name": "User-Agent", "value": AGENT}]},
             "response": {"status": 200, "headers": [], "content": {"size": 512, "mimeType": "text/html"}},
             "timings": {"send": 0, "wait": i % 90, "receive": 1}}  # fmt: skip
    return ('{"log": {"version": "1.2", "entries": [\n' if i == 0 else ",") + json.dumps(entry)


def _gor(i: int, at: datetime) -> str:
    ident, stamp_ns = f"{i:024x}", int(at.timestamp() * 1000) * 1_000_000
    asked = f"GET {_target(i)} HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: {AGENT}\r\n\r\n"
    answered = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    return f"1 {ident} {stamp_ns}\n{asked}\n🐵🙈🙉\n2 {ident} {stamp_ns + 5_000_000} 5000000\n{answered}\n🐵🙈🙉"


LINES: dict[str, tuple[Callable[[int, datetime], str], str]] = {
    "nginx": (_nginx, ""),
    "nginx log_format": (_custom, CUSTOM),
    "apache-common": (_apache, ""),
    "apache-combined": (_combined, ""),
    "envoy": (_envoy, ""),
    "envoy-json": (_envoy_json, ""),
    "alb": (_alb, ""),
    "csv": (_csv, ""),
    "har": (_har, ""),
    "gor": (_gor, ""),
}

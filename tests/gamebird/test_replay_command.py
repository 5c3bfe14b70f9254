"""`gamebird replay` as users type it: what it refuses, what arrives, how it ends, and what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from leftovers import gone
from loopback_service import LoopbackService

from experiments.testbeds.cluster.keys import write_certificate, write_key
from loadgen.traces import Recorded, table_of, write_parquet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BIN = Path(sys.executable).parent
ELSEWHERE = "http://192.0.2.7:8080"  # an address that is kept for documentation


class Service(LoopbackService):
    """Answers after a while, so that the lag of a generator on a busy machine is little beside it."""

    answer_after_s = 1.0

    async def respond(self, path: str, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(self.answer_after_s)
        writer.write(b"HTTP/1.1 200 OK\r\nx-gamebird-revision: stable\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        return True


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as found:
        yield found


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, scratch: Path) -> Iterator[Start]:
    """Return a function that starts `gamebird replay`; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(BIN / "gamebird"), "replay", *words],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def replay(start: Start) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `gamebird replay` and returns its exit code, its output and its errors."""

    def run(*words: str) -> tuple[int, str, str]:
        process = start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return run


Run = Callable[..., tuple[int, str, str]]


def recorded(folder: Path, *, rps: float = 20, for_s: float = 2, method: str = "GET") -> str:
    requests = [Recorded(time_s=k / rps, method=method, path=f"/orders/{k}", query="") for k in range(int(rps * for_s))]
    write_parquet([table_of(requests)], folder / "trace.parquet")
    return "trace.parquet"


def test_a_replay_that_may_be_believed_ends_with_0_and_every_request_that_arrived_has_the_tag(
    replay: Run, service: Service, tmp_path: Path, scratch: Path
) -> None:
    code, out, err = replay(recorded(tmp_path), "--target", service.url, "--tag", "tuesday.1", "--report", "out")
    assert (code, err) == (0, "")
    assert sorted(service.targets) == sorted(f"/orders/{k}" for k in range(40))
    assert all("\r\nx-gamebird-load: tuesday.1\r\n" in head for head in service.heads)
    assert "40 planned, 40 due, 40 sent, 40 answered; 0 bad" in out
    assert "counts: valid" in out
    assert "latencies: valid" in out
    said = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (said["evidence"], said["totals"]["answered"]) == (True, 40)
    assert list(scratch.iterdir()) == []
    code, _, err = replay("trace.parquet", "--target", service.url, "--report", "out")
    assert (code, len(service.heads)) == (2, 40)
    assert "it needs a folder that is empty, or not there yet" in err


def test_a_replay_to_a_port_that_nobody_listens_on_is_no_evidence_and_ends_with_3(
    replay: Run, tmp_path: Path, free_port: int
) -> None:
    code, out, _ = replay(recorded(tmp_path), "--target", f"http://127.0.0.1:{free_port}", "--output", "json")
    said = json.loads(out)
    assert code == 3
    assert (said["evidence"], said["totals"]["answered"], said["totals"]["bad"]) == (False, 0, 40)
    assert said["validity"]["latency"] == {"outcome": "no evidence", "reasons": ["no request was answered"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--target"),
        (("--target", ELSEWHERE), "is at 192.0.2.7; load is sent to this machine"),
        (("--target", ELSEWHERE, "--allow-list", "allowed"), "is at 192.0.2.7; load is sent to this machine"),
        (("--target", ELSEWHERE, "--allow-list", "nowhere"), "--allow-list nowhere: cannot be read"),
        (("--rate-max", "10"), "20 requests are due in the busiest second; one generator sends at most 10"),
        (("--for", "7h"), "--for is 25,200 s; a replay lasts at most 21,600 s"),
        (("--speed", "0"), "--speed is 0; it needs a number above 0"),
        (("--template", "path"), "--template 'path' cannot be read"),
        (("--tag", "a b"), "--tag is 'a b'"),
        (("--ca-file", "allowed"), "has no certificate: --ca-file and --insecure go with https://"),
    ],
)
def test_what_must_not_or_cannot_be_sent_ends_with_2_before_anything_is(
    replay: Run, service: Service, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "allowed").write_text("192.0.2.8\nstaging.example\n", encoding="utf-8")
    target = () if "--target" in words or not words else ("--target", service.url)
    code, out, err = replay(recorded(tmp_path), *target, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert service.heads == []


def test_requests_that_change_things_are_sent_only_when_asked(replay: Run, service: Service, tmp_path: Path) -> None:
    trace = recorded(tmp_path, for_s=1, method="DELETE")
    code, _, err = replay(trace, "--target", service.url)
    assert code == 2
    assert err == (
        "nothing of this recording can be replayed: 20 × DELETE changes things (--unsafe-methods sends it)\n"
    )
    assert service.heads == []
    code, _, _ = replay(trace, "--target", service.url, "--unsafe-methods")
    assert code == 0
    assert {head.split(" ")[0] for head in service.heads} == {"DELETE"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_traffic_within_a_second_and_leaves_the_figures_and_nothing_else(
    start: Start, service: Service, tmp_path: Path, scratch: Path, number: signal.Signals, code: int
) -> None:
    process = start(recorded(tmp_path, rps=100, for_s=60), "--target", service.url, "--workers", "2")
    deadline_s = time.monotonic() + 40
    while len(service.heads) < 100:
        assert time.monotonic() < deadline_s, process.poll()
        time.sleep(0.01)
    children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(children) >= 3  # two generators and Locust's master
    told_s = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    assert service.arrived_s[-1] - told_s < 1.0
    assert gone(children, scratch, 1.0) == []
    assert "ended because " + ("somebody pressed Ctrl-C" if code == 130 else "it got SIGTERM") in out
    assert f", {len(service.heads):,} sent" in out


def test_a_replay_that_is_killed_outright_leaves_no_process_and_no_file(
    start: Start, service: Service, tmp_path: Path, scratch: Path
) -> None:
    process = start(recorded(tmp_path, rps=50, for_s=60), "--target", service.url)
    while not service.heads:
        assert process.poll() is None
        time.sleep(0.02)
    children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    process.kill()
    process.communicate(timeout=10)
    assert gone(children, scratch, 10.0) == []


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Service]:
    """A service behind TLS, whose certificate its own key has signed: certificate.pem."""
    key = write_key(tmp_path / "key.pem")
    certificate = write_certificate(tmp_path / "certificate.pem", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    found = Service(context)
    found.start()
    yield found
    found.stop()


@pytest.mark.parametrize("words", [("--ca-file", "certificate.pem"), ("--insecure",)])
def test_an_https_target_is_sent_to_when_its_certificate_holds_or_need_not(
    replay: Run, encrypted: Service, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, out, err = replay(recorded(tmp_path), "--target", encrypted.url, *words)
    assert (code, err) == (0, "")
    assert f"to {encrypted.url}; " in out
    assert len(encrypted.heads) == 40
    # 20 requests/s that take a second each are 20 to 21 connections at once, kept for what comes later; the two more
    # are the look at the certificate and a second's grace.
    assert encrypted.connections <= 25


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "its certificate does not hold: self-signed certificate; name who signed it with --ca-file, or say"),
        (("--ca-file", "nowhere.pem"), "--ca-file nowhere.pem: cannot be used: No such file or directory"),
        (("--ca-file", "trace.parquet"), "--ca-file trace.parquet: cannot be used: it holds no certificate"),
        (("--ca-file", "certificate.pem", "--insecure"), "use one"),
    ],
)
def test_an_https_target_whose_certificate_does_not_hold_is_refused_with_2(
    replay: Run, encrypted: Service, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, err = replay(recorded(tmp_path), "--target", encrypted.url, *words)
    assert code == 2
    assert said in err
    assert encrypted.heads == []


def test_a_plain_target_that_is_called_https_is_told_so(replay: Run, service: Service, tmp_path: Path) -> None:
    code, _, err = replay(recorded(tmp_path), "--target", service.url.replace("http:", "https:"))
    assert code == 2
    assert "does not speak TLS" in err

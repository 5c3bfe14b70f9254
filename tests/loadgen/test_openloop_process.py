"""The generator as an OS process against a real service: what it sends, what it records, and how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from loadgen.openloop import LoadError, LoadProcess, Origin, UnsafeTargetError
from loadgen.openloop.plan import Plan
from loadgen.traffic import Route, Traffic, TrafficError, schedule

pytestmark = pytest.mark.e2e


class Service(Protocol):
    """What these tests ask of the service in conftest.py."""

    seen: Counter[str]
    heads: list[str]
    connections: int
    port: int
    url: str

    def stall(self, for_s: float) -> None: ...


def until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # ended, and waiting for whoever inherited it to take notice


def play(traffic: Traffic, service: Service, directory: Path, **options: Any) -> LoadProcess:
    """Play a run to its end."""
    load = LoadProcess(traffic, service.url, directory=directory / "run", **options)
    load.start()
    load.wait(within_s=60)
    return load


def test_every_scheduled_request_is_sent_once_and_counted_as_the_service_counted_it(
    service: Service, tmp_path: Path
) -> None:
    routes = (Route(path="/stable", weight=8), Route(path="/canary"), Route(path="/error"))
    traffic = Traffic(rps=20, routes=routes)
    load = play(traffic, service, tmp_path, speed=20, duration_s=60)
    planned = schedule(traffic, duration_s=60)
    table = load.records()
    assert len(table) == len(planned) == sum(service.seen.values())
    assert Counter(table["path"]) == service.seen
    # Times of the records are policy time: what was planned, from the instant at which the traffic began.
    assert load.began_policy_s is not None
    assert np.allclose(table["intended_s"] - load.began_policy_s, planned.at_s, atol=1e-6)
    revisions = {figures["name"]: figures for figures in load.summary()["revisions"]}
    assert revisions["stable"]["requests"] == service.seen["/stable"]
    assert revisions["canary"]["requests"] == service.seen["/canary"] + service.seen["/error"]
    assert revisions["canary"]["bad_status"] == revisions["canary"]["bad"] == service.seen["/error"]
    paths = {figures["name"]: (figures["requests"], figures["bad"]) for figures in load.summary()["routes"]}
    assert paths["GET /canary"] == (service.seen["/canary"], 0)
    assert paths["GET /error"] == (service.seen["/error"], service.seen["/error"])
    assert load.summary()["validity"]["counts"]["outcome"] == "valid"
    assert set(table["pod"]) == {"stable-1", "canary-1"}


def test_progress_counts_users_by_revision_while_the_run_goes_on(service: Service, tmp_path: Path) -> None:
    traffic = Traffic(rps=20, routes=(Route(path="/stable"), Route(path="/error")))
    with LoadProcess(traffic, service.url, speed=10, duration_s=600, directory=tmp_path / "run") as load:
        until(lambda: load.progress().requests > 100)
        early = load.progress()
        assert early.ended is None
        assert 0 < early.bad < early.requests
        until(lambda: load.progress().traffic_s > 0)
    late = load.progress()
    assert late.seen["canary"].bad == late.seen["canary"].requests == late.bad
    assert late.seen["stable"].bad == 0
    assert late.requests == len(load.records()) == sum(service.seen.values())
    assert late.ended == "it got SIGTERM"


def test_a_service_that_stalls_does_not_delay_the_next_request(service: Service, tmp_path: Path) -> None:
    load = LoadProcess(
        Traffic(rps=200, arrivals="even"), service.url, speed=1, duration_s=5, directory=tmp_path / "run"
    )
    load.start()
    until(lambda: load.progress().requests > 200)
    before = sum(service.seen.values())
    service.stall(1.0)
    time.sleep(0.9)
    asked_meanwhile = sum(service.seen.values()) - before
    load.wait(within_s=30)
    table = load.records()
    # A fifth of the run's requests came in the stall, evenly, and waited 0 to 1 s: 1 % of all waited longer than
    # 1 - 0.01/0.2 = 0.95 s, 5 % longer than 0.75 s. A busy machine can only make it longer.
    assert len(table) == 1000
    assert 0.94 < table["latency_s"].quantile(0.99) < 2
    assert 0.74 < table["latency_s"].quantile(0.95) < 2
    # 180 were due while nobody was answered. A closed loop would have sent one, and hidden the stall from its p99.
    assert asked_meanwhile > 90
    assert load.summary()["validity"]["counts"]["outcome"] == "valid"


def test_a_generator_that_stalls_shows_it_from_the_intended_time_and_voids_its_latencies(
    service: Service, tmp_path: Path
) -> None:
    load = LoadProcess(
        Traffic(rps=100, arrivals="even"), service.url, speed=1, duration_s=5, directory=tmp_path / "run"
    )
    load.start()
    until(lambda: load.progress().requests > 100)
    assert load.pid is not None
    os.kill(load.pid, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(load.pid, signal.SIGCONT)
    load.wait(within_s=30)
    table = load.records()
    # A fifth of the requests were sent up to 1 s late: 1 % of all over 1 - 0.01/0.2 = 0.95 s. The service took little
    # longer than ever, which is all that the time from sending would have shown.
    assert table["latency_s"].quantile(0.99) > 0.94
    assert table["service_s"].quantile(0.99) < table["latency_s"].quantile(0.99) - 0.3
    validity = load.summary()["validity"]
    assert validity["latency"]["outcome"] == "invalid"
    assert "late at p99" in validity["latency"]["reasons"][0]
    assert not load.summary()["valid"]


@pytest.mark.parametrize(
    ("path", "failure"),
    [("/close", "closed"), ("/half", "closed"), ("/garbage", "unreadable"), ("/never", "timed out")],
)
def test_what_went_wrong_is_told_apart_and_nothing_is_sent_twice(
    service: Service, tmp_path: Path, path: str, failure: str
) -> None:
    traffic = Traffic(rps=50, arrivals="even", routes=(Route(path=path),))
    load = play(traffic, service, tmp_path, speed=1, duration_s=1, timeout_s=0.5)
    table = load.records()
    assert Counter(table["failure"]) == {failure: 50}
    assert service.seen[path] == 50
    (figures,) = load.summary()["revisions"]
    assert (figures["name"], figures["failed"], figures["bad"]) == ("", {failure: 50}, 50)


def test_nobody_listening_is_a_failure_of_the_service_and_no_reason_to_stop(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, but nobody listens
        load = LoadProcess(
            Traffic(rps=50, arrivals="even"),
            f"http://127.0.0.1:{held.getsockname()[1]}",
            speed=1,
            duration_s=1,
            directory=tmp_path / "run",
        )
        load.start()
        load.wait(within_s=20)
    assert Counter(load.records()["failure"]) == {"refused": 50}
    assert load.summary()["validity"]["counts"]["outcome"] == "valid"
    assert load.summary()["validity"]["latency"]["outcome"] == "no evidence"


def test_a_redirect_is_an_answer_and_is_not_followed(service: Service, tmp_path: Path) -> None:
    traffic = Traffic(rps=20, arrivals="even", routes=(Route(path="/moved"),))
    table = play(traffic, service, tmp_path, speed=1, duration_s=1).records()
    assert table["status"].tolist() == [302] * 20


def test_methods_headers_and_bodies_arrive_and_load_is_marked(service: Service, tmp_path: Path) -> None:
    route = Route(method="POST", path="/orders", body="{}", headers={"Accept": "text/plain", "Host": "elsewhere"})
    play(Traffic(rps=20, arrivals="even", routes=(route,)), service, tmp_path, speed=1, duration_s=0.5, tag="drill-7")
    head = service.heads[0].split("\r\n")
    assert head[0] == "POST /orders HTTP/1.1"
    assert {f"Host: 127.0.0.1:{service.port}", "Accept: text/plain", "x-gamebird-load: drill-7"} <= set(head)
    assert "Content-Length: 2" in head
    assert len(service.heads) == 10
    assert service.connections == 1  # kept, and used again


def test_above_its_limit_requests_are_dropped_and_each_drop_is_counted(service: Service, tmp_path: Path) -> None:
    traffic = Traffic(rps=100, arrivals="even", routes=(Route(path="/never"),))
    load = play(traffic, service, tmp_path, speed=1, duration_s=1, in_flight_max=30, timeout_s=1.5)
    assert Counter(load.records()["failure"]) == {"dropped": 70, "timed out": 30}
    assert service.seen["/never"] == 30
    validity = load.summary()["validity"]
    assert (validity["due"], validity["sent"], validity["dropped"]) == (100, 30, 70)
    assert validity["counts"]["reasons"] == ["70 requests were dropped: too many were waiting for an answer"]


def test_answers_that_are_too_slow_are_bad(service: Service, tmp_path: Path) -> None:
    load = LoadProcess(
        Traffic(rps=100, arrivals="even"),
        service.url,
        speed=1,
        duration_s=3,
        directory=tmp_path / "run",
        slow_after_s=0.25,
    )
    load.start()
    until(lambda: load.progress().requests > 50)
    service.stall(0.5)
    load.wait(within_s=30)
    (figures,) = load.summary()["revisions"]
    # Half of the fifty that came in the stall waited over a quarter of a second.
    assert 24 <= figures["too_slow"] < 100
    assert load.progress().bad == figures["bad"] == figures["too_slow"]


def test_stopping_ends_within_a_second_with_every_request_accounted_for(service: Service, tmp_path: Path) -> None:
    traffic = Traffic(rps=200, routes=(Route(path="/stable", weight=9), Route(path="/never")))
    load = LoadProcess(traffic, service.url, speed=1, duration_s=600, directory=tmp_path / "run")
    load.start()
    until(lambda: load.progress().requests > 100)
    began_s = time.monotonic()
    load.stop()
    assert time.monotonic() - began_s < 2.5  # a second, and some for a busy machine
    assert load.returncode == 0
    table = load.records()
    assert len(table) == sum(service.seen.values())
    assert (table["failure"] == "cut off").sum() == service.seen["/never"]
    assert sorted(table.index) == list(range(len(table)))
    load.stop()  # safe to repeat


def test_traffic_drops_to_zero_spikes_and_comes_back_at_run_time(service: Service, tmp_path: Path) -> None:
    traffic = Traffic(rps=20, arrivals="even")
    with LoadProcess(traffic, service.url, speed=10, duration_s=600, directory=tmp_path / "run") as load:
        until(lambda: load.progress().requests >= 50)
        load.set_rate(0)
        time.sleep(1.0)
        silent = load.progress().requests
        load.restore_rate()
        load.scale_rate(3, for_s=5)
        until(lambda: load.progress().requests >= silent + 400)
    run = load.run()
    changes = [event for event in run.events if event["event"] == "obeyed"][-1]["changes"]
    (silence, spike) = ((change["from_s"], change["until_s"]) for change in changes)
    at_s = load.records()["intended_s"].to_numpy() - (load.began_policy_s or 0.0)
    assert not np.any((at_s > silence[0] + 1e-6) & (at_s < silence[1]))
    # Three times 20 requests/s for 5 s of policy time, give or take one at each end.
    assert np.count_nonzero((at_s >= spike[0]) & (at_s < spike[1])) == pytest.approx(300, abs=2)
    assert len(at_s) == sum(service.seen.values())
    assert load.summary()["validity"]["counts"]["outcome"] == "valid"


def test_a_change_that_cannot_be_made_is_refused_and_the_traffic_goes_on(service: Service, tmp_path: Path) -> None:
    with LoadProcess(Traffic(rps=20), service.url, speed=10, duration_s=60, directory=tmp_path / "run") as load:
        with pytest.raises(TrafficError, match="at most 1000"):
            load.scale_rate(100)
        with pytest.raises(TrafficError, match="finite number"):
            load.set_rate(-1)
        assert load.alive
    with pytest.raises(LoadError, match="does not run"):
        load.set_rate(1)


def test_traffic_may_wait_for_an_instant_of_policy_time(service: Service, tmp_path: Path) -> None:
    origin = Origin(monotonic_s=time.monotonic(), policy_s=1_000_000.0, speed=10)
    load = LoadProcess(
        Traffic(rps=10, arrivals="even"),
        service.url,
        speed=10,
        duration_s=10,
        directory=tmp_path / "run",
        origin=origin,
        begin_policy_s=1_000_030.0,  # three seconds of the wall away
    )
    load.start()
    load.wait(within_s=30)
    assert load.began_policy_s is not None
    assert 1_000_030.0 <= load.began_policy_s < 1_000_100.0  # never before it; a busy machine may be late
    # Ten even requests a second: the first is due 0.05 s after the beginning.
    assert load.records()["intended_s"].min() == pytest.approx(load.began_policy_s + 0.05)


def test_no_traffic_at_all_is_a_run_that_says_it_has_no_evidence(service: Service, tmp_path: Path) -> None:
    load = play(Traffic(rps=0), service, tmp_path, speed=20, duration_s=10)
    assert load.records().empty
    summary = load.summary()
    assert (summary["requests"], summary["revisions"], summary["valid"]) == (0, [], True)
    assert summary["validity"]["counts"]["outcome"] == "no evidence"


def test_the_generator_goes_with_a_parent_that_is_killed(service: Service, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from pathlib import Path\n"
            "from loadgen.openloop import LoadProcess\n"
            "from loadgen.traffic import Traffic\n"
            "load = LoadProcess(Traffic(rps=50), sys.argv[1], speed=1, duration_s=600, directory=Path(sys.argv[2]))\n"
            "load.start()\n"
            "print(load.pid, flush=True)\n"
            "time.sleep(600)\n",
            service.url,
            str(tmp_path / "run"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
        parent.wait()
    until(lambda: is_gone(pid), within_s=5)
    # It knew why it ended, and left everything whole.
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["ended"].startswith("whoever started it")


def test_the_generator_outlives_the_thread_that_started_it(service: Service, tmp_path: Path) -> None:
    load = LoadProcess(Traffic(rps=50), service.url, speed=1, duration_s=600, directory=tmp_path / "run")
    starter = threading.Thread(target=load.start)
    starter.start()
    starter.join()
    seen = load.progress().requests
    until(lambda: load.progress().requests > seen + 50)
    load.stop()
    assert load.returncode == 0


def test_a_generator_that_breaks_says_so_and_leaves_no_summary(service: Service, tmp_path: Path) -> None:
    load = LoadProcess(Traffic(rps=50), service.url, speed=1, duration_s=600, directory=tmp_path / "run")
    load.start()
    until(lambda: load.progress().requests > 10)
    assert load.pid is not None
    os.kill(load.pid, signal.SIGKILL)
    with pytest.raises(LoadError, match="exit code -9"):
        load.wait(within_s=5)
    with pytest.raises(LoadError, match="there is no summary"):
        load.summary()
    assert len(load.records()) >= 10  # what was written before is still there
    load.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_full_disk_ends_the_run_with_its_reason_and_without_a_summary(service: Service, tmp_path: Path) -> None:
    load = LoadProcess(Traffic(rps=200), service.url, speed=1, duration_s=600, directory=tmp_path / "run")
    load.start()
    assert load.pid is not None
    resource.prlimit(load.pid, resource.RLIMIT_FSIZE, (40 * 100, 40 * 100))  # room for a hundred records
    with pytest.raises(LoadError, match=r"exit code 3(?s:.*)File too large"):
        load.wait(within_s=20)
    assert not (tmp_path / "run" / "summary.json").exists()
    assert len(load.records()) == 100


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:80",
        "http://0.0.0.0:80",
        "https://127.0.0.1:443",
        "http://127.0.0.1.nip.example:80",
        "http://user@127.0.0.1:80",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:80/orders",
        "127.0.0.1:80",
        "",
    ],
)
def test_a_target_that_is_not_this_machine_is_refused_before_anything_starts(url: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeTargetError):
        LoadProcess(Traffic(rps=1), url, speed=1, duration_s=1, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_process_itself_refuses_a_target_elsewhere(tmp_path: Path) -> None:
    plan = Plan(
        traffic=Traffic(rps=1),
        target_url="http://192.0.2.1",
        speed=1,
        duration_s=1,
        origin_monotonic_s=0,
        origin_policy_s=0,
    )
    (tmp_path / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "loadgen.openloop", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "192.0.2.1" in done.stderr


def test_traffic_beyond_what_one_process_can_send_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match="100 requests/s, which at speed 20 is 2000 real requests/s"):
        LoadProcess(Traffic(rps=100), "http://127.0.0.1:80", speed=20, duration_s=1, directory=tmp_path / "run")


def test_a_directory_that_holds_a_run_is_not_written_over(service: Service, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    load = LoadProcess(Traffic(rps=1), service.url, speed=10, duration_s=1, directory=tmp_path)
    with pytest.raises(LoadError, match="holds another run"):
        load.start()
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]

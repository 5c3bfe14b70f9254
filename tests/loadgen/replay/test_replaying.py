"""Replays by real generator processes against a real service: what arrives, what is recorded, what is believed.

The service's own list of what it was asked is the witness. Waits are on conditions, with deadlines.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import psutil
import pytest

from loadgen.openloop.figures import Outcome
from loadgen.replay import Pace, Replay, Wanted, permitted_target, prepare, read_templates
from loadgen.traces import Recorded, table_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


class Service(Protocol):
    """What these tests ask of the service in conftest.py."""

    heads: list[str]
    answer_after_s: float
    port: int
    url: str

    @property
    def targets(self) -> list[str]: ...
    def stall(self, for_s: float) -> None: ...


def steady(rps: float, for_s: float, path: str = "/orders") -> list[Recorded]:
    return [Recorded(time_s=number / rps, method="GET", path=path, query="") for number in range(int(rps * for_s))]


def planned(
    requests: list[Recorded],
    service: Service,
    folder: Path,
    *,
    workers: int = 1,
    rules: tuple[str, ...] = (),
    **more: Any,
) -> Replay:
    score = folder / "score"
    score.mkdir()
    wanted = Wanted(
        host=f"127.0.0.1:{service.port}",
        workers=workers,
        templates=read_templates(list(rules)),
        pace=more.pop("pace", Pace()),
    )
    return Replay(
        prepare([table_of(requests)], wanted, score), permitted_target(service.url), folder / "replay", **more
    )


def played(replay: Replay) -> Replay:
    replay.start()
    replay.wait(within_s=90)
    replay.kill()
    return replay


def until(true: Callable[[], bool], *, within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)


def test_every_recorded_request_arrives_once_tagged_and_counted_as_the_service_counted_it(
    service: Service, tmp_path: Path
) -> None:
    requests = [
        Recorded(time_s=number / 100, method="GET", path=("/a", "/b", "/broken")[number % 3], query=f"n={number}")
        for number in range(300)
    ]
    result = played(planned(requests, service, tmp_path)).result()
    assert sorted(service.targets) == sorted(request.target for request in requests)
    assert all("\r\nx-gamebird-load: gamebird-replay\r\n" in head for head in service.heads)
    assert (result.planned, result.total("due"), result.total("answered"), result.bad) == (300, 300, 300, 100)
    assert result.statuses == {200: 200, 500: 100}
    assert {seen.name: (seen.requests, seen.bad) for seen in result.routes} == {
        "GET /a": (100, 0),
        "GET /b": (100, 0),
        "GET /broken": (100, 100),
    }
    assert {seen.name: seen.requests for seen in result.revisions} == {"stable": 200, "canary": 100}
    assert result.rows["number"].tolist() == list(range(300))
    assert np.allclose(result.rows["intended_s"], np.arange(300) / 100)
    assert result.validity.counts.outcome is Outcome.VALID


def test_several_generators_send_each_request_once_and_fresh_values_are_never_the_same(
    service: Service, tmp_path: Path
) -> None:
    rules = ("path:/orders=/orders/{n}", "header:x-request-id={uuid}")
    replay = planned(steady(100, 2), service, tmp_path, workers=3, rules=rules, pace=Pace(rate=2, speed=2))
    result = played(replay).result()
    assert sorted(service.targets, key=lambda target: int(target.split("/")[2])) == [
        f"/orders/{number}" for number in range(1, 401)
    ]
    ids = {line for head in service.heads for line in head.split("\r\n") if line.startswith("x-request-id")}
    assert len(ids) == 400
    assert [(shard.planned, shard.due, shard.recorded) for shard in result.shards] == [
        (134, 134, 134),
        (133, 133, 133),
        (133, 133, 133),
    ]
    assert result.rows["number"].tolist() == list(range(400))
    assert result.validity.counts.outcome is Outcome.VALID


def test_a_stall_shows_in_the_corrected_p99_and_hides_from_the_uncorrected_one_of_a_client_with_few_connections(
    service: Service, tmp_path: Path
) -> None:
    replay = planned(steady(200, 10), service, tmp_path, connections_max=4)
    replay.start()
    until(lambda: len(service.heads) > 200)
    service.stall(2.0)
    replay.wait(within_s=60)
    replay.kill()
    result = replay.result()
    # In 2 s of stall 400 of 2,000 requests are due, evenly, and wait 0 to 2 s: 1 % of all, 20 requests, wait longer
    # than 2 - 20/200 = 1.9 s; 5 %, 100 requests, longer than 1.5 s. A busy machine can only make it longer.
    assert result.total("answered") == 2000
    assert 1.89 < result.corrected.p99_s < 3.5
    assert 1.49 < result.corrected.p95_s < 3.5
    # Only four were on their way when the service stopped to read: 0.2 % of all, too few for the p99 to notice.
    in_stall = int(np.count_nonzero(result.rows["finished_s"] - result.rows["sent_s"] > 1.0))
    assert in_stall <= 4
    assert result.uncorrected.p99_s < 1.0
    # And the run says so of itself: requests were sent later than they were due.
    assert result.validity.latency.outcome is Outcome.INVALID
    assert "late at p99" in " ".join(result.validity.latency.reasons)


def test_without_such_a_limit_no_request_waits_for_another_so_both_show_the_stall(
    service: Service, tmp_path: Path
) -> None:
    replay = planned(steady(200, 6), service, tmp_path)
    replay.start()
    until(lambda: len(service.heads) > 100)
    service.stall(2.0)
    replay.wait(within_s=60)
    replay.kill()
    result = replay.result()
    # 400 of 1,200 fall into the stall; 1 % of all, 12 requests, wait longer than 2 - 12/200 = 1.94 s.
    assert 1.93 < result.corrected.p99_s < 3.5
    assert result.uncorrected.p99_s > 1.0
    assert result.total("dropped") == 0


def test_a_generator_that_is_killed_is_noticed_its_share_told_and_the_run_is_no_evidence(
    service: Service, tmp_path: Path
) -> None:
    rules = ("header:n={n}",)
    replay = planned(steady(150, 60), service, tmp_path, workers=3, rules=rules)
    replay.start()
    until(lambda: len(service.heads) > 300)
    os.kill(replay.pids[1], signal.SIGKILL)
    replay.wait(within_s=30)
    replay.kill()
    result = replay.result()
    asked = [int(line[3:]) - 1 for head in service.heads for line in head.split("\r\n") if line.startswith("n: ")]
    assert len(asked) == len(set(asked)) == len(service.heads)
    for shard in result.shards:
        arrived = [number for number in asked if number % 3 == shard.shard]
        assert shard.planned == 3000
        assert shard.recorded + shard.unaccounted == shard.due
        if shard.shard == 1:
            assert shard.ended is None
            assert shard.exit_code == -signal.SIGKILL
            assert shard.recorded <= len(arrived) < shard.due
        else:
            # The others ended in order: what they recorded is what arrived, one by one.
            assert shard.unaccounted == shard.strangers == 0
            mine = result.rows["number"][result.rows["number"] % 3 == shard.shard]
            assert sorted(arrived) == mine.tolist()
    assert result.planned == 9000
    assert result.ended == "generator 2 of 3 was lost"
    assert result.traffic_s < 30
    assert not result.evidence
    for half in (result.validity.counts, result.validity.latency):
        assert half.outcome is Outcome.INVALID
        assert "generator 2 of 3 was lost" in half.reasons[0]
        assert "and with it 33% of the traffic: " in half.reasons[0]


def test_a_generator_that_freezes_for_a_while_is_told_to_be_late_and_the_run_is_no_evidence(
    service: Service, tmp_path: Path
) -> None:
    replay = planned(steady(60, 9), service, tmp_path, workers=2)
    replay.start()
    until(lambda: len(service.heads) > 60)
    os.kill(replay.pids[0], signal.SIGSTOP)
    until(lambda: replay.look().silent == (0,))
    os.kill(replay.pids[0], signal.SIGCONT)
    replay.wait(within_s=60)
    replay.kill()
    result = replay.result()
    # Late, not lost: everything was sent in the end.
    assert result.total("sent") == result.planned == len(service.heads) == 540
    assert result.shards[0].silent_s > 3 > result.shards[1].silent_s
    # What was due in all but the last second of more than three, at 30 requests/s of its own.
    assert result.shards[0].late > 55
    assert result.validity.counts.reasons[0].startswith(
        "generator 1 of 2 was late, and with it 50% of the traffic: it gave no sign of life for "
    )
    assert f" and sent {result.shards[0].late} of its 270 requests over 1 s late" in result.validity.counts.reasons[0]
    assert not result.evidence


def test_locust_s_page_shows_the_requests_of_all_workers_and_its_stop_button_stops_them(
    service: Service, tmp_path: Path, free_port: int
) -> None:
    replay = planned(steady(50, 120), service, tmp_path, workers=2, web_port=free_port)
    page = f"http://127.0.0.1:{free_port}"
    replay.start()
    try:
        with httpx.Client(base_url=page, trust_env=False, timeout=20) as browser:
            until(lambda: browser.get("/stats/requests").json()["stats"][-1]["num_requests"] > 50)
            assert "/orders" in {row["name"] for row in browser.get("/stats/requests").json()["stats"]}
            assert browser.get("/").status_code == 200
            browser.post("/stop")
        replay.wait(within_s=30)
    finally:
        replay.kill()
    result = replay.result()
    assert {shard.ended for shard in result.shards} == {"Locust stopped it"}
    assert result.total("recorded") == len(service.heads) < result.planned


def test_locusts_master_may_die_without_a_request_being_lost_or_sent_twice(service: Service, tmp_path: Path) -> None:
    replay = planned(steady(50, 6), service, tmp_path, workers=2)
    replay.start()
    until(lambda: len(service.heads) > 50)
    [master] = [
        child.pid for child in psutil.Process().children() if "loadgen.replay.master" in " ".join(child.cmdline())
    ]
    os.kill(master, signal.SIGKILL)
    replay.wait(within_s=60)
    replay.kill()
    result = replay.result()
    # It adds up for Locust's page and decides nothing: every request of the timetable was sent, by whoever it was due.
    assert result.total("sent") == result.planned == len(service.heads) == 300
    assert {shard.ended for shard in result.shards} == {"the traffic's time was up"}


def test_whoever_starts_a_replay_keeps_its_own_sockets() -> None:
    check = "import loadgen.replay, sys; assert not {'gevent', 'locust', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)

"""The demo service as a process: what it answers, what it counts, and the ends that a release has in store."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from experiments.testbeds.local.demo.service import CRASH_EXIT_CODE
from sim.releases import Latency, Release

pytestmark = pytest.mark.e2e

FLAT = Latency(median_ms=2.0, sigma=0.0)
FLAG = "recommender-v2-enabled"
Demo = Callable[..., Any]


def value(client: httpx.Client, series: str) -> float | None:
    """Return the value of one series of /metrics, or None if it does not exist."""
    for line in client.get("/metrics").text.splitlines():
        name, _, number = line.rpartition(" ")
        if name == series:
            return float(number)
    return None


def failed(method: str = "GET", route: str = "/", status: str = "500") -> str:
    return f'http_requests_total{{method="{method}",route="{route}",service="shop",status="{status}"}}'


def flags(file: Path, variant: str, targeting: dict[str, Any] | None = None) -> Path:
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}
    if targeting is not None:
        flag["targeting"] = targeting
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"flags": {FLAG: flag}}), encoding="utf-8")
    fresh.replace(file)
    return file


def test_every_answer_names_its_revision_and_its_pod(demo: Demo) -> None:
    client, _ = demo(Release(latency=FLAT))
    answer = client.get("/")
    assert answer.status_code == 200
    assert (answer.headers["x-gamebird-revision"], answer.headers["x-gamebird-pod"]) == ("abc123", "pod-0")


def test_requests_are_counted_by_status_and_route_and_timed_in_buckets(demo: Demo) -> None:
    client, _ = demo(Release(latency=Latency(median_ms=30.0, sigma=0.0), errors_at=(3,)))
    for _ in range(4):
        client.get("/")
    client.post("/checkout")
    client.get("/made-up-by-a-user")
    assert value(client, failed(status="200")) == 3
    assert value(client, failed()) == 1
    assert value(client, failed("POST", "/checkout", "200")) == 1
    assert value(client, failed("GET", "other", "200")) == 1
    buckets = 'http_request_duration_seconds_bucket{{le="{}",method="GET",route="/",service="shop"}}'
    assert value(client, buckets.format("0.025")) == 0  # all four take 30 ms or a little more
    assert value(client, buckets.format("+Inf")) == 4


def test_the_series_of_failures_is_born_at_the_start_or_with_the_first_failure(demo: Demo) -> None:
    early, _ = demo(Release(latency=FLAT))
    late, _ = demo(Release(latency=FLAT, series_5xx="first-error", errors_at=(2,)))
    assert value(early, failed()) == 0
    late.get("/")
    assert value(late, failed()) is None
    late.get("/")
    assert value(late, failed()) == 1


def test_a_pod_is_ready_no_sooner_than_its_release_says(demo: Demo) -> None:
    # 40 s of policy time at speed 20 are 2 s of the wall.
    started = time.monotonic()
    demo(Release(latency=FLAT, start_s=40.0), speed=20.0)
    assert time.monotonic() - started >= 2.0


def test_a_pod_that_never_becomes_ready_runs_and_says_so(demo: Demo, wait: Callable[..., None]) -> None:
    client, child = demo(Release(never_ready=True), ready=False)

    def says_so() -> bool:
        try:
            return client.get("/-/ready").status_code == 503
        except httpx.HTTPError:
            return False

    wait(says_so, "an answer of the probe")
    assert child.alive


def test_a_crash_ends_the_process_with_its_own_code_and_a_word_in_the_log(
    demo: Demo, wait: Callable[..., None]
) -> None:
    # 20 s of policy time at speed 20: one second after it became ready.
    _, child = demo(Release(crash_after_s=20.0), speed=20.0)
    wait(lambda: not child.alive, "the crash")
    assert child.returncode == CRASH_EXIT_CODE
    assert "ends its pods" in child.log.read_text(encoding="utf-8")


def test_a_pod_that_hangs_takes_requests_and_answers_none(demo: Demo) -> None:
    client, child = demo(Release(latency=FLAT, hang_after_s=20.0), speed=20.0)
    time.sleep(1.5)  # it hangs after one second of the wall
    for path in ("/", "/-/ready", "/metrics"):
        with pytest.raises(httpx.ReadTimeout):
            client.get(path, timeout=0.3)
    assert child.alive


def test_a_fault_behind_a_flag_follows_the_flag_file_within_a_second(
    demo: Demo, tmp_path: Path, wait: Callable[..., None]
) -> None:
    file = flags(tmp_path / "flags.json", "off")
    client, _ = demo(Release(latency=FLAT, errors=1.0, behind_flag=FLAG), flags=file)
    assert client.get("/").status_code == 200
    flags(file, "on")
    wait(lambda: client.get("/").status_code == 500, "the fault", within_s=1.0)
    flags(file, "off")
    wait(lambda: client.get("/").status_code == 200, "the kill switch", within_s=1.0)


def test_a_flag_is_evaluated_for_the_user_who_asks(demo: Demo, tmp_path: Path) -> None:
    only_premium = {"if": [{"==": [{"var": "plan"}, "premium"]}, "on", "off"]}
    file = flags(tmp_path / "flags.json", "off", only_premium)
    client, _ = demo(Release(latency=FLAT, errors=1.0, behind_flag=FLAG), flags=file)
    assert client.get("/", headers={"x-user-id": "u1", "x-user-plan": "premium"}).status_code == 500
    assert client.get("/", headers={"x-user-id": "u1", "x-user-plan": "basic"}).status_code == 200


def test_a_broken_or_missing_flag_file_leaves_the_last_good_flags(demo: Demo, tmp_path: Path) -> None:
    file = flags(tmp_path / "flags.json", "on")
    client, _ = demo(Release(latency=FLAT, errors=1.0, behind_flag=FLAG), flags=file)
    file.write_text("{ not json", encoding="utf-8")
    time.sleep(0.5)
    assert client.get("/").status_code == 500
    file.unlink()
    time.sleep(0.5)
    assert client.get("/").status_code == 500


def test_a_release_behind_a_flag_without_a_flag_file_is_good(demo: Demo) -> None:
    client, _ = demo(Release(latency=FLAT, errors=1.0, behind_flag=FLAG))
    assert client.get("/").status_code == 200


def test_a_pod_that_is_told_to_end_answers_what_it_has_first(demo: Demo) -> None:
    client, child = demo(Release(latency=Latency(median_ms=500.0, sigma=0.0)))
    answers: list[int] = []
    asked = threading.Thread(target=lambda: answers.append(client.get("/").status_code))
    asked.start()
    time.sleep(0.2)
    child.signal(signal.SIGTERM)
    asked.join(5.0)
    child.process.wait(5.0)
    assert (answers, child.returncode) == ([200], 0)


def test_a_pod_whose_probe_begins_to_fail_still_answers_users(demo: Demo) -> None:
    client, _ = demo(Release(latency=FLAT, unready_after_s=0.5))
    ends = time.monotonic() + 10
    while client.get("/-/ready").status_code == 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert client.get("/").status_code == 200


def test_a_pod_ends_at_the_request_that_the_release_names(demo: Demo, wait: Callable[..., None]) -> None:
    client, child = demo(Release(latency=FLAT, crash_at_request=2))
    assert client.get("/").status_code == 200
    with pytest.raises(httpx.HTTPError):
        client.get("/")
    wait(lambda: not child.alive, "the crash")
    assert child.returncode == CRASH_EXIT_CODE

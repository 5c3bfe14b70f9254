"""Pods as processes: probed until ready, restarted after a crash, drained when they go."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from controller.core.driving import PodCounts
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.demo.service import CRASH_EXIT_CODE
from experiments.testbeds.local.pods import Crash, Fleet, await_ready
from experiments.testbeds.local.programs import OwnProgram
from sim.releases import Latency, Release

pytestmark = pytest.mark.e2e

Make = Callable[..., Any]
FLAT = Latency(median_ms=2.0, sigma=0.0)

OWN_SERVICE = """
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = " ".join(os.environ[name] for name in ("POD_NAME", "POD_TEMPLATE_HASH", "RELEASE")).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def counts(fleet: Fleet, pod_hash: str = "aaa111", min_ready_s: float = 0.0) -> PodCounts:
    """Return the figures alone; the pods one by one are a test of their own."""
    return replace(fleet.counts(fleet.clock.now_s(), min_ready_s)[pod_hash], pods=())


def test_pods_become_ready_and_serve_in_places_of_their_own(fleet: Make, program: Make) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 2)
    assert (counts(running).created, running.serving("aaa111")) == (2, ())
    await_ready(running, "aaa111", 2, within_s=30)
    places = running.serving("aaa111")
    assert len(set(places)) == 2
    pods = {httpx.get(f"http://{place}/", trust_env=False).headers["x-gamebird-pod"] for place in places}
    assert pods == {"app-aaa111-0", "app-aaa111-1"}


def test_a_pod_counts_as_available_only_after_its_minimum_of_ready_seconds(
    fleet: Make, program: Make, wait: Make
) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 1)
    await_ready(running, "aaa111", 1, within_s=30)
    # An hour of policy time has surely not passed at speed 20; 10 s have, after half a second.
    assert counts(running, min_ready_s=3600.0) == PodCounts(created=1, ready=1, available=0)
    wait(lambda: counts(running, min_ready_s=10.0).available == 1, "availability")


def test_scaling_twice_to_the_same_size_starts_nothing_new(fleet: Make, program: Make) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 1)
    running.scale("aaa111", 1)
    assert [pod.name for pod in running.targets()] == ["app-aaa111-0"]


def test_a_pod_that_never_becomes_ready_exists_and_serves_nobody(fleet: Make, program: Make, wait: Make) -> None:
    running: Fleet = fleet({"aaa111": program(Release(never_ready=True))})
    running.scale("aaa111", 1)
    wait(lambda: running.targets()[0].probe_at_s > running.targets()[0].created_s, "a first probe")
    assert (counts(running), running.serving("aaa111")) == (PodCounts(created=1, ready=0, available=0), ())


def test_a_crashed_pod_is_told_of_and_started_again_after_a_while(fleet: Make, program: Make, wait: Make) -> None:
    crashes: list[Crash] = []
    release = Release(latency=FLAT, crash_after_s=20.0)
    running: Fleet = fleet({"aaa111": program(release)}, on_crash=crashes.append)
    running.scale("aaa111", 1)
    wait(lambda: crashes, "the crash", within_s=30)
    assert (crashes[0].exit_code, crashes[0].pod.name) == (CRASH_EXIT_CODE, "app-aaa111-0")
    assert "ends its pods" in crashes[0].log_tail
    wait(lambda: counts(running).ready == 1, "the restart", within_s=30)
    assert running.targets()[0].restarts >= 1


def test_a_pod_that_was_killed_serves_nobody_until_it_is_back(fleet: Make, program: Make, wait: Make) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 1)
    await_ready(running, "aaa111", 1, within_s=30)
    first = running.targets()[0].child.pid
    os.kill(first, signal.SIGKILL)
    wait(lambda: running.serving("aaa111") == (), "its absence", within_s=2)
    await_ready(running, "aaa111", 1, within_s=30)
    assert running.targets()[0].child.pid != first


def test_pods_that_go_serve_nobody_at_once_and_end_when_they_are_dismissed(
    fleet: Make, program: Make, wait: Make
) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 3)
    await_ready(running, "aaa111", 3, within_s=40)
    children = {pod.name: pod.child for pod in running.targets()}
    running.scale("aaa111", 1)
    assert len(running.serving("aaa111")) == 1
    assert all(child.alive for child in children.values())  # users may still be waiting for their answers
    running.dismiss()
    wait(lambda: sum(child.alive for child in children.values()) == 1, "their end")
    assert children["app-aaa111-0"].alive  # the oldest stays
    assert {child.returncode for child in children.values() if not child.alive} == {0}


def test_a_restarted_pod_goes_and_a_younger_one_takes_its_place(fleet: Make, program: Make, wait: Make) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 1)
    await_ready(running, "aaa111", 1, within_s=30)
    old, [before] = running.targets()[0].child, running.counts(running.clock.now_s(), 0.0)["aaa111"].pods
    running.restart("app-aaa111-0")
    running.restart("app-aaa111-0")  # may be repeated
    [after] = running.counts(running.clock.now_s(), 0.0)["aaa111"].pods
    assert (before.name, before.available) == ("app-aaa111-0", True)
    assert (after.name, after.available) == ("app-aaa111-1", False)
    assert after.created_s > before.created_s
    running.dismiss()
    wait(lambda: not old.alive, "the old one's end")
    await_ready(running, "aaa111", 1, within_s=30)


def test_unready_pods_go_before_ready_ones(fleet: Make, program: Make) -> None:
    running: Fleet = fleet({"aaa111": program()})
    running.scale("aaa111", 1)
    await_ready(running, "aaa111", 1, within_s=30)
    running.scale("aaa111", 2)
    running.scale("aaa111", 1)
    assert [pod.name for pod in running.targets()] == ["app-aaa111-0"]


def test_a_teams_own_program_is_told_its_port_and_who_it_is(fleet: Make) -> None:
    own = OwnProgram(argv=(sys.executable, "-c", OWN_SERVICE), release="stable")
    running: Fleet = fleet({"aaa111": own})
    running.scale("aaa111", 1)
    await_ready(running, "aaa111", 1, within_s=30)
    (place,) = running.serving("aaa111")
    assert httpx.get(f"http://{place}/", trust_env=False).text == "app-aaa111-0 aaa111 stable"


def test_a_program_that_is_not_there_is_named(fleet: Make) -> None:
    running: Fleet = fleet({"aaa111": OwnProgram(argv=("no-such-program",), release="stable")})
    with pytest.raises(WorldError, match="no-such-program"):
        running.scale("aaa111", 1)


def test_a_program_that_dies_at_its_start_is_told_with_the_end_of_its_log(fleet: Make) -> None:
    dying = OwnProgram(argv=(sys.executable, "-c", "raise SystemExit('no database')"), release="stable")
    running: Fleet = fleet({"aaa111": dying})
    running.scale("aaa111", 1)
    with pytest.raises(WorldError, match="no database"):
        await_ready(running, "aaa111", 1, within_s=20)

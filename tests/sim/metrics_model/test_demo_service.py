"""The demo service of the local world, scraped once, has the very series that the model says a pod has."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.manifests.loading import load
from experiments.testbeds.local.children import free_port, start_child
from experiments.testbeds.local.pods import Birth
from experiments.testbeds.local.programs import DemoProgram
from experiments.testbeds.local.scraper import series_of
from loadgen.traffic import Route, Traffic
from promql.storage import read_exposition
from sim.metrics_model import naming_of, plan_queries
from sim.metrics_model.options import POD
from sim.releases import Latency, Release
from sim.scenarios import Scenario

pytestmark = pytest.mark.e2e

Make = Callable[..., Any]
ALL_SERIES = ("http_requests_total", "http_request_duration_seconds_bucket", "http_request_duration_seconds_count")
ROUTES = (Route(path="/orders"), Route(path="/pay", method="POST"))


@pytest.fixture
def scraped(tmp_path: Path, root: Path) -> Make:
    """Starts one pod of the demo service, sends it a few requests, and returns the series of one scrape."""

    def scrape(release: Release, requests: int) -> set[tuple[tuple[str, str], ...]]:
        rollout = load([root / "examples" / "orders-api" / "rollout.yaml"]).rollouts[0]
        routes = tuple((route.method, route.path) for route in ROUTES)
        program = DemoProgram(service=rollout.name, release=release, speed=1.0, routes=routes)
        birth = Birth(name="pod-0", pod_hash="9f8d7c", port=free_port(), first=True, seed=5)
        child = start_child(
            program.command(birth), log=tmp_path / "log", name="pod-0", environment=program.environment(birth)
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{birth.port}", trust_env=False) as client:
                await_listening(client)
                for _ in range(requests):
                    client.get("/orders")
                text = client.get("/metrics").text
        finally:
            child.stop(within_s=5.0)
        target = {
            "job": rollout.name,
            "namespace": rollout.namespace,
            "instance": f"127.0.0.1:{birth.port}",
            "pod": "pod-0",
            "pod_template_hash": "9f8d7c",
        }
        found = {series_of(dict(sample.labels), target) for sample in read_exposition(text).samples}
        return {unnamed(series) for series in found if dict(series)["__name__"] in ALL_SERIES}

    return scrape


def await_listening(client: httpx.Client) -> None:
    ends = time.monotonic() + 20.0
    while True:
        try:
            client.get("/-/ready")
        except httpx.HTTPError:
            assert time.monotonic() < ends, "the demo service did not listen within 20 s"
            time.sleep(0.02)
        else:
            return


def unnamed(series: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the labels with a mark in place of a pod's own name, which is another one everywhere."""
    return tuple((name, "the pod" if POD.match(name) else value) for name, value in series)


@pytest.mark.parametrize("series_5xx", ["start", "first-error"])
def test_a_scrape_of_the_demo_service_finds_the_series_that_the_plan_foresees(
    scraped: Make, root: Path, series_5xx: str
) -> None:
    release = Release(latency=Latency(median_ms=1.0, sigma=0.0), series_5xx=series_5xx)
    rollout = load([root / "examples" / "orders-api" / "rollout.yaml"]).rollouts[0]
    scenario = Scenario(traffic=Traffic(rps=20, routes=ROUTES), release=release)
    naming = naming_of(rollout, stable_hash="55b6c7", release_hash="9f8d7c")
    plan = plan_queries(ALL_SERIES, scenario, naming)

    class Canary:
        name, pod_hash, is_release, ordinal = "release-0", "9f8d7c", True, 0
        created_s = ready_s = 0.0
        ended_s = float("inf")

    series = plan.target(Canary(), 0).series
    at_start = {unnamed(one.labels) for one in series if one.born == "start"}
    later = {unnamed(one.labels) for one in series if one.born == "first-event"}
    assert scraped(release, 3) == at_start
    # What is born with the first failure comes with it.
    failing = release.model_copy(update={"errors": 1.0})
    after = scraped(failing, 3) - at_start
    assert after == {one for one in later if dict(one)["route"] == "/orders"}
    assert (later == set()) == (series_5xx == "start")

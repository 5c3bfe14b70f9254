"""Real processes for the local world's tests: pods of the demo service, fleets, and a patient wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from experiments.testbeds.local.children import Child, free_port, start_child
from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.pods import Birth, Crash, Fleet, Program
from experiments.testbeds.local.programs import DemoProgram
from sim.releases import Latency, Release

ROUTES = (("GET", "/"), ("POST", "/checkout"))
FLAT_LATENCY = Latency(median_ms=2.0, sigma=0.0)

Wait = Callable[..., None]


@pytest.fixture
def wait() -> Wait:
    """Waits on the wall until something holds; fails the test, with its name, if it does not in time."""

    def until(holds: Callable[[], object], what: str, within_s: float = 20.0) -> None:
        ends = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > ends:
                pytest.fail(f"{what} did not come about within {within_s:g} s")
            time.sleep(0.01)

    return until


@pytest.fixture
def demo(tmp_path: Path, wait: Wait) -> Iterator[Callable[..., tuple[httpx.Client, Child]]]:
    """Starts a pod of the demo service that plays a release; returns a client of it and its process."""
    clients: list[httpx.Client] = []
    children: list[Child] = []

    def start(
        release: Release, *, speed: float = 1.0, flags: Path | None = None, ready: bool = True
    ) -> tuple[httpx.Client, Child]:
        program = DemoProgram(service="shop", release=release, speed=speed, routes=ROUTES, flags_file=flags)
        birth = Birth(name=f"pod-{len(children)}", pod_hash="abc123", port=free_port(), first=True, seed=5)
        child = start_child(
            program.command(birth),
            log=tmp_path / f"{birth.name}.log",
            name=birth.name,
            environment=program.environment(birth),
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{birth.port}", trust_env=False, timeout=5.0)
        children.append(child)
        clients.append(client)
        if ready:
            wait(lambda: answers(client, program.ready_path), "readiness")
        return client, child

    yield start
    for client in clients:
        client.close()
    for child in children:
        child.stop(within_s=3.0)


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet that runs; every one is stopped at the end."""
    fleets: list[Fleet] = []

    def make(
        programs: Mapping[str, Program], *, speed: float = 20.0, on_crash: Callable[[Crash], None] = lambda crash: None
    ) -> Fleet:
        folder = tmp_path / f"fleet-{len(fleets)}"
        folder.mkdir()
        made = Fleet(
            folder=folder,
            clock=PolicyClock(origin_now(speed)),
            programs=programs,
            on_change=lambda: None,
            on_crash=on_crash,
        )
        fleets.append(made)
        made.start()
        return made

    yield make
    for made in fleets:
        made.stop()


@pytest.fixture
def program() -> Callable[..., DemoProgram]:
    """Makes the program of a revision from its release; answers take 2 ms unless the release says otherwise."""

    def make(release: Release | None = None, *, speed: float = 20.0) -> DemoProgram:
        return DemoProgram(service="shop", release=release or Release(latency=FLAT_LATENCY), speed=speed, routes=ROUTES)

    return make

"""What Envoy does to requests while its weights move: how many are lost, how exact the split is, how fast an abort is.

Real processes, as in a game day: three pods a side and one Envoy. Requests are asked by a plain asyncio client at a
fixed rate, so that the load generator's own figures stay out of these.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.envoy import Envoy, Split
from experiments.testbeds.local.pods import Fleet, await_ready
from experiments.testbeds.local.programs import DemoProgram
from sim.releases import Latency, Release

STABLE, CANARY = "stable-pods", "canary-pods"
QUICK = Release(latency=Latency(median_ms=5.0, sigma=0.3))
REQUEST = b"GET / HTTP/1.1\r\nhost: gamebird\r\n\r\n"


@dataclass
class Seen:
    """What users saw: (sent at, answered at, revision) on the monotonic clock, and what went wrong."""

    answers: list[tuple[float, float, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Users:
    """Asks over a pool of connections, each used by one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.seen = Seen()

    async def ask(self) -> None:
        """Send one request and note what came of it."""
        began = time.monotonic()
        try:
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            writer.write(REQUEST)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(fields["content-length"]))
        except (OSError, asyncio.IncompleteReadError, KeyError) as error:
            self.seen.lost.append(repr(error))
            return
        self._idle.append((reader, writer))
        if not head.startswith("http/1.1 200"):
            self.seen.lost.append(head.split("\r\n")[0])
            return
        self.seen.answers.append((began, time.monotonic(), fields.get("x-gamebird-revision", "")))

    async def at_rate(self, rps: float, count: int) -> None:
        """Send `count` requests, each at its own instant, whatever became of those before it."""
        began, tasks = time.monotonic(), []
        for index in range(count):
            await asyncio.sleep(began + index / rps - time.monotonic())
            tasks.append(asyncio.create_task(self.ask()))
        await asyncio.gather(*tasks)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        """Close every connection."""
        for _, writer in self._idle:
            writer.close()


@contextmanager
def data_plane(pods: int) -> Iterator[tuple[Envoy, Fleet, Split]]:
    """Yield an Envoy before so many ready pods a side, and the split that names them with all weight on stable."""
    with tempfile.TemporaryDirectory(prefix="gamebird-bench-") as name:
        folder = Path(name)
        program = DemoProgram(service="bench", release=QUICK, speed=1.0, routes=(("GET", "/"),))
        fleet = Fleet(
            folder=folder,
            clock=PolicyClock(origin_now(1.0)),
            programs={STABLE: program, CANARY: program},
            on_change=lambda: None,
            on_crash=lambda crash: None,
        )
        fleet.start()
        try:
            for revision in (STABLE, CANARY):
                fleet.scale(revision, pods)
            for revision in (STABLE, CANARY):
                await_ready(fleet, revision, pods, within_s=60)
            with Envoy(folder) as envoy:
                split = Split(
                    endpoints={"stable": fleet.serving(STABLE), "canary": fleet.serving(CANARY)},
                    revisions={"stable": STABLE, "canary": CANARY},
                )
                envoy.apply(split)
                yield envoy, fleet, split
        finally:
            fleet.stop()


async def weight_changes(envoy: Envoy, split: Split, *, changes: int, rps: float) -> tuple[Seen, list[float]]:
    """Move the weight `changes` times under load; return what users saw and how long each change took, s."""
    users = Users(envoy.port)
    load = asyncio.create_task(users.at_rate(rps, int(rps * changes * 0.1)))
    took = []
    for index in range(changes):
        began = time.monotonic()
        await asyncio.to_thread(envoy.apply, replace(split, canary=(index * 37) % 101))
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.1 - (time.monotonic() - began))
    await load
    users.close()
    return users.seen, took


async def last_after_abort(envoy: Envoy, split: Split, *, rps: float) -> float:
    """Abort a canary at half of the traffic; return how long after the decision the last request met it, ms."""
    await asyncio.to_thread(envoy.apply, replace(split, canary=50))
    users = Users(envoy.port)
    load = asyncio.create_task(users.at_rate(rps, int(rps * 0.5)))
    await asyncio.sleep(0.25)
    decided = time.monotonic()
    await asyncio.to_thread(envoy.apply, split)
    await load
    users.close()
    # A request meets the canary when it is sent to it; how long its answer takes is the release's business.
    late = [sent - decided for sent, _, revision in users.seen.answers if revision == CANARY and sent > decided]
    return 1000 * max(late, default=0.0)


async def split_error(
    envoy: Envoy, split: Split, *, weight: int, requests: int, rps: float
) -> tuple[float, float, int]:
    """Return the canary's share, its distance from the weight in standard errors, and the number of requests."""
    await asyncio.to_thread(envoy.apply, replace(split, canary=weight))
    users = Users(envoy.port)
    await users.at_rate(rps, requests)
    users.close()
    counts = Counter(revision for _, _, revision in users.seen.answers)
    share, wanted, total = counts[CANARY] / counts.total(), weight / 100, counts.total()
    return share, abs(share - wanted) / math.sqrt(wanted * (1 - wanted) / total), total


def drained(envoy: Envoy, fleet: Fleet, split: Split, *, rps: float) -> Seen:
    """Let all but one canary pod go under load, as a scale-down does; return what users saw."""

    async def play() -> Seen:
        users = Users(envoy.port)
        await asyncio.to_thread(envoy.apply, replace(split, canary=50))
        load = asyncio.create_task(users.at_rate(rps, int(rps * 3)))
        await asyncio.sleep(1.0)
        fleet.scale(CANARY, 1)
        left = {**split.endpoints, "canary": fleet.serving(CANARY)}
        await asyncio.to_thread(envoy.apply, replace(split, canary=50, endpoints=left))
        fleet.dismiss()
        await load
        users.close()
        return users.seen

    return asyncio.run(play())


def main() -> None:
    """Print the figures."""
    with data_plane(pods=3) as (envoy, fleet, split):
        seen, took = asyncio.run(weight_changes(envoy, split, changes=100, rps=200))
        total = len(seen.answers) + len(seen.lost)
        print(f"100 weight changes under 200 requests/s: {len(seen.lost)} of {total} requests lost {seen.lost[:3]}")
        print(
            f"a change is acknowledged after {1000 * statistics.median(took):.1f} ms (most {1000 * max(took):.1f} ms)"
        )
        late = sorted([asyncio.run(last_after_abort(envoy, split, rps=400)) for _ in range(100)])
        print(f"from an abort to the last request that meets the canary: p50 {late[49]:.1f} ms, p99 {late[98]:.1f} ms")
        for weight in (1, 10, 60):
            share, errors, requests = asyncio.run(split_error(envoy, split, weight=weight, requests=20_000, rps=1000))
            print(f"weight {weight} %: {100 * share:.3f} % of {requests} requests, {errors:.1f} standard errors off")
        gone = drained(envoy, fleet, split, rps=200)
        print(f"two of three pods leave under load: {len(gone.lost)} of {len(gone.answers)} requests lost")


if __name__ == "__main__":
    main()

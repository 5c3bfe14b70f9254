"""The HTTP service itself: users' routes, the readiness probe, /metrics, and the faults that end or freeze a pod."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from experiments.testbeds.local.demo.fate import Fates
from experiments.testbeds.local.demo.http1 import Answer, Request
from experiments.testbeds.local.demo.identity import Identity

METRICS_PATH = "/metrics"
FLAG_POLL_S = 0.2  # wall: how soon a changed flag file is noticed
CRASH_EXIT_CODE = 70
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1, 2.5, 5, 10)


class Pod:
    """One pod: its state since it became ready, its counters, and the answers that it gives."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.ready_at: float | None = None
        self._fates = Fates(identity.release, identity.first, random.Random(identity.seed))
        self._known = frozenset(route for _, route in identity.routes)
        self._hung = False
        self._headers = {"x-gamebird-revision": identity.pod_hash, "x-gamebird-pod": identity.pod}
        self._flags: _Flags | None = None
        if identity.flags_file is not None and identity.release.behind_flag is not None:
            self._flags = _Flags(Path(identity.flags_file), identity.release.behind_flag)
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests by answer.", ["service", "method", "route", "status"], registry=self._registry
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer.",
            ["service", "method", "route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._counters: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._bear_series()

    def _bear_series(self) -> None:
        """Let counters exist at zero. A 5xx series that is born with the first error is a trap that users meet."""
        for method, route in self.identity.routes:
            self._duration.labels(self.identity.service, method, route)
            self._requests.labels(self.identity.service, method, route, "200")
            if self.identity.release.series_5xx == "start":
                self._requests.labels(self.identity.service, method, route, "500")

    def handle(self, request: Request, answer: Answer) -> None:
        """Answer a probe, a scrape or a user; a pod that hangs answers nobody."""
        if self._hung:
            return
        if request.path == self.identity.ready_path:
            ready = self.ready_at is not None and not self._is_unready()
            answer(200 if ready else 503, {}, b"ready" if ready else b"not ready")
        elif request.path == METRICS_PATH:
            answer(200, {"content-type": CONTENT_TYPE_LATEST}, generate_latest(self._registry))
        else:
            self._answer_user(request, answer)

    async def live(self) -> None:
        """Become ready when the release does, then meet the end that it has in store. Runs as long as the pod."""
        release, speed = self.identity.release, self.identity.speed
        await asyncio.sleep(release.start_s / speed)
        if not release.never_ready:
            self.ready_at = time.monotonic()
        tasks = [asyncio.create_task(self._follow_flags())]
        if release.crash_after_s is not None:
            tasks.append(asyncio.create_task(self._crash(release.crash_after_s / speed)))
        if release.hang_after_s is not None:
            tasks.append(asyncio.create_task(self._hang(release.hang_after_s / speed)))
        await asyncio.gather(*tasks)

    def _answer_user(self, request: Request, answer: Answer) -> None:
        started = time.perf_counter()
        age_s = 0.0 if self.ready_at is None else (time.monotonic() - self.ready_at) * self.identity.speed
        segments = {label: request.headers.get(f"x-user-{label}", "") for label in self.identity.release.segments}
        fate = self._fates.draw(path=request.path, age_s=age_s, flag_on=self._flag_on(request), segments=segments)
        if fate.is_last:
            self._end("one of its requests ends its pod")

        def finish() -> None:
            if self._hung:
                return
            # A path of users' own making must not become a series of its own.
            route = request.path if request.path in self._known else "other"
            requests, duration = self._series(request.method, route, fate.status)
            requests.inc()
            duration.observe(time.perf_counter() - started)
            answer(fate.status, self._headers, b"ok" if fate.status == 200 else b"failed")

        asyncio.get_running_loop().call_later(fate.delay_s, finish)

    def _series(self, method: str, route: str, status: int) -> tuple[Any, Any]:
        """Return the counter and the histogram of an answer; looking them up by label each time costs more."""
        key = (method, route, status)
        found = self._counters.get(key)
        if found is None:
            labels = (self.identity.service, method, route)
            found = self._requests.labels(*labels, str(status)), self._duration.labels(*labels)
            self._counters[key] = found
        return found

    def _flag_on(self, request: Request) -> bool:
        if self.identity.release.behind_flag is None:
            return True
        return self._flags is not None and self._flags.is_on(request)

    async def _follow_flags(self) -> None:
        while self._flags is not None:
            await asyncio.sleep(FLAG_POLL_S)
            self._flags.refresh()

    def _is_unready(self) -> bool:
        """Return whether the probe of this release has begun to fail, although the pod still answers."""
        after_s = self.identity.release.unready_after_s
        if after_s is None or self.ready_at is None:
            return False
        return (time.monotonic() - self.ready_at) * self.identity.speed >= after_s

    async def _crash(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._end("the release under test ends its pods after a while")

    def _end(self, why: str) -> None:
        print(f"{self.identity.pod}: {why}", flush=True)  # noqa: T201
        os._exit(CRASH_EXIT_CODE)  # a crash runs no shutdown

    async def _hang(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._hung = True


class _Flags:
    """The release's flag, asked for the user of each request. OpenFeature is read in only where there is a flag."""

    def __init__(self, file: Path, flag: str) -> None:
        from openfeature.evaluation_context import EvaluationContext

        from experiments.testbeds.local.demo.flags import flag_client

        self._flag = flag
        self._client, provider = flag_client(file)
        self.refresh: Callable[[], bool] = provider.refresh
        self._user = EvaluationContext

    def is_on(self, request: Request) -> bool:
        """Return what the flag says for the user who asks; off where it is not known."""
        user = self._user(
            targeting_key=request.headers.get("x-user-id", ""),
            attributes={name: request.headers.get(f"x-user-{name}", "") for name in ("region", "plan")},
        )
        return bool(self._client.get_boolean_value(self._flag, False, user))

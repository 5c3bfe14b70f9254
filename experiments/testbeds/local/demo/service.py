"""The HTTP service itself: users' routes, the readiness probe, /metrics, and the faults that end or freeze a pod."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

from aiohttp import web
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from experiments.testbeds.local.demo.fate import Fates
from experiments.testbeds.local.demo.flags import FlagdFileProvider, flag_client
from experiments.testbeds.local.demo.identity import Identity

READY_PATH = "/-/ready"
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
        self._hung = asyncio.Event()
        self._headers = {"x-gamebird-revision": identity.pod_hash, "x-gamebird-pod": identity.pod}
        self._flags: tuple[OpenFeatureClient, FlagdFileProvider] | None = None
        if identity.flags_file is not None:
            self._flags = flag_client(Path(identity.flags_file))
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
        self._bear_series()

    def _bear_series(self) -> None:
        """Let counters exist at zero. A 5xx series that is born with the first error is a trap that users meet."""
        for method, route in self.identity.routes:
            self._duration.labels(self.identity.service, method, route)
            self._requests.labels(self.identity.service, method, route, "200")
            if self.identity.release.series_5xx == "start":
                self._requests.labels(self.identity.service, method, route, "500")

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application()
        app.router.add_get(READY_PATH, self.readiness)
        app.router.add_get(METRICS_PATH, self.metrics)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

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

    async def readiness(self, request: web.Request) -> web.Response:
        """Answer the probe."""
        await self._freeze_if_hung()
        ready = self.ready_at is not None
        return web.Response(status=200 if ready else 503, text="ready" if ready else "not ready")

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape."""
        await self._freeze_if_hung()
        return web.Response(body=generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a user."""
        await self._freeze_if_hung()
        started = time.perf_counter()
        age_s = 0.0 if self.ready_at is None else (time.monotonic() - self.ready_at) * self.identity.speed
        fate = self._fates.draw(path=request.path, age_s=age_s, flag_on=self._flag_on(request))
        await asyncio.sleep(fate.delay_s)
        # A path of users' own making must not become a series of its own.
        route = request.path if request.path in self._known else "other"
        labels = (self.identity.service, request.method, route)
        self._requests.labels(*labels, str(fate.status)).inc()
        self._duration.labels(*labels).observe(time.perf_counter() - started)
        return web.Response(status=fate.status, headers=self._headers, text="ok" if fate.status == 200 else "failed")

    def _flag_on(self, request: web.Request) -> bool:
        flag = self.identity.release.behind_flag
        if flag is None:
            return True
        if self._flags is None:
            return False
        user = EvaluationContext(
            targeting_key=request.headers.get("x-user-id", ""),
            attributes={name: request.headers.get(f"x-user-{name}", "") for name in ("region", "plan")},
        )
        return self._flags[0].get_boolean_value(flag, False, user)

    async def _follow_flags(self) -> None:
        while self._flags is not None:
            await asyncio.sleep(FLAG_POLL_S)
            self._flags[1].refresh()

    async def _freeze_if_hung(self) -> None:
        if self._hung.is_set():
            await asyncio.Event().wait()

    async def _crash(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        print(f"{self.identity.pod}: the release under test ends its pods after a while", flush=True)  # noqa: T201
        os._exit(CRASH_EXIT_CODE)  # a crash runs no shutdown

    async def _hang(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._hung.set()

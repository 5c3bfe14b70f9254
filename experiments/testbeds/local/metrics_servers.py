"""Where the controller asks: a query server over our own PromQL, or a real Prometheus. Both speak the same API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.prometheus import PrometheusServer
from experiments.testbeds.local.remote_write import RemoteWriter
from experiments.testbeds.local.samples import Sample
from promql.storage import STALE_NAN


class MetricsServer(Protocol):
    """Takes samples, answers queries, and can be gone for a while."""

    @property
    def place(self) -> str:
        """`host:port` where it answers."""
        ...

    @property
    def text(self) -> str:
        """What it is, for reports."""
        ...

    def write(self, samples: Iterable[Sample]) -> None: ...
    def cut(self) -> None: ...
    def restore(self) -> None: ...
    def delay(self, delay_s: float) -> None:
        """Let each answer take so many seconds of the wall longer; 0: as long as it takes."""
        ...

    def stop(self) -> None: ...


class EmbeddedServer:
    """Our own store and engine behind Prometheus' HTTP API, in threads of this process."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        from promql.http import create_app
        from promql.serve import QueryServer
        from promql.storage.memory import MemoryStore

        self._store = MemoryStore()
        self._late = Late(create_app(self._store, now_s=now_s))
        self._server = QueryServer(self._late)
        self._server.start()
        self._up = True

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def text(self) -> str:
        return "Gamebird's own query server"

    def write(self, samples: Iterable[Sample]) -> None:
        """Store a batch. A sample that Prometheus would refuse is counted by the store and dropped, as there."""
        for sample in samples:
            self._store.append(sample.labels, sample.t_s, STALE_NAN if sample.stale else sample.value)

    def cut(self) -> None:
        """Let nobody answer. Scrapes go on, as they would behind a broken network path."""
        if self._up:
            self._up = False
            self._server.stop()

    def restore(self) -> None:
        """Answer again, on the same port."""
        if not self._up:
            self._server.start()
            self._up = True

    def delay(self, delay_s: float) -> None:
        """Answer so much later."""
        self._late.delay_s = delay_s

    def stop(self) -> None:
        """End for good."""
        self.cut()


class Late:
    """An ASGI application that answers `delay_s` seconds of the wall later than the one behind it."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self.delay_s = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self.delay_s and scope["type"] == "http":
            await asyncio.sleep(self.delay_s)
        await self._app(scope, receive, send)


class RealServer:
    """A real Prometheus 3. While it is gone, samples are lost, as they are when a Prometheus is gone."""

    def __init__(self, binary: Path, folder: Path) -> None:
        folder.mkdir()
        self._server = PrometheusServer(binary, folder)
        self._writer = RemoteWriter(self._server.address)
        self._up = True

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def text(self) -> str:
        return self._server.version

    def write(self, samples: Iterable[Sample]) -> None:
        """Send a batch."""
        if not self._up:
            return
        try:
            self._writer.write(samples)
        except WorldError:
            # Taken away while the batch was on its way: lost, too. Gone by itself: the owner must know.
            if self._up:
                raise

    def cut(self) -> None:
        """Let nobody answer."""
        self._up = False
        self._server.down()

    def restore(self) -> None:
        """Answer again, on the same port and data."""
        self._server.up()
        self._up = True

    def delay(self, delay_s: float) -> None:
        """Refuse: what a Prometheus takes for an answer is its own affair."""
        if delay_s:
            raise WorldError("a real Prometheus cannot be made slow; Gamebird's own query server can")

    def stop(self) -> None:
        """End for good."""
        self._up = False
        self._writer.close()
        self._server.stop()

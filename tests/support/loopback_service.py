"""A small real HTTP service on the loopback, on a thread of its own; what it answers is the subclass's affair."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from typing import Self

STALL_STEP_S = 0.005


class LoopbackService:
    """Reads request after request of each connection, keeps their heads, and lets `respond` answer.

    Args:
        encrypted: what ends TLS; None: it speaks plain HTTP.

    Attributes:
        heads: what was sent of each request, body included, in the order in which it came.
        arrived_s: when each of them was there, on the monotonic clock.
    """

    def __init__(self, encrypted: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self.arrived_s: list[float] = []
        self.connections = 0
        self._encrypted = encrypted
        self.port = 0
        self._stalled_until_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="service")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self._encrypted is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in the order in which it came."""
        return [head.split(" ", 2)[1] for head in self.heads]

    @property
    def seen(self) -> Counter[str]:
        """How often each target was asked for, answered or not."""
        return Counter(self.targets)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stall(self, for_s: float) -> None:
        """Answer nobody from now on for `for_s` seconds; then answer everybody who waits."""
        self._stalled_until_s = time.monotonic() + for_s

    async def respond(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; return whether the connection goes on."""
        raise NotImplementedError

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=4096, ssl=self._encrypted)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Content-Length")]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                self.heads.append(head + body.decode())
                self.arrived_s.append(time.monotonic())
                while (wait_s := self._stalled_until_s - time.monotonic()) > 0:
                    await asyncio.sleep(max(wait_s, STALL_STEP_S))
                if not await self.respond(head.split(" ", 2)[1], writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever asked went away, or the test is over
        finally:
            writer.close()

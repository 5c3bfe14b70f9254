"""A small real HTTP service on the loopback that counts what it is asked and misbehaves by path."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

STALL_STEP_S = 0.005


class Service:
    """Answers on a thread of its own. What it does is named by the path:

    /, /stable, /canary   200, from that revision (/ is stable)
    /error                500 from the canary, with a body that is no UTF-8
    /moved                302 to a machine that must not be asked
    /close /half /garbage ends without an answer, in the middle of one, or answers what is not HTTP
    /never                no answer
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0
        self._stalled_until_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="service")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def stall(self, for_s: float) -> None:
        """Answer nobody from now on for `for_s` seconds; then answer everybody who waits."""
        self._stalled_until_s = time.monotonic() + for_s

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                self.seen[path] += 1
                self.heads.append(head.decode())
                length = next(
                    (line for line in head.decode().split("\r\n") if line.startswith("Content-Length")), ": 0"
                )
                await reader.readexactly(int(length.split(": ")[1]))
                while (wait_s := self._stalled_until_s - time.monotonic()) > 0:
                    await asyncio.sleep(max(wait_s, STALL_STEP_S))
                if not await self._answer(path, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever asked went away, or the test is over
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        match path:
            case "/close":
                return False
            case "/half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
                return False
            case "/garbage":
                writer.write(b"SMTP ready, or so\r\n\r\n")
                return False
            case "/never":
                await asyncio.sleep(60)
            case "/error":
                writer.write(
                    b"HTTP/1.1 500 Oops\r\nx-gamebird-revision: canary\r\nx-gamebird-pod: canary-1\r\n"
                    b"Content-Length: 2\r\n\r\n\xff\xfe"
                )
            case "/moved":
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
            case _:
                revision = path.strip("/") or "stable"
                writer.write(
                    f"HTTP/1.1 200 OK\r\nx-gamebird-revision: {revision}\r\nx-gamebird-pod: {revision}-1\r\n"
                    "Content-Length: 2\r\n\r\nok".encode()
                )
        await writer.drain()
        return True


@pytest.fixture
def service() -> Iterator[Service]:
    """A running service."""
    found = Service()
    found.start()
    yield found
    found.stop()

"""What tests of replays share: recordings made in the test, and a real service on the loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from loadgen.traces import Recorded, table_of, write_parquet

ANSWER = b"HTTP/1.1 200 OK\r\nx-gamebird-revision: stable\r\nContent-Length: 2\r\n\r\nok"
ANSWER_CANARY = b"HTTP/1.1 500 Oops\r\nx-gamebird-revision: canary\r\nContent-Length: 2\r\n\r\nno"


class Service:
    """Answers GETs after a moment, /broken with a 500 from the canary, and keeps every head that it was sent."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.port = 0
        self.answer_after_s = 0.0
        self._stalled_until_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="service")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in the order in which it came."""
        return [head.split(" ", 2)[1] for head in self.heads]

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def stall(self, for_s: float) -> None:
        """Read nobody's request from now on for `for_s` seconds; then answer everybody who waits."""
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
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Content-Length")]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                self.heads.append(head + body.decode())
                while (wait_s := self._stalled_until_s - time.monotonic()) > 0:
                    await asyncio.sleep(wait_s)
                if self.answer_after_s:
                    await asyncio.sleep(self.answer_after_s)
                writer.write(ANSWER_CANARY if head.split(" ", 2)[1].startswith("/broken") else ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever asked went away, or the test is over
        finally:
            writer.close()


@pytest.fixture
def service() -> Iterator[Service]:
    """A running service."""
    found = Service()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[Sequence[Recorded]], Path]:
    """Return a function that writes requests as a trace."""

    def write(requests: Sequence[Recorded]) -> Path:
        file = tmp_path / "recorded.parquet"
        write_parquet([table_of(requests)], file)
        return file

    return write


@pytest.fixture
def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port

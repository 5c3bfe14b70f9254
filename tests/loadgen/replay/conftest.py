"""What tests of replays share: recordings made in the test, and a real service on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from loopback_service import LoopbackService

from loadgen.traces import Recorded, table_of, write_parquet

ANSWER = b"HTTP/1.1 200 OK\r\nx-gamebird-revision: stable\r\nContent-Length: 2\r\n\r\nok"
ANSWER_CANARY = b"HTTP/1.1 500 Oops\r\nx-gamebird-revision: canary\r\nContent-Length: 2\r\n\r\nno"


class Service(LoopbackService):
    """Answers after a moment, /broken with a 500 from the canary."""

    def __init__(self) -> None:
        super().__init__()
        self.answer_after_s = 0.0

    async def respond(self, path: str, writer: asyncio.StreamWriter) -> bool:
        if self.answer_after_s:
            await asyncio.sleep(self.answer_after_s)
        writer.write(ANSWER_CANARY if path.startswith("/broken") else ANSWER)
        await writer.drain()
        return True


@pytest.fixture
def service() -> Iterator[Service]:
    """A running service."""
    with Service() as found:
        yield found


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[Sequence[Recorded]], Path]:
    """Return a function that writes requests as a trace."""

    def write(requests: Sequence[Recorded]) -> Path:
        file = tmp_path / "recorded.parquet"
        write_parquet([table_of(requests)], file)
        return file

    return write

"""A small real HTTP service on the loopback that counts what it is asked and misbehaves by path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from loopback_service import LoopbackService


class Service(LoopbackService):
    """Answers on a thread of its own. What it does is named by the path:

    /, /stable, /canary   200, from that revision (/ is stable)
    /error                500 from the canary, with a body that is no UTF-8
    /moved                302 to a machine that must not be asked
    /close /half /garbage ends without an answer, in the middle of one, or answers what is not HTTP
    /never                no answer
    """

    async def respond(self, path: str, writer: asyncio.StreamWriter) -> bool:
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
    with Service() as found:
        yield found

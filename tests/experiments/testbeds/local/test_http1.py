"""The demo service's HTTP: what a proxy may send it, over real sockets, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from experiments.testbeds.local.children import free_port
from experiments.testbeds.local.demo.http1 import BODY_BYTES_MAX, HEAD_BYTES_MAX, Answer, Request, Server

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def echo(request: Request, answer: Answer) -> None:
    """Says what was asked; /slow says so a little later, /never does not say it at all."""
    body = f"{request.method} {request.path} {request.headers.get('x-user', '-')}".encode()
    if request.path == "/slow":
        asyncio.get_running_loop().call_later(0.2, answer, 200, {}, body)
    elif request.path != "/never":
        answer(200, {"x-pod": "p1"}, body)


def played(play: Callable[[Server, Streams], Awaitable[Any]]) -> Any:
    """Return what `play` returns, with a server and one connection to it; ends after five seconds."""

    async def whole() -> Any:
        server, port = Server(echo), free_port()
        await server.start(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await asyncio.wait_for(play(server, (reader, writer)), 5.0)
        finally:
            writer.close()
            await server.drain(0.5)

    return asyncio.run(whole())


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> tuple[int, dict[str, str], str]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = b"" if head_only else await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, body.decode()


def ask(*parts: bytes, answers: int = 1) -> list[tuple[int, dict[str, str], str]]:
    """Send the parts one after the other with a breath between, and read so many answers."""

    async def play(server: Server, streams: Streams) -> list[tuple[int, dict[str, str], str]]:
        reader, writer = streams
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        return [await read_answer(reader) for _ in range(answers)]

    found: list[tuple[int, dict[str, str], str]] = played(play)
    return found


def test_a_request_is_answered_with_its_headers_and_length() -> None:
    [(status, headers, body)] = ask(b"GET /orders?page=2 HTTP/1.1\r\nHost: x\r\nX-User: ann\r\n\r\n")
    assert (status, body) == (200, "GET /orders ann")
    assert headers == {"content-length": "15", "x-pod": "p1"}


def test_a_request_that_comes_in_pieces_is_one_request() -> None:
    [(_, _, body)] = ask(b"GE", b"T /a HT", b"TP/1.1\r\nX-User: a", b"nn\r\n\r", b"\n")
    assert body == "GET /a ann"


def test_requests_that_come_at_once_are_answered_in_order() -> None:
    found = ask(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(300)), answers=300)
    assert [body for _, _, body in found] == [f"GET /{n} -" for n in range(300)]


def test_a_body_is_read_whole_before_the_answer_and_never_taken_for_a_request() -> None:
    found = ask(
        b"POST /a HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET /evil ", b"HTTP/1.1GET /b HTTP/1.1\r\n\r\n", answers=2
    )
    assert [body for _, _, body in found] == ["POST /a -", "GET /b -"]


def test_a_head_request_is_answered_without_a_body() -> None:
    async def play(server: Server, streams: Streams) -> Any:
        reader, writer = streams
        writer.write(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        return await read_answer(reader, head_only=True), await read_answer(reader)

    head, after = played(play)
    assert (head[1]["content-length"], after[2]) == ("9", "GET /b -")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * 30), 413),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * HEAD_BYTES_MAX, 431),
    ],
)
def test_what_is_not_spoken_here_is_refused_and_the_connection_closed(sent: bytes, status: int) -> None:
    async def play(server: Server, streams: Streams) -> Any:
        reader, writer = streams
        writer.write(sent)
        answer = await read_answer(reader)
        return answer, await reader.read()

    (found, headers, _), rest = played(play)
    assert (found, headers["connection"], rest) == (status, "close", b"")


def test_one_who_wants_the_connection_closed_gets_it_closed() -> None:
    async def play(server: Server, streams: Streams) -> Any:
        reader, writer = streams
        writer.write(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
        await read_answer(reader)
        return await reader.read()

    assert played(play) == b""


def test_a_server_that_drains_answers_what_it_has_and_closes_what_is_idle() -> None:
    async def play(server: Server, streams: Streams) -> Any:
        reader, writer = streams
        writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        await server.drain(2.0)
        took_s = asyncio.get_running_loop().time() - began
        return await read_answer(reader), await reader.read(), took_s

    (status, headers, _), rest, took_s = played(play)
    assert (status, headers["connection"], rest) == (200, "close", b"")
    assert took_s < 1.0  # it waited for the answer, 150 ms, and not for its whole time


def test_a_request_that_is_never_answered_holds_up_a_drain_only_so_long() -> None:
    async def play(server: Server, streams: Streams) -> Any:
        streams[1].write(b"GET /never HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        await server.drain(0.3)
        return asyncio.get_running_loop().time() - began

    assert 0.3 <= played(play) < 1.5


def test_a_user_who_goes_away_before_the_answer_troubles_nobody() -> None:
    async def play(server: Server, streams: Streams) -> Any:
        _, writer = streams
        writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.3)
        return len(server.connections)

    assert played(play) == 0

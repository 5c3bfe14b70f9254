"""As much of HTTP/1.1 as a pod behind a proxy needs: requests in, answers out, connections kept and drained.

A dozen pods share a laptop with a proxy and a load generator, so a request costs a tenth of what a web framework takes
and a process starts in half the time. It trusts its neighbour no more than it must: heads and bodies are bounded, and
what it does not speak (chunked bodies, upgrades) is refused and the connection closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

HEAD_BYTES_MAX = 32_768
BODY_BYTES_MAX = 1_048_576
_DRAIN_POLL_S = 0.01
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case, the path is without its query. Bodies are read and forgotten."""

    method: str
    path: str
    headers: Mapping[str, str]


Answer = Callable[[int, Mapping[str, str], bytes], None]
Handler = Callable[[Request, Answer], None]


class _Refused(Exception):
    """What was received is nothing that is spoken here; the argument is the status to answer with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server:
    """Listens on one port of the loopback and hands requests to `handle`, which answers now, later or never."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.draining = False
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)

    async def drain(self, within_s: float) -> None:
        """Take no new connection, let requests in flight be answered for a while, and close."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.close_when_idle()
        ends = asyncio.get_running_loop().time() + within_s
        while self.connections and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(_DRAIN_POLL_S)


class Connection(asyncio.Protocol):
    """One connection: one request at a time, in order."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._busy = False
        self._request_number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._busy:
            self._take_next()
        elif len(self._received) > HEAD_BYTES_MAX + BODY_BYTES_MAX and self._transport is not None:
            self._transport.close()

    def close_when_idle(self) -> None:
        """Close now, or with the answer to the request in flight."""
        if not self._busy and self._transport is not None:
            self._transport.close()

    def _take_next(self) -> None:
        try:
            request = self._next_request()
        except _Refused as refused:
            self._busy, self._request_number = True, self._request_number + 1
            self._send(refused.status, {}, b"", keep=False, head_only=False)
            return
        if request is None:
            return
        self._busy = True
        self._request_number += 1
        number = self._request_number
        wants_end = request.headers.get("connection", "").lower() == "close"

        def answer(status: int, headers: Mapping[str, str], body: bytes) -> None:
            if number == self._request_number and self._busy:  # a second answer to one request is nobody's
                keep = not (wants_end or self._server.draining)
                self._send(status, headers, body, keep=keep, head_only=request.method == "HEAD")

        self._server.handle(request, answer)

    def _next_request(self) -> Request | None:
        """Return the next request that is here as a whole, or None.

        Raises:
            _Refused: it is too large, or no HTTP/1.1 that is spoken here.
        """
        end = self._received.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX + 4)
        if end < 0:
            if len(self._received) > HEAD_BYTES_MAX:
                raise _Refused(431)
            return None
        request, length = _read_head(bytes(self._received[:end]))
        if len(self._received) < end + 4 + length:
            return None
        del self._received[: end + 4 + length]
        return request

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, *, keep: bool, head_only: bool) -> None:
        if self._transport is None:
            return  # whoever asked has gone
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not keep:
            lines.append("connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self._transport.write(head if head_only else head + body)
        self._busy = False
        if not keep:
            self._transport.close()
        elif self._received:
            # On the next turn of the loop: a neighbour that sends many requests at once must not nest calls.
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._busy and self._transport is not None:
            self._take_next()


def _read_head(head: bytes) -> tuple[Request, int]:
    """Return the request of a head, and how many bytes of body follow it."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].startswith("/"):
        raise _Refused(400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _Refused(400)
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise _Refused(411)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _Refused(400)
    if int(length[:9]) > BODY_BYTES_MAX or len(length) > 9:
        raise _Refused(413)
    if parts[2] == "HTTP/1.0":
        headers["connection"] = "close"
    return Request(method=parts[0], path=parts[1].partition("?")[0], headers=headers), int(length)

"""One HTTP request and its answer, over kept connections, each request sent exactly once.

This stands on geventhttpclient's parser, as Locust's FastHttpUser does, but not on its client: that one sends a
request again, silently and up to `concurrency` times, when a connection ends before the answer, so what a server
counted and what a user saw would no longer agree; it raises on error pages that are not UTF-8; and it costs
twice the CPU. Here a request that met a closed connection is a failure, as it was for the user.
"""

from __future__ import annotations

import errno
import socket as plain_socket
import time
from dataclasses import dataclass

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketResponse

from loadgen.openloop.records import Failure
from loadgen.openloop.safety import Target

REVISION_HEADER, POD_HEADER = "x-gamebird-revision", "x-gamebird-pod"

IDLE_MAX_S = 4.0
"""A connection that rested longer is not used again: many servers end one after five seconds, perhaps just now."""

_CHUNK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; status 0 and a failure when no whole answer did."""

    status: int
    failure: Failure
    revision: str = ""
    pod: str = ""
    length: int = 0


class Connections:
    """Kept connections to one target; there is no cap here, because a request never waits for a connection."""

    def __init__(self, target: Target) -> None:
        self._address = (target.address, target.port)
        self._family = plain_socket.AF_INET6 if ":" in target.address else plain_socket.AF_INET
        self._tls = target.tls
        self._context = None if target.tls is None else target.tls.context(gevent.ssl.SSLContext)
        self._idle: list[tuple[float, gevent.socket.socket]] = []  # the one that rested least is last

    def take(self) -> gevent.socket.socket:
        """Return a connection that is open as far as anybody can know, a new one if none is."""
        while self._idle:
            rested_since_s, sock = self._idle.pop()
            if time.monotonic() - rested_since_s <= IDLE_MAX_S and _is_quiet(sock):
                return sock
            sock.close()
        sock = gevent.socket.socket(self._family, plain_socket.SOCK_STREAM)
        try:
            sock.setsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_NODELAY, 1)
            sock.connect(self._address)
            if self._context is not None and self._tls is not None:
                sock = self._context.wrap_socket(sock, server_hostname=self._tls.server_name)
        except BaseException:
            sock.close()
            raise
        return sock

    def give_back(self, sock: gevent.socket.socket) -> None:
        """Keep a connection for a later request."""
        self._idle.append((time.monotonic(), sock))

    def close_rested(self) -> None:
        """Close what rested too long, so that a spike does not leave its connections open for ever."""
        oldest = time.monotonic() - IDLE_MAX_S
        while self._idle and self._idle[0][0] < oldest:
            self._idle.pop(0)[1].close()


def _is_quiet(sock: gevent.socket.socket) -> bool:
    """Whether nothing waits on a resting connection: neither its end nor bytes that nobody asked for."""
    try:
        # Past gevent's own recv, which would wait. The descriptor is non-blocking, as all of gevent's are.
        sock._sock.recv(1, plain_socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def exchange(connections: Connections, request: bytes, *, method: str, timeout_s: float) -> Answer:
    """Send one request and return what came of it within `timeout_s` seconds of the wall. Raises nothing of the net."""
    timer = gevent.Timeout.start_new(timeout_s)
    sock = None
    kept = False
    try:
        sock = connections.take()
        sock.sendall(request)
        response = HTTPSocketResponse(sock, method=method, block_size=_CHUNK)
        length = 0
        while chunk := response.read(_CHUNK):
            length += len(chunk)
        if not response.message_complete:
            return Answer(status=0, failure=Failure.CLOSED)
        kept = not response.should_close()
        return Answer(
            status=response.get_code(),
            failure=Failure.NONE,
            revision=_header(response, REVISION_HEADER),
            pod=_header(response, POD_HEADER),
            length=length,
        )
    except gevent.Timeout as error:
        if error is not timer:
            raise
        return Answer(status=0, failure=Failure.TIMED_OUT)
    except HTTPConnectionClosed:
        return Answer(status=0, failure=Failure.CLOSED)
    except HTTPParseError as error:
        # The parser also reports an answer that stopped half way as an error of its own.
        return Answer(status=0, failure=Failure.CLOSED if _ended_early(error) else Failure.UNREADABLE)
    except OSError as error:
        return Answer(status=0, failure=_failure_of(error, connected=sock is not None))
    finally:
        timer.close()
        if sock is not None:
            if kept:
                connections.give_back(sock)
            else:
                sock.close()


def _header(response: HTTPSocketResponse, name: str) -> str:
    value = response.get(name)
    return value if isinstance(value, str) else value[0] if value else ""


def _ended_early(error: HTTPParseError) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in ("connection closed", "incomplete response", "eof"))


def _failure_of(error: OSError, *, connected: bool) -> Failure:
    if connected:
        return Failure.CLOSED
    return Failure.REFUSED if error.errno == errno.ECONNREFUSED else Failure.UNREACHABLE

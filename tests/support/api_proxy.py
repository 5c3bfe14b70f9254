"""A proxy in front of an API server that counts what is written and harms it at the n-th write.

Speaks plain HTTP on the loopback and hands everything on, credentials and watches included. Each client has a path of
its own (`/NAME/…`), so that many controllers at once are told apart. On the path of every test.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

Json = dict[str, Any]
QUIET_S = 150.0
# Nobody decides by the first two, and a thread of their own writes them; the third only asks what is allowed.
UNCOUNTED = ("events", "leases", "selfsubjectaccessreviews")


class Fate(Enum):
    """What becomes of a write."""

    PASSES = auto()
    LOST = auto()  # it never reaches the server, and nobody answers
    UNANSWERED = auto()  # the server does it, and nobody answers
    CONFLICT = auto()  # it never reaches the server, which seems to say that somebody else was faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write that was answered (or not: status 0)."""

    method: str
    path: str  # without the client's name and the query
    body: Json
    status: int

    @property
    def kind(self) -> str:
        """The plural of what was written, with its subresource: rollouts/status."""
        parts = self.path.strip("/").split("/")
        after = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
        return "/".join([after[0], *after[2:]])


@dataclass(slots=True)
class Client:
    """What one client has written, and what decides what becomes of its next write.

    Attributes:
        fate: asked before each write, with its number (1 is the first) and itself; called from the proxy's threads.
        seen: told of each write afterwards.
    """

    writes: list[Write] = field(default_factory=list)
    count: int = 0
    fate: Callable[[int, Write], Fate] = lambda number, write: Fate.PASSES
    seen: Callable[[Write], None] = lambda write: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, write: Write) -> Fate:
        """Number a write and return what becomes of it."""
        with self._lock:
            self.count += 1
            return self.fate(self.count, write)

    def note(self, write: Write) -> None:
        """Remember a write that the server has answered."""
        with self._lock:
            self.writes.append(write)
        self.seen(write)


class ApiProxy:
    """Serves until `stop`. Events and leases are handed on and not counted.

    Args:
        server: the API server's address.
        certificate: what its certificate is checked with.
    """

    def __init__(self, server: str, certificate: Path) -> None:
        self.clients: dict[str, Client] = {}
        context = ssl.create_default_context(cafile=str(certificate))
        self._pool = urllib3.PoolManager(maxsize=64, ssl_context=context, retries=False)
        self._server_address = server
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, name="api-proxy", daemon=True)
        self._thread.start()

    def client(self, name: str) -> tuple[Client, str]:
        """Return a new client of this name and the address that it has to use."""
        found = self.clients[name] = Client()
        return found, f"http://127.0.0.1:{self._http.server_address[1]}/{name}"

    def stop(self) -> None:
        """End. Watches that somebody still reads end with their readers."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._pool.clear()

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes, *, stream: bool) -> Any:
        """Hand a request on; the answer's body is left unread where it is a stream."""
        timeout = urllib3.Timeout(connect=5.0, read=QUIET_S)
        return self._pool.request(
            method,
            f"{self._server_address}{path}",
            body=body or None,
            headers=headers,
            timeout=timeout,
            preload_content=not stream,
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: ApiProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that was killed in the middle of a request is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path, _ = self._addressed()
        answer = self.server.proxy.ask("GET", path, self._passed_headers(), b"", stream="watch=true" in path)
        if "watch=true" in path and answer.status == 200:
            self._stream(answer)
        else:
            self._answer(answer.status, answer.data or b"")

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    def do_PATCH(self) -> None:
        self._write()

    def do_DELETE(self) -> None:
        self._write()

    def _addressed(self) -> tuple[str, Client]:
        _, name, rest = self.path.split("/", 2)
        return f"/{rest}", self.server.proxy.clients[name]

    def _passed_headers(self) -> dict[str, str]:
        return {name: text for name, text in self.headers.items() if name.lower() not in ("host", "content-length")}

    def _write(self) -> None:
        path, client = self._addressed()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        write = Write(method=self.command, path=path.partition("?")[0], body=_parsed(body), status=0)
        fate = Fate.PASSES if write.kind in UNCOUNTED else client.decide(write)
        if fate is Fate.CONFLICT:
            said = {"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "message": "injected"}
            self._answer(409, json.dumps(said).encode())
            return
        if fate is Fate.LOST:
            self._hang_up()
            return
        answer = self.server.proxy.ask(self.command, path, self._passed_headers(), body, stream=False)
        if write.kind not in UNCOUNTED:
            client.note(replace(write, status=answer.status))
        if fate is Fate.UNANSWERED:
            self._hang_up()
        else:
            self._answer(answer.status, answer.data or b"")

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, answer: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            for part in answer.stream(amt=None, decode_content=True):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            answer.close()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _parsed(body: bytes) -> Json:
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"items": found}

"""Real HTTP servers on loopback ports that answer as a test says and remember what they were asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it arrived; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(slots=True, kw_only=True)
class Site:
    """A server: its address, and every request in the order of arrival."""

    address: str = ""
    place: str = ""  # host:port
    asked: list[Asked] = field(default_factory=list)


Answering = Callable[[Asked], tuple[int, bytes]]
Serve = Callable[..., Site]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server: `serve(lambda asked: (200, b"…"))`."""
    with ExitStack() as running:

        def start(
            answer: Answering, *, headers: dict[str, str] | None = None, tls: ssl.SSLContext | None = None
        ) -> Site:
            site = Site()

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                    seen = {name.lower(): value for name, value in self.headers.items()}
                    asked = Asked(method=self.command, path=self.path, headers=seen, body=body)
                    site.asked.append(asked)
                    status, reply = answer(asked)
                    self.send_response(status)
                    for name, value in (headers or {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(reply)

                def do_POST(self) -> None:
                    self.do_GET()

                def do_PUT(self) -> None:
                    self.do_GET()

                def log_message(self, format: str, *args: object) -> None:
                    pass

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            site.place = f"127.0.0.1:{server.server_port}"
            site.address = f"{'http' if tls is None else 'https'}://{site.place}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            running.callback(thread.join)
            running.callback(server.server_close)
            running.callback(server.shutdown)
            return site

        yield start

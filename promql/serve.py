"""Run an ASGI app on a loopback port beside the program's own work, and end it again without a trace.

The socket is ours, not uvicorn's: it is bound when the server starts, so the port is known at once, and a stopped
server can come back on the port it had, which is how a rehearsal lets Prometheus be gone for a while.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"
_STOPS_WITHIN_S = 10.0
_QUIET = "promql.serve"


class ServerError(Exception):
    """The server did not start; the text says why."""


class _QuietServer(uvicorn.Server):
    """Signals stay with the program that started the server."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.is_up.set()


class QueryServer:
    """One app on one address, started and stopped as often as wanted.

    Args:
        app: what answers.
        port: 0 for a free one, which is then kept over restarts.
        host: where to listen; anything but loopback is the caller's own risk.
    """

    def __init__(self, app: ASGIApp, port: int = 0, *, host: str = HOST) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._server: _QuietServer | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def port(self) -> int:
        """The port; 0 until the first start if none was asked for."""
        return self._port

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen; when this returns, requests are answered. Starting twice changes nothing.

        Raises:
            ServerError: the port is taken, or the app does not come up.
        """
        if self.is_running:
            return
        listener = self._bound()
        self._port = listener.getsockname()[1]
        self._failure = None
        server = _QuietServer(
            uvicorn.Config(
                self._app,
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
                ws="none",
                server_header=False,
            )
        )
        self._server = server
        self._thread = threading.Thread(target=self._serve, args=(server, listener), name=_QUIET, daemon=True)
        self._thread.start()
        while not server.is_up.wait(0.05):
            if not self._thread.is_alive():
                raise ServerError(f"the server on {self.address} did not start: {self._failure}")

    def stop(self) -> None:
        """Close the port and wait for the thread to end. Stopping twice changes nothing."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOPS_WITHIN_S)
        self._server = self._thread = None

    def __enter__(self) -> QueryServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named; else every answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # A port whose last connections are still winding down may be taken again: a restart must not wait for them.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise ServerError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from None
        return listener

    def _serve(self, server: _QuietServer, listener: socket.socket) -> None:
        try:
            asyncio.run(server._serve(sockets=[listener]))  # without uvicorn's own handling of signals
        except BaseException as error:
            self._failure = error
        finally:
            listener.close()

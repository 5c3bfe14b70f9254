"""Prometheus servers that say what a test wants said: one value to everybody, or each metric's script."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_NAMED = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_QUERY = re.compile(r'^gb\{s="([^"]*)",m="([^"]*)"')


class LoopbackPrometheus:
    """Serves on the loopback, with what `answer` makes of a query: a status, and a body for a status of 200."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(parse_qs(urlsplit(self.path).query))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self._reply(parse_qs(self.rfile.read(length).decode()))

            def _reply(self, form: dict[str, list[str]]) -> None:
                status, body = outer.answer(form.get("query", [""])[0])
                # A server that is broken answers no JSON; clients make "server error: 500" of it.
                data = json.dumps(body).encode() if status == 200 else b"scripted"
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query: str) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError


class OneValue(LoopbackPrometheus):
    """Gives one value to whoever asks; None: it answers with an error."""

    def __init__(self, value: float | None = 0.001) -> None:
        super().__init__()
        self.value = value

    def answer(self, query: str) -> tuple[int, dict[str, Any]]:
        if self.value is None:
            return 500, {}
        return 200, _data("vector", [{"metric": {}, "value": [0, _text(self.value)]}])


class ScriptedPrometheus(LoopbackPrometheus):
    """The n-th question of a metric gets the n-th entry of its script, the last one repeats.

    `scripts` maps scenario and metric to their answers.
    """

    def __init__(self, scripts: dict[tuple[str, str], list[Any]]) -> None:
        super().__init__()
        self.scripts = scripts
        self.asked: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    def rewind(self, scenario: str) -> None:
        """Begin all scripts of a scenario anew."""
        with self._lock:
            self.asked = {key: asked for key, asked in self.asked.items() if key[0] != scenario}

    def answer(self, query: str) -> tuple[int, dict[str, Any]]:
        found = _QUERY.match(query)
        if found is None:
            return 200, _data("vector", [])
        key = (found[1], found[2])
        script = self.scripts[key]
        with self._lock:
            asked = self.asked.setdefault(key, [])
            told = script[min(len(asked), len(script) - 1)]
            asked.append(query)
        if told == "error":
            return 500, {}
        if told == "empty":
            return 200, _data("vector", [])
        if isinstance(told, dict):
            return 200, _data("scalar", [0, _text(told["scalar"])])
        values = told if isinstance(told, list) else [told]
        return 200, _data("vector", [{"metric": {"n": str(n)}, "value": [0, _text(v)]} for n, v in enumerate(values)])


def _text(value: Any) -> str:
    return _NAMED.get(value, value) if isinstance(value, str) else repr(value)


def _data(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}

"""A request as it goes over the wire, made before it is due. Imports no gevent, so that scores can be made anywhere."""

from __future__ import annotations

from collections.abc import Iterable

from loadgen.openloop.safety import Target
from loadgen.traffic import Route

_OWN_HEADERS = {"host", "user-agent", "content-length", "transfer-encoding", "connection", "x-gamebird-load"}


def request_bytes(route: Route, target: Target, *, tag: str) -> bytes:
    """Return a request as it goes over the wire. `tag` marks it as load, for whoever reads the service's log."""
    body = route.body.encode() if route.body is not None else b""
    return wire_bytes(
        route.method, route.path, host=target.host_header, tag=tag, headers=route.headers.items(), body=body
    )


def wire_bytes(
    method: str, path: str, *, host: str, tag: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """Return a request as it goes over the wire; headers that the generator sets itself are left out."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "User-Agent: gamebird-loadgen", f"x-gamebird-load: {tag}"]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _OWN_HEADERS]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

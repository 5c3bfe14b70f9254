"""Access logs of Envoy: its default text format, Istio's longer one, and JSON with the field names both use.

%START_TIME% is when the request began and %DURATION% is in milliseconds. A line of a TCP proxy has no request in it
and is a bad line, as is one of a protocol that could not be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from loadgen.traces.nginx import Parser
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded
from loadgen.traces.stamps import any_s, iso_s
from loadgen.traces.targets import bytes_of, method_of, seconds_of, split_request_line, split_target, status_of

# Envoy escapes nothing in its text format, so a quote may stand in what clients send: in the path and the user agent.
_TEXT = re.compile(
    r"\[([^\]]*)\] \"(.*?)\" ([0-9]+|-) (\S+)"
    r"(?: (?:\S+) (?:\S+) \"[^\"]*\")?"  # Istio: details of the response, of the connection, of the upstream
    r" ([0-9]+|-) ([0-9]+|-) ([0-9]+|-) ([0-9]+|-)"
    r" \"([^\"]*)\" \"(.*)\" \"([^\"]*)\" \"([^\"]*)\" \"([^\"]*)\"(?: .*)?",
    re.ASCII,
)
# What a request is called in JSON: Istio's names first, then those that people give by hand.
_NAMES = {
    "time": ("start_time", "timestamp", "@timestamp", "time"),
    "method": ("method", "request_method", ":method"),
    "path": ("path", "x_envoy_original_path", "request_path", ":path", "uri"),
    "status": ("response_code", "status", "status_code"),
    "duration": ("duration", "duration_ms"),
    "received": ("bytes_received",),
    "sent": ("bytes_sent",),
    "user-agent": ("user_agent", "user-agent"),
    "x-request-id": ("request_id",),
    "host": ("authority", ":authority", "host"),
    "x-forwarded-for": ("x_forwarded_for",),
}
_HEADERS = ("host", "user-agent", "x-forwarded-for", "x-request-id")


def envoy_text(keep: Keep = KEEP) -> Parser:
    """Return what reads one line of Envoy's default format, or of Istio's."""

    def parse(line: str) -> Recorded:
        found = _TEXT.fullmatch(line)
        if found is None:
            raise BadLine("the line does not have the format")
        stamp, request, status, _, received, sent, took_ms, _, forwarded, agent, request_id, host, _ = found.groups()
        method, path, query = split_request_line(request)
        fields = {"host": host, "user-agent": agent, "x-forwarded-for": forwarded, "x-request-id": request_id}
        size = bytes_of(received)
        return Recorded(
            time_s=iso_s(stamp),
            method=method,
            path=path,
            query=query,
            headers=_kept(fields, keep),
            body_bytes=size,
            status=status_of(status),
            duration_s=seconds_of(took_ms, unit_s=1e-3),
            response_bytes=bytes_of(sent),
            segment=keep.segment_of(fields),
        )

    return parse


def envoy_json(keep: Keep = KEEP) -> Parser:
    """Return what reads one line of JSON, an object with Envoy's or Istio's field names."""

    def parse(line: str) -> Recorded:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            raise BadLine("the line is no JSON") from None
        if not isinstance(fields, dict):
            raise BadLine("the line is no JSON object")
        stamp, target = _text(fields, "time"), _text(fields, "path")
        if not stamp or not target or target == "-":
            raise BadLine(f"the object has no {'path' if stamp else 'start_time'}")
        path, query = split_target(target)
        headers = {name: _text(fields, name) for name in _HEADERS}
        return Recorded(
            time_s=any_s(stamp),
            method=method_of(_text(fields, "method")),
            path=path,
            query=query,
            headers=_kept(headers, keep),
            body_bytes=bytes_of(_text(fields, "received")),
            status=status_of(_text(fields, "status")),
            duration_s=seconds_of(_text(fields, "duration"), unit_s=1e-3),
            response_bytes=bytes_of(_text(fields, "sent")),
            segment=keep.segment_of({str(name).lower(): _plain(value) for name, value in fields.items()})
            if keep.segment
            else None,
        )

    return parse


def _kept(fields: Mapping[str, str], keep: Keep) -> tuple[tuple[str, str], ...]:
    return keep.of((name, value) for name, value in fields.items() if value not in ("", "-"))


def _text(fields: Mapping[str, Any], what: str) -> str:
    """Return a field as text, by the first of its names that is there; "" if none is."""
    return next((_plain(fields[name]) for name in _NAMES[what] if fields.get(name) is not None), "")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value}"

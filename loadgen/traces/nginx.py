"""Access logs of nginx: `combined`, and every log_format that a user can show.

A format becomes one regular expression in which each variable ends where the next literal character stands, so that
a line is matched in one pass whatever it holds. nginx stamps a line when the answer is finished; where the format
tells $request_time, the request's own time is the stamp less that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.stamps import common_s, iso_s, unix_s
from loadgen.traces.targets import (
    bytes_of,
    method_of,
    seconds_of,
    split_request_line,
    split_target,
    status_of,
    unescaped,
)

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)

Parser = Callable[[str], Recorded]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_PIECES = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NUMBER = r"-|[0-9.]+"
_UPSTREAMS = rf"(?:{_NUMBER})?(?:(?:, | : )(?:{_NUMBER}))*"
_KNOWN = {
    "status": "[0-9]{3}|-",
    "body_bytes_sent": "[0-9]+|-",
    "bytes_sent": "[0-9]+|-",
    "request_length": "[0-9]+|-",
    "request_time": _NUMBER,
    "msec": "[0-9.]+",
    "upstream_response_time": _UPSTREAMS,
    "upstream_connect_time": _UPSTREAMS,
    "upstream_header_time": _UPSTREAMS,
    "upstream_status": r"[0-9-]*(?:(?:, | : )[0-9-]*)*",
    "upstream_addr": r"[^\s,]*(?:(?:, | : )[^\s,]*)*",
    "request_method": r"[^\s\"]*",
    "time_iso8601": r"[0-9T:+-]+Z?",
}
_TIMES: Mapping[str, Callable[[str], float]] = {"msec": unix_s, "time_iso8601": iso_s, "time_local": common_s}


def format_text(text: str) -> str:
    """Return the format proper of a whole `log_format name '…' '…';` directive; text that is none as it is."""
    text = text.strip()
    if not text.startswith("log_format"):
        return text
    pieces = [found[1] if found[1] is not None else found[2] for found in _PIECES.finditer(text)]
    if not pieces:
        raise TraceError(f"{text[:80]!r} has no quoted format; a directive reads log_format NAME '$remote_addr …';")
    return re.sub(r"\\(.)", r"\1", "".join(pieces))


def nginx(log_format: str = COMBINED, keep: Keep = KEEP) -> Parser:
    """Return what reads one line of a log with this format.

    Raises:
        TraceError: the format does not tell time and request, or two variables touch and cannot be told apart.
    """
    text = format_text(log_format)
    pattern, names = _compiled(text)
    where = {name: position for position, name in enumerate(names)}
    stamp = next((name for name in _TIMES if name in where), None)
    if stamp is None:
        raise TraceError(f"the format {text!r} tells no time; it needs $time_local, $time_iso8601 or $msec")
    if not ("request" in where or ("request_uri" in where or "uri" in where)):
        raise TraceError(
            f"the format {text!r} tells no request; it needs $request, or $request_method and $request_uri"
        )
    when, at = _TIMES[stamp], where[stamp]
    target = _targets(where)
    rest = _rest(where, keep)
    request_time = where.get("request_time")

    def parse(line: str) -> Recorded:
        found = pattern.fullmatch(line)
        if found is None:
            raise BadLine("the line does not have the format")
        values = found.groups()
        time_s = when(values[at])
        method, path, query = target(values)
        headers, status, duration_s, response_bytes, body, body_bytes, segment = rest(values)
        if request_time is not None and duration_s is not None:
            time_s -= duration_s
        return Recorded(
            time_s, method, path, query, headers, body, body_bytes, status, duration_s, response_bytes, segment
        )

    return parse


def _compiled(text: str) -> tuple[re.Pattern[str], list[str]]:
    """Return the format as a pattern with a group for each variable, and the variables' names in order."""
    parts: list[str] = []
    names: list[str] = []
    end = 0
    found = list(_VARIABLE.finditer(text))
    for index, variable in enumerate(found):
        literal = text[end : variable.start()]
        if index and not literal:
            raise TraceError(
                f"the format {text!r} has ${names[-1]} and {variable[0]} side by side; nothing tells where one ends"
            )
        parts.append(re.escape(literal))
        name = variable[1] or variable[2]
        after = text[variable.end() : variable.end() + 1]
        parts.append(f"({_KNOWN.get(name) or _up_to(name, after)})")
        names.append(name)
        end = variable.end()
    parts.append(re.escape(text[end:]))
    return re.compile("".join(parts), re.ASCII), names


def _up_to(name: str, after: str) -> str:
    """Return the pattern of a variable that ends where the literal character `after` stands."""
    if after == '"':
        return r"[^\"\\]*(?:\\.[^\"\\]*)*"
    if name == "request" and after == " ":
        return r"\S+ \S+(?: HTTP/[0-9.]+)?|-"
    if name == "time_local" and after == " ":
        return r"\S+ \S+"
    return f"[^{re.escape(after)}]*" if after and after != "$" else ".*"


def _targets(where: Mapping[str, int]) -> Callable[[tuple[str, ...]], tuple[str, str, str]]:
    if "request" in where:
        at = where["request"]
        return lambda values: split_request_line(values[at])
    method_at = where.get("request_method")
    uri_at, args_at = where.get("request_uri", where.get("uri", 0)), where.get("args", where.get("query_string"))

    def target(values: tuple[str, ...]) -> tuple[str, str, str]:
        path, query = split_target(unescaped(values[uri_at]))
        if not query and args_at is not None and values[args_at] != "-":
            query = split_target("/?" + unescaped(values[args_at]))[1]
        return method_of(values[method_at]) if method_at is not None else "GET", path, query

    return target


_Rest = tuple[tuple[tuple[str, str], ...], int | None, float | None, int | None, bytes | None, int | None, str | None]


def _rest(where: Mapping[str, int], keep: Keep) -> Callable[[tuple[str, ...]], _Rest]:
    """Return what reads headers, status, duration, sizes, body and segment from a line's values."""
    headers_at = [(name, where[variable]) for name, variable in _headers(where) if name in keep.headers]
    status_at = where.get("status")
    duration_at = where.get("request_time", where.get("upstream_response_time"))
    sent_at = where.get("body_bytes_sent", where.get("bytes_sent"))
    length_at, body_at = where.get("content_length"), where.get("request_body")
    segment_at = _segment_at(where, keep)

    def rest(values: tuple[str, ...]) -> _Rest:
        body, size = None, None
        if body_at is not None and values[body_at] != "-":
            body, size = keep.body(unescaped(values[body_at]).encode("utf-8", "replace"))
        if length_at is not None and size is None:
            size = bytes_of(values[length_at])
        segment = values[segment_at] if segment_at is not None else None
        return (
            tuple([(name, unescaped(values[at])) for name, at in headers_at if values[at] not in ("-", "")]),
            status_of(values[status_at]) if status_at is not None else None,
            _upstream_s(values[duration_at]) if duration_at is not None else None,
            bytes_of(values[sent_at]) if sent_at is not None else None,
            body,
            size,
            None if segment in (None, "", "-") else unescaped(segment or ""),
        )

    return rest


def _headers(where: Mapping[str, int]) -> list[tuple[str, str]]:
    special = {"content_type": "content-type", "host": "host"}
    found = [(name[5:].replace("_", "-"), name) for name in where if name.startswith("http_")]
    return found + [(header, name) for name, header in special.items() if name in where]


def _segment_at(where: Mapping[str, int], keep: Keep) -> int | None:
    if keep.segment is None:
        return None
    name = keep.segment.removeprefix("$")
    for candidate in (name, f"http_{name.lower().replace('-', '_')}"):
        if candidate in where:
            return where[candidate]
    raise TraceError(f"the format has no variable ${name} to take segments from; it has {', '.join(sorted(where))}")


def _upstream_s(text: str) -> float | None:
    """Return a duration; of several upstreams that were tried in turn (`0.010, 0.200 : 0.050`), their sum."""
    if "," not in text and ":" not in text:
        return seconds_of(text)
    parts = [seconds_of(part) for part in re.split(r", | : ", text)]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None

"""Access logs of Apache: common and combined, with a duration in microseconds (%D) at the end where there is one.

Apache stamps a line with the time at which the request came in, so the stamp is the request's own time.
"""

from __future__ import annotations

import re

from loadgen.traces.nginx import Parser
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.stamps import common_s
from loadgen.traces.targets import bytes_of, seconds_of, split_request_line, status_of, unescaped

_QUOTED = r"\"([^\"\\]*(?:\\.[^\"\\]*)*)\""
_COMMON = rf"\S+ \S+ (?:\S+|\"[^\"]*\") \[([^\]]*)\] {_QUOTED} ([0-9]{{3}}|-) ([0-9]+|-)"
_LINES = {
    "common": re.compile(_COMMON + r"(?: ([0-9]+|-))?", re.ASCII),
    "combined": re.compile(rf"{_COMMON} {_QUOTED} {_QUOTED}(?: ([0-9]+|-))?", re.ASCII),
}


def apache(kind: str = "combined", keep: Keep = KEEP) -> Parser:
    """Return what reads one line of `common` or `combined`."""
    if keep.segment is not None:
        raise TraceError(f"Apache's {kind} log has no {keep.segment} to take segments from")
    pattern = _LINES[kind]
    agent_kept, referer_kept = "user-agent" in keep.headers, "referer" in keep.headers

    def parse(line: str) -> Recorded:
        found = pattern.fullmatch(line)
        if found is None:
            raise BadLine("the line does not have the format")
        stamp, request, status, size, *more = found.groups()
        method, path, query = split_request_line(request)
        headers: tuple[tuple[str, str], ...] = ()
        if len(more) == 3:
            referer, agent = more[0], more[1]
            if agent_kept and agent not in ("", "-"):
                headers = (("user-agent", unescaped(agent)),)
            if referer_kept and referer not in ("", "-"):
                headers = (("referer", unescaped(referer)), *headers)
        took_us = more[-1]
        return Recorded(
            time_s=common_s(stamp),
            method=method,
            path=path,
            query=query,
            headers=headers,
            status=status_of(status),
            response_bytes=bytes_of(size),
            duration_s=seconds_of(took_us, unit_s=1e-6) if took_us else None,
        )

    return parse

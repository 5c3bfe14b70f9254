"""Access logs of an AWS Application Load Balancer: space-separated fields, some of them quoted.

The first stamp is when the answer was sent; the request's own time is `request_creation_time`, and where an old log
has none, the stamp less the three processing times. Their sum is the duration; -1 in any of them means no answer.
"""

from __future__ import annotations

import re

from loadgen.traces.nginx import Parser
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded
from loadgen.traces.stamps import iso_s
from loadgen.traces.targets import bytes_of, seconds_of, split_request_line, status_of

_LINE = re.compile(
    r"(?:http|https|h2|grpcs|ws|wss) (\S+) \S+ \S+ \S+ (-?[0-9.]+) (-?[0-9.]+) (-?[0-9.]+)"
    r" ([0-9]{3}|-) (?:[0-9]{3}|-) ([0-9]+|-) ([0-9]+|-) \"([^\"]*)\" \"([^\"]*)\" \S+ \S+ \S+"
    r" \"([^\"]*)\" \"([^\"]*)\"(?: \"[^\"]*\" (?:\S+) (\S+))?.*",
    re.ASCII,
)


def alb(keep: Keep = KEEP) -> Parser:
    """Return what reads one line of a load balancer's log."""

    def parse(line: str) -> Recorded:
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadLine("the line does not have the format")
        stamp, *took, status, _, sent, request, agent, trace, host, created = found.groups()
        parts_s = [seconds_of(part) for part in took]
        duration_s = None if None in parts_s else sum(part for part in parts_s if part is not None)
        method, path, query = split_request_line(request)
        fields = {"host": host, "user-agent": agent, "x-amzn-trace-id": trace}
        return Recorded(
            time_s=iso_s(created) if created else iso_s(stamp) - (duration_s or 0.0),
            method=method,
            path=path,
            query=query,
            headers=keep.of((name, value) for name, value in fields.items() if value not in ("", "-")),
            # received_bytes counts headers too, so it does not tell the body's size.
            status=status_of(status),
            duration_s=duration_s,
            response_bytes=bytes_of(sent),
            segment=keep.segment_of(fields),
        )

    return parse

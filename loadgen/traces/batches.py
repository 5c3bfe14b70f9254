"""From a stream to batches of requests: what all readers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from loadgen.traces.nginx import Parser
from loadgen.traces.requests import BadLine, Recorded
from loadgen.traces.sources import Stream, line_blocks
from loadgen.traces.tallies import Tally

BATCH_REQUESTS = 20_000

Reader = Callable[[Stream, str, Tally], Iterator[list[Recorded]]]
"""Reads a stream with a name; counts into the tally; gives batches of requests in the order of the file."""


def batched(requests: Iterator[Recorded]) -> Iterator[list[Recorded]]:
    """Give requests in batches, the last one shorter."""
    while batch := list(islice(requests, BATCH_REQUESTS)):
        yield batch


def reader_of_lines(parse: Parser, *, comment: str | None = None) -> Reader:
    """Return a reader of a format with one request a line. Empty lines are nothing, and lines of comment are none."""

    def requests(stream: Stream, name: str, tally: Tally) -> Iterator[Recorded]:
        for number, lines in line_blocks(stream):
            for offset, line in enumerate(lines):
                if not line or (comment is not None and isinstance(line, str) and line.startswith(comment)):
                    continue
                tally.lines += 1
                try:
                    if isinstance(line, BadLine):
                        raise line
                    request = parse(line)
                except BadLine as bad:
                    tally.refuse(name, number + offset, str(bad), line if isinstance(line, str) else "")
                else:
                    yield request

    return lambda stream, name, tally: batched(requests(stream, name, tally))

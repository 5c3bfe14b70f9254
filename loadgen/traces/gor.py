"""GoReplay's .gor: raw requests and answers, each with a line before it that says what it is.

`1 ID NANOSECONDS [LATENCY]` is a request, `2 …` the answer it got, `3 …` the answer to a replay, which is nobody's
traffic and is left aside. Payloads end with a line of three monkeys. A request waits for its answer, a bounded while.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadgen.traces.batches import Reader, batched
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.sources import BLOCK_BYTES, Stream
from loadgen.traces.stamps import checked_s
from loadgen.traces.tallies import Tally
from loadgen.traces.targets import method_of, split_target, status_of

SEPARATOR = "\n🐵🙈🙉\n".encode()
PAYLOAD_MAX_BYTES = 64 << 20
WAITING_MAX = 10_000
"""A request whose answer does not come within so many others goes on without it."""

_ANSWER = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})")


def gor_reader(keep: Keep = KEEP) -> Reader:
    """Return a reader of GoReplay's files. The line of a bad payload is the one on which it begins."""

    def requests(stream: Stream, name: str, tally: Tally) -> Iterator[Recorded]:
        waiting: dict[bytes, Recorded] = {}
        for line, payload in _payloads(stream, name):
            if not payload.strip():
                continue
            tally.lines += 1
            try:
                head, _, content = payload.partition(b"\n")
                kind, ident, stamp, latency_s = _head(head)
                if kind != b"1":
                    # An answer, perhaps without its request or to a replay: no request, and nothing is wrong with it.
                    tally.lines -= 1
                    if kind == b"2" and ident in waiting:
                        yield _answered(waiting.pop(ident), content, stamp, latency_s)
                    continue
                request = _request(content, stamp, keep)
            except BadLine as bad:
                tally.refuse(name, line, str(bad), payload[:200].decode("utf-8", "replace"))
                continue
            if ident in waiting:
                yield waiting.pop(ident)
            waiting[ident] = request
            if len(waiting) > WAITING_MAX:
                yield waiting.pop(next(iter(waiting)))
        yield from waiting.values()

    return lambda stream, name, tally: batched(requests(stream, name, tally))


def _payloads(stream: Stream, name: str) -> Iterator[tuple[int, bytes]]:
    """Give each payload with the number of the line on which it begins."""
    held, line = b"", 1
    while block := stream.read(BLOCK_BYTES):
        *whole, held = (held + block).split(SEPARATOR)
        for payload in whole:
            yield line, payload
            line += payload.count(b"\n") + 2
        if len(held) > PAYLOAD_MAX_BYTES:
            raise TraceError(
                f"{name}:{line}: a payload is longer than {PAYLOAD_MAX_BYTES:,} bytes; is this a .gor file?"
            )
    if held:
        yield line, held.removesuffix(b"\n")


def _head(head: bytes) -> tuple[bytes, bytes, float, float | None]:
    words = head.split()
    if len(words) not in (3, 4) or words[0] not in (b"1", b"2", b"3") or not words[2].isdigit():
        raise BadLine("the payload does not begin with its kind, its id and a time")
    latency_s = int(words[3]) / 1e9 if len(words) == 4 and words[3].isdigit() and int(words[3]) > 0 else None
    return words[0], words[1], checked_s(int(words[2]) / 1e9), latency_s


def _request(content: bytes, time_s: float, keep: Keep) -> Recorded:
    top, found, body = content.partition(b"\r\n\r\n")
    if not found:
        top, _, body = content.partition(b"\n\n")
    first, *lines = top.replace(b"\r\n", b"\n").decode("utf-8", "replace").split("\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadLine("the payload holds no HTTP request")
    path, query = split_target(words[1])
    headers = [(n.strip(), v.strip()) for n, colon, v in (line.partition(":") for line in lines) if colon]
    fields = {n.lower(): v for n, v in headers}
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _unchunked(body)
    kept, size = keep.body(body)
    return Recorded(
        time_s=time_s,
        method=method_of(words[0]),
        path=path,
        query=query,
        headers=keep.of(headers),
        body=kept or None,
        body_bytes=size,
        segment=keep.segment_of(fields),
    )


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, found, rest = body.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            raise BadLine("the payload's chunks cannot be read") from None
        if not found or length < 0 or length > len(rest):
            raise BadLine("the payload's chunks cannot be read")
        if length == 0:
            return b"".join(parts)
        parts.append(rest[:length])
        body = rest[length + 2 :]


def _answered(request: Recorded, content: bytes, at_s: float, latency_s: float | None) -> Recorded:
    found = _ANSWER.match(content)
    top, blank, body = content.partition(b"\r\n\r\n")
    took_s = latency_s if latency_s is not None else max(at_s - request.time_s, 0.0)
    return request._replace(
        status=status_of(found[1].decode()) if found else None,
        duration_s=took_s,
        response_bytes=len(body) if blank and top else None,
    )

"""HAR, the archive of a browser's or a proxy's requests: one JSON document, read entry by entry.

The document may be larger than memory, so the entries are cut out of it by their braces and parsed one at a time.
Line numbers of bad entries are the number of the entry, counted from 1, because such files often have one line.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from loadgen.traces.batches import Reader, batched
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.sources import BLOCK_BYTES, Stream
from loadgen.traces.stamps import iso_s
from loadgen.traces.tallies import Tally
from loadgen.traces.targets import method_of, split_target, status_of

ENTRY_MAX_CHARS = 64 << 20
_ENTRIES = re.compile(r'"entries"\s*:\s*\[')
_MARKS = re.compile(r'["{}\[\]\\]')


def har_reader(keep: Keep = KEEP) -> Reader:
    """Return a reader of HAR documents."""

    def requests(stream: Stream, name: str, tally: Tally) -> Iterator[Recorded]:
        for number, text in enumerate(_entries(stream, name), start=1):
            tally.lines += 1
            try:
                request = _request(text, keep)
            except BadLine as bad:
                tally.refuse(name, number, str(bad), text)
            else:
                yield request

    return lambda stream, name, tally: batched(requests(stream, name, tally))


def _entries(stream: Stream, name: str) -> Iterator[str]:
    """Give the text of each entry.

    Raises:
        TraceError: the document is no HAR, or ends before its entries do.
    """
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    held = ""
    while (found := _ENTRIES.search(held)) is None:
        block = stream.read(BLOCK_BYTES)
        if not block:
            raise TraceError(f"{name}: is no HAR document; it has no log.entries")
        held = held[-64:] + decode(block)
    cutter = _Cutter()
    yield from cutter.cut(held[found.end() :])
    while not cutter.done:
        if cutter.held_chars > ENTRY_MAX_CHARS:
            raise TraceError(f"{name}: holds an entry of more than {ENTRY_MAX_CHARS:,} characters")
        block = stream.read(BLOCK_BYTES)
        if not block:
            raise TraceError(f"{name}: ends in the middle of its entries; it was cut off")
        yield from cutter.cut(decode(block))


class _Cutter:
    """Cuts the elements out of a JSON array whose text comes in pieces; knows braces and strings, and no more."""

    def __init__(self) -> None:
        self.done = False
        self._held = ""  # the text from the beginning of an element that goes on
        self._position = 0  # how far it has been looked at
        self._depth = 0
        self._in_text = False

    @property
    def held_chars(self) -> int:
        """How much of an element that goes on is held."""
        return len(self._held)

    def cut(self, piece: str) -> Iterator[str]:
        """Take a piece and give the elements that end in it."""
        text = self._held + piece
        start, at = 0, self._position
        while (mark := _MARKS.search(text, at)) is not None:
            sign, at = mark[0], mark.end()
            if sign == "\\":
                at += 1  # whatever is escaped is no mark
            elif sign == '"':
                self._in_text = not self._in_text
            elif self._in_text:
                continue
            elif sign in "{[":
                start = mark.start() if self._depth == 0 else start
                self._depth += 1
            elif self._depth == 0:
                self.done = True  # the bracket that closes the array
                return
            else:
                self._depth -= 1
                if self._depth == 0:
                    yield text[start:at]
                    start = at
        if self._depth == 0:
            start = len(text)
        self._held, self._position = text[start:], max(at, len(text)) - start


def _request(text: str, keep: Keep) -> Recorded:
    try:
        entry: Any = json.loads(text)
        request, response = entry["request"], entry.get("response") or {}
        url, started = request["url"], entry["startedDateTime"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise BadLine("the entry has no request with a url, or no startedDateTime") from None
    if not isinstance(url, str) or not isinstance(started, str) or not isinstance(response, dict):
        raise BadLine("the entry has no request with a url, or no startedDateTime")
    if not url.startswith(("http://", "https://", "/")):
        raise BadLine("the entry's url is not of HTTP")
    path, query = split_target(url)
    headers = _headers(request)
    body, size = keep.body(_body(request))
    return Recorded(
        time_s=iso_s(started),
        method=method_of(str(request.get("method") or "")),
        path=path,
        query=query,
        headers=keep.of(headers),
        body=body,
        body_bytes=_count(request.get("bodySize")) if size is None else size,
        status=status_of(f"{response.get('status') or 0}"),
        duration_s=_milliseconds(entry.get("time")),
        response_bytes=_count((response.get("content") or {}).get("size")),
        segment=keep.segment_of({**{n.lower(): v for n, v in headers}, ":host": urlsplit(url).netloc})
        if keep.segment
        else None,
    )


def _headers(request: dict[str, Any]) -> list[tuple[str, str]]:
    found = request.get("headers")
    if not isinstance(found, list):
        return []
    pairs = [(each.get("name"), each.get("value")) for each in found if isinstance(each, dict)]
    return [(n, v) for n, v in pairs if isinstance(n, str) and isinstance(v, str) and not n.startswith(":")]


def _body(request: dict[str, Any]) -> bytes | None:
    data = request.get("postData")
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        return None
    text: str = data["text"]
    if data.get("encoding") == "base64":
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise BadLine("the entry's body is no base64") from None
    return text.encode("utf-8", "replace")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def _milliseconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return value / 1000

"""Where bytes come from: files, gzip by its content and not by its name, standard input; and their lines, in blocks.

A block of lines is decoded at once, because that is several times cheaper than line by line; only a block that holds
bytes which are no UTF-8 is taken apart.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from loadgen.traces.requests import BadLine, TraceError

BLOCK_BYTES = 1 << 20
LINE_MAX_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
STDIN = "-"

Line = str | BadLine


class Stream(Protocol):
    """What can be read in blocks."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


class _Headed:
    """A stream whose beginning was read already, to see what it is."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            if size < 0:
                size = len(self._head)
            given, self._head = self._head[:size], self._head[size:]
            return given
        return self._rest.read(size)


class Source:
    """One file or standard input, opened as often as wanted (standard input once).

    Args:
        path: a file's path, or `-` for standard input.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "standard input" if path == STDIN else path
        self._stdin_head: bytes | None = None

    @contextmanager
    def opened(self) -> Iterator[Stream]:
        """Give the content, unpacked if it is gzip.

        Raises:
            TraceError: it cannot be read, or a gzip file is damaged.
        """
        try:
            if self.path == STDIN:
                head = self._stdin_head if self._stdin_head is not None else b""
                self._stdin_head = b""
                yield _unpacked(_Headed(head, sys.stdin.buffer))
            else:
                with Path(self.path).open("rb") as file:
                    yield _unpacked(file)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise TraceError(f"{self.name}: its gzip data are damaged or cut off: {error}") from error
        except IsADirectoryError:
            raise TraceError(f"{self.name}: is a folder; name its files, as in {self.name}/*.log") from None
        except OSError as error:
            raise TraceError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    def head(self) -> bytes:
        """Return the first unpacked bytes, to see what the source is; nothing of standard input is lost by it."""
        if self.path == STDIN:
            raw = _exactly(sys.stdin.buffer, HEAD_BYTES)
            self._stdin_head = raw
            return _first_unpacked(raw)
        with self.opened() as stream:
            return _exactly(stream, HEAD_BYTES)


def _unpacked(stream: IO[bytes] | Stream) -> Stream:
    head = stream.read(2)
    whole = _Headed(head, stream)
    return gzip.GzipFile(fileobj=whole) if head == b"\x1f\x8b" else whole  # type: ignore[call-overload]


def _exactly(stream: Stream, size: int) -> bytes:
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _first_unpacked(raw: bytes) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, HEAD_BYTES)
    except zlib.error as error:
        raise TraceError(f"standard input: its gzip data are damaged: {error}") from error


def line_blocks(stream: Stream) -> Iterator[tuple[int, list[Line]]]:
    """Give the lines of a stream in blocks, each with the number of its first line.

    What is no text, or longer than a megabyte, comes as a BadLine in its place.
    """
    rest, number, too_long = b"", 1, False
    while block := stream.read(BLOCK_BYTES):
        whole = rest + block
        cut = whole.rfind(b"\n")
        if cut < 0:
            # Of a line that never ends only the fact is kept, so that memory stays flat.
            too_long = too_long or len(whole) > LINE_MAX_BYTES
            rest = b"" if too_long else whole
            continue
        lines = _decoded(whole[:cut])
        rest = whole[cut + 1 :]
        if too_long:
            lines[0], too_long = _too_long(), False
        yield number, lines
        number += len(lines)
    if rest or too_long:
        yield number, [_too_long()] if too_long else _decoded(rest)


def _too_long() -> BadLine:
    return BadLine(f"the line is longer than {LINE_MAX_BYTES:,} bytes")


def _decoded(block: bytes) -> list[Line]:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
    try:
        return list(block.decode("utf-8").split("\n"))
    except UnicodeDecodeError:
        return [_line(line) for line in block.split(b"\n")]


def _line(raw: bytes) -> Line:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return BadLine("the line is no UTF-8 text")

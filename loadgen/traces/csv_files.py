"""CSV with a header row: columns by their usual names, or by those that the user says (`time=ts,path=uri`).

Times may be Unix seconds (or milli-, micro- or nanoseconds), RFC 3339, or the common log's form; a column that ends in
`_ms` is in milliseconds. `headers` holds a JSON object.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping

from loadgen.traces.batches import BATCH_REQUESTS, Reader
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.sources import LINE_MAX_BYTES, Stream, line_blocks
from loadgen.traces.stamps import any_s
from loadgen.traces.tallies import Tally
from loadgen.traces.targets import bytes_of, method_of, seconds_of, split_target, status_of

_NAMES = {
    "time": ("time_s", "time", "timestamp", "ts", "@timestamp", "time_ms", "start_time", "datetime", "date"),
    "method": ("method", "verb", "request_method", "http_method"),
    "path": ("path", "url", "uri", "target", "request_uri", "request_path", "cs-uri-stem"),
    "query": ("query", "query_string", "args", "cs-uri-query"),
    "status": ("status", "status_code", "code", "response_code", "sc-status"),
    "duration": ("duration_s", "duration_ms", "duration", "latency_s", "latency_ms", "latency", "request_time"),
    "segment": ("segment",),
    "headers": ("headers",),
    "body": ("body",),
    "body_bytes": ("body_bytes",),
    "response_bytes": ("response_bytes", "bytes", "bytes_sent", "size"),
}
COLUMNS = tuple(_NAMES)
_CELL_MAX_CHARS = 8 << 20


def csv_reader(keep: Keep = KEEP, columns: Mapping[str, str] | None = None) -> Reader:
    """Return a reader of CSV.

    Args:
        columns: what we call a column (`time`, `path`, …) -> what the file calls it.
    """
    chosen = dict(columns or {})
    if unknown := sorted(set(chosen) - set(_NAMES)):
        raise TraceError(f"there is no column {unknown[0]!r} in a trace; there are {', '.join(_NAMES)}")

    def read(stream: Stream, name: str, tally: Tally) -> Iterator[list[Recorded]]:
        csv.field_size_limit(_CELL_MAX_CHARS)
        rows = csv.reader(_lines(stream, name, tally))
        header = next(rows, None)
        if header is None:
            return
        at = _positions([cell.strip().lstrip("\ufeff") for cell in header], chosen, keep, name)
        batch: list[Recorded] = []
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                tally.lines += 1
                tally.refuse(name, rows.line_num, f"the row is no CSV: {error}", "")
                continue
            if row is None:
                break
            if not row:
                continue
            tally.lines += 1
            try:
                batch.append(_request(row, at, len(header), keep))
            except BadLine as bad:
                tally.refuse(name, rows.line_num, str(bad), ",".join(row))
            if len(batch) >= BATCH_REQUESTS:
                yield batch
                batch = []
        if batch:
            yield batch

    return read


def _lines(stream: Stream, name: str, tally: Tally) -> Iterator[str]:
    for number, lines in line_blocks(stream):
        for offset, line in enumerate(lines):
            if isinstance(line, BadLine):
                tally.lines += 1
                tally.refuse(name, number + offset, str(line), "")
                yield "\n"  # so that the numbers of later lines stay right
            else:
                yield line.replace("\0", "\ufffd") + "\n"


def _positions(header: list[str], chosen: Mapping[str, str], keep: Keep, name: str) -> dict[str, tuple[int, float]]:
    """Return what we call a column -> (its position, the unit of its numbers in s)."""
    lower = [cell.lower() for cell in header]
    found: dict[str, tuple[int, float]] = {}
    for ours, usual in _NAMES.items():
        wanted = chosen.get(ours) or (keep.segment if ours == "segment" else None)
        names = (wanted.lower(),) if wanted else usual
        position = next((lower.index(each) for each in names if each in lower), None)
        if position is not None:
            found[ours] = (position, 1e-3 if lower[position].endswith("_ms") else 1.0)
        elif wanted:
            raise TraceError(f"{name}:1: has no column {wanted!r}; it has {', '.join(header)[:200]}")
    for needed in ("time", "path"):
        if needed not in found:
            raise TraceError(
                f"{name}:1: has no column for the {needed} ({', '.join(_NAMES[needed][:4])} …); it has "
                f"{', '.join(header)[:200]}: name it, as in --columns {needed}={header[0] or 'NAME'}"
            )
    return found


def _request(row: list[str], at: Mapping[str, tuple[int, float]], width: int, keep: Keep) -> Recorded:
    if len(row) != width:
        raise BadLine(f"the row has {len(row)} cells where the header has {width}")

    def cell(name: str) -> str:
        return row[at[name][0]].strip() if name in at else ""

    path, query = split_target(cell("path"))
    if not query and cell("query"):
        query = split_target("/?" + cell("query").removeprefix("?"))[1]
    body, size = keep.body(row[at["body"][0]].encode("utf-8", "replace") if cell("body") else None)
    return Recorded(
        time_s=any_s(cell("time")),
        method=method_of(cell("method") or "GET"),
        path=path,
        query=query,
        headers=keep.of(_headers(cell("headers"))) if "headers" in at else (),
        body=body,
        body_bytes=bytes_of(cell("body_bytes")) if size is None else size,
        status=status_of(cell("status")),
        duration_s=seconds_of(cell("duration"), unit_s=at["duration"][1]) if "duration" in at else None,
        response_bytes=bytes_of(cell("response_bytes")),
        segment=cell("segment") or None,
    )


def _headers(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadLine("the headers are no JSON object")
    return [(str(name), str(value)) for name, value in found.items()]


assert LINE_MAX_BYTES <= _CELL_MAX_CHARS

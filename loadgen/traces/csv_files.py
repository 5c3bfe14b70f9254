"""CSV with a header row: columns by their usual names, or by those that the user says (`time=ts,path=uri`).

Times may be Unix seconds (or milli-, micro- or nanoseconds), RFC 3339, or the common log's form; a column that ends in
`_ms` is in milliseconds. `headers` holds a JSON object.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping

from loadgen.traces.batches import Reader, batched
from loadgen.traces.requests import KEEP, BadLine, Keep, Recorded, TraceError
from loadgen.traces.sources import Stream, line_blocks
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
_CELL_MAX_CHARS = 8 << 20  # more than a line may have


def csv_reader(keep: Keep = KEEP, columns: Mapping[str, str] | None = None) -> Reader:
    """Return a reader of CSV.

    Args:
        columns: what we call a column (`time`, `path`, …) -> what the file calls it.
    """
    chosen = dict(columns or {})
    if unknown := sorted(set(chosen) - set(_NAMES)):
        raise TraceError(f"there is no column {unknown[0]!r} in a trace; there are {', '.join(_NAMES)}")

    def requests(stream: Stream, name: str, tally: Tally) -> Iterator[Recorded]:
        csv.field_size_limit(_CELL_MAX_CHARS)
        rows = csv.reader(_lines(stream, name, tally))
        header = next(rows, None)
        if header is None:
            return
        at = _positions([cell.strip().lstrip("\ufeff") for cell in header], chosen, keep, name)
        parse = _parser(at, len(header), keep)
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                tally.lines += 1
                tally.refuse(name, rows.line_num, f"the row is no CSV: {error}", "")
                continue
            if row is None:
                return
            if not row:
                continue
            tally.lines += 1
            try:
                request = parse(row)
            except BadLine as bad:
                tally.refuse(name, rows.line_num, str(bad), ",".join(row))
            else:
                yield request

    return lambda stream, name, tally: batched(requests(stream, name, tally))


def _lines(stream: Stream, name: str, tally: Tally) -> Iterator[str]:
    for number, lines in line_blocks(stream):
        for offset, line in enumerate(lines):
            if isinstance(line, BadLine):
                tally.lines += 1
                tally.refuse(name, number + offset, str(line), "")
                yield "\n"  # so that the numbers of later lines stay right
            else:
                yield (line.replace("\0", "\ufffd") if "\0" in line else line) + "\n"


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


def _parser(at: Mapping[str, tuple[int, float]], width: int, keep: Keep) -> Callable[[list[str]], Recorded]:
    """Return what makes a request of a row, by the columns that the header has."""
    position = {name: place for name, (place, _) in at.items()}
    time_at, path_at = position["time"], position["path"]
    method_at, query_at, status_at = (position.get(name) for name in ("method", "query", "status"))
    duration_at, response_at = position.get("duration"), position.get("response_bytes")
    unit_s = at["duration"][1] if "duration" in at else 1.0
    rest = any(name in position for name in ("headers", "body", "body_bytes", "segment"))

    def parse(row: list[str]) -> Recorded:
        if len(row) != width:
            raise BadLine(f"the row has {len(row)} cells where the header has {width}")
        path, query = split_target(row[path_at].strip())
        if query_at is not None and not query and row[query_at]:
            query = split_target("/?" + row[query_at].strip().removeprefix("?"))[1]
        found = Recorded(
            any_s(row[time_at].strip()),
            "GET" if method_at is None or not row[method_at] else method_of(row[method_at].strip()),
            path,
            query,
            (),
            None,
            None,
            None if status_at is None else status_of(row[status_at].strip()),
            None if duration_at is None else seconds_of(row[duration_at].strip(), unit_s=unit_s),
            None if response_at is None else bytes_of(row[response_at].strip()),
        )
        return _with_rest(found, row, position, keep) if rest else found

    return parse


def _with_rest(found: Recorded, row: list[str], position: Mapping[str, int], keep: Keep) -> Recorded:
    """Return the request with what few files have: headers, a body or its size, a segment."""

    def cell(name: str) -> str:
        return row[position[name]] if name in position else ""

    body, size = keep.body(cell("body").encode("utf-8", "replace") if cell("body") else None)
    return found._replace(
        headers=keep.of(_headers(cell("headers"))),
        body=body,
        body_bytes=bytes_of(cell("body_bytes").strip()) if size is None else size,
        segment=cell("segment").strip() or None,
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

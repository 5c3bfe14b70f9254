"""The formats by name, and which of them a file has.

Detection tries every format on the beginning of a file and takes the one that reads most of its lines; a tie goes to
the one that stands first. A custom log_format is never guessed: the user shows it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadgen.traces.alb import alb
from loadgen.traces.apache import apache
from loadgen.traces.batches import Reader, reader_of_lines
from loadgen.traces.csv_files import csv_reader
from loadgen.traces.envoy import envoy_json, envoy_text
from loadgen.traces.gor import gor_reader
from loadgen.traces.har import har_reader
from loadgen.traces.nginx import COMBINED, Parser, format_text, nginx
from loadgen.traces.requests import KEEP, BadLine, Keep, TraceError

AUTO, PARQUET, NGINX = "auto", "parquet", "nginx"
SAMPLE_LINES = 50

_LINES: Mapping[str, Callable[[Keep], Parser]] = {
    "nginx": lambda keep: nginx(COMBINED, keep),
    "apache-combined": lambda keep: apache("combined", keep),
    "apache-common": lambda keep: apache("common", keep),
    "envoy": envoy_text,
    "envoy-json": envoy_json,
    "alb": alb,
}
_WHOLE: Mapping[str, Callable[[Keep], Reader]] = {"har": har_reader, "gor": gor_reader}
FORMATS = (*_LINES, "csv", *_WHOLE, PARQUET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a user wants a trace read.

    Attributes:
        format: one of FORMATS, or `auto`.
        log_format: nginx' log_format, where it is not `combined`; goes with the formats auto and nginx.
        columns: for CSV, what we call a column -> what the file calls it.
        keep: what is kept of each request.
        window_s: how far out of order requests may come and still be sorted.
        gap_max_s: a silence longer than this is shortened to it; None: none is.
    """

    format: str = AUTO
    log_format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    keep: Keep = KEEP
    window_s: float = 60.0
    gap_max_s: float | None = 3_600.0

    def __post_init__(self) -> None:
        if self.format != AUTO and self.format not in FORMATS:
            raise TraceError(f"there is no format {self.format!r}; there are {', '.join(FORMATS)}")
        if self.log_format is not None and self.format not in (AUTO, NGINX):
            raise TraceError(f"a log_format goes with nginx, not with {self.format}")
        if self.columns and self.format not in (AUTO, "csv"):
            raise TraceError(f"columns go with csv, not with {self.format}")
        if not self.window_s >= 0 or (self.gap_max_s is not None and not self.gap_max_s > 0):
            raise TraceError(
                f"the window is {self.window_s} s and the longest gap {self.gap_max_s} s; they need 0 or more, "
                "and more than 0"
            )


def format_of(head: bytes, name: str, reading: Reading) -> str:
    """Return the format of a file by how it begins.

    Raises:
        TraceError: no format reads its first lines.
    """
    if head.startswith(b"PAR1"):
        return PARQUET
    if reading.format == PARQUET:
        raise TraceError(f"{name}: is no Parquet file")
    if reading.log_format is not None:
        return NGINX
    if reading.columns:
        return "csv"
    if reading.format != AUTO:
        return reading.format
    text = head.decode("utf-8", "replace").lstrip("\ufeff")
    if "\n🐵🙈🙉\n" in text:
        return "gor"
    lines = [line.rstrip("\r") for line in text.split("\n")[:-1] or [text] if line.strip()][:SAMPLE_LINES]
    scores = {kind: _score(parser(KEEP), lines) for kind, parser in _LINES.items()}
    best = max(scores, key=lambda kind: scores[kind], default="")
    if scores.get(best, 0) > 0:
        return best
    if text.lstrip().startswith("{") and '"log"' in text:
        return "har"
    if lines and _is_csv(lines[0]):
        return "csv"
    return _unknown(name, lines)


def _unknown(name: str, lines: list[str]) -> str:
    if not lines:
        return "nginx"  # an empty file is an empty log, of whichever format
    raise TraceError(
        f"{name}:1: no format reads {lines[0][:100]!r}, nor the lines after it; name one with --format "
        f"({', '.join(FORMATS)}), or show nginx' log_format with --log-format"
    )


def _score(parse: Parser, lines: list[str]) -> int:
    read = 0
    for line in lines:
        try:
            parse(line)
        except BadLine:
            continue
        read += 1
    return read


def _is_csv(line: str) -> bool:
    names = {cell.strip().strip('"').lower() for cell in line.split(",")}
    return len(names) > 1 and bool(names & {"path", "url", "uri", "target", "request_uri", "request_path"})


def reader_of(kind: str, reading: Reading, keep: Keep) -> Reader:
    """Return the reader of a format."""
    if kind == NGINX and reading.log_format is not None:
        return reader_of_lines(nginx(format_text(reading.log_format), keep))
    if kind in _LINES:
        return reader_of_lines(_LINES[kind](keep), comment="#")
    if kind == "csv":
        return csv_reader(keep, reading.columns)
    return _WHOLE[kind](keep)


def first_s(kind: str, reading: Reading, head: bytes) -> float:
    """Return the time of the first request in the beginning of a file; 0 where none can be read."""
    from loadgen.traces.tallies import Tally

    reader = reader_of(kind, reading, Keep(segment=reading.keep.segment) if kind == NGINX else KEEP)
    try:
        for batch in reader(io.BytesIO(head), "", Tally()):
            return batch[0].time_s
    except TraceError:
        # The head of a document ends in its middle; what can be wrong with the whole file is told when it is read.
        return 0.0
    return 0.0

"""One recorded request, in the form that every reader gives and every other module of this room takes.

Readers make `Recorded` tuples; batches of them become Arrow tables with the columns of `schema()`. What is kept of a
request is decided here once (`Keep`), before anything is written: no header leaves a reader that is not on the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

HEADERS_KEPT = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
"""Headers that a trace keeps unless told otherwise: they shape an answer and say nothing of who asked."""

Headers = tuple[tuple[str, str], ...]


class TraceError(ValueError):
    """Recorded traffic that cannot be used: which file and line, what was found, what would do."""


class BadLine(ValueError):
    """One line, entry or payload that is no request. The text says why; the reader adds where."""


class Recorded(NamedTuple):
    """One request as it was recorded. A tuple and not a dataclass: millions are made, at half the price.

    Attributes:
        time_s: when it began, Unix seconds; where a log stamps the end and tells the duration, end less duration.
        method, path, query: what was asked for; the query without its `?`, "" for none.
        headers: (name in lower case, value), only those kept.
        body: what was sent along, where it was recorded and kept; None: not known.
        body_bytes: how large the body was; None: not known.
        status: what was answered; None: not known (a recording of requests alone).
        duration_s: how long the answer took, as recorded.
        response_bytes: how large the answer was; None: not known.
        segment: which kind of user asked (a region, a plan), where the user named the field that tells.
    """

    time_s: float
    method: str
    path: str
    query: str
    headers: Headers = ()
    body: bytes | None = None
    body_bytes: int | None = None
    status: int | None = None
    duration_s: float | None = None
    response_bytes: int | None = None
    segment: str | None = None

    @property
    def target(self) -> str:
        """Path and query, as in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


COLUMNS = Recorded._fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What a reader keeps of a request.

    Attributes:
        headers: names in lower case; everything else is left out, first of all cookies and authorization.
        bodies: whether bodies are kept, or only their size.
        segment: the header (or the field, column or variable of the format) that names the user's segment.
    """

    headers: frozenset[str] = HEADERS_KEPT
    bodies: bool = False
    segment: str | None = None

    def of(self, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Return the headers that are kept, names in lower case."""
        return tuple((name, value) for name, value in ((n.lower(), v) for n, v in pairs) if name in self.headers)

    def body(self, body: bytes | None) -> tuple[bytes | None, int | None]:
        """Return the body if bodies are kept, and its size."""
        if body is None:
            return None, None
        return (body if self.bodies else None), len(body)

    def segment_of(self, fields: Mapping[str, str]) -> str | None:
        """Return the segment that the named field tells, or None."""
        if self.segment is None:
            return None
        value = fields.get(self.segment.lower())
        return value if value not in (None, "", "-") else None


KEEP = Keep()


def schema() -> pa.Schema:
    """Return the columns of a trace, as its Parquet file has them."""
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        [
            pa.field("time_s", pa.float64(), nullable=False),
            pa.field("method", text, nullable=False),
            pa.field("path", text, nullable=False),
            pa.field("query", text, nullable=False),
            pa.field("headers", pa.map_(text, text), nullable=False),
            pa.field("body", pa.binary()),
            pa.field("body_bytes", pa.int64()),
            pa.field("status", pa.uint16()),
            pa.field("duration_s", pa.float64()),
            pa.field("response_bytes", pa.int64()),
            pa.field("segment", text),
        ]
    )


def table_of(requests: Sequence[Recorded]) -> pa.Table:
    """Return the requests as an Arrow table with the columns of a trace."""
    import pyarrow as pa

    columns = zip(*requests, strict=True) if requests else ([] for _ in COLUMNS)
    fields = schema()
    return pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)], schema=fields
    )


def requests_of(table: pa.Table) -> list[Recorded]:
    """Return the rows of a table as requests; the way back from `table_of`."""
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    columns[4] = [tuple(pairs) for pairs in columns[4]]
    return [Recorded(*row) for row in zip(*columns, strict=True)]

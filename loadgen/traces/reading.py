"""A trace from its files: recorded requests as Arrow tables in order of time, whatever the files' formats.

Memory is that of the sorting window, not of the files. Files are opened when the traffic has come to their first
request, so rotated logs may be named in any order, and logs of several servers are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loadgen.traces.formats import PARQUET, Reading, first_s, format_of, reader_of
from loadgen.traces.ordering import Gaps, Sorter, times_of
from loadgen.traces.parquet import first_of_parquet, tables_of_parquet
from loadgen.traces.requests import TraceError, table_of
from loadgen.traces.sources import STDIN, Source
from loadgen.traces.tallies import Tally

if TYPE_CHECKING:
    import pyarrow as pa

BAD_SHARE_MAX = 0.5
"""A file of which more lines are bad than this is in another format than it was read as."""


@dataclass(frozen=True, slots=True)
class _Found:
    source: Source
    kind: str
    first_s: float


class Trace:
    """Recorded traffic, read once from beginning to end.

    Args:
        paths: files, `-` for standard input.
        reading: how to read them.
        bad_share_max: more bad lines than this share of all are an error.

    Attributes:
        tally: what was met; whole when the iteration has ended.
    """

    def __init__(
        self, paths: Sequence[str | Path], reading: Reading | None = None, *, bad_share_max: float = BAD_SHARE_MAX
    ) -> None:
        self.reading = reading or Reading()
        self.tally = Tally()
        self._bad_share_max = bad_share_max
        names = [str(path) for path in paths]
        if not names:
            raise TraceError("there is no file to read; name one, or - for standard input")
        if names.count(STDIN) > 1:
            raise TraceError("standard input can be read once")
        self._names = names

    def __iter__(self) -> Iterator[pa.Table]:
        """Give tables in order of time.

        Raises:
            TraceError: a file cannot be read, is in no known format, or holds more bad lines than good ones.
        """
        found = sorted((self._look(Source(name)) for name in self._names), key=lambda each: each.first_s)
        self.tally.files = [each.source.name for each in found]
        self.tally.formats = sorted({each.kind for each in found})
        sorter, gaps = Sorter(self.reading.window_s, self.tally), Gaps(self.reading.gap_max_s, self.tally)
        for table in self._in_order(found, sorter):
            yield self._counted(gaps.shorten(table))
        self._check()

    def _look(self, source: Source) -> _Found:
        head = source.head()
        kind = format_of(head, source.name, self.reading)
        if kind == PARQUET:
            if source.path == STDIN:
                raise TraceError("standard input: Parquet can be read from a file only")
            return _Found(source, kind, first_of_parquet(source.path))
        return _Found(source, kind, first_s(kind, self.reading, head))

    def _in_order(self, found: Sequence[_Found], sorter: Sorter) -> Iterator[pa.Table]:
        """Read from whichever open file is furthest behind; open the next one when the traffic has come to it."""
        waiting = list(found)
        open_files: list[_Open] = []
        while waiting or open_files:
            while waiting and (not open_files or waiting[0].first_s <= min(each.reached_s for each in open_files)):
                open_files.append(_Open(self._tables(waiting.pop(0))))
            behind = min(open_files, key=lambda each: each.reached_s)
            table = next(behind.tables, None)
            if table is None:
                open_files.remove(behind)
                continue
            behind.reached_s = max(behind.reached_s, float(times_of(table).max()))
            yield from sorter.take(table, self._held_s(waiting, open_files))
        yield from sorter.rest()

    def _held_s(self, waiting: Sequence[_Found], open_files: Sequence[_Open]) -> float:
        """Return the instant from which on another file may still hold requests."""
        ahead = [each.reached_s - self.reading.window_s for each in open_files]
        return min([*ahead, *(each.first_s - self.reading.window_s for each in waiting[:1])])

    def _tables(self, found: _Found) -> Iterator[pa.Table]:
        if found.kind == PARQUET:
            for table in tables_of_parquet(found.source.path):
                self.tally.lines += table.num_rows
                if table.num_rows:
                    yield table
            return
        reader = reader_of(found.kind, self.reading, self.reading.keep)
        with found.source.opened() as stream:
            for batch in reader(stream, found.source.name, self.tally):
                yield table_of(batch)

    def _counted(self, table: pa.Table) -> pa.Table:
        time_s = times_of(table)
        if self.tally.first_s is None:
            self.tally.first_s = float(time_s[0])
        self.tally.last_s = float(time_s[-1])
        self.tally.requests += len(time_s)
        self.tally.whole_seconds = self.tally.whole_seconds and not np.any(time_s % 1.0)
        return table

    def _check(self) -> None:
        tally = self.tally
        if tally.lines and tally.bad_count / tally.lines > self._bad_share_max:
            first = tally.examples[0].text
            raise TraceError(
                f"{tally.bad_count:,} of {tally.lines:,} lines are no requests in the format "
                f"{' or '.join(tally.formats)}, first {first}\nName the format with --format or --log-format, or allow "
                f"so many bad lines with --bad-max {tally.bad_count / tally.lines:.2f}"
            )


class _Open:
    """A file that is being read, and how far it has come."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self.tables = tables
        self.reached_s = -np.inf

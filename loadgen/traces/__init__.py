"""Recorded traffic: access logs and recordings as one canonical form, read as streams.

    trace = Trace(["access.log.2.gz", "access.log"])
    write_parquet(trace, Path("tuesday.parquet"), about=...)
    trace.tally          # what was left out and why, gaps, order

`formats` names what can be read; `reading` puts files together; `profile` says what the traffic looks like. Knows
nothing of how traffic is described (`loadgen.traffic`) or sent, and imports pyarrow only where it is used.
"""

from loadgen.traces.formats import FORMATS, Reading
from loadgen.traces.parquet import notes_of, tables_of_parquet, write_parquet
from loadgen.traces.reading import Trace
from loadgen.traces.requests import HEADERS_KEPT, Keep, Recorded, TraceError, requests_of, table_of
from loadgen.traces.tallies import Tally

__all__ = [
    "FORMATS",
    "HEADERS_KEPT",
    "Keep",
    "Reading",
    "Recorded",
    "Tally",
    "Trace",
    "TraceError",
    "notes_of",
    "requests_of",
    "table_of",
    "tables_of_parquet",
    "write_parquet",
]

"""The canonical file of a trace: Parquet, in order of time, with what its making met in the file's metadata.

Written beside its place and moved there when it is whole, so that a trace is never half there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadgen.traces.ordering import times_of
from loadgen.traces.requests import TraceError, schema

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"gamebird.trace"
ROW_GROUP = 131_072


def write_parquet(tables: Iterable[pa.Table], file: Path, *, about: dict[str, Any] | None = None) -> int:
    """Write tables as one trace; return how many requests it has.

    Args:
        about: what is noted in the file; it may be filled while the tables are made, and is written at the end.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    requests = 0
    try:
        with pq.ParquetWriter(beside, schema(), compression="zstd") as writer:
            for table in _grouped(tables):
                writer.write_table(table, row_group_size=ROW_GROUP)
                requests += table.num_rows
            if about is not None:
                writer.add_key_value_metadata({METADATA_KEY: json.dumps(about).encode()})
        beside.replace(file)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)  # Arrow's own text tells the hidden file's name
        raise TraceError(f"{file}: cannot be written: {why}") from error
    except pa.ArrowException as error:
        raise TraceError(f"{file}: cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return requests


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Give tables of a row group's size at least, so that small batches do not make a large file."""
    import pyarrow as pa

    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(each.num_rows for each in held) >= ROW_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def tables_of_parquet(path: str | Path) -> Iterator[pa.Table]:
    """Give a trace's tables in the order of the file.

    Raises:
        TraceError: the file is no Parquet, or no trace.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check(file, path)
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                table = pa.Table.from_batches([batch]).select(schema().names).cast(schema())
                if not np.isfinite(times_of(table)).all():
                    raise TraceError(f"{path}: holds a time_s that is no number; it needs Unix seconds")
                yield table
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise TraceError(f"{path}: is no trace: {error}") from error


def _check(file: Any, path: str | Path) -> None:
    there = set(file.schema_arrow.names)
    if missing := [name for name in schema().names if name not in there]:
        raise TraceError(
            f"{path}: is Parquet but no trace: it has no column {missing[0]}; it has {', '.join(sorted(there))[:200]}"
        )


def first_of_parquet(path: str | Path) -> float:
    """Return the time of a trace's first request, Unix s; 0 where it is empty."""
    for table in tables_of_parquet(path):
        return float(times_of(table)[0]) if table.num_rows else 0.0
    return 0.0


def notes_of(path: str | Path) -> dict[str, Any]:
    """Return what was noted when the trace was made; nothing for a file that others wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path).metadata or {}
        found = json.loads(metadata.get(METADATA_KEY, b"{}"))
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError) as error:
        raise TraceError(f"{path}: is no trace: {error}") from error
    return found if isinstance(found, dict) else {}

"""Less of a trace: a stretch of its time, a share of its requests, or so many of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from loadgen.traces.ordering import times_of
from loadgen.traces.requests import TraceError

if TYPE_CHECKING:
    import pyarrow as pa


def stretch(tables: Iterable[pa.Table], *, from_s: float = 0.0, for_s: float | None = None) -> Iterator[pa.Table]:
    """Give the requests from `from_s` after the first one, for `for_s` (None: to the end)."""
    begin_s: float | None = None
    for table in tables:
        time_s = times_of(table)
        if len(time_s) == 0:
            continue
        if begin_s is None:
            begin_s = float(time_s[0])
        low = int(np.searchsorted(time_s, begin_s + from_s, side="left"))
        high = len(time_s) if for_s is None else int(np.searchsorted(time_s, begin_s + from_s + for_s, side="left"))
        if high > low:
            yield table.slice(low, high - low)
        if high < len(time_s):
            return


def thinned(tables: Iterable[pa.Table], share: float, *, seed: int = 1) -> Iterator[pa.Table]:
    """Give each request with the same probability, so that bursts stay bursts; same seed, same requests.

    Raises:
        TraceError: the share is no probability.
    """
    import pyarrow as pa

    if not 0 < share <= 1:
        raise TraceError(f"a share of {share:g} cannot be kept; it needs more than 0 and at most 1")
    chance = np.random.default_rng(seed)
    for table in tables:
        kept = chance.random(table.num_rows) < share
        if kept.any():
            yield table.filter(pa.array(kept))


def so_many(tables: Iterable[pa.Table], requests: int, *, seed: int = 1) -> Iterator[pa.Table]:
    """Give exactly `requests` of all (or all, where there are fewer), each as likely as any other, in order of time.

    Every request draws a number and the smallest numbers stay, so memory holds twice what is wanted and no more.
    """
    import pyarrow as pa

    if requests < 1:
        raise TraceError(f"{requests} requests cannot be sampled; it needs 1 or more")
    chance = np.random.default_rng(seed)
    held: list[pa.Table] = []
    drawn: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    rows, limit = 0, np.inf

    def cut() -> float:
        nonlocal held, drawn, rows
        numbers = np.concatenate(drawn)
        border = float(np.partition(numbers, requests - 1)[requests - 1]) if len(numbers) > requests else np.inf
        kept = numbers <= border
        held, drawn = [pa.concat_tables(held).filter(pa.array(kept)).combine_chunks()], [numbers[kept]]
        rows = int(kept.sum())
        return border

    for table in tables:
        numbers = chance.random(table.num_rows)
        kept = numbers < limit
        held.append(table.filter(pa.array(kept)))
        drawn.append(numbers[kept])
        rows += int(kept.sum())
        if rows > 2 * requests + 10_000:
            limit = cut()
    if held:
        cut()
        yield held[0]

"""Requests in order of time: sorted within a window, several files merged, long silences shortened.

Servers write a line when the answer is finished, and several servers write several files, so logs are nearly but not
quite in order. Tables wait here until nothing earlier can come any more: until every file that is open has gone on by
the window. What comes later still is counted and left out, because what it should follow has been written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loadgen.traces.tallies import EXAMPLES_MAX, Gap, Tally

if TYPE_CHECKING:
    import pyarrow as pa

WAITING_MAX = 1_000_000
"""At most so many requests wait; beyond, the earlier half goes on, so that memory stays flat whatever the window."""

_AT_LEAST = 50_000

Floats = NDArray[np.float64]


class Sorter:
    """Takes tables nearly in order and gives them back in order.

    Args:
        window_s: how far out of order a request may come.
        tally: where sorted and late requests are counted.
    """

    def __init__(self, window_s: float, tally: Tally) -> None:
        self._window_s = window_s
        self._tally = tally
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._left_over = 0
        self._given_until_s = -np.inf
        self._newest_s = -np.inf

    def take(self, table: pa.Table, held_s: float = np.inf) -> Iterator[pa.Table]:
        """Take a table and give what can go on.

        Args:
            held_s: nothing at or after this instant goes on, because another file may still hold earlier requests.
        """
        time_s = times_of(table)
        late = time_s < self._given_until_s
        if late.any():
            self._leave_out(time_s[late])
            table, time_s = table.filter(_mask(~late)), time_s[~late]
        if len(time_s) == 0:
            return
        before = np.concatenate([[self._newest_s], np.maximum.accumulate(time_s)[:-1]])
        self._tally.sorted += int((time_s < np.maximum(before, self._newest_s)).sum())
        self._newest_s = max(self._newest_s, float(time_s.max()))
        self._waiting.append(table)
        self._rows += len(time_s)
        if self._rows > 2 * self._left_over + _AT_LEAST:
            yield from self._give(min(self._newest_s - self._window_s, held_s))

    def rest(self) -> Iterator[pa.Table]:
        """Give all that waits."""
        yield from self._give(np.inf)

    def _give(self, until_s: float) -> Iterator[pa.Table]:
        import pyarrow as pa

        if not self._waiting:
            return
        whole = pa.concat_tables(self._waiting)
        time_s = times_of(whole)
        if (np.diff(time_s) < 0).any():
            order = np.argsort(time_s, kind="stable")
            whole, time_s = whole.take(pa.array(order)), time_s[order]
        ready = int(np.searchsorted(time_s, until_s, side="left"))
        if len(time_s) - ready > WAITING_MAX:
            ready = len(time_s) // 2
        if ready:
            yield whole.slice(0, ready)
            self._given_until_s = float(time_s[ready - 1])
        # A slice keeps the whole table alive; a copy of the rest does not.
        left = whole.slice(ready).combine_chunks() if ready < len(time_s) else None
        self._waiting = [] if left is None else [left]
        self._rows = self._left_over = 0 if left is None else left.num_rows

    def _leave_out(self, time_s: Floats) -> None:
        self._tally.late += len(time_s)
        for at_s in time_s[: max(EXAMPLES_MAX - len(self._tally.late_examples), 0)]:
            stamp = datetime.fromtimestamp(float(at_s), UTC).isoformat(timespec="milliseconds")
            behind_s = self._newest_s - float(at_s)
            self._tally.late_examples.append(f"{stamp}: came {behind_s:.0f} s out of order")


class Gaps:
    """Shortens silences: a night in which the log was off is no part of the traffic's shape."""

    def __init__(self, gap_max_s: float | None, tally: Tally) -> None:
        self._max_s = gap_max_s
        self._tally = tally
        self._last_s: float | None = None
        self._shift_s = 0.0

    def shorten(self, table: pa.Table) -> pa.Table:
        """Return the table, in order of time, with each long silence before a request shortened."""
        time_s = times_of(table)
        if len(time_s) == 0 or self._max_s is None:
            return table
        before = np.concatenate([[time_s[0] if self._last_s is None else self._last_s], time_s[:-1]])
        self._last_s = float(time_s[-1])
        gaps_s = time_s - before
        excess_s = np.where(gaps_s > self._max_s, gaps_s - self._max_s, 0.0)
        for at in np.flatnonzero(excess_s):
            self._tally.gap(Gap(at_s=float(before[at]), was_s=float(gaps_s[at]), became_s=self._max_s))
        if not excess_s.any() and self._shift_s == 0:
            return table
        shift_s = self._shift_s + np.cumsum(excess_s)
        self._shift_s = float(shift_s[-1])
        return with_times(table, time_s - shift_s)


def spread(tables: Iterable[pa.Table], *, seed: int = 1) -> Iterator[pa.Table]:
    """Give requests that are stamped with whole seconds an instant within their second, as independent users have.

    A log that knows seconds only would be replayed as one burst a second. Same seed, same instants; requests with a
    fraction in their stamp stay as they are. Tables come in order of time and go on so.
    """
    import pyarrow as pa

    chance = np.random.default_rng(seed)
    held: list[pa.Table] = []

    def moved() -> pa.Table:
        whole = pa.concat_tables(held)
        time_s = times_of(whole)
        time_s = np.where(time_s % 1.0 == 0, time_s + chance.random(len(time_s)), time_s)
        order = np.argsort(time_s, kind="stable")
        return with_times(whole.take(pa.array(order)), time_s[order])

    for table in tables:
        # The last second may go on in the next table, so it waits for it.
        time_s = times_of(table)
        cut = int(np.searchsorted(time_s, np.floor(time_s[-1]), side="left")) if len(time_s) else 0
        if cut:
            held.append(table.slice(0, cut))
            yield moved()
            held = []
        held.append(table.slice(cut))
    if held and sum(table.num_rows for table in held):
        yield moved()


def times_of(table: pa.Table) -> Floats:
    """Return (requests,) the times of a table, Unix s."""
    return np.asarray(table.column("time_s").to_numpy(), dtype=np.float64)


def with_times(table: pa.Table, time_s: Floats) -> pa.Table:
    """Return the table with other times."""
    import pyarrow as pa

    at = table.schema.get_field_index("time_s")
    return table.set_column(at, table.schema.field(at), pa.array(time_s, type=pa.float64()))


def _mask(keep: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(keep)

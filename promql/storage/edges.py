"""Stores that answer what rate, increase and delta read of a window at once: its first and its last sample.

A block holds series that were sampled at the same instants, so a store whose targets are each scraped at a phase of
their own answers with many small blocks, and most of an evaluation goes into taking them apart. Such a store may
implement `EdgeStore` beside `select`: it says for all matching series together where their windows begin and end.
The engine asks it where nothing else is read, and falls back on `select` for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from promql.storage.blocks import Floats, Times
from promql.storage.labels import Labels
from promql.syntax.tree import Matcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Each array is (series, runs or 1, steps).

    Attributes:
        first, last: values; first_ms, last_ms: their times. Staleness markers are no samples.
        counts: how many samples the window has. Where there are none, values and times may be anything.
        lost: what counters had reached when they were reset inside the window, in all; None if none was.
    """

    first: Floats
    last: Floats
    first_ms: Times
    last_ms: Times
    counts: NDArray[np.int64]
    lost: Floats | None


@runtime_checkable
class EdgeStore(Protocol):
    """A store that knows the edges of windows without being asked for blocks."""

    def edges(
        self, matchers: Sequence[Matcher], starts_ms: Times, ends_ms: Times, *, is_counter: bool
    ) -> tuple[Sequence[Labels], Edges] | None:
        """Return the edges of every window of all matching series, or None to be asked for blocks instead.

        Args:
            starts_ms, ends_ms: (steps,) each window is open at its start and holds its end.
            is_counter: whether a value below the one before it is a reset, so that `lost` counts.
        """
        ...

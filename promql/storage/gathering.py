"""Bring together what several files say of the same series, as Prometheus would hold it.

Files of one recording overlap: one ends in the middle of what the next begins with. A store takes a series' samples in
the order of time only, so they are gathered first. At one instant a series has one value: the same again is nothing
new, and another one is left out and counted, the first that was read stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

from promql.storage.labels import Labels, labels_text
from promql.storage.memory import Appended, MemoryStore

_time_of = itemgetter(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """What became of the samples of all files.

    Attributes:
        stored: how many samples the store took.
        left_out: how many had another value than an earlier one of the same series and instant.
        example: one of those, in words; '' if there is none.
    """

    stored: int
    left_out: int = 0
    example: str = ""


@dataclass(slots=True)
class Gathered:
    """Samples by series, in the order in which they were read."""

    series: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, labels: Labels, samples: Iterable[tuple[int, float]]) -> None:
        """Add (unix milliseconds, value) samples of one series."""
        self.series.setdefault(labels, []).extend(samples)

    def store_in(self, store: MemoryStore) -> Gathering:
        """Append everything, each series in the order of time."""
        stored, left_out, example = 0, 0, ""
        for labels, samples in self.series.items():
            samples.sort(key=_time_of)  # stable: of the same instant what was read first comes first
            for time_ms, value in samples:
                outcome = store.append_ms(labels, time_ms, value)
                stored += outcome is Appended.STORED
                if outcome in (Appended.DUPLICATE, Appended.OUT_OF_ORDER):
                    left_out += 1
                    example = example or f"{labels_text(labels)} at {time_ms / 1000:.15g} is {value:.15g} there"
        return Gathering(stored=stored, left_out=left_out, example=example)

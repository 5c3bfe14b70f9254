"""Between the scraper and the metrics server: the place where evidence goes bad without anybody noticing.

Samples pass through unchanged unless a fault is in force: none arrive (a stale Prometheus), a label has another name,
or the series of one metric stand still. A series that changes its identity ends under the old one with a staleness
marker, as it would if the pod itself had renamed it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from experiments.testbeds.local.samples import Sample, Sink

_Series = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Series by their metric and some of their labels."""

    metric: str
    labels: Mapping[str, str]

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (and `__name__`) is one of them."""
        if labels.get("__name__") != self.metric:
            return False
        return all(labels.get(name) == value for name, value in self.labels.items())


@dataclass(slots=True, kw_only=True)
class Tampering:
    """A sink that passes samples on to another one. Safe from every thread."""

    sink: Sink
    _stale: bool = False
    _renamed: dict[str, str] = field(default_factory=dict)
    _still: Selection | None = None
    _last: dict[_Series, float] = field(default_factory=dict)  # what each series was last, as it was passed on
    _told_as: dict[_Series, Mapping[str, str]] = field(default_factory=dict)  # series under another name
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, samples: Iterable[Sample]) -> None:
        """Pass a batch on, as far as the faults in force let it."""
        with self._lock:
            if self._stale:
                return
            batch = [told for sample in samples for told in self._told(sample)]
        self.sink.write(batch)

    def drop(self, *, dropped: bool) -> None:
        """Let no sample pass, or all again."""
        with self._lock:
            self._stale = dropped

    def rename(self, label: str, to: str | None) -> None:
        """Let a label have another name; None: its own again."""
        with self._lock:
            if to is None:
                self._renamed.pop(label, None)
            else:
                self._renamed[label] = to

    def hold(self, selection: Selection | None) -> None:
        """Let these series keep the values that they have (0 for new ones); None: all tell the truth again."""
        with self._lock:
            self._still = selection

    def _told(self, sample: Sample) -> Iterator[Sample]:
        series = tuple(sorted(sample.labels.items()))
        labels = {self._renamed.get(name, name): value for name, value in sample.labels.items()}
        before = self._told_as.get(series, sample.labels)
        if labels != before:
            yield Sample(labels=before, t_s=sample.t_s, stale=True)
            if labels == sample.labels:
                self._told_as.pop(series, None)
            else:
                self._told_as[series] = labels
        if sample.stale:
            yield replace(sample, labels=labels)
            return
        value = sample.value
        if self._still is not None and self._still.takes(sample.labels):
            value = self._last.get(series, 0.0)
        self._last[series] = value
        yield replace(sample, labels=labels, value=value)

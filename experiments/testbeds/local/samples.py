"""What a scrape gives, and who takes it: the embedded store, or a real Prometheus by remote write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of one series; `labels` holds `__name__` too."""

    labels: Mapping[str, str]
    t_s: float
    value: float = 0.0
    stale: bool = False  # a staleness marker: the series ends here


class Sink(Protocol):
    """Takes batches of samples, each batch from one scrape. Called from several threads."""

    def write(self, samples: Iterable[Sample]) -> None: ...

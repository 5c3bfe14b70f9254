"""What a store holds: its series, its labels and what is known of its metrics, for the API's look-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from promql.storage.blocks import Store
from promql.storage.exposition import Family
from promql.storage.labels import Labels, value_of
from promql.syntax.tree import Matcher

_EVER_MS = (-(2**62), 2**62)


@runtime_checkable
class Listing(Protocol):
    """A store that can tell its label sets without reading samples."""

    def label_sets(
        self, matchers: Sequence[Matcher] = (), start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Labels]: ...


def label_sets(
    store: Store, selectors: Sequence[Sequence[Matcher]], start_ms: int | None, end_ms: int | None
) -> list[Labels]:
    """Return the label sets with a sample in the span that any of the selectors matches, sorted.

    No selector at all matches everything.
    """
    found: set[Labels] = set()
    for matchers in selectors or [()]:
        if isinstance(store, Listing):
            found.update(store.label_sets(matchers, start_ms, end_ms))
        else:
            low = _EVER_MS[0] if start_ms is None else start_ms
            high = _EVER_MS[1] if end_ms is None else end_ms
            for block in store.select(matchers, low, high):
                if bool(np.any((block.times_ms >= low) & (block.times_ms <= high))):
                    found.update(block.labels)
    return sorted(found)


def label_names(series: Sequence[Labels]) -> list[str]:
    return sorted({name for labels in series for name, _ in labels})


def label_values(series: Sequence[Labels], name: str) -> list[str]:
    return sorted({value_of(labels, name) for labels in series} - {""})


def metadata(
    families: Sequence[Family], *, metric: str, limit: int | None, limit_per_metric: int | None
) -> dict[str, list[dict[str, str]]]:
    """Return type, help and unit by metric name; a metric that was told twice alike is listed once."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in families:
        if metric and family.name != metric:
            continue
        if family.kind == "unknown" and not family.help and not family.unit:
            continue  # nothing was said of it
        entries = found.setdefault(family.name, [])
        entry = {"type": family.kind, "help": family.help, "unit": family.unit}
        if entry not in entries and (limit_per_metric is None or len(entries) < limit_per_metric):
            entries.append(entry)
    return dict(list(found.items())[:limit])

"""Small stores for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from promql.engine import Result
from promql.storage import MemoryStore
from promql.syntax import parse
from promql.syntax.tree import VectorSelector

Samples = Sequence[tuple[float, float]]


@pytest.fixture
def store_of() -> Callable[[Mapping[str, Samples]], MemoryStore]:
    """Return a maker of stores from series, named as a selector names them, and their samples."""

    def make(series: Mapping[str, Samples]) -> MemoryStore:
        store = MemoryStore()
        for name, samples in series.items():
            selector = parse(name)
            assert isinstance(selector, VectorSelector)
            labels = {matcher.name: matcher.value for matcher in selector.matchers}
            for t_s, value in samples:
                store.append(labels, t_s, value)
        return store

    return make


@pytest.fixture
def numbers() -> Callable[[Result], list[float]]:
    return lambda result: [value for _, value in result.vector()]

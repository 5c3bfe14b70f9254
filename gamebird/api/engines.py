"""The engine that plays the runs, with whatever it needs open for as long as it plays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gamebird.api.specs import SpecError
from sim.simulating import Engine, Flock


@contextmanager
def engine_of(
    name: str,
    *,
    workers: int | None = None,
    cohorts: int | None = None,
    dask: Any = None,
    metrics_map: Any = None,
) -> Iterator[Engine]:
    """Yield the engine of this name.

    Args:
        dask: a Dask client, or the address of a scheduler, to which a client is then opened and closed again.

    Raises:
        SpecError: no engine of this name, or options that it does not have.
    """
    if workers is not None and workers < 1:
        raise SpecError(f"workers is {workers}; it needs 1 or more")
    if name != "flock":
        raise SpecError(f"there is no engine {name!r}; there are flock and simpy")
    yield Flock(workers=workers, cohorts=cohorts, client=dask, metrics_map=metrics_map)

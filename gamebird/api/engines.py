"""The engine that plays the runs, with whatever it needs open for as long as it plays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gamebird.api.specs import SpecError
from sim.engines import Flock, Simpy
from sim.simulating import Engine

if TYPE_CHECKING:
    from sim.metrics_model import MetricsMap


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
        metrics_map: a file, or its content as plain values.

    Raises:
        SpecError: no engine of this name, or options that it does not have.
        ConnectionError: no scheduler at the address.
        sim.metrics_model.PlanError: a map that cannot be read.
    """
    if workers is not None and workers < 1:
        raise SpecError(f"workers is {workers}; it needs 1 or more")
    if name == "simpy":
        if dask is not None or cohorts is not None:
            raise SpecError("the engine simpy takes neither dask nor cohorts; flock does")
        yield Simpy(workers=workers, metrics_map=_map_of(metrics_map))
    elif name == "flock":
        names = _map_of(metrics_map)
        with _client(dask) as client:
            yield Flock(workers=workers, cohorts=cohorts, client=client, metrics_map=names)
    else:
        raise SpecError(f"there is no engine {name!r}; there are flock and simpy")


def _map_of(given: Any) -> MetricsMap | None:
    from sim.metrics_model import metrics_map_of, read_metrics_map

    if given is None:
        return None
    return read_metrics_map(Path(given)) if isinstance(given, str | Path) else metrics_map_of(given)


@contextmanager
def _client(dask: Any) -> Iterator[Any]:
    """Yield a Dask client: the one that was given, one for an address, or None."""
    if dask is None or not isinstance(dask, str):
        yield dask
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise SpecError(f"--dask needs the package distributed, which is not installed: {error}") from error
    connect: Any = Client
    try:
        client = connect(dask, timeout=10)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"no Dask scheduler answers at {dask}: {error}; it needs for example tcp://host:8786"
        ) from error
    with client:
        yield client

"""All cohorts of a simulation, over processes or over a Dask cluster; the same bytes for any number of workers.

A piece of work is one cohort of one scenario, or a part of its runs where there are fewer cohorts than workers. Pieces
know nothing of each other, and tables are put together by run number, so neither their order nor their place shows in
the outcome. All scenarios go through one pool, so that no core waits for the end of one before it begins the next.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.manifests.policies import Policy
from sim.flock.blocks import run_block
from sim.flock.places import Histories, World
from sim.flock.stage import Stage, set_stage
from sim.metrics_model import MetricsMap
from sim.outcomes.table import MeasurementTable, RunTable
from sim.scenarios import Scenario

COHORTS_MIN, COHORTS_MAX = 40, 100
RUNS_A_COHORT = 250
"""A platform history costs as much as some three hundred runs of it, so fewer runs get fewer of them; but intervals
count histories, so they are never very few."""

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""

_Tables = tuple[RunTable, MeasurementTable | None, tuple[str, ...]]
"""Runs, measurements if they are wanted, and what the plan of metrics took to be so."""


class DaskClient(Protocol):
    """What is used of `dask.distributed.Client`."""

    def submit(self, function: Callable[..., Any], *args: Any, **how: Any) -> Any: ...

    def scatter(self, data: Any, broadcast: bool = ...) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What was simulated.

    Attributes:
        measurements: None unless they were asked for.
        wanted: runs that were asked for; the table has fewer after an interruption.
        assumed: what the model took to be so of labels and metrics, although nothing says it.
    """

    table: RunTable
    measurements: MeasurementTable | None
    wanted: int
    cohorts: int
    assumed: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return len(self.table) == self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """All that is to be played; plain values, so that it can be sent anywhere.

    Attributes:
        shares: pieces of each scenario's work: a cohort, and some of its runs.
    """

    policy: Policy
    scenarios: tuple[Scenario, ...]
    metrics_map: MetricsMap | None
    seed: int
    shares: tuple[tuple[int, NDArray[np.int64]], ...]
    measurements: bool


def simulate_blocks(
    policy: Policy,
    scenario: Scenario,
    *,
    runs: int,
    seed: int,
    cohorts: int | None = None,
    workers: int | None = None,
    measurements: bool = False,
    metrics_map: MetricsMap | None = None,
    progress: Progress | None = None,
    client: DaskClient | None = None,
) -> Simulated:
    """Play `runs` runs of one scenario and return what became of them; see `simulate_each`."""
    done = 0

    def told(_scenario: int, more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, runs)

    each = simulate_each(
        policy,
        (scenario,),
        runs=runs,
        seed=seed,
        cohorts=cohorts,
        workers=workers,
        measurements=measurements,
        metrics_map=metrics_map,
        progress=told,
        client=client,
    )
    try:
        return next(each)
    finally:
        each.close()


def simulate_each(
    policy: Policy,
    scenarios: Sequence[Scenario],
    *,
    runs: int,
    seed: int,
    cohorts: int | None = None,
    workers: int | None = None,
    measurements: bool = False,
    metrics_map: MetricsMap | None = None,
    progress: Callable[[int, int], None] | None = None,
    client: DaskClient | None = None,
) -> Generator[Simulated, None, None]:
    """Play `runs` runs of each scenario and yield what became of them, one scenario after the other.

    Args:
        cohorts: platform histories that the runs share; None: as many as their number is worth, at most a hundred.
            Run r belongs to cohort r modulo this.
        workers: processes on this machine; None for one a core. Ignored with a client.
        measurements: whether every measurement is wanted too.
        metrics_map: metrics that the model does not know, as ones that it knows.
        progress: told after each piece of work: the position of its scenario, and how many runs it was.
        client: of a Dask cluster, to play there instead.
    Raises:
        DrivingError, PlanError: a scenario that this policy cannot meet; for the first before anything is played.
        KeyboardInterrupt: only if it comes before a first piece of work is done; later what is done of the scenario
            under way is yielded, and nothing after it.
    """
    cohorts = cohorts_for(runs) if cohorts is None else cohorts
    if runs < 1 or cohorts < 1:
        raise ValueError(f"{runs} runs in {cohorts} cohorts; it needs one at least of each")
    workers = workers or usable_cores()
    work = _Work(
        policy=policy,
        scenarios=tuple(scenarios),
        metrics_map=metrics_map,
        seed=seed,
        shares=tuple(_shares(runs, cohorts, 1 if client is not None else workers)),
        measurements=measurements,
    )
    pieces = [(place, share) for place in range(len(work.scenarios)) for share in range(len(work.shares))]
    found: dict[int, list[_Tables]] = {place: [] for place in range(len(work.scenarios))}
    under_way = 0
    try:
        for place, tables in _played(work, pieces, min(workers, len(pieces)), client):
            found[place].append(tables)
            if progress is not None:
                progress(place, len(tables[0]))
            while under_way in found and len(found[under_way]) == len(work.shares):
                yield _simulated(found.pop(under_way), runs, cohorts)
                under_way += 1
    except KeyboardInterrupt:
        if not found.get(under_way):
            raise
        yield _simulated(found[under_way], runs, cohorts)


def _simulated(found: Sequence[_Tables], runs: int, cohorts: int) -> Simulated:
    measured = [table for _, table, _ in found if table is not None]
    return Simulated(
        table=RunTable.joined([table for table, _, _ in found]),
        measurements=_joined(measured) if measured else None,
        wanted=runs,
        cohorts=min(cohorts, runs),
        assumed=found[0][2],
    )


def cohorts_for(runs: int) -> int:
    """Return how many platform histories so many runs should share."""
    return max(COHORTS_MIN, min(runs // RUNS_A_COHORT, COHORTS_MAX))


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shares(runs: int, cohorts: int, workers: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield cohorts and their runs, in parts if there are fewer cohorts than workers."""
    parts = -(-workers // min(cohorts, runs))
    for cohort in range(min(cohorts, runs)):
        numbers = np.arange(cohort, runs, cohorts, dtype=np.int64)
        for part in np.array_split(numbers, min(parts, len(numbers))):
            yield cohort, part


_Piece = tuple[int, int]
"""A scenario and a share of its runs, by their positions."""


def _played(
    work: _Work, pieces: Sequence[_Piece], workers: int, client: DaskClient | None
) -> Iterator[tuple[int, _Tables]]:
    """Yield the scenario and the tables of each piece of work, in the order in which they are done."""
    if client is not None:
        yield from _on_cluster(work, pieces, client)
        return
    player = _Player(work)
    player.ready(0)
    if workers == 1:
        for piece in pieces:
            yield piece[0], player.play(piece)
    else:
        yield from _in_processes(player, pieces, workers)


def _in_processes(player: _Player, pieces: Sequence[_Piece], workers: int) -> Iterator[tuple[int, _Tables]]:
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context(method),
        initializer=_begin,
        # Forked workers find the modules loaded and the first stage made; elsewhere each makes its own.
        initargs=(player if method == "fork" else _Player(player.work),),
    )
    gc.freeze()  # workers share what is there, and a collector that walks through it would copy it
    try:
        futures: dict[Future[_Tables], int] = {pool.submit(_play, piece): piece[0] for piece in pieces}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    finally:
        gc.unfreeze()
        pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(work: _Work, pieces: Sequence[_Piece], client: DaskClient) -> Iterator[tuple[int, _Tables]]:
    from dask.distributed import as_completed as as_dask_completes

    key = blake2b(pickle.dumps(work), digest_size=16).digest()
    [sent] = client.scatter([work], broadcast=True)
    futures = {client.submit(_play_sent, key, sent, piece, pure=False): piece[0] for piece in pieces}
    try:
        for future in as_dask_completes(list(futures)):  # type: ignore[no-untyped-call]
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


# ---- in a worker


class _Player:
    """Plays pieces of one work, and keeps what the next piece needs too: stages, and histories that were met."""

    __slots__ = ("_histories", "_ready", "work")

    def __init__(self, work: _Work) -> None:
        self.work = work
        self._ready: dict[int, tuple[Stage, World]] = {}
        self._histories = Histories()

    def play(self, piece: _Piece) -> _Tables:
        place, share = piece
        work = self.work
        stage, world = self.ready(place)
        cohort, runs = work.shares[share]
        table, measured = run_block(
            stage,
            seed=work.seed,
            cohort=cohort,
            runs=runs,
            measurements=work.measurements,
            places=self._histories.of(world, seed=work.seed, cohort=cohort),
        )
        return table, measured, stage.plan.notes

    def ready(self, place: int) -> tuple[Stage, World]:
        """Return the stage of a scenario, and what its histories hang on."""
        found = self._ready.get(place)
        if found is None:
            if len(self._ready) >= _READY_MAX:
                del self._ready[next(iter(self._ready))]
            work = self.work
            world = self._histories.world(work.policy, work.scenarios[place])
            stage = set_stage(work.policy, work.scenarios[place], work.metrics_map, world.deployment)
            found = self._ready[place] = stage, world
        return found


_READY_MAX = 4
"""Scenarios are played one after the other; stages of those that are over would only hold memory."""

_PLAYER: _Player | None = None
"""Of this process, if it is a worker of a pool."""


def _begin(player: _Player) -> None:
    """Be a worker: leave interrupts to the parent, and know what is played."""
    global _PLAYER
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _PLAYER = player


def _play(piece: _Piece) -> _Tables:
    assert _PLAYER is not None
    return _PLAYER.play(piece)


class _OfThread(threading.local):
    """A cluster's worker may have several threads; each plays for itself."""

    key = b""
    player: _Player | None = None


_SENT = _OfThread()


def _play_sent(key: bytes, work: _Work, piece: _Piece) -> _Tables:
    """Play a piece of a work that is sent along."""
    if _SENT.player is None or _SENT.key != key:
        _SENT.key, _SENT.player = key, _Player(work)
    return _SENT.player.play(piece)


def _joined(tables: Sequence[MeasurementTable]) -> MeasurementTable:
    columns: dict[str, NDArray[Any]] = {
        field.name: np.concatenate([getattr(table, field.name) for table in tables])
        for field in fields(MeasurementTable)
        if field.name != "metrics"
    }
    order = np.argsort(columns["run"], kind="stable")
    return MeasurementTable(metrics=tables[0].metrics, **{name: column[order] for name, column in columns.items()})

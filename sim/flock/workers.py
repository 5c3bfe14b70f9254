"""All cohorts of a simulation, over processes or over a Dask cluster; the same bytes for any number of workers.

A task is one cohort, or a part of its runs where there are fewer cohorts than workers. Tasks know nothing of each
other, and tables are put together by run number, so neither their order nor their place shows in the outcome.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.manifests.policies import Policy
from sim.flock.blocks import run_block
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

_Tables = tuple[RunTable, MeasurementTable | None]


class DaskClient(Protocol):
    """What is used of `dask.distributed.Client`."""

    def submit(self, function: Callable[..., Any], *args: Any, **how: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What was simulated.

    Attributes:
        measurements: None unless they were asked for.
        wanted: runs that were asked for; the table has fewer after an interruption.
    """

    table: RunTable
    measurements: MeasurementTable | None
    wanted: int
    cohorts: int

    @property
    def is_complete(self) -> bool:
        return len(self.table) == self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Some runs of one cohort; plain values, so that it can be sent anywhere."""

    policy: Policy
    scenario: Scenario
    metrics_map: MetricsMap | None
    key: str
    seed: int
    cohort: int
    runs: NDArray[np.int64]
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
    """Play `runs` runs and return what became of them.

    Args:
        cohorts: platform histories that the runs share; None: as many as their number is worth, at most a hundred.
            Run r belongs to cohort r modulo this.
        workers: processes on this machine; None for one a core. Ignored with a client.
        measurements: whether every measurement is wanted too.
        metrics_map: metrics that the model does not know, as ones that it knows.
        progress: told after each task.
        client: of a Dask cluster, to play there instead.
    Raises:
        DrivingError, PlanError: before anything is played.
        KeyboardInterrupt: only if it comes before the first task is done; later what is done is returned.
    """
    cohorts = cohorts_for(runs) if cohorts is None else cohorts
    if runs < 1 or cohorts < 1:
        raise ValueError(f"{runs} runs in {cohorts} cohorts; it needs one at least of each")
    workers = workers or usable_cores()
    stage = set_stage(policy, scenario, metrics_map)
    key = stage_key(policy, scenario, metrics_map)
    tasks = [
        _Task(
            policy=policy,
            scenario=scenario,
            metrics_map=metrics_map,
            key=key,
            seed=seed,
            cohort=cohort,
            runs=numbers,
            measurements=measurements,
        )
        for cohort, numbers in _shares(runs, cohorts, 1 if client is not None else workers)
    ]
    _STAGES[key] = stage
    found: list[_Tables] = []
    done = 0
    try:
        for tables in _played(tasks, min(workers, len(tasks)), client):
            found.append(tables)
            done += len(tables[0])
            if progress is not None:
                progress(done, runs)
    except KeyboardInterrupt:
        if not found:
            raise
    finally:
        _STAGES.pop(key, None)
    return Simulated(
        table=RunTable.joined([table for table, _ in found]),
        measurements=_joined([table for _, table in found if table is not None]) if measurements else None,
        wanted=runs,
        cohorts=min(cohorts, runs),
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


def _played(tasks: Sequence[_Task], workers: int, client: DaskClient | None) -> Iterator[_Tables]:
    if client is not None:
        yield from _on_cluster(tasks, client)
    elif workers == 1:
        yield from map(_play, tasks)
    else:
        yield from _in_processes(tasks, workers)


def _in_processes(tasks: Sequence[_Task], workers: int) -> Iterator[_Tables]:
    # Forked workers find the stage made and the modules loaded; elsewhere each makes its own.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent)
    global _TASKS
    _TASKS = tasks if method == "fork" else ()
    try:
        futures: list[Future[_Tables]]
        if method == "fork":
            futures = [pool.submit(_play_known, place) for place in range(len(tasks))]
        else:
            futures = [pool.submit(_play, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        _TASKS = ()
        pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(tasks: Sequence[_Task], client: DaskClient) -> Iterator[_Tables]:
    from dask.distributed import as_completed as as_dask_completes

    futures = [client.submit(_play, task, pure=False) for task in tasks]
    try:
        for future in as_dask_completes(futures):  # type: ignore[no-untyped-call]
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_TASKS: Sequence[_Task] = ()
_STAGES: dict[str, Stage] = {}
_STAGES_MAX = 8


def _play_known(place: int) -> _Tables:
    return _play(_TASKS[place])


def _play(task: _Task) -> _Tables:
    stage = _STAGES.get(task.key)
    if stage is None:
        if len(_STAGES) >= _STAGES_MAX:
            _STAGES.clear()
        stage = _STAGES[task.key] = set_stage(task.policy, task.scenario, task.metrics_map)
    return run_block(stage, seed=task.seed, cohort=task.cohort, runs=task.runs, measurements=task.measurements)


def stage_key(policy: Policy, scenario: Scenario, metrics_map: MetricsMap | None) -> str:
    """Return what stands for a stage in a worker's memory."""
    return blake2b(pickle.dumps((policy, scenario, metrics_map)), digest_size=16).hexdigest()


def _joined(tables: Sequence[MeasurementTable]) -> MeasurementTable:
    columns: dict[str, NDArray[Any]] = {
        field.name: np.concatenate([getattr(table, field.name) for table in tables])
        for field in fields(MeasurementTable)
        if field.name != "metrics"
    }
    order = np.argsort(columns["run"], kind="stable")
    return MeasurementTable(metrics=tables[0].metrics, **{name: column[order] for name, column in columns.items()})

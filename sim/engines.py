"""The two engines behind `sim.simulating`: the flock for many runs, the SimPy world for the truth of a few.

Both return the same tables. Everything heavy is imported when a run is played, because whoever only names an engine
should not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from controller.manifests.policies import Policy
from sim.outcomes.table import RunTable
from sim.scenarios import Scenario
from sim.simulating import Played, Progress

if TYPE_CHECKING:
    from sim.flock.workers import DaskClient
    from sim.metrics_model import MetricsMap

CHUNKS = 8
"""How many pieces of work each process gets, so that one that is done early takes another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flock:
    """The engine for many runs: those that share a history are played together.

    Attributes:
        workers: processes; None: one for each core.
        cohorts: platform histories; None: 40 to 100, by the number of runs.
        client: a Dask client whose workers play instead.
        metrics_map: metrics that the model does not know, as ones that it knows.
    """

    workers: int | None = None
    cohorts: int | None = None
    client: DaskClient | None = None
    metrics_map: MetricsMap | None = None
    name: str = "flock"

    def play(
        self,
        policy: Policy,
        scenarios: Sequence[Scenario],
        *,
        runs: int,
        seed: int,
        measurements: bool,
        progress: Progress,
    ) -> Iterator[Played]:
        """Play the runs of each scenario, all of them in one pool of processes."""
        from sim.flock.workers import simulate_each

        names = [scenario.name for scenario in scenarios]
        for played in simulate_each(
            policy,
            scenarios,
            runs=runs,
            seed=seed,
            cohorts=self.cohorts,
            workers=self.workers,
            measurements=measurements,
            progress=lambda place, more: progress(names[place], more),
            client=self.client,
            metrics_map=self.metrics_map,
        ):
            yield Played(table=played.table, measurements=played.measurements, assumed=played.assumed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simpy:
    """The reference engine: each request is an event. A run is a cohort of its own.

    Attributes:
        workers: processes; None: one for each core.
        metrics_map: metrics that the model does not know, as ones that it knows.
    """

    workers: int | None = None
    metrics_map: MetricsMap | None = None
    name: str = "simpy"

    def play(
        self,
        policy: Policy,
        scenarios: Sequence[Scenario],
        *,
        runs: int,
        seed: int,
        measurements: bool,
        progress: Progress,
    ) -> Iterator[Played]:
        """Play the runs of each scenario, in as many processes as there are; measurements are in traces only."""
        from sim.flock.stage import set_stage

        for scenario in scenarios:
            assumed = set_stage(policy, scenario, self.metrics_map).plan.notes
            table = self._table(_Work(policy, scenario, seed, self.metrics_map), runs, progress)
            yield Played(table=table, assumed=assumed)
            if table is None or len(table) < runs:
                return

    def _table(self, work: _Work, runs: int, progress: Progress) -> RunTable | None:
        """Return the runs of one scenario, fewer after an interruption."""
        workers = min(self.workers or os.cpu_count() or 1, runs)
        name = work.scenario.name
        if workers == 1:
            return _in_order(work, runs, progress)
        size = max(1, runs // (workers * CHUNKS))
        pieces = [range(first, min(first + size, runs)) for first in range(0, runs, size)]
        tables: list[RunTable] = []
        with ProcessPoolExecutor(max_workers=workers) as pool:
            waiting = {pool.submit(_play, work, piece): piece for piece in pieces}
            try:
                for done in as_completed(waiting):
                    tables.append(done.result())
                    progress(name, len(waiting[done]))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
        return RunTable.joined(tables) if tables else None


class _Work(NamedTuple):
    """What every piece of work needs; plain values, so that it can be sent to another process."""

    policy: Policy
    scenario: Scenario
    seed: int
    metrics_map: MetricsMap | None


def _in_order(work: _Work, runs: int, progress: Progress) -> RunTable | None:
    tables: list[RunTable] = []
    try:
        for run in range(runs):
            tables.append(_play(work, range(run, run + 1)))
            progress(work.scenario.name, 1)
    except KeyboardInterrupt:
        pass  # what is finished is returned, and says by its length that it is not all
    return RunTable.joined(tables) if tables else None


def _play(work: _Work, runs: range) -> RunTable:
    from sim.simpy_world import play_run

    policy, scenario, seed, names = work
    return RunTable.joined([play_run(policy, scenario, seed=seed, run=run, metrics_map=names)[0] for run in runs])

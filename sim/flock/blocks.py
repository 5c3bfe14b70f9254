"""Play the runs of one cohort: a flock goes from asking to asking, parts where phases differ, and meets again.

Blocks keep memory flat: a cohort's runs are played some hundreds at a time, and all blocks share the cohort's paths.
Nothing that a run meets hangs on its block or on the runs beside it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.driving import Verdict
from sim.flock.bits import bits, key_of, words_of_cells, words_of_runs
from sim.flock.counters import Counters
from sim.flock.judging import Judged, judge_metric
from sim.flock.paths import Node, Paths
from sim.flock.places import Places
from sim.flock.recording import Recorder, Rows
from sim.flock.schedules import milliseconds
from sim.flock.stage import Stage
from sim.flock.store import FlockStore
from sim.flock.tallies import tally
from sim.load.meeting import met_s
from sim.outcomes.table import MeasurementTable, Outcome, RunTable

BLOCK = 500
"""Runs that are played at once: enough that numpy's own overhead is small, few enough for a core's cache."""

_THIN = 0.7
"""A flock that has lost so much of its rows is copied without the others."""


@dataclass(slots=True, eq=False)
class Flock:
    """Runs that have met the same phases so far.

    Attributes:
        counters: of these runs and perhaps of others that have parted from them.
        rows: (runs,) places of these runs in the counters.
        runs: (runs,) their places in the block.
    """

    node: Node
    counters: Counters
    rows: NDArray[np.intp]
    runs: NDArray[np.intp]

    def thinned(self) -> Flock:
        """Return the flock with counters of its own runs only, if others are many among them."""
        if len(self.rows) >= _THIN * self.counters.runs:
            return self
        return Flock(self.node, self.counters.of_runs(self.rows), np.arange(len(self.rows)), self.runs)


def run_block(
    stage: Stage,
    *,
    seed: int,
    cohort: int,
    runs: NDArray[np.int64],
    measurements: bool = False,
    block: int = BLOCK,
    places: Places | None = None,
) -> tuple[RunTable, MeasurementTable | None]:
    """Return what became of some runs of one cohort, and their measurements if they are wanted.

    Args:
        block: how many runs are played at once; it changes memory and speed, never the outcome.
        places: of this cohort, which another release of like life has gone through before; None: nobody has.
    """
    places = places or Places(stage.deployment, seed=seed, cohort=cohort)
    paths = Paths(stage, places, seed=seed, cohort=cohort)
    recorder = Recorder(stage, cohort, measurements=measurements)
    for begin in range(0, len(runs), block):
        _play(paths, runs[begin : begin + block], recorder)
    return recorder.tables()


def _play(paths: Paths, numbers: NDArray[np.int64], recorder: Recorder) -> None:
    """Play one block from the first look to every run's verdict."""
    words = words_of_runs(paths.cast.seed, numbers)
    every = np.arange(len(numbers))
    rows = Rows(numbers)
    waiting = _Waiting()
    waiting.add(Flock(paths.root, Counters(words), every, every))
    for flock in waiting.flocks():
        if flock.node.asking is None:
            _end(paths, flock, rows)
        else:
            for part in _look(paths, flock, recorder, numbers):
                waiting.add(part)
    recorder.take(rows)


class _Waiting:
    """Flocks by time, so that those that come to the same place are there before any of them goes on."""

    def __init__(self) -> None:
        self._order: list[tuple[float, int]] = []
        self._at: dict[tuple[float, int], list[Flock]] = {}

    def add(self, flock: Flock) -> None:
        key = (flock.node.at_s, flock.node.number)
        if key not in self._at:
            self._at[key] = []
            heapq.heappush(self._order, key)
        self._at[key].append(flock)

    def flocks(self) -> Iterator[Flock]:
        while self._order:
            yield from _joined(self._at.pop(heapq.heappop(self._order)))


def _joined(flocks: Sequence[Flock]) -> list[Flock]:
    """Return flocks at one node as one, as far as they know the same instants: then they go on alike."""
    if len(flocks) == 1:
        return list(flocks)
    alike: dict[object, Flock] = {}
    for flock in flocks:
        known = flock.counters.known()
        other = alike.get(known)
        alike[known] = flock if other is None else _together(other, flock)
    return list(alike.values())


def _together(one: Flock, other: Flock) -> Flock:
    counters = one.counters.of_runs(one.rows).joined(other.counters.of_runs(other.rows))
    runs = np.concatenate((one.runs, other.runs))
    return Flock(one.node, counters, np.arange(len(runs)), runs)


def _look(paths: Paths, flock: Flock, recorder: Recorder, numbers: NDArray[np.int64]) -> list[Flock]:
    """Measure all that is due, and return the flocks that its phases leave."""
    flock = flock.thinned()
    node, asking = flock.node, flock.node.asking
    assert asking is not None
    scene, stage = node.scene, paths.stage
    horizon_ms = milliseconds(asking.at_s - stage.horizon_s)
    flock.counters.forget_before(horizon_ms, but=milliseconds(stage.deployment.deploy_s))
    store = FlockStore(node.views, flock.counters, node.foreseen)
    whole = len(flock.rows) == flock.counters.runs
    rows: NDArray[np.intp] | slice = slice(None) if whole else flock.rows
    is_out = scene.cast.scraping.is_out(asking.at_s, scene.platform.instants)
    if not is_out:
        store.prepare(node.windows, milliseconds(asking.at_s))
    codes = np.empty((len(asking.questions), len(flock.runs)), dtype=np.int64)
    for place, question in enumerate(asking.questions):
        judged: Judged = judge_metric(
            question.metric, store, asking.at_s, rows, is_out=is_out, counts=recorder.wants_measurements
        )
        codes[place] = judged.codes
        if recorder.wants_measurements:
            recorder.measured(numbers[flock.runs], question, asking.at_s, judged)
    return _parted(flock, codes)


def _parted(flock: Flock, codes: NDArray[np.int64]) -> list[Flock]:
    node = flock.node
    if (codes == codes[:, :1]).all():
        flock.node = node.child(tuple(codes[:, 0].tolist()))
        return [flock]
    kinds, kind = np.unique(codes, axis=1, return_inverse=True)
    found = []
    for number, combination in enumerate(kinds.T.tolist()):
        mine = np.flatnonzero(kind == number)
        child = node.child(tuple(combination))
        found.append(Flock(child, flock.counters.fork(), flock.rows[mine], flock.runs[mine]))
    return found


def _end(paths: Paths, flock: Flock, rows: Rows) -> None:
    verdict = flock.node.verdict
    counted = tally(
        flock.node.scene,
        flock.counters,
        flock.rows,
        deploy_s=paths.stage.deployment.deploy_s,
        until_s=verdict.until_s,
    )
    rows.end(flock.runs, verdict, counted, _detected_s(flock, verdict), paths.stage.metrics)


def _detected_s(flock: Flock, verdict: Verdict) -> NDArray[np.float64]:
    """Return (runs,) from each run's first request to the release until an abort was decided; NaN without either."""
    if verdict.outcome is not Outcome.ABORTED:
        return np.full(len(flock.rows), np.nan)
    scene = flock.node.scene
    cell = words_of_cells([key_of("first user", scene.cast.seed, scene.cast.cohort)], 1)
    luck = ((bits(cell, flock.counters.words[flock.rows])[0, 0] >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    found_s = met_s(scene.load.demand, scene.stretches, -np.log(luck))
    return np.asarray(np.where(found_s <= verdict.at_s, verdict.at_s - found_s, np.nan))

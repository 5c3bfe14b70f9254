"""What a path's end leaves in each run: how many requests there were, and how bad the release's own were.

Counts go on from the counters' newest instants to the end of each unit, so that they agree with what was measured;
what lies after those instants nobody will read in parts, so it is drawn in parts no finer than the table needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.flock.bits import key_of, words_of_cells, words_of_spans
from sim.flock.counters import Counters
from sim.flock.quantiles import Floats, poisson
from sim.flock.scene import Scene
from sim.flock.schedules import milliseconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """(runs,) each: requests of all from the deployment on, those that the release answered, and the bad among them."""

    requests: Floats
    canary_requests: Floats
    bad_requests: Floats


def tally(scene: Scene, counters: Counters, rows: NDArray[np.intp], *, deploy_s: float, until_s: float) -> Tally:
    """Return the tally of some of the counters' runs, whose path ends at `until_s`."""
    deploy_ms, end_ms = milliseconds(deploy_s), milliseconds(until_s)
    counters.read({unit: [deploy_ms] for unit in scene.units if unit.born_ms < deploy_ms < end_ms}, scene)
    bad = scene.cast.plan.bad
    words = counters.words[rows]
    total, canary, harmed = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    spans = [(unit, counters.newest_ms(unit), max(counters.newest_ms(unit), end_ms)) for unit in scene.units]
    means = scene.means(spans)
    parts = np.stack([means[:, ~bad].sum(axis=1), means[:, bad].sum(axis=1)], axis=1)
    cells = words_of_spans(key_of("rest"), [(unit.key, begin, end) for unit, begin, end in spans], 2)
    rest = poisson(cells, parts, words)
    for (unit, newest_ms, _), more in zip(spans, rest, strict=True):
        so_far = counters.at(unit, newest_ms)
        answered = so_far.sum(axis=0)[rows] + more.sum(axis=0)
        if unit.is_release and not unit.is_nobody:
            canary += answered
            harmed += so_far[bad].sum(axis=0)[rows] + more[1]
        elif unit.born_ms < deploy_ms < end_ms:
            answered -= counters.at(unit, deploy_ms).sum(axis=0)[rows]
        total += answered
    if not any(unit.is_nobody for unit in scene.units):
        total += _unserved(scene, words, deploy_s, until_s)
    harmed = np.minimum(harmed + _lost(scene, words), canary)
    return Tally(requests=total, canary_requests=canary, bad_requests=harmed)


def _lost(scene: Scene, words: NDArray[np.uint64]) -> Floats:
    """Return (runs,) requests of the release whose process died under them; counted as answered like all others."""
    certain, mean = scene.lost_to_crashes()
    if mean <= 0.0:
        return np.full(len(words), float(certain))
    cells = words_of_cells([key_of("lost", scene.cast.seed, scene.cast.cohort)], 1)
    return certain + np.asarray(poisson(cells, np.array([[mean]]), words)[0, 0])


def _unserved(scene: Scene, words: NDArray[np.uint64], deploy_s: float, until_s: float) -> Floats:
    """Return (runs,) requests that no pod was there for."""
    mean = 0.0
    for stretch in scene.stretches:
        from_s, to_s = max(stretch.from_s, deploy_s), min(stretch.until_s, until_s)
        if stretch.unserved and from_s < to_s:
            mean += stretch.unserved * scene.load.requests(from_s, to_s)
    if mean <= 0.0:
        return np.zeros(len(words))
    cells = words_of_cells([key_of("unserved", scene.cast.seed, scene.cast.cohort)], 1)
    return np.asarray(poisson(cells, np.array([[mean]]), words)[0, 0])

"""Counters that are drawn when they are read: in whatever order, the numbers are those of one Poisson process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.flock.bits import key_of, words_of_runs
from sim.flock.counters import Counters

RUNS = 40_000


@dataclass(frozen=True, eq=False)
class Pod:
    key: int
    born_ms: int


class Steady:
    """Two atoms: 20 requests a second in one, one in 50 s in the other."""

    atoms = 2

    def means(self, spans: Sequence[tuple[Pod, int, int]]) -> np.ndarray:
        return np.array([[(end - begin) * 0.02, (end - begin) * 0.00002] for _, begin, end in spans])


def pod(name: str = "a", born_ms: int = 0) -> Pod:
    return Pod(key_of(name), born_ms)


def counters(runs: int = RUNS) -> Counters:
    return Counters(words_of_runs(5, np.arange(runs)))


def test_reading_in_between_leaves_what_was_read_before_as_it_is() -> None:
    one, all_runs = pod(), counters()
    all_runs.read({one: [60_000, 120_000]}, Steady())
    before = [all_runs.at(one, at_ms).copy() for at_ms in (60_000, 120_000)]
    all_runs.read({one: [15_000, 90_000, 75_000]}, Steady())
    assert np.array_equal(all_runs.at(one, 60_000), before[0])
    assert np.array_equal(all_runs.at(one, 120_000), before[1])
    rising = [all_runs.at(one, at_ms) for at_ms in (15_000, 60_000, 75_000, 90_000, 120_000)]
    for earlier, later in pairwise(rising):
        assert (later >= earlier).all()


def test_increments_are_poisson_and_independent_whether_drawn_forwards_or_as_bridges() -> None:
    """Four increments of 15 s: 300 requests each in the first atom, 0.3 in the second."""
    one = pod()
    forwards, bridged = counters(), counters()
    forwards.read({one: [15_000, 30_000, 45_000, 60_000]}, Steady())
    bridged.read({one: [60_000]}, Steady())
    bridged.read({one: [30_000]}, Steady())
    bridged.read({one: [15_000, 45_000]}, Steady())
    for drawn in (forwards, bridged):
        steps = np.diff([drawn.at(one, at_ms) for at_ms in (0, 15_000, 30_000, 45_000, 60_000)], axis=0)
        for atom, mean in ((0, 300.0), (1, 0.3)):
            for step in steps[:, atom]:
                assert abs(step.mean() - mean) < 4 * math.sqrt(mean / RUNS)
                assert abs(step.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / RUNS)
            assert np.abs(np.corrcoef(steps[:, atom]) - np.eye(4)).max() < 4.5 / math.sqrt(RUNS)


def test_what_is_foreseen_is_drawn_on_the_way_and_never_beyond_what_is_read() -> None:
    one, both = pod(), counters(10)
    both.read({one: [60_000]}, Steady(), {one: [30_000, 90_000]})
    assert both.known() == ((one.key, (0, 30_000, 60_000)),)
    step_by_step = counters(10)
    step_by_step.read({one: [30_000]}, Steady())
    step_by_step.read({one: [60_000]}, Steady())
    assert np.array_equal(both.at(one, 60_000), step_by_step.at(one, 60_000))


def test_forks_and_parts_meet_the_same_luck() -> None:
    one, all_runs = pod(), counters(100)
    all_runs.read({one: [60_000]}, Steady())
    fork, part = all_runs.fork(), all_runs.of_runs(np.array([7, 70]))
    for each in (all_runs, fork, part):
        each.read({one: [120_000, 30_000]}, Steady())
    for at_ms in (30_000, 120_000):
        assert np.array_equal(fork.at(one, at_ms), all_runs.at(one, at_ms))
        assert np.array_equal(part.at(one, at_ms), all_runs.at(one, at_ms)[:, [7, 70]])


def test_parts_that_were_put_together_again_go_on_as_if_they_had_never_parted() -> None:
    one, all_runs = pod(), counters(100)
    all_runs.read({one: [60_000]}, Steady())
    again = all_runs.of_runs(np.arange(50)).joined(all_runs.of_runs(np.arange(50, 100)))
    for each in (all_runs, again):
        each.read({one: [90_000]}, Steady())
    assert np.array_equal(again.at(one, 90_000), all_runs.at(one, 90_000))


def test_what_is_forgotten_changes_nothing_that_comes_later() -> None:
    one, keeps, forgets = pod(), counters(50), counters(50)
    for each in (keeps, forgets):
        each.read({one: [15_000, 30_000, 45_000, 60_000]}, Steady())
    forgets.forget_before(50_000, but=15_000)
    assert forgets.known() == ((one.key, (0, 15_000, 45_000, 60_000)),)
    for each in (keeps, forgets):
        each.read({one: [75_000, 52_000]}, Steady())
    assert np.array_equal(keeps.at(one, 52_000), forgets.at(one, 52_000))
    assert np.array_equal(keeps.at(one, 75_000), forgets.at(one, 75_000))


def test_a_unit_counts_from_zero_when_it_is_born() -> None:
    late, all_runs = pod(born_ms=45_000), counters(10)
    all_runs.read({late: [40_000, 60_000]}, Steady())
    assert not all_runs.at(late, 40_000).any()
    assert all_runs.at(late, 60_000)[0].mean() > 200  # 15 s of 20 requests a second

"""Counts made of words: are they Poisson and binomial, and does each hang on its own run only?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.flock.bits import key_of, words_of_cells, words_of_runs
from sim.flock.quantiles import binomial, normals, poisson

RUNS = 400_000
# The largest distance of an empirical distribution function from the true one exceeds 1.95 / sqrt(n) once in a
# thousand samples (Kolmogorov); for distributions on whole numbers less often.
FAR = 1.95 / math.sqrt(RUNS)


def cells(count: int, *, part: str = "test") -> np.ndarray:
    return words_of_cells([key_of(part)], count)


def distance(counts: np.ndarray, chances: list[float]) -> float:
    """Return how far the counts' distribution function lies from that of the chances of 0, 1, 2, …"""
    found = np.cumsum(np.bincount(counts.astype(np.int64), minlength=len(chances))[: len(chances)]) / counts.size
    return float(np.abs(found - np.cumsum(chances)).max())


def poisson_chances(mean: float) -> list[float]:
    upto = int(mean + 12 * math.sqrt(mean) + 20)
    return [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(upto)]


@pytest.mark.parametrize("mean", [0.003, 0.09, 0.1, 0.7, 3.0, 9.9, 10.0, 14.0, 60.0, 900.0])
def test_counts_are_poisson_whatever_the_mean(mean: float) -> None:
    counts = poisson(cells(1), np.array([[mean]]), words_of_runs(7, np.arange(RUNS)))[0, 0]
    assert distance(counts, poisson_chances(mean)) < FAR
    # Standard errors: of the mean sqrt(m / n), of the variance about sqrt((m + 2 m²) / n).
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / RUNS)
    assert abs(counts.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / RUNS)


def test_sparse_cells_that_are_drawn_together_are_poisson_each_and_independent() -> None:
    means = np.array([[0.02, 0.05, 0.0, 0.08]])
    counts = poisson(cells(4), means, words_of_runs(7, np.arange(RUNS)))[0]
    for mean, count in zip(means[0].tolist(), counts, strict=True):
        if mean == 0.0:
            assert not count.any()
        else:
            assert distance(count, poisson_chances(mean)) < FAR
    # Of independent counts the correlation is 0, with a standard error of 1 / sqrt(n).
    assert abs(np.corrcoef(counts[1], counts[3])[0, 1]) < 4 / math.sqrt(RUNS)


def test_sparse_cells_know_nothing_of_the_others_of_their_group() -> None:
    counts = poisson(cells(3), np.array([[1.8, 0.09, 40.0]]), words_of_runs(7, np.arange(RUNS)))[0]
    assert np.abs(np.corrcoef(counts) - np.eye(3)).max() < 4 / math.sqrt(RUNS)


@pytest.mark.parametrize(("total", "share"), [(1, 0.3), (7, 0.5), (40, 0.9), (60, 0.4), (900, 0.02), (5_000, 0.8)])
def test_bridges_are_binomial(total: int, share: float) -> None:
    totals = np.full((1, RUNS), float(total))
    counts = binomial(cells(1)[0], totals, np.array([share]), words_of_runs(9, np.arange(RUNS)))[0]
    log = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(total + 1)]
    chances = [math.exp(log[k] + k * math.log(share) + (total - k) * math.log1p(-share)) for k in range(total + 1)]
    assert distance(counts, chances) < FAR
    assert counts.min() >= 0
    assert counts.max() <= total


def test_normal_values_reach_as_far_into_the_tails_as_they_should() -> None:
    values = normals(words_of_cells([key_of("normal")], 2_000_000)[0])
    # Beyond 4 standard deviations lie 6.33e-5 of a normal distribution: 127 of two million, give or take 11.
    assert abs(int((np.abs(values) > 4).sum()) - 127) < 45
    assert abs(values.mean()) < 4 / math.sqrt(2e6)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / 2e6)


def test_a_run_gets_the_same_counts_whoever_is_drawn_beside_it() -> None:
    means = np.array([[0.01, 0.05, 0.4, 6.0, 30.0, 500.0], [0.0, 0.02, 9.0, 12.0, 0.3, 1.0]])
    words = words_of_cells([key_of("a"), key_of("b")], 6)
    everybody = poisson(words, means, words_of_runs(3, np.arange(1_000)))
    few = np.array([3, 500, 999])
    assert np.array_equal(poisson(words, means, words_of_runs(3, few)), everybody[..., few])


def test_other_seeds_keys_and_cells_bring_other_counts() -> None:
    mean, runs = np.array([[100.0, 100.0]]), np.arange(2_000)
    one = poisson(cells(2), mean, words_of_runs(1, runs))[0]
    others = [
        one[1],
        poisson(cells(2, part="other"), mean, words_of_runs(1, runs))[0, 0],
        poisson(cells(2), mean, words_of_runs(2, runs))[0, 0],
    ]
    for other in others:
        assert abs(np.corrcoef(one[0], other)[0, 1]) < 4 / math.sqrt(2_000)

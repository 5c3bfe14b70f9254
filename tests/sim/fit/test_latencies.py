"""Latencies of known truth come back from their counts, and those of another kind are told to fit poorly."""

from __future__ import annotations

import numpy as np
import pytest

from sim.fit.latencies import fit_latency, quantile_s, shares_below
from sim.fit.observed import Durations, FitError, Floats
from sim.releases import Latency
from sim.scenarios import BUCKETS_S

FINE_S = np.concatenate([[0.0], np.exp(np.arange(np.log(1e-5), np.log(1e3), 0.005)), [np.inf]])
MILLISECONDS_S = np.concatenate([[0.0], np.arange(120_000) / 1000 + 0.0005, [np.inf]])
HISTOGRAM_S = np.array([0.0, *BUCKETS_S, np.inf])


def drawn(latency: Latency, n: int, seed: int = 1) -> Floats:
    """Draw answers the way the model's definition reads: a lognormal, and for some requests `tail_ms` more."""
    chance = np.random.default_rng(seed)
    body = latency.median_ms / 1000 * np.exp(latency.sigma * chance.standard_normal(n))
    return body + np.where(chance.random(n) < latency.tail_share, latency.tail_ms / 1000, 0.0)


def counted(answers_s: Floats, edges_s: Floats, *, is_coarse: bool = False) -> Durations:
    return Durations(edges_s=edges_s, counts=np.histogram(answers_s, bins=edges_s)[0], is_coarse=is_coarse)


TRUTHS = [
    Latency(median_ms=60, sigma=0.45),
    Latency(median_ms=12, sigma=0.3, tail_share=0.02, tail_ms=400),
    Latency(median_ms=150, sigma=0.8, tail_share=0.005, tail_ms=3_000),
    Latency(median_ms=4, sigma=0.2, tail_share=0.1, tail_ms=25),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=str)
@pytest.mark.parametrize("edges_s", [FINE_S, MILLISECONDS_S], ids=["fine", "milliseconds"])
def test_body_and_tail_come_back_from_a_log(truth: Latency, edges_s: Floats) -> None:
    answers_s = drawn(truth, 100_000)
    if edges_s is MILLISECONDS_S:
        answers_s = np.rint(answers_s * 1000) / 1000
    found = fit_latency(counted(answers_s, edges_s), BUCKETS_S)
    # Standard errors at n = 100,000: median sigma/√n = 0.3 % at most, sigma 1/√(2n) = 0.2 %; of a tail of 0.5 %
    # (500 answers) the share 4.5 %. Four of them.
    assert found.latency.median_ms == pytest.approx(truth.median_ms, rel=0.012)
    assert found.latency.sigma == pytest.approx(truth.sigma, rel=0.015)
    assert found.latency.tail_share == pytest.approx(truth.tail_share, rel=0.18)
    assert found.latency.tail_ms == pytest.approx(truth.tail_ms, rel=0.05)
    # Kolmogorov: 1.63/√n is exceeded once in a hundred
    assert found.ks < 1.63 / np.sqrt(100_000)
    assert found.p > 1e-3
    for each in found.quantiles[:-1]:
        assert each.fitted_ms == pytest.approx(each.seen_ms, rel=0.05)


@pytest.mark.parametrize("truth", TRUTHS[:3], ids=str)
def test_they_come_back_from_a_histograms_buckets_alone(truth: Latency) -> None:
    found = fit_latency(counted(drawn(truth, 500_000), HISTOGRAM_S, is_coarse=True), BUCKETS_S)
    assert found.latency.median_ms == pytest.approx(truth.median_ms, rel=0.02)
    assert found.latency.sigma == pytest.approx(truth.sigma, rel=0.03)
    # Where in a bucket the tail lies only its two edges tell; what thresholds see are the shares.
    shares = shares_below(HISTOGRAM_S[:-1], found.latency) - shares_below(HISTOGRAM_S[:-1], truth)
    assert np.abs(shares).max() < 0.003


def test_a_few_time_outs_do_not_bend_the_body() -> None:
    answers_s = np.concatenate([drawn(Latency(median_ms=60, sigma=0.3), 50_000), np.full(5, 30.0)])
    found = fit_latency(counted(answers_s, FINE_S), BUCKETS_S)
    assert found.latency.median_ms == pytest.approx(60, rel=0.01)
    assert found.latency.sigma == pytest.approx(0.3, rel=0.02)


def test_two_kinds_of_answers_are_told_to_fit_poorly() -> None:
    # half from a cache in 2 ms, half from a database in 200 ms with a wide spread: no body with one spread has both
    answers_s = np.concatenate(
        [drawn(Latency(median_ms=2, sigma=0.1), 20_000), drawn(Latency(median_ms=200, sigma=1.0), 20_000, seed=2)]
    )
    found = fit_latency(counted(answers_s, FINE_S), BUCKETS_S)
    assert found.ks > 0.03
    assert found.p < 1e-6


def test_quantiles_of_body_and_tail_are_those_of_the_mixture() -> None:
    # one in ten takes a second more: the 95th percentile is the median of the slow ones, 1.06 s to within the body
    latency = Latency(median_ms=60, sigma=1e-3, tail_share=0.1, tail_ms=1_000)
    assert quantile_s(latency, 0.95) == pytest.approx(1.06, rel=1e-3)
    assert quantile_s(latency, 0.5) == pytest.approx(0.06, rel=1e-2)


def test_the_shares_are_the_models_own() -> None:
    """The simulator's exact shares and these say the same of one latency."""
    latency = TRUTHS[1]
    answers_s = drawn(latency, 400_000)
    seen = np.searchsorted(np.sort(answers_s), HISTOGRAM_S[1:-1]) / len(answers_s)
    # three standard errors of a share of one half at n = 400,000: 0.0024
    assert np.abs(shares_below(HISTOGRAM_S[1:-1], latency) - seen).max() < 0.0024


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [([10, 0, 0], "10 answers tell how long they took; latencies need 50"), ([0, 0, 900], "longer than the last")],
)
def test_too_little_is_refused_with_what_is_missing(counts: list[int], complaint: str) -> None:
    durations = Durations(edges_s=np.array([0, 0.1, 0.2, np.inf]), counts=np.array(counts), is_coarse=True)
    with pytest.raises(FitError, match=complaint):
        fit_latency(durations, (0.1, 0.2))

"""Rates and failures of known truth come back, each with an interval that holds them."""

from __future__ import annotations

import numpy as np
import pytest

from loadgen.traffic import Constant, Diurnal, Trace
from sim.fit.failures import fit_failures
from sim.fit.observed import FitError, Floats, Observed
from sim.fit.rates import fit_rate


def seen(requests: Floats, bin_s: float = 60.0, failed: Floats | None = None) -> Observed:
    return Observed(
        source="a test",
        begin_s=0.0,
        bin_s=bin_s,
        requests=np.asarray(requests, dtype=np.float64),
        failed=np.zeros(len(requests)) if failed is None else np.asarray(failed, dtype=np.float64),
        last_bin_s=bin_s,
        has_status=True,
    )


def test_a_constant_rate_is_told_from_one_that_moves() -> None:
    chance = np.random.default_rng(1)
    found = fit_rate(seen(chance.poisson(50 * 60, 240)))
    assert found.shape == Constant()
    # 240 bins of 3,000: 720,000 requests, a standard error of 0.12 %
    assert found.rps == pytest.approx(50, rel=0.005)
    assert found.low < 50 < found.high


def test_a_days_swing_and_peak_come_back() -> None:
    chance = np.random.default_rng(2)
    middle_s = np.arange(288) * 300 + 150
    rate = 40 * (1 + 0.6 * np.cos(2 * np.pi * (middle_s - 50_000) / 86_400))
    found = fit_rate(seen(chance.poisson(rate * 300), bin_s=300))
    assert isinstance(found.shape, Diurnal)
    # an amplitude over n counts has a standard error of √(2/n): 3.5 million requests, 0.08 %
    assert found.shape.swing == pytest.approx(0.6, abs=0.005)
    assert found.shape.peak_at_s == pytest.approx(50_000, abs=100)
    assert found.explained > 0.98


def test_a_rate_that_no_cosine_explains_is_taken_as_recorded() -> None:
    rates = np.where(np.arange(1_440) % 60 < 5, 100.0, 10.0)  # five busy minutes every hour
    found = fit_rate(seen(rates * 60))
    assert isinstance(found.shape, Trace)
    # 1,440 minutes in 288 bins of five; a busy bin is a busy one
    assert (found.shape.bin_s, len(found.shape.rates_rps)) == (300, 288)
    assert found.shape.rates_rps[:3] == (100, 10, 10)
    assert found.shape.mean_rps == pytest.approx(found.rps)


def test_less_than_a_day_has_no_days_shape() -> None:
    with pytest.raises(FitError, match="a test covers 1 h; a day's shape needs 24 h"):
        fit_rate(seen(np.full(60, 100.0)), "diurnal")


def test_a_shape_that_is_wanted_is_taken_and_judged() -> None:
    rates = np.where(np.arange(60) < 30, 100.0, 10.0)
    found = fit_rate(seen(rates * 60), "constant")
    assert (found.shape, found.explained) == (Constant(), 0.0)
    assert found.moves == pytest.approx(45 / 55, rel=0.01)  # 100 and 10 about 55


def test_base_errors_come_back_with_an_interval_that_holds_them() -> None:
    inside = 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        requests = chance.poisson(600, 100)
        found = fit_failures(seen(requests, failed=chance.binomial(requests, 0.004)))
        inside += found.low <= 0.004 <= found.high
    # 95 % of 40 is 38; fewer than 34 would happen once in a thousand
    assert inside >= 34


def test_the_interval_is_the_exact_one() -> None:
    found = fit_failures(seen(np.array([100.0]), failed=np.array([0.0])))
    # none of a hundred: the upper end p solves (1 - p)^100 = 0.025, so p = 1 - 0.025^(1/100) = 0.0362
    assert (found.share, found.low) == (0, 0)
    assert found.high == pytest.approx(0.0362, abs=5e-5)


def test_bursts_of_failures_widen_the_interval_and_are_told_with_their_time() -> None:
    requests, failed = np.full(60, 1_000.0), np.zeros(60)
    failed[30] = 600
    steady = fit_failures(seen(requests, failed=np.full(60, 10.0)))
    burst = fit_failures(seen(requests, failed=failed))
    assert steady.share == burst.share == 0.01
    assert steady.dispersion == 1
    # one bin 590 above its 10, of variance 9.9; the rest 10 below: (590² + 59 × 10²) / 9.9 / 59 = 606
    assert burst.dispersion == pytest.approx(606, rel=0.01)
    assert burst.high - burst.low > 10 * (steady.high - steady.low)
    assert (burst.worst_from_s, burst.worst_for_s, burst.worst_share) == (1_800, 60, 0.6)

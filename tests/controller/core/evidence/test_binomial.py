"""The exact binomial tail, against exact fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.evidence import tail_at_least
from controller.core.evidence.binomial import critical_counts


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(max(k, 0), n + 1)), Fraction(0))


@pytest.mark.parametrize(
    ("k", "n", "p", "expected"),
    [
        (0, 10, 0.1, 1.0),
        (1, 1, 0.05, 0.05),
        (2, 2, 0.05, 0.0025),  # 0.05 squared
        (1, 3, 0.5, 0.875),  # 1 - 0.5 cubed
        (11, 10, 0.5, 0.0),
        (1, 10, 0.0, 0.0),
        (10, 10, 1.0, 1.0),
    ],
)
def test_the_tail_of_small_counts_is_what_one_works_out_by_hand(k: int, n: int, p: float, expected: float) -> None:
    assert tail_at_least(k, n, p) == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(n=st.integers(0, 400), k=st.integers(0, 400), percent=st.integers(1, 99))
def test_the_tail_agrees_with_exact_fractions(n: int, k: int, percent: int) -> None:
    exact = exact_tail(k, n, Fraction(percent, 100))
    assert tail_at_least(k, n, percent / 100) == pytest.approx(float(exact), rel=1e-10, abs=1e-13)


@settings(deadline=None)
@given(n=st.integers(1, 100_000), p=st.floats(1e-6, 0.5))
def test_more_bad_requests_are_never_more_likely(n: int, p: float) -> None:
    tails = [tail_at_least(k, n, p) for k in range(min(n, 60))]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(tails))


def test_a_large_tail_costs_little_and_does_not_overflow() -> None:
    # By the normal approximation, 1,100 or more of 1,000,000 at 0.001 is 3.16 standard deviations: about 0.0009.
    assert 0.0005 < tail_at_least(1100, 1_000_000, 0.001) < 0.0015
    assert tail_at_least(900_000, 1_000_000, 0.001) == 0.0


def test_critical_counts_are_the_smallest_that_the_tail_calls_unlikely() -> None:
    counts = critical_counts(0.05, 0.001, 60)
    for n, k in enumerate(counts):
        if k <= n:
            assert tail_at_least(int(k), n, 0.05) <= 0.001 < tail_at_least(int(k) - 1, n, 0.05)
        else:
            assert n == 0 or tail_at_least(n, n, 0.05) > 0.001
    assert counts[2] == 3  # 0.05² is 0.0025: two of two prove nothing at 1 in 1,000
    assert counts[3] == 3  # 0.05³ is 0.000125
    assert np.all(np.diff(counts) <= 1)

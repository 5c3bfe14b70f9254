"""What the simulator says is caught, beside an independent calculation of the same policy.

The two differ on purpose in one thing: the calculation's windows end at the look, and a scrape's newest sample is up
to 15 s older. So the calculation is asked twice, with no lag and with the longest, and the simulator must lie between
the two, within four standard errors of both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gamebird as gb

RUNS = 1_500
SCRAPE_S = 15.0
ERRORS = 4.0

# Requests/s, and the canary's share of errors: where every request mixes with stable's (as written), and where the
# query selects the canary (corrected). Shares from nothing to everything; the steep part of each curve is there.
AS_WRITTEN = [(2, 0.01), (2, 0.02), (10, 0.01), (10, 0.02), (100, 0.001), (100, 0.015), (100, 0.02), (10, 1.0)]
CORRECTED = [(2, 0.001), (2, 0.003), (2, 0.01), (10, 0.003), (10, 0.01), (100, 0.001), (100, 0.01), (100, 1.0)]


def simulated(policy: Any, rps: float, errors: float) -> Any:
    release = gb.Release(errors=errors)
    return gb.simulate(policy, release, gb.Traffic(rps=rps), runs=RUNS, seed=11).summary().iloc[0]


def check(row: Any, shares: list[Any]) -> None:
    """Hold a simulated share to what was worked out with the shortest and the longest lag."""
    # The interval knows the cohorts; half of it over 1.96 is a standard error. At 0 and 1 it is wide, so the share's
    # own binomial error stands in.
    half = (row["caught_high"] - row["caught_low"]) / 2 / 1.96
    own = half if 0 < row["caught"] < 1 else 0.5 / RUNS
    spare = ERRORS * (own**2 + max(each.error(each.caught) for each in shares) ** 2) ** 0.5
    low, high = min(each.caught for each in shares) - spare, max(each.caught for each in shares) + spare
    print(
        f"simulated {row['caught']:.4f}, worked out {shares[0].caught:.4f} to {shares[1].caught:.4f}, spare {spare:.4f}"
    )
    assert low <= row["caught"] <= high


@pytest.mark.parametrize(("rps", "errors"), AS_WRITTEN)
def test_the_share_caught_by_the_policy_as_written_is_what_counting_gives(
    root: Path, independent: Callable[..., Any], rps: float, errors: float
) -> None:
    folder = root / "examples" / "orders-api"
    policy = gb.load(*(str(folder / name) for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml")))
    shares = [independent(rps=rps, canary_errors=errors, canary_only=False, lag_s=lag) for lag in (0.0, SCRAPE_S)]
    check(simulated(policy, rps, errors), shares)


@pytest.mark.parametrize(("rps", "errors"), CORRECTED)
def test_the_share_caught_by_queries_that_select_the_canary_is_what_counting_gives(
    root: Path, independent: Callable[..., Any], rps: float, errors: float
) -> None:
    folder = root / "examples" / "orders-api"
    names = ("corrected/rollout.yaml", "corrected/analysis-template.yaml", "routing.yaml")
    policy = gb.load(*(str(folder / name) for name in names))
    shares = [independent(rps=rps, canary_errors=errors, canary_only=True, lag_s=lag) for lag in (0.0, SCRAPE_S)]
    check(simulated(policy, rps, errors), shares)

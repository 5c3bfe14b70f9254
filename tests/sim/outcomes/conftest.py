"""Tables of runs by known laws, so that figures are checked against what they must be and not against an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim.outcomes.table import Outcome, RunTable


def _table(outcome: list[Outcome] | np.ndarray, **columns: Any) -> RunTable:
    """Return a table with these outcomes; whatever is not named is that of a dull run."""
    runs = len(outcome)
    aborted = np.asarray(outcome) == Outcome.ABORTED
    defaults: dict[str, Any] = {
        "run": np.arange(runs),
        "cohort": np.arange(runs),
        "ended_s": np.full(runs, 600.0),
        "detected_s": np.where(aborted, 300.0, np.nan),
        "recovered_s": np.where(aborted, 1.0, np.nan),
        "step": np.where(aborted, 2, 10),
        "metric": np.where(aborted, 0, -1),
        "weight_max": np.where(aborted, 10.0, 100.0),
        "canary_requests": np.full(runs, 1_000.0),
        "requests": np.full(runs, 10_000.0),
        "bad_requests": np.full(runs, 50.0),
        "metrics": ("error-rate", "latency-p95"),
    }
    wanted = {name: np.asarray(value) if name != "metrics" else value for name, value in columns.items()}
    return RunTable(outcome=np.asarray(outcome, dtype=np.int64), **{**defaults, **wanted})


def _clusters(seed: int, *, cohorts: int, runs_each: int, p: float, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and cohorts of a beta-binomial law: `rho` is how alike two runs of one cohort are."""
    chance = np.random.default_rng(seed)
    if rho == 0:
        inner = np.full(cohorts, p)
    elif rho == 1:
        inner = (chance.random(cohorts) < p).astype(float)
    else:
        inner = chance.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), cohorts)
    hits = chance.random((cohorts, runs_each)) < inner[:, None]
    return hits.ravel(), np.repeat(np.arange(cohorts), runs_each)


@pytest.fixture(scope="session")
def make_table() -> Callable[..., RunTable]:
    """Make a table of runs."""
    return _table


@pytest.fixture(scope="session")
def clusters() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Draw clustered hits."""
    return _clusters

"""Figures of releases with known outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from sim.outcomes.figures import Figures, figures_of
from sim.outcomes.table import Outcome, RunTable


def _figures(name: str, kind: Literal["good", "bad"], **runs: int) -> Figures:
    """Return figures of a release of which so many runs had each outcome."""
    outcome = np.repeat([int(Outcome[what.upper()]) for what in runs], list(runs.values()))
    count = len(outcome)
    aborted = outcome == Outcome.ABORTED
    table = RunTable(
        run=np.arange(count),
        cohort=np.arange(count),
        outcome=outcome,
        ended_s=np.full(count, 600.0),
        detected_s=np.where(aborted, 300.0, np.nan),
        recovered_s=np.where(aborted, 1.0, np.nan),
        step=np.full(count, 2),
        metric=np.where(aborted, 0, -1),
        weight_max=np.full(count, 10.0),
        canary_requests=np.full(count, 1_000.0),
        requests=np.full(count, 10_000.0),
        bad_requests=np.full(count, 50.0),
        metrics=("error-rate",),
    )
    return figures_of(table, name=name, kind=kind, about="", release="")


@pytest.fixture(scope="session")
def make_figures() -> Callable[..., Figures]:
    """Make the figures of a release."""
    return _figures

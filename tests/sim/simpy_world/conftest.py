"""Policies and scenarios for the SimPy world."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from loadgen.traffic import Traffic
from sim.scenarios import Scenario

GUIDE = Path(__file__).parents[3] / "examples" / "orders-api"


@pytest.fixture(scope="session")
def even(even: Callable[..., Scenario]) -> Callable[..., Scenario]:
    """Return that scenario with half of the requests: each is an event here."""
    return partial(even, traffic=Traffic(rps=50.0))

"""A short rehearsal that never ran, small enough to be worked out by hand.

Policy time starts at 1000 s; the release under test is deployed at 1060 s. Ten requests a second, evenly: one in ten
goes to the canary from 1100 s on. The analysis fails at 1200 s, and the last request to the canary is sent at 1201 s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from rehearsed_events import CANARY, COLUMNS, STABLE, request, status

from experiments.events import (
    Deployed,
    Event,
    FaultBegan,
    FaultEnded,
    MeasurementTaken,
    MetricStanding,
    RunChanged,
    WeightSet,
)
from experiments.gameday_files import Expectation
from experiments.provenance import Provenance
from experiments.scorecard import Evidence


def measurement(t_s: float, value: float, phase: str) -> MeasurementTaken:
    return MeasurementTaken(
        t_s=t_s,
        run="run-1",
        step_index=2,
        metric="error-rate",
        query='sum(rate(x{status=~"5.."}[5m])) / sum(rate(x[5m]))',
        value=(value,),
        requests=100.0,
        requests_min=None,
        success_condition="result[0] < 0.01",
        failure_condition="",
        phase=phase,
        reason="successCondition",
        message="",
        flip="a value below 0.01",
    )


def weight(t_s: float, canary: int) -> WeightSet:
    return WeightSet(t_s=t_s, canary=canary, total=100, canary_hash=CANARY, stable_hash=STABLE)


@pytest.fixture
def aborted_events() -> tuple[Event, ...]:
    """The events of the rehearsal that this module's first lines tell."""
    standing = MetricStanding(
        metric="error-rate",
        phase="Failed",
        successful=0,
        failed=1,
        inconclusive=0,
        error=0,
        consecutive_error=0,
        missing=0,
        count=3,
        failure_limit=0,
        inconclusive_limit=0,
        consecutive_error_limit=4,
    )
    return (
        Deployed(t_s=1000.0, role="stable", pod_hash=STABLE, release="a good release"),
        status(1001.0, phase="Healthy", current_hash=STABLE, step_index=3, step=""),
        Deployed(t_s=1060.0, role="under test", pod_hash=CANARY, release="5 % errors"),
        status(1061.0),
        weight(1100.0, 10),
        status(1101.0, step_index=2, step="analysis"),
        FaultBegan(t_s=1110.0, fault="proxy_errors", kind="proxy_errors", detail="an error", lease_ends_s=1130.0),
        FaultEnded(t_s=1130.0, fault="proxy_errors", why="lease"),
        measurement(1200.0, 0.05, "Failed"),
        RunChanged(
            t_s=1200.0,
            run="run-1",
            step_index=2,
            phase="Failed",
            message='Metric "error-rate" assessed Failed due to failed (1) > failureLimit (0)',
            metrics=(standing,),
        ),
        status(1200.0, phase="Degraded", aborted=True, message="RolloutAborted", step_index=0),
        weight(1200.5, 0),
    )


@pytest.fixture
def requests() -> pd.DataFrame:
    """1,600 requests from 1050.0 s to 1209.9 s; the canary's every tenth from 1100 s to 1201 s, half of those fail."""
    rows = []
    for number in range(1600):
        at_s = 1050.0 + number / 10
        to_canary = number % 10 == 0 and 1100.0 <= at_s <= 1201.0
        failed = to_canary and number % 20 == 0
        rows.append(request(at_s, CANARY if to_canary else STABLE, status=500 if failed else 200))
    return pd.DataFrame(rows, columns=COLUMNS).assign(method="GET", path="/")


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        started_at="2026-01-02T03:04:05Z",
        speed=20.0,
        seed=1,
        versions={"gamebird": "0"},
        machine="Linux",
        metrics_server="embedded",
        inputs={"a.yaml": "0" * 64},
    )


@pytest.fixture
def evidence_of(
    aborted_events: tuple[Event, ...], requests: pd.DataFrame, provenance: Provenance
) -> Callable[..., Evidence]:
    """Return evidence of that rehearsal with some of it changed."""

    def make(**changes: Any) -> Evidence:
        values: dict[str, Any] = {
            "game_day": "errors",
            "title": "A release with errors",
            "policy": "corrected",
            "release": "5 % errors",
            "expect": Expectation(verdict="aborted"),
            "events": aborted_events,
            "requests": requests,
            "validity": {
                "counts": {"outcome": "valid", "reasons": []},
                "latency": {"outcome": "valid", "reasons": []},
                "due": 1600,
                "sent": 1600,
                "lag_p99_s": 0.001,
            },
            "slow_after_s": 1.0,
            "speed": 20.0,
            "rps": 10.0,
            "ended_s": 1260.0,
            "provenance": provenance,
        }
        return Evidence(**(values | changes))

    return make

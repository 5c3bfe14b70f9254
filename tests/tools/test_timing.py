"""What the events of a rehearsal say of the world's own pace: spans worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from experiments.events import (
    Deployed,
    MeasurementTaken,
    PodsChanged,
    PodsOfRevision,
    RunChanged,
    StatusChanged,
    WeightSet,
)


@pytest.fixture(scope="module")
def timing(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("tools/timing.py")


def pods(t_s: float, created: int, ready: int) -> PodsChanged:
    one = PodsOfRevision(pod_hash="new", wanted=created, created=created, ready=ready, available=ready)
    return PodsChanged(t_s=t_s, revisions=(one,))


def status(t_s: float, step_index: int, step: str, *pauses: str) -> StatusChanged:
    return StatusChanged(
        t_s=t_s,
        phase="Paused" if pauses else "Progressing",
        message="",
        revision=2,
        current_hash="new",
        stable_hash="old",
        step_index=step_index,
        step=step,
        steps=4,
        aborted=False,
        pauses=pauses,
    )


def measured(t_s: float) -> MeasurementTaken:
    return MeasurementTaken(
        t_s=t_s, run="run", step_index=2, metric="errors", query="", value=0.0, requests=None, requests_min=None,
        success_condition="", failure_condition="", phase="Successful", reason="", message="", flip="",
    )  # fmt: skip


def test_starts_weights_pauses_and_answers_are_told_in_policy_seconds(timing: ModuleType) -> None:
    events = (
        Deployed(t_s=0.0, role="stable", pod_hash="old", release=""),
        WeightSet(t_s=1.0, canary=50, total=100, canary_hash="new", stable_hash="old", asked_s=0.0),
        Deployed(t_s=100.0, role="under test", pod_hash="new", release=""),
        pods(101.0, created=2, ready=0),
        pods(108.0, created=2, ready=1),
        pods(109.0, created=2, ready=2),
        WeightSet(t_s=109.3, canary=25, total=100, canary_hash="new", stable_hash="old", asked_s=109.1),
        status(109.5, 1, "pause: 30s", "CanaryPauseStep"),
        status(139.75, 2, "analysis"),
        measured(140.0),
        RunChanged(t_s=140.5, run="run", step_index=2, phase="Running", message=""),
        measured(155.5),
        RunChanged(t_s=155.75, run="run", step_index=2, phase="Running", message=""),
    )
    assert list(timing.timings(events)) == [
        ("2 pods are ready", 9.0),
        ("the end of a pause is seen", 0.25),
        ("the first answer is judged", 0.5),
        ("an answer is judged", 0.25),
        ("a weight is acknowledged", pytest.approx(0.2)),
    ]


def test_a_rehearsal_that_never_deployed_says_nothing(timing: ModuleType) -> None:
    assert list(timing.timings((Deployed(t_s=0.0, role="stable", pod_hash="old", release=""),))) == []

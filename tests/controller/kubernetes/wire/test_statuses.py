"""Statuses as they are stored: what is written is read back, and what Argo Rollouts writes is understood."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.runs import AnalysisPhase, AnalysisRun, AnalysisStatus, Measurement, MetricResult, RunKind
from controller.core.status import (
    Condition,
    ConditionKind,
    PauseCondition,
    PauseReason,
    Phase,
    RolloutStatus,
    RunReference,
    Truth,
    Weights,
)
from controller.kubernetes.wire import (
    analysis_status_from,
    analysis_status_json,
    rollout_status_from,
    rollout_status_json,
)
from controller.kubernetes.wire.analysis_status import value_from, value_text
from controller.kubernetes.wire.stamps import seconds_of, stamp
from controller.manifests.values import Metric, PrometheusProvider

# A clock that tells milliseconds; years 1970 to 2100.
instants = st.integers(0, 4_102_444_800_000).map(lambda millis: millis / 1000)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
hashes = st.text("0123456789abcdef", max_size=10)
counts = st.integers(0, 10_000)

references = st.builds(RunReference, name=st.text("abc-", min_size=1), phase=st.sampled_from(list(AnalysisPhase)))
statuses = st.builds(
    RolloutStatus,
    phase=st.sampled_from(list(Phase)),
    message=words,
    observed_generation=counts,
    revision=counts,
    current_hash=hashes,
    stable_hash=hashes,
    step_index=st.none() | st.integers(0, 30),
    step_hash=hashes,
    pauses=st.lists(
        st.builds(PauseCondition, reason=st.sampled_from(list(PauseReason)), started_s=instants), max_size=2
    ).map(tuple),
    controller_pause=st.booleans(),
    abort=st.booleans(),
    aborted_s=st.none() | instants,
    promote_full=st.booleans(),
    stable_ping_pong=st.sampled_from(["", "ping", "pong"]),
    restarted_s=st.none() | instants,
    weights=st.none()
    | st.builds(
        Weights,
        canary=st.integers(0, 100),
        canary_hash=hashes,
        stable=st.integers(0, 100),
        stable_hash=hashes,
        verified=st.none() | st.booleans(),
    ),
    step_run=st.none() | references,
    background_run=st.none() | references,
    replicas=counts,
    updated_replicas=counts,
    ready_replicas=counts,
    available_replicas=counts,
    conditions=st.lists(
        st.builds(
            Condition,
            kind=st.sampled_from(list(ConditionKind)),
            status=st.sampled_from(list(Truth)),
            reason=words,
            message=words,
            updated_s=instants,
            changed_s=instants,
        ),
        max_size=3,
    ).map(tuple),
)

numbers = st.floats(allow_nan=False)
measurements = st.builds(
    Measurement,
    phase=st.sampled_from([phase for phase in AnalysisPhase if phase is not AnalysisPhase.UNKNOWN]),
    started_s=instants,
    finished_s=instants,
    value=st.none() | numbers | st.lists(numbers, max_size=3).map(tuple) | st.booleans(),
    requests=st.none() | st.floats(0, 1e9),
    message=words,
    reason=words,
    flip=words,
)
analyses = st.builds(
    AnalysisStatus,
    phase=st.sampled_from(list(AnalysisPhase)),
    message=words,
    started_s=st.none() | instants,
    completed_s=st.none() | instants,
    results=st.lists(
        st.builds(
            MetricResult,
            name=st.text("abc", min_size=1),
            phase=st.sampled_from(list(AnalysisPhase)),
            message=words,
            count=counts,
            successful=counts,
            failed=counts,
            inconclusive=counts,
            error=counts,
            consecutive_error=counts,
            consecutive_success=counts,
            consecutive_failure=counts,
            dry_run=st.booleans(),
            missing=counts,
            missing_since_s=st.none() | instants,
            measurements=st.lists(measurements, max_size=3).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


UNSTORED = {"routes"}  # Argo's schema has no field for them; setting a route again changes nothing


def test_every_field_of_a_status_is_stored_but_those_that_are_listed() -> None:
    """A field that the core gains must be stored, or be listed here with its reason."""
    full = {
        "pauses": (PauseCondition(reason=PauseReason.CANARY_PAUSE_STEP, started_s=1.0),),
        "weights": Weights(canary=1, canary_hash="a", stable=99, stable_hash="b"),
        "step_run": RunReference(name="r", phase="Running"),
        "background_run": RunReference(name="b", phase="Running"),
        "conditions": (
            Condition(
                kind=ConditionKind.HEALTHY, status=Truth.TRUE, reason="r", message="m", updated_s=1.0, changed_s=1.0
            ),
        ),
        "phase": Phase.PAUSED,
        "routes": ("route@1",),
    }
    texts = ("message", "current_hash", "stable_hash", "step_hash", "stable_ping_pong")
    for field in fields(RolloutStatus):
        value = full.get(field.name, "x" if field.name in texts else True if "bool" in str(field.type) else 7)
        stored = through_the_api(rollout_status_json(RolloutStatus(**{field.name: value}), selector=""))
        revision = value if field.name == "revision" else 0
        kept = getattr(rollout_status_from(stored, revision=revision), field.name) == value
        assert kept is (field.name not in UNSTORED), field.name


def run_with(status: AnalysisStatus) -> AnalysisRun:
    """A run of the metrics that the status has results of; one failure is one too many for each of them."""
    provider = PrometheusProvider(query="up")
    metrics = {result.name: Metric(name=result.name, provider=provider) for result in status.results}
    dry_run = frozenset(result.name for result in status.results if result.dry_run)
    run = AnalysisRun(name="r", kind=RunKind.STEP, pod_hash="h", created_s=0.0, metrics=tuple(metrics.values()))
    return replace(run, dry_run=dry_run, status=status)


def through_the_api(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(status=statuses)
def test_a_rollouts_status_is_read_back_as_it_was_written(status: RolloutStatus) -> None:
    stored = through_the_api(rollout_status_json(status, selector="app=orders-api"))
    assert rollout_status_from(stored, revision=status.revision) == status


@given(status=analyses)
def test_an_analysis_runs_status_is_read_back_as_it_was_written(status: AnalysisStatus) -> None:
    assert analysis_status_from(through_the_api(analysis_status_json(run_with(status)))) == status


@given(t_s=instants)
def test_a_stamp_keeps_a_time_to_the_millisecond(t_s: float) -> None:
    assert seconds_of(stamp(t_s)) == t_s


@pytest.mark.parametrize(
    ("text", "t_s"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00.25Z", 60.25),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
    ],
)
def test_a_stamp_of_gos_is_read_in_every_form_that_go_writes(text: str, t_s: float) -> None:
    assert seconds_of(text) == t_s


@pytest.mark.parametrize("text", ["yesterday", "2026-11-24", "2026-11-24 14:00:00Z", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        seconds_of(text)


def test_a_status_that_argo_wrote_in_mid_rollout_is_understood() -> None:
    stored = {
        "HPAReplicas": 7,
        "availableReplicas": 7,
        "blueGreen": {},
        "canary": {
            "currentStepAnalysisRunStatus": {"name": "orders-api-6d4cf56db6-2-2", "status": "Running"},
            "weights": {
                "canary": {"podTemplateHash": "6d4cf56db6", "serviceName": "orders-api-canary", "weight": 10},
                "stable": {"podTemplateHash": "789746c88d", "serviceName": "orders-api-stable", "weight": 90},
            },
        },
        "conditions": [],
        "controllerPause": True,
        "currentPodHash": "6d4cf56db6",
        "currentStepHash": "5f8fbdf7bb",
        "currentStepIndex": 2,
        "observedGeneration": "3",
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "1970-01-01T00:10:00Z"}],
        "phase": "Paused",
        "message": "CanaryPauseStep",
        "readyReplicas": 7,
        "replicas": 7,
        "selector": "app=orders-api",
        "stableRS": "789746c88d",
        "updatedReplicas": 1,
    }
    status = rollout_status_from(stored, revision=2)
    assert status.weights == Weights(canary=10, canary_hash="6d4cf56db6", stable=90, stable_hash="789746c88d")
    assert status.pauses == (PauseCondition(reason=PauseReason.CANARY_PAUSE_STEP, started_s=600.0),)
    assert status.step_run == RunReference(name="orders-api-6d4cf56db6-2-2", phase="Running")
    assert (status.step_index, status.observed_generation, status.abort) == (2, 3, False)
    written = rollout_status_json(
        status, selector="app=orders-api", canary_service="orders-api-canary", stable_service="orders-api-stable"
    )
    assert {**written, "conditions": []} == stored


def test_step_zero_is_stored_and_no_steps_are_not() -> None:
    assert rollout_status_json(RolloutStatus(step_index=0), selector="")["currentStepIndex"] == 0
    assert "currentStepIndex" not in rollout_status_json(RolloutStatus(), selector="")


def test_missing_evidence_is_stored_as_a_phase_that_argo_takes_for_finished() -> None:
    measurement = Measurement(phase=AnalysisPhase.MISSING, started_s=1.0, finished_s=1.0, requests=12.0)
    status = AnalysisStatus(
        phase=AnalysisPhase.RUNNING, results=(MetricResult(name="slo", missing=1, measurements=(measurement,)),)
    )
    (stored,) = analysis_status_json(run_with(status))["metricResults"][0]["measurements"]
    assert (stored["phase"], stored["metadata"]["gamebird.dev/requests"]) == ("Inconclusive", "12.0")


@pytest.mark.parametrize(
    ("value", "text"),
    [((0.001,), "[0.001]"), ((1e-9, 2e21), "[0.000000001,2000000000000000000000]"), (0.25, "0.25"), ((), "[]")],
)
def test_a_value_is_printed_as_argo_prints_it(value: Any, text: str) -> None:
    assert value_text(value) == text
    assert value_from(text) == value


def test_a_summary_counts_metrics_and_how_the_finished_ones_ended() -> None:
    results = (
        MetricResult(name="a", phase=AnalysisPhase.SUCCESSFUL),
        MetricResult(name="b", phase=AnalysisPhase.FAILED, failed=1),
        MetricResult(name="c", phase=AnalysisPhase.RUNNING),
        MetricResult(name="d", phase=AnalysisPhase.FAILED, failed=1, dry_run=True),
    )
    status = AnalysisStatus(phase=AnalysisPhase.RUNNING, started_s=1.0, results=results)
    stored = analysis_status_json(run_with(status))
    assert stored["runSummary"] == {"count": 3, "successful": 1, "failed": 1}
    assert stored["dryRunSummary"] == {"count": 1, "failed": 1}

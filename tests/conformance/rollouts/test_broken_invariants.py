"""The check of the invariants finds what it is there to find: a good history with one thing made wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.actions import SetWeight
from controller.core.invariants import breaches
from controller.core.runs import AnalysisPhase, AnalysisStatus

BASE = {
    "name": "good",
    "replicas": 6,
    "steps": [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "slo"}]}}, {"setWeight": 60}],
    "canary": {},
    "spec": {},
    "templates": {
        "slo": [{"name": "error-rate", "interval": "2s", "count": 2, "successCondition": "result[0] < 0.01"}]
    },
    "script": {"error-rate": [0.001]},
    "operator": [],
    "traffic_routing": "nginx",
}


def found(history: list[Any]) -> set[int]:
    return {breach.invariant for breach in breaches(history)}


@pytest.fixture
def good(free_player) -> list[Any]:
    history = free_player(BASE, 30.0).history
    assert breaches(history) == []
    return list(history)


@pytest.fixture
def aborted(free_player) -> list[Any]:
    history = free_player({**BASE, "script": {"error-rate": [0.2]}}, 30.0).history
    assert breaches(history) == []
    return list(history)


def weights(decision: Any) -> list[SetWeight]:
    return [action for action in decision.actions if isinstance(action, SetWeight)]


def first(history: list[Any], holds: Any) -> int:
    return next(i for i, (_, snapshot, decision) in enumerate(history) if holds(snapshot, decision))


def test_more_weight_than_the_step_allows_is_found(good):
    at = first(good, lambda _, decision: any(w.canary == 20 for w in weights(decision)))
    now_s, snapshot, decision = good[at]
    more = tuple(replace(a, canary=50) if isinstance(a, SetWeight) else a for a in decision.actions)
    good[at] = (now_s, snapshot, replace(decision, actions=more))
    assert 1 in found(good)


def test_traffic_without_pods_is_found(good):
    at = first(good, lambda _, decision: any(w.canary == 20 for w in weights(decision)))
    now_s, snapshot, decision = good[at]
    without = tuple(replace(rs, available=0) for rs in snapshot.replica_sets)
    good[at] = (now_s, replace(snapshot, replica_sets=without), decision)
    assert 2 in found(good)


def test_a_step_after_a_failed_analysis_is_found(good):
    at = first(good, lambda snapshot, d: snapshot.status.step_index == 1 and d.status.step_index == 2)
    now_s, snapshot, decision = good[at]
    failed = tuple(replace(run, status=replace(run.status, phase=AnalysisPhase.FAILED)) for run in snapshot.runs)
    good[at] = (now_s, replace(snapshot, runs=failed), decision)
    assert 3 in found(good)


def test_a_success_without_a_measurement_is_found(good):
    now_s, snapshot, decision = good[-1]
    nothing = AnalysisStatus(phase=AnalysisPhase.SUCCESSFUL, started_s=0.0, completed_s=1.0)
    good[-1] = (now_s, replace(snapshot, runs=tuple(replace(run, status=nothing) for run in snapshot.runs)), decision)
    assert 4 in found(good)


def test_a_weight_that_stays_after_an_abort_is_found(aborted):
    at = first(aborted, lambda snapshot, decision: snapshot.status.abort and bool(weights(decision)))
    now_s, snapshot, decision = aborted[at]
    aborted[at] = (now_s, snapshot, replace(decision, actions=()))
    assert {5, 7} <= found(aborted)


def test_a_run_that_is_begun_twice_is_found(good):
    at = first(good, lambda _, decision: any(type(a).__name__ == "StartAnalysis" for a in decision.actions))
    now_s, snapshot, decision = good[at]
    started = next(a for a in decision.actions if type(a).__name__ == "StartAnalysis")
    good[at] = (now_s, replace(snapshot, runs=(*snapshot.runs, started.run)), decision)
    assert 6 in found(good)


def test_an_abort_that_begins_with_something_else_than_the_router_is_found(aborted):
    at = first(aborted, lambda s, decision: decision.status.abort and len(decision.actions) > 1)
    now_s, snapshot, decision = aborted[at]
    aborted[at] = (now_s, snapshot, replace(decision, actions=tuple(reversed(decision.actions))))
    assert 7 in found(aborted)

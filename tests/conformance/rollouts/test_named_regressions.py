"""Complaints of the users of Argo Rollouts and Flagger, each as a scenario. Numbers are issues of the two."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.actions import SelectService, SetWeight
from controller.core.runs import AnalysisPhase

TWO_STEPS = [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "slo"}]}}, {"setWeight": 60}]
RATE = {"name": "error-rate", "interval": "2s", "count": 3, "successCondition": "result[0] < 0.01"}


def scenario(**changes: Any) -> dict[str, Any]:
    return {
        "name": "complaint",
        "replicas": 6,
        "steps": TWO_STEPS,
        "canary": {},
        "spec": {},
        "templates": {"slo": [RATE]},
        "script": {"error-rate": [0.001], "latency": [0.001]},
        "operator": [],
        "traffic_routing": "nginx",
        "never_ready": [],
        **changes,
    }


def asked(world: Any, kind: type) -> list[Any]:
    return [action for _, _, decision in world.history for action in decision.actions if isinstance(action, kind)]


def runs(world: Any) -> list[Any]:
    return list(world.ledger.runs.values())


def test_argo_3078_the_canary_service_does_not_flip_after_an_abort(free_player):
    world = free_player(scenario(script={"error-rate": [0.2]}), 60.0)
    moves = [action.pod_hash for action in asked(world, SelectService) if action.role == "canary"]
    # v1 when it came, v2 when its pods were up, v1 again at the abort: three moves, then peace.
    assert len(moves) == 3
    assert moves[0] == moves[2] != moves[1]


def test_argo_4973_an_aborted_canary_stays_at_zero_when_the_autoscaler_changes_the_size(free_player):
    operator = [{"when": "aborted", "do": "scale 9"}]
    world = free_player(scenario(script={"error-rate": [0.2]}, operator=operator), 60.0)
    weights = [action.canary for action in asked(world, SetWeight)]
    assert weights[weights.index(20) + 1 :] == [0, 0]  # asked for with the abort, and again when it is noted
    sizes = {pod_hash: seen.wanted for pod_hash, seen in world.ledger.replica_sets.items()}
    assert sorted(sizes.values()) == [0, 9]


@pytest.mark.parametrize(("parity", "phase"), [("strict", "Error"), ("off", "Successful")])
def test_argo_1466_an_empty_answer_before_the_first_data_is_waited_for_without_parity(free_player, parity, phase):
    answers = ["empty", "empty", 0.001]
    metric = {**RATE, "consecutiveErrorLimit": 1}
    world = free_player(scenario(script={"error-rate": answers}, templates={"slo": [metric]}, parity=parity), 60.0)
    assert runs(world)[0].status.phase == phase


@pytest.mark.parametrize(("parity", "phase"), [("strict", "Successful"), ("off", "Inconclusive")])
def test_argo_4479_an_analysis_of_nothing_but_failures_is_a_success_in_parity_only(free_player, parity, phase):
    metric = {**RATE, "failureLimit": 3}
    world = free_player(scenario(script={"error-rate": [0.2]}, templates={"slo": [metric]}, parity=parity), 60.0)
    assert runs(world)[0].status.phase == phase


def test_argo_1360_a_metric_that_is_delayed_is_measured_before_the_run_succeeds(free_player):
    late = {**RATE, "name": "latency", "initialDelay": "15s", "count": 1}
    world = free_player(scenario(templates={"slo": [RATE, late]}), 60.0)
    run = runs(world)[0]
    assert run.status.phase is AnalysisPhase.SUCCESSFUL
    assert run.status.result("latency").count == 1


def test_argo_4128_pods_that_never_come_up_end_in_an_abort_at_the_deadline(free_player):
    spec = {"progressDeadlineSeconds": 6, "progressDeadlineAbort": True}
    world = free_player(scenario(spec=spec, never_ready=["v2"]), 20.0)
    assert world.status.abort
    assert "has timed out progressing" in world.status.message


def test_argo_3850_an_inconclusive_background_run_holds_until_a_person_speaks(free_player):
    metric = {"name": "error-rate", "interval": "2s", "successCondition": "result[0] < 0.01"}
    unclear = {**metric, "failureCondition": "result[0] > 0.1"}
    world = free_player(
        scenario(
            steps=[{"setWeight": 20}, {"pause": {"duration": 3}}, {"setWeight": 60}, {"pause": {"duration": 3}}],
            canary={"analysis": {"templates": [{"templateName": "slo"}]}},
            templates={"slo": [unclear]},
            script={"error-rate": [0.05]},
            parity="off",
        ),
        120.0,
    )
    assert world.status.phase == "Paused"
    assert world.status.message == "InconclusiveAnalysisRun"
    assert len(runs(world)) == 1
    assert not world.status.is_fully_promoted


def test_argo_2522_a_controller_that_is_restarted_at_every_look_is_never_stuck(free_player):
    world = free_player(scenario(steps=[*TWO_STEPS, {"pause": {"duration": 2}}]), 40.0, forgets=True)
    assert world.status.phase == "Healthy"


def test_argo_4971_nothing_is_decided_over_and_over_when_nothing_happens(free_player):
    world = free_player(scenario(script={"error-rate": [0.2]}), 300.0)
    # One look when the canary's pods are gone, none after: about 300 s are left.
    assert world.history[-1][0] < 60.0


def test_flagger_30_a_new_revision_in_mid_analysis_starts_with_fresh_evidence(free_player):
    long = {**RATE, "count": 5}
    operator = [{"when": "measured-2", "do": "deploy v3"}]
    world = free_player(scenario(templates={"slo": [long]}, operator=operator), 60.0)
    of_v2, of_v3 = runs(world)
    assert of_v2.pod_hash != of_v3.pod_hash
    assert (of_v2.terminate, of_v3.status.result("error-rate").count) == (True, 5)


def test_flagger_1011_traffic_that_stops_in_mid_analysis_promotes_nothing_without_parity(free_player):
    world = free_player(scenario(script={"error-rate": [0.001, "nan"]}, parity="off"), 120.0)
    assert world.status.step_index == 1
    assert not world.status.is_fully_promoted


def test_changed_steps_in_mid_rollout_start_over_at_weight_0(free_player):
    world = free_player(
        scenario(
            steps=[{"setWeight": 60}, {"pause": {}}],
            new_steps=[{"setWeight": 30}, {"pause": {}}],
            operator=[{"when": "paused", "do": "set-steps"}],
        ),
        10.0,
    )
    seen = [(e["rollout"]["step"], e["rollout"]["weight"]) for e in world.trace if "rollout" in e]
    assert (0, 0) in seen[seen.index((1, 60)) :]
    assert seen[-1] == (1, 30)


def test_a_retry_is_judged_by_the_template_as_it_is_now(free_player):
    lenient = {**RATE, "successCondition": "result[0] < 0.5"}
    world = free_player(
        scenario(
            templates={"slo": [RATE], "lenient": [lenient]},
            script={"error-rate": [0.2]},
            operator=[{"when": "aborted", "do": "set-template lenient"}, {"when": "aborted", "do": "retry"}],
        ),
        60.0,
    )
    assert [run.status.phase.value for run in runs(world)] == ["Failed", "Successful"]
    assert world.status.phase == "Healthy"

"""Laws of the decision core over made-up policies, answers, operators and pods, played in virtual time."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.core.decisions import decide
from controller.core.invariants import at_rest, breaches

LASTS_S = 70.0
pytestmark = pytest.mark.fuzz
FUZZ = bool(os.environ.get("GAMEBIRD_FUZZ"))  # `make fuzz` looks longer
EVERY_RUN = settings(
    max_examples=3_000 if FUZZ else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ANSWERS = st.sampled_from([0.001, 0.2, 0.03, "nan", "empty", "error", "inf"])
PAUSES = st.one_of(st.just({}), st.integers(1, 4).map(lambda s: {"duration": s}))


@st.composite
def steps(draw: st.DrawFn, routed: bool) -> list[dict[str, Any]]:
    kinds = ["weight", "pause", "analysis"] + (["scale"] if routed else [])
    made: list[dict[str, Any]] = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=6)):
        if kind == "weight":
            made.append({"setWeight": draw(st.integers(0, 100))})
        elif kind == "pause":
            made.append({"pause": draw(PAUSES)})
        elif kind == "analysis":
            made.append({"analysis": {"templates": [{"templateName": "slo"}]}})
        else:
            scale = draw(st.sampled_from([{"replicas": 2}, {"weight": 30}, {"matchTrafficWeight": True}]))
            made.append({"setCanaryScale": scale})
    return made


@st.composite
def metrics(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for name in ("error-rate", "latency")[: draw(st.integers(1, 2))]:
        count = draw(st.integers(1, 3))
        metric = {"name": name, "interval": "2s", "count": count, "successCondition": "result[0] < 0.01"}
        metric["failureLimit"] = draw(st.integers(0, count))
        if draw(st.booleans()):
            metric["failureCondition"] = "result[0] > 0.1"
        if draw(st.integers(0, 3)) == 0:
            metric["initialDelay"] = "3s"
        if draw(st.integers(0, 3)) == 0:
            metric["consecutiveSuccessLimit"] = 1
        if draw(st.booleans()):
            metric["consecutiveErrorLimit"] = draw(st.integers(0, 2))
        made.append(metric)
    return made


DO = st.sampled_from(
    ["promote", "promote-full", "abort", "retry", "pause", "resume", "skip", "restart"]
    + ["rollback", "deploy v3", "deploy v2", "scale 3", "scale 8", "scale 0"]
)
WHEN = st.sampled_from(["paused", "aborted", "degraded", "inconclusive", "healthy", "spec-paused", "analysing"])


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    routed = draw(st.booleans())
    canary: dict[str, Any] = {}
    if routed:
        canary["dynamicStableScale"] = draw(st.booleans())
        if draw(st.booleans()):
            canary["abortScaleDownDelaySeconds"] = draw(st.sampled_from([0, 3]))
        if draw(st.booleans()) and not canary["dynamicStableScale"]:
            canary["scaleDownDelaySeconds"] = draw(st.sampled_from([0, 2]))
        if draw(st.booleans()):
            canary["minPodsPerReplicaSet"] = 2
    else:
        canary["maxSurge"] = draw(st.sampled_from([1, "25%", "50%"]))
        canary["maxUnavailable"] = draw(st.sampled_from([0, 1, "25%"]))
    if draw(st.integers(0, 3)) == 0:
        canary["analysis"] = {"templates": [{"templateName": "slo"}], "startingStep": draw(st.integers(0, 2))}
    if draw(st.integers(0, 3)) == 0:
        canary["replicaProgressThreshold"] = draw(
            st.sampled_from([{"type": "Percent", "value": 50}, {"type": "Pods", "value": 1}])
        )
    spec: dict[str, Any] = {"progressDeadlineSeconds": 6, "progressDeadlineAbort": draw(st.booleans())}
    if draw(st.booleans()):
        spec["rollbackWindow"] = {"revisions": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        spec["minReadySeconds"] = draw(st.integers(0, 2))
    if draw(st.booleans()):
        spec["revisionHistoryLimit"] = draw(st.integers(0, 1))
    made = draw(metrics())
    return {
        "name": "made-up",
        "replicas": draw(st.integers(1, 7)),
        "steps": draw(steps(routed)),
        "canary": canary,
        "spec": spec,
        "templates": {"slo": made},
        "script": {name: draw(st.lists(ANSWERS, min_size=1, max_size=5)) for name in ("error-rate", "latency")},
        "operator": draw(st.lists(st.fixed_dictionaries({"when": WHEN, "do": DO}), max_size=5)),
        "traffic_routing": "nginx" if routed else None,
        "never_ready": draw(st.sampled_from([[], [], [], ["v2"], ["v3"]])),
    }


def seen(world: Any) -> list[Any]:
    return [{key: value for key, value in entry.items() if key != "t"} for entry in world.trace]


@given(scenario=scenarios())
@EVERY_RUN
def test_the_invariants_hold_but_for_the_breaches_that_argo_commits(free_player, scenario):
    world = free_player(scenario, LASTS_S)
    assert [breach for breach in breaches(world.history) if not breach.parity] == []


@given(scenario=scenarios())
@EVERY_RUN
def test_without_parity_no_invariant_is_ever_broken(free_player, scenario):
    world = free_player({**scenario, "parity": "off"}, LASTS_S)
    assert breaches(world.history) == []


@given(scenario=scenarios())
@EVERY_RUN
def test_a_rollout_comes_to_rest_once_nothing_happens_any_more(free_player, scenario):
    scenario = {**scenario, "never_ready": []}
    world = free_player(scenario, LASTS_S)
    now_s, _, decision = world.history[-1]
    assert at_rest(decision, now_s), decision


@given(scenario=scenarios())
@EVERY_RUN
def test_equal_inputs_give_equal_decisions(free_player, scenario):
    for now_s, snapshot, decision in free_player(scenario, 20.0).history[::7]:
        again = pickle.loads(pickle.dumps(snapshot))
        assert decide(again, now_s) == decision


@given(scenario=scenarios())
@EVERY_RUN
def test_carrying_a_decision_out_twice_is_the_same_as_once(free_player, scenario):
    once = free_player(scenario, 40.0)
    twice = free_player(scenario, 40.0, acts_twice=True)
    assert seen(once) == seen(twice)


@given(scenario=scenarios())
@EVERY_RUN
def test_a_restart_from_what_was_stored_changes_nothing(free_player, scenario):
    straight = free_player(scenario, 30.0)
    restarted = free_player(scenario, 30.0, forgets=True)
    assert seen(straight) == seen(restarted)

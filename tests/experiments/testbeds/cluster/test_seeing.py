"""What is told of a rollout from its objects alone, as Argo Rollouts stores them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.manifests.values import Step
from experiments.events import Event, MeasurementTaken, PodEnded, PodsChanged, RunChanged, StatusChanged, WeightSet
from experiments.testbeds.cluster.notes import RouterState, Share
from experiments.testbeds.cluster.routes import Backend, Route
from experiments.testbeds.cluster.seeing import RolloutSight, Sides
from experiments.testbeds.local.telling import Bulletin, Teller

Json = dict[str, Any]
OWNER = [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u1", "controller": True}]
QUERY = 'sum(rate(errors_total{pod_template_hash="{{args.canary-hash}}"}[1m]))'


@pytest.fixture
def sight() -> RolloutSight:
    bulletin = Bulletin()
    return RolloutSight(
        name="shop",
        sides=Sides(stable="shop-stable", canary="shop-canary"),
        bulletin=bulletin,
        teller=Teller(bulletin=bulletin, steps=(Step(set_weight=30), Step(set_weight=60))),
        now_s=lambda: 1000.0,
    )


def told(sight: RolloutSight, kind: type[Any]) -> list[Any]:
    found: list[Event] = [event for event in sight.bulletin.events if isinstance(event, kind)]
    return found


def rollout(name: str = "shop", **status: Any) -> Json:
    return {"metadata": {"name": name, "annotations": {"rollout.argoproj.io/revision": "2"}}, "status": status}


def analysis_run(*measurements: Json, phase: str = "Running", owner: list[Json] = OWNER) -> Json:
    provider = {"prometheus": {"address": "http://p:9090", "authentication": {"sigv4": {}}, "query": QUERY}}
    metric = {"name": "errors", "count": 3, "interval": "3s", "successCondition": "result[0] < 1", "provider": provider}
    result = {"name": "errors", "phase": phase, "count": len(measurements), "measurements": list(measurements)}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": "shop-abc-2-0",
            "namespace": "default",
            "creationTimestamp": "2026-11-24T14:00:00Z",
            "labels": {"rollouts-pod-template-hash": "abc", "rollout-type": "Step", "step-index": "2"},
            "ownerReferences": owner,
        },
        "spec": {"args": [{"name": "canary-hash", "value": "abc"}], "metrics": [metric]},
        "status": {"phase": phase, "metricResults": [result]},
    }


def measurement(second: int, value: str = "[0.5]", phase: str = "Successful") -> Json:
    at = f"2026-11-24T14:00:{second:02}Z"
    return {"phase": phase, "startedAt": at, "finishedAt": at, "value": value}


def test_a_status_is_told_once_and_only_of_the_rollout_that_is_looked_at(sight: RolloutSight) -> None:
    for _ in range(2):
        sight.rollout(rollout(phase="Progressing", currentPodHash="abc", stableRS="old", currentStepIndex=1))
    sight.rollout(rollout(name="another", phase="Degraded"))
    sight.rollout(rollout())  # nobody has looked at it yet
    (event,) = told(sight, StatusChanged)
    assert (event.phase, event.current_hash, event.stable_hash) == ("Progressing", "abc", "old")
    assert (event.step, event.revision) == ("setWeight: 60", 2)


def test_each_measurement_is_told_once_with_the_query_that_was_asked(sight: RolloutSight) -> None:
    sight.analysis_run(analysis_run(measurement(1)))
    sight.analysis_run(analysis_run(measurement(1), measurement(4)))
    events = told(sight, MeasurementTaken)
    assert [(event.t_s % 60, event.value, event.phase) for event in events] == [
        (1.0, (0.5,), "Successful"),
        (4.0, (0.5,), "Successful"),
    ]
    assert 'pod_template_hash="abc"' in events[0].query
    assert events[0].requests is None  # Argo does not say how many; that is not none
    assert len(told(sight, RunChanged)) == 2


def test_a_measurement_under_way_is_told_when_it_has_come(sight: RolloutSight) -> None:
    sight.analysis_run(analysis_run(measurement(1, value="", phase="Running")))
    assert told(sight, MeasurementTaken) == []
    sight.analysis_run(analysis_run(measurement(1, phase="Failed"), phase="Failed"))
    assert [event.phase for event in told(sight, MeasurementTaken)] == ["Failed"]


def test_a_run_of_nobodys_or_of_another_rollout_is_not_told(sight: RolloutSight) -> None:
    sight.analysis_run(analysis_run(measurement(1), owner=[]))
    sight.analysis_run(analysis_run(measurement(1), owner=[{**OWNER[0], "name": "another"}]))
    assert sight.bulletin.events == []


def test_pods_are_told_by_revision_where_a_count_changed(sight: RolloutSight) -> None:
    def replica_set(pod_hash: str, wanted: int, ready: int) -> Json:
        names = {"rollouts-pod-template-hash": pod_hash}
        made = "2026-11-24T14:00:00Z"
        metadata = {"name": f"shop-{pod_hash}", "labels": names, "creationTimestamp": made, "ownerReferences": OWNER}
        status = {"replicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
        return {"metadata": metadata, "spec": {"replicas": wanted}, "status": status}

    for ready in (1, 1, 2):
        sight.replica_sets([replica_set("abc", 2, ready)])
    events = told(sight, PodsChanged)
    assert [(one.wanted, one.created, one.available) for event in events for one in event.revisions] == [
        (2, 2, 1),
        (2, 2, 2),
    ]
    ended = {"name": "app", "restartCount": 1, "lastState": {"terminated": {"exitCode": 70}}}
    pod = {"metadata": {"name": "p", "labels": {"rollouts-pod-template-hash": "abc"}}}
    for _ in range(2):
        sight.pod({**pod, "status": {"containerStatuses": [ended]}})
    assert [(event.pod, event.exit_code) for event in told(sight, PodEnded)] == [("p", 70)]


def test_a_weight_is_told_when_envoy_has_it_and_by_the_revisions_that_the_services_select(sight: RolloutSight) -> None:
    shares = (
        Share(service="shop-stable", weight=70, pod_hash="old"),
        Share(service="shop-canary", weight=30, pod_hash="abc"),
    )
    state = RouterState(target="http://127.0.0.1:1", shares=shares, asked_s=10.0, acknowledged_s=10.25)
    sight.routed(state)
    sight.routed(state.model_copy(update={"problem": "something else"}))
    (event,) = told(sight, WeightSet)
    assert (event.percent, event.canary_hash, event.stable_hash) == (30.0, "abc", "old")
    assert (event.asked_s, event.t_s) == (10.0, 10.25)


def test_where_no_router_says_anything_the_objects_weights_are_told_as_they_are_seen(sight: RolloutSight) -> None:
    backends = (
        Backend(service="shop-stable", port=80, weight=995),
        Backend(service="shop-canary", port=80, weight=5),
    )
    sight.routed_by_objects(Route(name="Ingress shop", backends=backends), {"shop-stable": "old", "shop-canary": "abc"})
    (event,) = told(sight, WeightSet)
    assert (event.percent, event.canary_hash, event.t_s) == (0.5, "abc", 1000.0)

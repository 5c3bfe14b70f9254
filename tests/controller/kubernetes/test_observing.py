"""What is kept of objects that were looked at, without a server: nothing here is asked of one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes.client import ApiClient
from recorded_scenarios import pod_template

from controller.core.status import RolloutStatus
from controller.kubernetes.api import Connection, ForbiddenError, InvalidError
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.observing import Observed, Observer

ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a", "namespace": "n", "uid": "u-1", "generation": 1, "resourceVersion": "5"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "a"}},
        "template": pod_template("1"),
        "strategy": {"canary": {"canaryService": "one", "stableService": "two", "steps": [{"setWeight": 20}]}},
    },
}


@pytest.fixture
def observer() -> Observer:
    return Observer(Cluster(Connection(ApiClient())))


def changed(**metadata: Any) -> dict[str, Any]:
    found = copy.deepcopy(ROLLOUT)
    found["metadata"].update(metadata)
    return found


def test_a_value_is_kept_while_only_the_status_changes(observer: Observer) -> None:
    first = observer.rollout(ROLLOUT)
    assert observer.rollout(changed(resourceVersion="6")) is first


@pytest.mark.parametrize("change", [{"generation": 2}, {"labels": {"team": "x"}}, {"annotations": {"a": "b"}}])
def test_a_value_is_made_anew_when_spec_labels_or_annotations_change(
    observer: Observer, change: dict[str, Any]
) -> None:
    first = observer.rollout(ROLLOUT)
    assert observer.rollout(changed(**change)) is not first


def test_what_is_gone_is_forgotten(observer: Observer) -> None:
    first = observer.rollout(ROLLOUT)
    observer.forget("u-1")
    assert observer.rollout(ROLLOUT) is not first


def test_a_rollout_is_woken_by_what_its_strategy_names(observer: Observer) -> None:
    assert {"one", "two"} <= observer.names(ROLLOUT)
    assert "a" not in observer.names(ROLLOUT)


class Refusing(Connection):
    """A server that refuses whatever is to be made, as it does with a template that is not valid."""

    def __init__(self, error: Exception) -> None:
        super().__init__(ApiClient())
        self.error = error

    def call(self, *_: Any, **__: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [InvalidError("no such field", status=422), ForbiddenError("no room", status=403)])
def test_a_template_that_the_server_refuses_leaves_the_rollout_to_be_decided_upon(error: Exception) -> None:
    cluster = Cluster(Refusing(error))
    metadata = {"name": "a-argo", "namespace": "n", "uid": "u-2", "resourceVersion": "6"}
    owner = {"kind": "Rollout", "name": "a", "uid": "u-1", "controller": True}
    labels = {"rollouts-pod-template-hash": "argo"}
    made_by_argo = {
        "metadata": {
            **metadata,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod_template("0")},
    }
    cluster.copies["ReplicaSet"].learn(made_by_argo)
    seen = Observer(cluster).observe(ROLLOUT, RolloutStatus())
    assert isinstance(seen, Observed)
    assert seen.snapshot.template_hash not in seen.replica_sets

"""What a controller without a right does: it goes on without housekeeping, and stops before anything that counts."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import ApiClient

from controller.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteAnalysis,
    DeleteReplicaSet,
    ScaleReplicaSet,
    SetPodMetadata,
    SetRevision,
)
from controller.core.status import RolloutStatus
from controller.kubernetes.api import ConflictError, Connection, ForbiddenError
from controller.kubernetes.running import Controller, Settings
from controller.manifests.values import FrozenMap, PodMetadata

Json = dict[str, Any]

TEMPLATE: Json = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
}
ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a", "namespace": "n", "uid": "u-1", "generation": 1, "resourceVersion": "5"},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": TEMPLATE,
        "strategy": {"canary": {"steps": [{"setWeight": 20}]}},
    },
}
OLD_SET: Json = {
    "metadata": {
        "name": "a-old",
        "namespace": "n",
        "uid": "u-2",
        "resourceVersion": "6",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"rollouts-pod-template-hash": "old"},
        "ownerReferences": [{"kind": "Rollout", "name": "a", "uid": "u-1", "controller": True}],
        "managedFields": [{"manager": "gamebird"}],
    },
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE},
}


class NothingAllowed(Connection):
    """A server that allows nothing."""

    def __init__(self) -> None:
        super().__init__(ApiClient())

    def call(self, method: str, path: str, **_: Any) -> Json:
        raise ForbiddenError(f"{method} {path} is not allowed", status=403)


class AbortedMeanwhile(Connection):
    """A server where somebody has aborted the rollout since it was read: its version is another."""

    def __init__(self) -> None:
        super().__init__(ApiClient())

    def call(self, method: str, path: str, *, body: Any = None, **_: Any) -> Json:
        if "/rollouts/" not in path:
            return {**OLD_SET, **dict(body), "metadata": OLD_SET["metadata"]}
        if body["metadata"].get("resourceVersion", "6") != "6":
            raise ConflictError(f"{method} {path}: it was changed", status=409)
        return {**ROLLOUT, "metadata": {**ROLLOUT["metadata"], "resourceVersion": "7"}, "status": {"abort": True}}


def carry_out(action: Action, connection: Connection) -> None:
    controller = Controller(connection, Settings(), ask=lambda *_: pytest.fail("nothing is asked"))
    controller.cluster.copies["ReplicaSet"].learn(OLD_SET)
    seen = controller.observer.observe(ROLLOUT, RolloutStatus())
    controller.rollouts.actor.carry_out(action, seen)  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [DeleteReplicaSet(pod_hash="old"), DeleteAnalysis(name="a-old-1")])
def test_a_decision_goes_on_where_deleting_what_is_old_is_not_allowed(action: Action) -> None:
    carry_out(action, NothingAllowed())


@pytest.mark.parametrize(
    "action",
    [
        ScaleReplicaSet(pod_hash="old", replicas=3, desired_replicas=3),
        CreateReplicaSet(pod_hash="new", name="a-new", revision=2, desired_replicas=3),
    ],
)
def test_a_decision_is_not_remembered_where_its_pods_may_not_be_scaled(action: Action) -> None:
    with pytest.raises(ForbiddenError):
        carry_out(action, NothingAllowed())


def test_a_revision_is_not_noted_over_an_abort_that_came_meanwhile() -> None:
    # With the version of the answer, the decision's status would be stored over the abort that it has not seen.
    with pytest.raises(ConflictError):
        carry_out(SetRevision(pod_hash="old", revision=3), AbortedMeanwhile())


class TwoSetsOfPods(Connection):
    """A server with a pod of the set and one of another rollout's, which has the same template and so the same hash."""

    def __init__(self) -> None:
        super().__init__(ApiClient())
        self.patched: list[str] = []

    def call(self, method: str, path: str, *, body: Any = None, **_: Any) -> Json:
        if method == "PATCH":
            self.patched.append(path.rpartition("/")[2])
        if method != "GET":
            return dict(body)
        owners = {"mine": "u-2", "theirs": "u-3"}
        references = {name: [{"kind": "ReplicaSet", "uid": uid, "controller": True}] for name, uid in owners.items()}
        return {"items": [{"metadata": {"name": name, "ownerReferences": references[name]}} for name in owners]}


def test_pods_of_another_rollout_with_the_same_hash_keep_their_metadata() -> None:
    server = TwoSetsOfPods()
    metadata = PodMetadata(labels=FrozenMap({"role": "canary"}), annotations=FrozenMap({}))
    carry_out(SetPodMetadata(pod_hash="old", metadata=metadata), server)
    assert server.patched == ["mine"]

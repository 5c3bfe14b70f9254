"""What wakes whom, without a server: objects are put into the copies, and nothing is asked."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes.client import ApiClient
from recorded_scenarios import pod_template

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import POD_TEMPLATES, REPLICA_SETS, Resource
from controller.kubernetes.api.watching import Key
from controller.kubernetes.running import Controller, Settings

Json = dict[str, Any]

ABOUT = {"namespace": "n", "uid": "u-2", "name": "work", "resourceVersion": "7"}


def rollout_of(kind: str) -> Json:
    return {
        "metadata": {"name": "a", "namespace": "n", "uid": "u-1", "generation": 1, "resourceVersion": "5"},
        "spec": {
            "workloadRef": {"apiVersion": "v1", "kind": kind, "name": "work"},
            "strategy": {"canary": {"steps": [{"setWeight": 20}]}},
        },
    }


@pytest.fixture
def controller() -> Controller:
    return Controller(Connection(ApiClient()), Settings(), ask=lambda metric, secrets: pytest.fail("nothing is asked"))


def woken(controller: Controller, resource: Resource, before: Json, after: Json) -> bool:
    """Return whether a change of an object wakes the rollout a, which nobody has asked for otherwise."""
    controller.rollout_queue.forget(Key("n", "a"))
    controller._listener(resource)(before, after)
    return controller.rollout_queue.pressed


def workload(kind: str, image: str) -> Json:
    template = pod_template(image)
    return {
        "metadata": ABOUT,
        **({"template": template} if kind == "PodTemplate" else {"spec": {"template": template}}),
    }


@pytest.mark.parametrize("resource", [POD_TEMPLATES, REPLICA_SETS])
def test_a_rollout_is_woken_by_a_new_template_of_the_workload_that_it_names(
    controller: Controller, resource: Resource
) -> None:
    controller.cluster.copies["Rollout"].learn(rollout_of(resource.kind))
    before = workload(resource.kind, "1")
    assert woken(controller, resource, before, workload(resource.kind, "2"))
    assert not woken(controller, resource, before, {**copy.deepcopy(before), "status": {"replicas": 1}})

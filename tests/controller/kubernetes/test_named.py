"""What a rollout names in vain is found out with the rights that the controller has."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import ApiClient

from controller.core.status import RolloutStatus
from controller.kubernetes.api import Connection, ForbiddenError
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.named import first_missing
from controller.kubernetes.observing import read_rollout
from controller.manifests.values import Rollout

Json = dict[str, Any]

ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a", "namespace": "n"},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
        },
        "strategy": {"canary": {"canaryService": "one", "stableService": "two", "steps": [{"setWeight": 20}]}},
    },
}


class ListsOnly(Connection):
    """A server that has some Services and allows lists of them, as the chart's roles do, and no reads one by one."""

    def __init__(self, *services: str) -> None:
        super().__init__(ApiClient())
        self.services = services

    def call(self, method: str, path: str, *, query: Any = None, **_: Any) -> Json:
        if (method, path) != ("GET", "/api/v1/namespaces/n/services"):
            raise ForbiddenError(f"{method} {path} is not allowed", status=403)
        wanted = dict(query or {}).get("fieldSelector", "").removeprefix("metadata.name=")
        return {"items": [{"metadata": {"name": name}} for name in self.services if name == wanted]}


@pytest.mark.parametrize(
    ("there", "missing"), [((), "one"), (("one",), "two"), (("two",), "one"), (("one", "two"), None)]
)
def test_a_missing_service_is_named_without_the_right_to_read_services_one_by_one(
    there: tuple[str, ...], missing: str | None
) -> None:
    rollout = read_rollout(ROLLOUT)
    assert isinstance(rollout, Rollout)
    said = first_missing(Cluster(ListsOnly(*there)), rollout, RolloutStatus(), "hash")
    assert said.endswith(f'services "{missing}" not found') if missing else said == ""

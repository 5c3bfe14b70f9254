"""A copy that nobody keeps any more is not believed, and is told."""

from __future__ import annotations

from typing import Any

from kubernetes.client import ApiClient

from controller.kubernetes.api import Connection
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster

Json = dict[str, Any]


class NoLists(Connection):
    """A server whose lists nobody has foreseen, and that tells of each Deployment."""

    def __init__(self) -> None:
        super().__init__(ApiClient())

    def call(self, method: str, path: str, **_: Any) -> Json:
        if path.endswith("/deployments"):
            return {"metadata": {}, "items": ["no object"]}
        return {"metadata": {"name": "a"}}


def test_a_bug_that_ends_the_watch_of_a_kind_begun_on_demand_is_told() -> None:
    cluster = Cluster(NoLists(), watched=())
    cluster.start()
    try:
        assert cluster.get("Deployment", Key("n", "a")) == {"metadata": {"name": "a"}}
        cluster._asked_for["Deployment"]._thread.join(10.0)  # type: ignore[union-attr]
        assert isinstance(cluster.failure, TypeError)
        assert cluster.get("Deployment", Key("n", "a")) == {"metadata": {"name": "a"}}
    finally:
        cluster.stop()

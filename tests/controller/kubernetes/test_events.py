"""Events wait behind what is urgent, and are said all the same when the controller ends."""

from __future__ import annotations

from typing import Any

from kubernetes.client import ApiClient

from controller.kubernetes.api import Connection
from controller.kubernetes.events import EventQueue, EventWriter

Json = dict[str, Any]

ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a", "namespace": "n", "uid": "u-1"},
}


class Created(Connection):
    """A server that takes every event and keeps what it says."""

    def __init__(self) -> None:
        super().__init__(ApiClient())
        self.said: list[str] = []

    def call(self, *_: Any, body: Any = None, **__: Any) -> Json:
        self.said.append(body["message"])
        return dict(body)


def test_what_is_held_back_is_said_at_the_end() -> None:
    server = Created()
    events = EventQueue(EventWriter(server), pressed=lambda: True)
    messages = ["aborted", "scaled down", "degraded"]
    for message in messages:
        events.emit(ROLLOUT, "Any", message, now_s=0.0)
    # Each may be held back for two seconds, and the end waits for no more than two in all.
    events.close(within_s=2.0)
    assert server.said == messages

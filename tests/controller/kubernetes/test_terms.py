"""What a controller notes while it leads is not believed when it leads again: another may have led in between."""

from __future__ import annotations

from typing import Any

from kubernetes.client import ApiClient

from controller.core.status import RolloutStatus
from controller.kubernetes.api import Connection, NotFoundError
from controller.kubernetes.api.connection import CONNECT_S, TIMEOUT_S
from controller.kubernetes.api.leases import Lease, Terms
from controller.kubernetes.rollouts import RolloutReconciler
from controller.kubernetes.running import Controller, Settings

Json = dict[str, Any]

UID = "u-1"
ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a", "namespace": "n", "uid": UID},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
        },
        "strategy": {
            "canary": {
                "canaryService": "one",
                "stableService": "two",
                "trafficRouting": {"managedRoutes": [{"name": "h"}], "istio": {"virtualService": {"name": "v"}}},
                "steps": [
                    {"setHeaderRoute": {"name": "h", "match": [{"headerName": "x", "headerValue": {"exact": "1"}}]}},
                    {"pause": {}},
                ],
            }
        },
    },
}


class OneLease(Connection):
    """A server that keeps one lease."""

    def __init__(self) -> None:
        super().__init__(ApiClient())
        self.lease: Json = {}
        self.version = 0

    def call(self, method: str, path: str, *, body: Any = None, **_: Any) -> Json:
        if method != "GET":
            self.version += 1
            metadata = {**body["metadata"], "resourceVersion": str(self.version)}
            self.lease = {**body, "metadata": metadata}
        if not self.lease:
            raise NotFoundError("no lease", status=404)
        return self.lease


def lead_and_forget() -> tuple[RolloutReconciler, Lease, list[float]]:
    """Return the parts of a controller that leads from instant 0, its lease, and the clock that its lease reads."""
    now_s = [0.0]
    terms = Terms(duration_s=30.0, renew_s=4.0, margin_s=10.0)
    lease = Lease(OneLease(), "n", "lease", "me", terms=terms, now_s=lambda: now_s[0])
    controller = Controller(Connection(ApiClient()), Settings(), ask=lambda *_: None, lease=lease)  # type: ignore
    assert lease.attempt()
    return controller.rollouts, lease, now_s


def test_routes_that_were_noted_hold_while_the_lease_is_renewed() -> None:
    rollouts, lease, now_s = lead_and_forget()
    rollouts._routes[UID] = rollouts.term(), ("h@0",)
    now_s[0] = 4.0
    lease.attempt()
    assert rollouts._routes_of(ROLLOUT, RolloutStatus(step_index=0), rollouts.term()) == ("h@0",)


def test_routes_are_worked_out_anew_when_the_lease_had_run_out() -> None:
    rollouts, lease, now_s = lead_and_forget()
    rollouts._routes[UID] = rollouts.term(), ()
    now_s[0] = 40.0  # good until 20; whoever led since has passed the first step, which sets a route
    lease.attempt()
    assert rollouts._routes_of(ROLLOUT, RolloutStatus(step_index=1), rollouts.term()) == ("h@0",)


def test_a_write_that_began_while_this_candidate_led_ends_before_another_can_lead() -> None:
    # A write is given up when no connection stands after CONNECT_S, or when no answer comes TIMEOUT_S after that.
    assert Terms().margin_s >= CONNECT_S + TIMEOUT_S

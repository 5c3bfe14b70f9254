"""The method of a game day as data: what is done to the rollout, and when, in policy time.

Chaos Toolkit calls these as functions of `experiments.chaos.actions`; the simulator reads the same entries without
Chaos Toolkit. One model per action, named as the function is. Times count from the start of the rehearsal: stable
is up and has its traffic. This module says what an action is; it does nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from experiments.faults import MACHINERY
from experiments.instants import LEASE_S, Fault, Lease, Share, Side, Timed, Value, When

__all__ = [
    "ACTIONS",
    "LEASE_S",
    "Action",
    "AwaitVerdict",
    "ChangeTraffic",
    "DeployRelease",
    "Fault",
    "PrometheusGone",
    "ProxyDelay",
    "ProxyErrors",
    "RestoreEverything",
    "SetFlag",
    "Side",
    "Timed",
    "When",
]


class DeployRelease(Timed):
    """Hand the release under test to the controller, as `kubectl apply` would."""

    func: ClassVar[str] = "deploy_release"


class AwaitVerdict(Value):
    """Wait until the rollout has converged, `within_s` from now at most."""

    func: ClassVar[str] = "await_verdict"
    within_s: Lease


class PrometheusGone(Fault):
    """Nobody answers at Prometheus' address."""

    func: ClassVar[str] = "prometheus_gone"


class ProxyErrors(Fault):
    """The proxy answers a share of the requests to one side itself, with an error."""

    func: ClassVar[str] = "proxy_errors"
    share: Share
    status: Annotated[int, Field(strict=True, ge=500, le=599)] = 503
    side: Side = "canary"


class ProxyDelay(Fault):
    """The proxy holds a share of the requests to one side back. The delay is in seconds of the wall."""

    func: ClassVar[str] = "proxy_delay"
    share: Share = 1.0
    delay_s: Annotated[float, Field(strict=True, gt=0, le=60)]
    side: Side = "canary"


class ChangeTraffic(Fault):
    """Users send another number of requests per second of policy time; afterwards as many as before."""

    func: ClassVar[str] = "change_traffic"
    rps: Annotated[float, Field(strict=True, ge=0, le=100_000)]


class SetFlag(Fault):
    """A feature flag takes another value for everybody; afterwards the one it had."""

    func: ClassVar[str] = "set_flag"
    flag: str = "recommender-v2-enabled"
    on: Annotated[bool, Field(strict=True)]


class RestoreEverything(Value):
    """End every fault that is still in force."""

    func: ClassVar[str] = "restore_everything"


Action = DeployRelease | AwaitVerdict | Fault | RestoreEverything

_ALL: tuple[type[Action], ...] = (
    DeployRelease,
    AwaitVerdict,
    PrometheusGone,
    ProxyErrors,
    ProxyDelay,
    ChangeTraffic,
    SetFlag,
    *MACHINERY,
    RestoreEverything,
)

ACTIONS: dict[str, type[Action]] = {model.func: model for model in _ALL}
"""Every action by the name of its function in `experiments.chaos.actions`."""

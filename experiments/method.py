"""The method of a game day as data: what is done to the rollout, and when, in policy time.

Chaos Toolkit calls these as functions of `experiments.chaos.actions`; the simulator reads the same entries without
Chaos Toolkit. One model per action, named as the function is. Times count from the start of the rehearsal: stable
is up and has its traffic. This module says what an action is; it does nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(strict=True, ge=0, le=604_800, allow_inf_nan=False)]
Lease = Annotated[float, Field(strict=True, gt=0, le=86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Side = Literal["canary", "stable", "all"]

LEASE_S = 1800.0
"""A fault that names no length ends after half an hour, because one that nobody ends must end."""


class Value(BaseModel):
    """Frozen, and refusing what it does not know, so that a misspelt field is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class When(Value):
    """An instant that the rollout itself decides: the first at which what is named here is true, plus `after_s`."""

    weight_at_least: Annotated[float, Field(strict=True, gt=0, le=100)] | None = None
    step_at_least: Annotated[int, Field(strict=True, ge=0)] | None = None
    phase: Literal["Progressing", "Paused", "Healthy", "Degraded"] | None = None
    after_s: Seconds = 0.0

    @model_validator(mode="after")
    def _just_one(self) -> When:
        if sum(named is not None for named in (self.weight_at_least, self.step_at_least, self.phase)) != 1:
            raise ValueError("exactly one of weight_at_least, step_at_least and phase")
        return self

    @property
    def text(self) -> str:
        """The condition in words."""
        if self.weight_at_least is not None:
            what = f"the weight is at least {self.weight_at_least:g}"
        elif self.step_at_least is not None:
            what = f"step {self.step_at_least} is reached"
        else:
            what = f"the rollout is {self.phase}"
        return f"{self.after_s:g} s after {what}" if self.after_s else f"when {what}"


class Timed(Value):
    """What happens at an instant: `at_s`, or `when` the rollout says so."""

    func: ClassVar[str]
    at_s: Seconds | None = None
    when: When | None = None

    @model_validator(mode="after")
    def _one_instant(self) -> Timed:
        if (self.at_s is None) == (self.when is None):
            raise ValueError("an instant: either at_s (seconds of policy time) or when")
        return self

    @property
    def instant(self) -> str:
        """The instant in words."""
        return f"at {self.at_s:g} s" if self.when is None else self.when.text


class Fault(Timed):
    """A fault ends by itself after `for_s`."""

    for_s: Lease = LEASE_S


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


Action = (
    DeployRelease
    | AwaitVerdict
    | PrometheusGone
    | ProxyErrors
    | ProxyDelay
    | ChangeTraffic
    | SetFlag
    | RestoreEverything
)

ACTIONS: dict[str, type[Action]] = {
    model.func: model
    for model in (
        DeployRelease,
        AwaitVerdict,
        PrometheusGone,
        ProxyErrors,
        ProxyDelay,
        ChangeTraffic,
        SetFlag,
        RestoreEverything,
    )
}
"""Every action by the name of its function in `experiments.chaos.actions`."""

"""When something of a game day happens, and for how long: the part that every action shares.

Times are policy time and count from the start of the traffic. `method` and `faults` build their actions on this; it
knows none of them.
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
    """A fault ends by itself after `for_s`.

    Attributes:
        worlds: those that can have it.
        not_in_sim: why the simulator does not play it; empty where it does.
    """

    worlds: ClassVar[frozenset[str]] = frozenset({"local", "cluster"})
    not_in_sim: ClassVar[str] = ""
    for_s: Lease = LEASE_S

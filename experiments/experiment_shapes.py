"""What a Chaos Toolkit experiment looks like, as far as a game day may go: its own names with their own meaning.

Shapes only: what activities and their arguments mean is checked by `activity_checks` and `gameday_files`, which read by
these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from experiments.activity_checks import CONTROL_MODULE


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Provider(_Value):
    """Who carries an activity out; only Python functions can be read as data."""

    type: Literal["python", "process", "http"]
    module: str | None = None
    func: str | None = None
    arguments: Any = None
    secrets: Any = None
    path: str | None = None
    url: str | None = None
    method: str | None = None
    headers: dict[str, Any] | None = None
    timeout: Any = None
    verify_tls: bool | None = None
    max_retries: int | None = None
    expected_status: Any = None


class Pauses(_Value):
    """Chaos Toolkit's own waits, in seconds of the wall."""

    before: Any = None
    after: Any = None

    @field_validator("before", "after")
    @classmethod
    def _a_duration(cls, value: Any) -> Any:
        if isinstance(value, str) and "${" in value:
            return value  # Chaos Toolkit puts a value of the experiment's configuration there
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 604_800):
            return value
        raise ValueError("a number of seconds, 0 or more")


class Control(_Value):
    """One of Chaos Toolkit's controls."""

    name: str
    provider: Provider
    scope: Literal["before", "after"] | None = None
    automatic: bool | None = None
    ref: str | None = None


class Activity(_Value):
    """A probe or an action, as Chaos Toolkit defines it."""

    type: Literal["probe", "action"] | None = None
    name: str | None = None
    ref: str | None = None
    provider: Provider | None = None
    tolerance: Any = None
    pauses: Pauses | None = None
    background: bool | None = None
    timeout: float | None = None
    secrets: Any = None
    configuration: Any = None
    controls: tuple[Control, ...] = ()
    dry: Any = None

    @model_validator(mode="after")
    def _whole(self) -> Activity:
        if self.ref is None and (self.type is None or self.name is None or self.provider is None):
            raise ValueError("type, name and provider (or a ref to another activity)")
        return self


class Hypothesis(_Value):
    """What holds while nothing is wrong."""

    title: str
    probes: tuple[Activity, ...] = ()
    controls: tuple[Control, ...] = ()


class Experiment(_Value):
    """A Chaos Toolkit experiment, as far as a game day may go."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(min_length=1)]
    version: str | None = None
    tags: tuple[str, ...] = ()
    contributions: dict[str, str] | None = None
    configuration: dict[str, Any] | None = None
    secrets: dict[str, Any] | None = None
    controls: tuple[Control, ...] = ()
    hypothesis: Hypothesis = Field(alias="steady-state-hypothesis")
    method: Annotated[tuple[Activity, ...], Field(min_length=1)]
    rollbacks: tuple[Activity, ...] = ()
    runtime: dict[str, Any] | None = None
    extensions: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]

    @field_validator("controls")
    @classmethod
    def _with_our_control(cls, controls: tuple[Control, ...]) -> tuple[Control, ...]:
        if sum(control.provider.module == CONTROL_MODULE for control in controls) != 1:
            raise ValueError(f"a control with module {CONTROL_MODULE}, once: it starts and ends the world")
        return controls

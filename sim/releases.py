"""The release under test: how one revision of a service behaves, well or badly. The only schema for it.

A game day file, the demo service and the model all read this. It says what a revision does, never what the
rollout makes of it. Times (`*_s`, `per_minute`) are in policy time, because a game day runs them faster than the
wall; latency (`*_ms`) is wall time, because a request takes as long as it takes. Ages count from a pod's start,
so a pod that was restarted is young again, as a leak in a real process is.

Pure data and a little arithmetic on it: no clock, no chance, nothing of ours is imported.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, le=600_000, allow_inf_nan=False)]
Ordinal = Annotated[int, Field(strict=True, ge=1)]
Status = Annotated[int, Field(strict=True, ge=500, le=599)]


class _Value(BaseModel):
    """Frozen, and refusing what it does not know, so that a misspelt fault is an error and not a good release."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Errors(_Value):
    """Which requests the release fails, beside those that fail in every revision. At most one way is named.

    Attributes:
        rate: share of requests that fail, each by chance, 0 to 1.
        every: each n-th request of a pod fails; no chance in it.
        at: these requests of a pod fail, counted from 1; no chance in it.
        status: the answer's status code.
    """

    rate: Share = 0.0
    every: Ordinal | None = None
    at: tuple[Ordinal, ...] = ()
    status: Status = 500

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.rate > 0) + (self.every is not None) + bool(self.at) > 1:
            raise ValueError("errors come by rate, by every or by at: name one of them")
        return self

    @property
    def any(self) -> bool:
        """True if some request may fail by this."""
        return self.rate > 0 or self.every is not None or bool(self.at)

    def counted(self, ordinal: int) -> bool:
        """Return whether the pod's `ordinal`-th request fails by count (chance is not asked)."""
        return ordinal in self.at or (self.every is not None and ordinal % self.every == 0)


class Latency(_Value):
    """How long an answer takes when nothing is wrong: log-normal, as most services are.

    Attributes:
        median_ms: half of all answers take longer, milliseconds of the wall.
        sigma: spread of the logarithm; p95 is median x exp(1.645 sigma).
    """

    median_ms: Milliseconds = 40.0
    sigma: Annotated[float, Field(strict=True, ge=0, le=3)] = 0.4


class Slowdown(_Value):
    """What the release does to latency, on top of `Latency`.

    Attributes:
        factor: every answer takes so many times as long.
        add_ms: every answer takes so much longer, milliseconds.
        tail_share: share of requests, 0 to 1, that meet the tail.
        tail_ms: how much longer those take, milliseconds.
    """

    factor: Annotated[float, Field(strict=True, ge=0, le=10_000)] = 1.0
    add_ms: Milliseconds = 0.0
    tail_share: Share = 0.0
    tail_ms: Milliseconds = 0.0

    @property
    def any(self) -> bool:
        """True if some answer may be slower by this."""
        return self.factor != 1.0 or self.add_ms > 0 or (self.tail_share > 0 and self.tail_ms > 0)


class Leak(_Value):
    """What grows worse with a pod's age, per minute of policy time.

    Attributes:
        errors_per_minute: growth of the share of requests that fail.
        latency_ms_per_minute: growth of every answer's latency, milliseconds.
        memory_mb_per_minute: growth of the memory in use, megabytes.
        memory_limit_mb: at so much leaked memory the pod is killed, and restarted as any crashed pod is.
        after_s: the leak begins at this age.
    """

    errors_per_minute: Share = 0.0
    latency_ms_per_minute: Amount = 0.0
    memory_mb_per_minute: Amount = 0.0
    memory_limit_mb: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    after_s: Seconds = 0.0

    def minutes(self, age_s: float) -> float:
        """Return for how long a pod of this age has leaked, minutes."""
        return max(0.0, age_s - self.after_s) / 60.0

    @property
    def killed_at_s(self) -> float | None:
        """The age at which the memory limit is met; None: never."""
        if self.memory_limit_mb is None or self.memory_mb_per_minute <= 0:
            return None
        return self.after_s + 60.0 * self.memory_limit_mb / self.memory_mb_per_minute


class Where(_Value):
    """Which requests meet the errors, the slowdown and the leak; without limits all do.

    Attributes:
        routes: only these paths (without their query); empty: all.
        above_rps: only while the pod is asked more often than this, requests/s of policy time.
        pods: only in so many pods of the revision, those that were started first; None: in all.
    """

    routes: tuple[Annotated[str, Field(pattern=r"^/[^\s?#]*$")], ...] = ()
    above_rps: Amount | None = None
    pods: Ordinal | None = None

    def holds(self, *, route: str, rps: float, pod: int) -> bool:
        """Return whether a request for `route`, in pod number `pod` (from 1), asked `rps` times a second, is meant."""
        return (
            (not self.routes or route in self.routes)
            and (self.above_rps is None or rps > self.above_rps)
            and (self.pods is None or pod <= self.pods)
        )


class Start(_Value):
    """How a pod becomes ready.

    Attributes:
        ready_after_s: readiness fails until this age.
        never_ready: readiness fails for ever, although the process runs.
        warm_up_s: answers are slower until this age, by a factor that falls evenly to 1.
        warm_up_factor: that factor at age 0.
    """

    ready_after_s: Seconds = 0.0
    never_ready: bool = False
    warm_up_s: Seconds = 0.0
    warm_up_factor: Annotated[float, Field(strict=True, ge=1, le=1000)] = 1.0

    def warm_up(self, age_s: float) -> float:
        """Return the factor on latency at this age."""
        if age_s >= self.warm_up_s:
            return 1.0
        return 1.0 + (self.warm_up_factor - 1.0) * (1.0 - age_s / self.warm_up_s)


class Crash(_Value):
    """The process ends itself, and does so again after each restart.

    Attributes:
        after_s: at this age; None: never by age.
        at_request: on its n-th request, which gets no answer; None: never by count.
    """

    after_s: Seconds | None = None
    at_request: Ordinal | None = None


class Hang(_Value):
    """Requests get no answer at all, until whoever asked gives up.

    Attributes:
        after_s: from this age on.
        share: of requests, 0 to 1, by chance.
        probe: the readiness probe hangs, too.
    """

    after_s: Seconds = 0.0
    share: Share = 1.0
    probe: bool = False


class Release(_Value):
    """One revision of a service. The default is a good release: no error, p95 of 77 ms.

    Attributes:
        errors: what fails because of this release. A bare number is a rate: `errors: 0.05`.
        slowdown: what is slower because of this release.
        leak: what grows worse with a pod's age.
        where: which requests meet those three.
        start: how pods become ready.
        crash: when pods end by themselves.
        hang: when requests get no answer.
        behind_flag: errors, slowdown, leak, crash and hang happen only where this feature flag is true: for the user
            of a request; for what no request triggers, the flag without a user counts.
        base_errors: share of requests that fail in every revision, stable too, 0 to 1.
        base_latency: latency in every revision, stable too.
        error_series: whether the counter of failed requests exists from the `start`, at zero, or is born with the
            `first-error`; before that, a ratio of errors has no answer at all.
    """

    errors: Errors = Errors()
    slowdown: Slowdown = Slowdown()
    leak: Leak | None = None
    where: Where = Where()
    start: Start = Start()
    crash: Crash | None = None
    hang: Hang | None = None
    behind_flag: Annotated[str, Field(min_length=1)] | None = None
    base_errors: Share = 0.0
    base_latency: Latency = Latency()
    error_series: Literal["start", "first-error"] = "start"

    @field_validator("errors", mode="before")
    @classmethod
    def _bare_rate(cls, given: Any) -> Any:
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return {"rate": float(given)}
        return given

    @model_validator(mode="after")
    def _effective(self) -> Self:
        if self.leak and self.leak.memory_limit_mb is not None and self.leak.memory_mb_per_minute <= 0:
            raise ValueError("leak.memory_limit_mb is never met; name leak.memory_mb_per_minute, too")
        return self

    @property
    def baseline(self) -> Release:
        """The same service without this release's faults: what stable pods run."""
        return Release(
            base_errors=self.base_errors, base_latency=self.base_latency, error_series=self.error_series
        )

    def error_rate(self, age_s: float) -> float:
        """Return the share of meant requests that fail by chance because of this release, at a pod's age."""
        leaked = self.leak.errors_per_minute * self.leak.minutes(age_s) if self.leak else 0.0
        return min(1.0, self.errors.rate + leaked)

    def added_ms(self, age_s: float) -> float:
        """Return how much longer every meant request takes at a pod's age, the tail aside, milliseconds."""
        leaked = self.leak.latency_ms_per_minute * self.leak.minutes(age_s) if self.leak else 0.0
        return self.slowdown.add_ms + leaked

    @property
    def ends_at_s(self) -> float | None:
        """The age at which a pod ends by itself, by crash or by its memory limit; None: by neither."""
        ages = [
            age
            for age in (self.crash.after_s if self.crash else None, self.leak.killed_at_s if self.leak else None)
            if age is not None
        ]
        return min(ages) if ages else None

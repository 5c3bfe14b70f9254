"""The release under test, as one schema: what a revision does to its users that the one before it did not.

The demo service of the local world plays it with real requests, the model plays it in virtual time; both read this and
nothing else, so "5 % errors" means the same in a rehearsal and in a simulation. Times are policy time, except
latencies, which are what a user waits on the wall.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(gt=0, le=60_000, allow_inf_nan=False)]
Ordinal = Annotated[int, Field(ge=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Latency(_Value):
    """How long an answer takes: a lognormal body, and a tail for some requests.

    Attributes:
        median_ms: half of the requests without a tail are faster.
        sigma: standard deviation of the logarithm; 0 makes every request take the median.
        factor: every latency times this; 2 doubles p95 as well as the median.
        tail_share: the share of requests that take `tail_ms` longer.
        tail_ms: how much longer.
    """

    median_ms: Milliseconds = 60.0
    sigma: Annotated[float, Field(ge=0, le=3, allow_inf_nan=False)] = 0.45
    factor: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    tail_share: Share = 0.0
    tail_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = 0.0

    def quantile_ms(self, q: float) -> float:
        """Return the q-quantile of the body, without the tail, in ms."""
        from statistics import NormalDist

        return self.median_ms * self.factor * math.exp(self.sigma * NormalDist().inv_cdf(q))


class Leak(_Value):
    """A fault that grows from nothing while a pod lives.

    Attributes:
        errors_per_minute: how much the share of failing requests grows in a minute of policy time.
        latency_ms_per_minute: how much longer answers take after each minute.
        memory_bytes_per_minute: how much the pod's memory grows in a minute.
    """

    errors_per_minute: Share = 0.0
    latency_ms_per_minute: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = 0.0
    memory_bytes_per_minute: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Release(_Value):
    """What one revision is like. The default is a good release: no errors, p95 of about 126 ms, ready at once.

    Attributes:
        errors: share of requests that fail because of this release.
        error_status: what they are answered with; base errors are a 500 always.
        wrong: share of requests that are answered 200 with something wrong: bad for users, and no metric shows it.
        every_nth: every n-th request that a pod gets fails as well.
        errors_at: these requests fail, counted from 1 over the pods of the revision together where it has one pod, else
            in its first pod: faults by count instead of by chance.
        base_errors: share of requests that fail in every revision alike; no flag switches them off.
        latency: how long answers take.
        leak: what grows while a pod lives.
        routes: only requests to these paths (by prefix) meet the fault; empty for all.
        segments: only requests with one of these values of the label meet the fault, label by label; empty for all.
        above_rps: the fault shows only while a pod serves more requests per second of policy time than this.
        warm_up_s: how long a new pod of this release is slower, if not as long as the service says.
        warm_up_factor: how much slower at first; falls in a straight line to 1.
        cpu_factor: what a request costs in CPU, times what the service says.
        start_s: how long a pod takes until it is ready.
        never_ready: the readiness probe never passes.
        crash_after_s: a pod ends by itself so long after it became ready, each time it is started.
        crash_at_request: a pod ends with this request, counted from 1 after each start.
        crash_share: each request ends its pod with this probability.
        hang_after_s: a pod no longer answers anything, so long after it became ready.
        unready_after_s: the readiness probe fails from then on, so long after it first passed.
        memory_limit_bytes: a pod that needs more is ended; it starts again with what the service says.
        behind_flag: the fault shows only where this OpenFeature flag is on for the request.
        series_5xx: whether the counters of failed requests exist from the start or from the first failure.
    """

    errors: Share = 0.0
    error_status: Annotated[int, Field(ge=400, le=599)] = 500
    wrong: Share = 0.0
    every_nth: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    errors_at: tuple[Ordinal, ...] = ()
    base_errors: Share = 0.0
    latency: Latency = Field(default_factory=Latency)
    leak: Leak = Field(default_factory=Leak)
    routes: tuple[Annotated[str, Field(pattern=r"\A/")], ...] = ()
    segments: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    above_rps: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    warm_up_s: Seconds | None = None
    warm_up_factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] | None = None
    cpu_factor: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    start_s: Seconds = 0.0
    never_ready: bool = False
    crash_after_s: Seconds | None = None
    crash_at_request: Ordinal | None = None
    crash_share: Share = 0.0
    hang_after_s: Seconds | None = None
    unready_after_s: Seconds | None = None
    memory_limit_bytes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    behind_flag: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    series_5xx: Literal["start", "first-error"] = "start"

    @model_validator(mode="after")
    def _possible(self) -> Release:
        if self.errors + self.base_errors + self.wrong > 1:
            raise ValueError("errors, wrong and base_errors that add up to at most 1")
        if self.never_ready and (self.crash_after_s is not None or self.hang_after_s is not None):
            raise ValueError("either never_ready, or crash_after_s and hang_after_s, which count from readiness")
        return self

    @property
    def text(self) -> str:
        """The release in words, for people: `5 % errors`, `a good release`."""
        parts = [
            _percent(
                self.errors, "errors" if self.error_status == 500 else f"of requests answered {self.error_status}"
            ),
            _percent(self.wrong, "wrong answers"),
            f"every {_ordinal(self.every_nth)} request fails" if self.every_nth else "",
            f"requests {', '.join(map(str, self.errors_at))} fail" if self.errors_at else "",
            f"latency x{self.latency.factor:g}" if self.latency.factor != 1 else "",
            _percent(self.latency.tail_share, f"of requests {self.latency.tail_ms:g} ms slower"),
            _percent(self.leak.errors_per_minute, "more errors each minute"),
            f"{self.leak.latency_ms_per_minute:g} ms slower each minute" if self.leak.latency_ms_per_minute else "",
            f"{self.leak.memory_bytes_per_minute / 1e6:g} MB more memory each minute"
            if self.leak.memory_bytes_per_minute
            else "",
            f"x{self.warm_up_factor:g} slower while it warms up" if self.warm_up_factor else "",
            f"CPU x{self.cpu_factor:g}" if self.cpu_factor != 1 else "",
            f"ready after {self.start_s:g} s" if self.start_s else "",
            "pods never become ready" if self.never_ready else "",
            f"crashes after {self.crash_after_s:g} s" if self.crash_after_s is not None else "",
            f"crashes at its {_ordinal(self.crash_at_request)} request" if self.crash_at_request else "",
            _percent(self.crash_share, "of requests crash their pod"),
            f"hangs after {self.hang_after_s:g} s" if self.hang_after_s is not None else "",
            f"no longer ready after {self.unready_after_s:g} s" if self.unready_after_s is not None else "",
            f"at most {self.memory_limit_bytes / 1e6:g} MB" if self.memory_limit_bytes is not None else "",
        ]
        what = ", ".join(part for part in parts if part) or "a good release"
        where = f" on {', '.join(self.routes)}" if self.routes else ""
        where += "".join(f" for {label} {' or '.join(values)}" for label, values in self.segments.items())
        load = f" above {self.above_rps:g} requests/s a pod" if self.above_rps is not None else ""
        flag = f" behind the flag {self.behind_flag}" if self.behind_flag else ""
        return what + where + load + flag


def _percent(share: float, what: str) -> str:
    return f"{share * 100:g} % {what}" if share else ""


def _ordinal(number: int | None) -> str:
    if number is None:
        return ""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"

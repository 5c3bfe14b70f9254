"""What one generator process is told to do, written to its directory before it starts.

One file instead of many arguments, so that a run can be read, and repeated, from what it left.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from loadgen.traffic import Traffic

WALL_MAX_S = 6 * 3600.0
"""No run lasts longer than this, whatever it was told: a forgotten generator ends by itself."""

REAL_RPS_MAX = 1_000.0
"""Requests/s of the wall that one process may send unless told otherwise: beyond it, two cores are the bottleneck."""

IN_FLIGHT_MAX = 2_000
"""Requests that may wait for an answer at once unless told otherwise. Those beyond are dropped, and counted."""

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Plan(BaseModel):
    """One run of load.

    Attributes:
        target_url: http://HOST:PORT on the loopback.
        speed: policy seconds in a second of the wall.
        duration_s: how long traffic lasts, policy seconds.
        timeout_s: how long a user waits for an answer, seconds of the wall.
        drain_s: how long the last requests may take after the traffic has ended, seconds of the wall.
        in_flight_max: requests that may wait for an answer at once.
        real_rps_max: a rate that would send more per second of the wall is refused.
        origin_monotonic_s, origin_policy_s: a reading of the monotonic clock, and the policy time then.
        begin_policy_s: when traffic begins; None, or an instant that is past: as soon as the generator is ready.
        slow_after_s: an answer later than this is too slow for the user, seconds of the wall; None: never.
        tag: goes into every request's header, so that a service's log tells load from users.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    traffic: Traffic
    target_url: str
    speed: _Seconds
    duration_s: _Seconds
    timeout_s: _Seconds = 10.0
    drain_s: _Seconds = 10.0
    in_flight_max: Annotated[int, Field(ge=1, le=15_000)] = IN_FLIGHT_MAX
    real_rps_max: Annotated[float, Field(gt=0, le=5_000)] = REAL_RPS_MAX
    origin_monotonic_s: float
    origin_policy_s: float
    begin_policy_s: float | None = None
    slow_after_s: _Seconds | None = None
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "gamebird"

    def refusal(self) -> str | None:
        """Return why this plan must not be run, or None."""
        peak = self.traffic.peak_rps(self.duration_s)
        if peak * self.speed > self.real_rps_max:
            return (
                f"traffic peaks at {peak:g} requests/s, which at speed {self.speed:g} is {peak * self.speed:g} real "
                f"requests/s; one generator sends at most {self.real_rps_max:g}: lower the speed or the rate"
            )
        if self.duration_s / self.speed > WALL_MAX_S:
            return (
                f"traffic would last {self.duration_s / self.speed:,.0f} s of the wall; "
                f"a run lasts at most {WALL_MAX_S:,.0f} s"
            )
        return None

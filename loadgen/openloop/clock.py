"""Where policy time stands on the machine's monotonic clock, which all processes of one machine share.

The wall clock may be set while a rehearsal runs; the monotonic clock only goes forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """At `monotonic_s` (a reading of `time.monotonic()`) policy time is `policy_s`, and runs `speed` times as fast."""

    monotonic_s: float
    policy_s: float
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"Origin.speed is {self.speed}; it needs a finite number above 0")

    def policy_at(self, monotonic_s: float) -> float:
        """Return the policy time at a reading of the monotonic clock, in s."""
        return self.policy_s + (monotonic_s - self.monotonic_s) * self.speed

    def monotonic_at(self, policy_s: float) -> float:
        """Return the reading of the monotonic clock at a policy time, in s."""
        return self.monotonic_s + (policy_s - self.policy_s) / self.speed

"""Policy time on one machine: it runs `speed` times as fast as the wall, on the monotonic clock.

It begins about a day back, so that at any speed a rehearsal's stamps lie in the past of a real Prometheus, which takes
no samples from the future. The origin is shared with the load generator, whose clock is the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from loadgen.openloop.clock import Origin

BEGINS_BACK_S = 86_400.0


def origin_now(speed: float) -> Origin:
    """Return an origin at which policy time, from now on, runs `speed` times as fast as the wall."""
    return Origin(monotonic_s=time.monotonic(), policy_s=float(int(time.time() - BEGINS_BACK_S)), speed=speed)


@dataclass(frozen=True, slots=True)
class PolicyClock:
    """Reads policy time, in unix seconds."""

    origin: Origin = field(default_factory=lambda: origin_now(1.0))

    @property
    def speed(self) -> float:
        """Policy seconds per second of the wall."""
        return self.origin.speed

    def now_s(self) -> float:
        """Return policy time now."""
        return self.origin.policy_at(time.monotonic())

    def wall_s(self, policy_s: float) -> float:
        """Return how long a stretch of policy time takes on the wall."""
        return policy_s / self.origin.speed

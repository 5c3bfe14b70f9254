"""Policy time: the time in which manifests, traffic, scrapes and probes live, K times as fast as the wall.

The only place of the local world where the two times meet. It reads the monotonic clock, so that a stepped wall clock
moves nothing, and begins about a day before now, so that a real Prometheus takes samples from a run that is fast.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

HEADSTART_S = 86_400.0
"""Policy time begins this long before the wall's now: at speed 20 it takes over an hour to catch up with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyClock:
    """Reads policy time: unix seconds that began at `origin_s` when the monotonic clock said `monotonic_origin_s`.

    Both origins may be handed to another process on this machine, which then reads the same time.
    """

    speed: float = 1.0
    origin_s: float = field(default_factory=lambda: float(int(time.time() - HEADSTART_S)))
    monotonic_origin_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1000:
            raise ValueError(f"PolicyClock.speed is {self.speed}; it needs a number above 0, up to 1000")

    def now_s(self) -> float:
        """Return policy time, unix seconds."""
        return self.at_s(time.monotonic())

    def at_s(self, monotonic_s: float) -> float:
        """Return the policy time of a reading of the monotonic clock."""
        return self.origin_s + (monotonic_s - self.monotonic_origin_s) * self.speed

    def elapsed_s(self) -> float:
        """Return policy seconds since the origin."""
        return self.now_s() - self.origin_s

    def wall_s(self, policy_s: float) -> float:
        """Return how long a span of policy time lasts on the wall, seconds."""
        return policy_s / self.speed

    def policy_s(self, wall_s: float) -> float:
        """Return how much policy time passes in a span of the wall, seconds."""
        return wall_s * self.speed

    def until_wall_s(self, at_s: float) -> float:
        """Return how long it is from now to an instant of policy time, wall seconds; 0 if it has passed."""
        return max(0.0, (at_s - self.now_s()) / self.speed)

    def wait_until(self, at_s: float, stop: threading.Event) -> bool:
        """Wait for an instant of policy time; return True as soon as `stop` is set, which ends the wait."""
        while (left_s := self.until_wall_s(at_s)) > 0:
            # Slices keep a wait of hours within what the platform's locks accept.
            if stop.wait(min(left_s, 60.0)):
                return True
        return stop.is_set()

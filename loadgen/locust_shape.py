"""Traffic as Locust's LoadTestShape, for locustfiles of one's own: the same file that drives a game day.

    from locust import FastHttpUser, constant_throughput, task
    from loadgen.locust_shape import TrafficShape

    class Shopper(FastHttpUser):
        wait_time = constant_throughput(1)  # requests/s of one user

        @task
        def orders(self): self.client.get("/orders")

    class LikeTuesday(TrafficShape):
        file = "tuesday.yaml"
        duration_s = 600
        rps_per_user = 1

Locust's users are a closed loop: one that waits for an answer asks for nothing else, so a stall lowers the rate.
For figures that hold through a stall use `loadgen.openloop`. Importing this imports Locust, which replaces sockets.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

from locust import LoadTestShape

from loadgen.traffic import Traffic, read_traffic


class TrafficShape(LoadTestShape):
    """As many users as it takes to ask at the traffic's rate, second by second.

    Attributes:
        file: a description of traffic, relative to where Locust is run; its routes are the locustfile's affair.
        duration_s: when to end, seconds.
        rps_per_user: what one user asks for, requests/s.
        speed: seconds of the traffic's time in a second of the wall.
    """

    abstract = True
    file: ClassVar[str] = ""
    duration_s: ClassVar[float] = 600.0
    rps_per_user: ClassVar[float] = 1.0
    speed: ClassVar[float] = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._traffic: Traffic = read_traffic(Path(self.file))

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there shall be, and how many may come or go in a second; None ends the test."""
        run_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        at_s = run_s * self.speed
        if at_s >= self.duration_s:
            return None
        users = math.ceil(self._traffic.rate_at(at_s) * self.speed / self.rps_per_user)
        return users, float(max(users, self.runner.user_count if self.runner else 0, 1))

"""What becomes of one request: how long it takes and whether it fails, by the release's own numbers.

Pure but for its random numbers, which come from one seeded generator. Ages and rates are in policy time.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

from sim.releases import Release

LOAD_WINDOW_S = 10.0  # policy seconds over which a pod's load is measured


@dataclass(frozen=True, slots=True)
class Fate:
    """One request's answer: its delay on the wall in s, and its status."""

    delay_s: float
    status: int


@dataclass(slots=True)
class Fates:
    """Draws one request's fate after the other for one pod."""

    release: Release
    first: bool
    chance: random.Random
    served: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def draw(self, *, path: str, age_s: float, flag_on: bool) -> Fate:
        """Return the fate of the next request.

        Args:
            path: what was asked for.
            age_s: policy seconds since the pod became ready.
            flag_on: what the release's flag says for this request; True where it has none.
        """
        self.served += 1
        faulty = flag_on and self._reaches(path, age_s)
        failed = self.chance.random() < self.release.base_errors
        if faulty:
            failed |= self._fails(age_s)
        return Fate(delay_s=self._delay_s(age_s, faulty=faulty), status=500 if failed else 200)

    def _reaches(self, path: str, age_s: float) -> bool:
        release = self.release
        if release.routes and not path.startswith(release.routes):
            return False
        if release.above_rps is None:
            return True
        self._recent.append(age_s)
        while self._recent[0] < age_s - LOAD_WINDOW_S:
            self._recent.popleft()
        return len(self._recent) / LOAD_WINDOW_S > release.above_rps

    def _fails(self, age_s: float) -> bool:
        release = self.release
        if self.first and self.served in release.errors_at:
            return True
        share = release.errors + release.leak.errors_per_minute * age_s / 60
        return self.chance.random() < share

    def _delay_s(self, age_s: float, *, faulty: bool) -> float:
        latency, leak = self.release.latency, self.release.leak
        delay_ms = latency.median_ms * math.exp(latency.sigma * self.chance.gauss(0.0, 1.0))
        if faulty:
            delay_ms *= latency.factor
            if latency.tail_share and self.chance.random() < latency.tail_share:
                delay_ms += latency.tail_ms
            delay_ms += leak.latency_ms_per_minute * age_s / 60
        return delay_ms / 1000

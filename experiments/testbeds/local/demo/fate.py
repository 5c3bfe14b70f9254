"""What becomes of one request: how long it takes and whether it fails, by the release's own numbers.

Pure but for its random numbers, which come from one seeded generator. Ages and rates are in policy time.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.releases import Release

NONE: Mapping[str, str] = {}

LOAD_WINDOW_S = 10.0  # policy seconds over which a pod's load is measured


@dataclass(frozen=True, slots=True)
class Fate:
    """One request's answer: its delay on the wall in s, and its status; and whether the pod ends with it."""

    delay_s: float
    status: int
    is_last: bool = False


@dataclass(slots=True)
class Fates:
    """Draws one request's fate after the other for one pod."""

    release: Release
    first: bool
    chance: random.Random
    served: int = 0
    _met: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def draw(self, *, path: str, age_s: float, flag_on: bool, segments: Mapping[str, str] = NONE) -> Fate:
        """Return the fate of the next request.

        Args:
            path: what was asked for.
            age_s: policy seconds since the pod became ready.
            flag_on: what the release's flag says for this request; True where it has none.
            segments: what is known of the user, by label.
        """
        self.served += 1
        release = self.release
        loaded = self._is_loaded(age_s)
        faulty = flag_on and loaded and self._reaches(path, segments)
        status = 500 if self.chance.random() < release.base_errors else 200
        if faulty and self._fails(age_s):
            status = release.error_status
        crashes = release.crash_at_request == self.served
        if release.crash_share:
            crashes |= self.chance.random() < release.crash_share
        return Fate(delay_s=self._delay_s(age_s, faulty=faulty), status=status, is_last=crashes)

    def _is_loaded(self, age_s: float) -> bool:
        """Return whether the pod serves as much as the fault needs; every request counts, this one included."""
        limit_rps = self.release.above_rps
        if limit_rps is None:
            return True
        self._recent.append(age_s)
        while self._recent[0] < age_s - LOAD_WINDOW_S:
            self._recent.popleft()
        return len(self._recent) / LOAD_WINDOW_S > limit_rps

    def _reaches(self, path: str, segments: Mapping[str, str]) -> bool:
        release = self.release
        if release.routes and not path.startswith(release.routes):
            return False
        return all(segments.get(label) in values for label, values in release.segments.items())

    def _fails(self, age_s: float) -> bool:
        release = self.release
        self._met += 1
        if self.first and self.served in release.errors_at:
            return True
        if release.every_nth is not None and self._met % release.every_nth == 0:
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
        return delay_ms * self._slowness(age_s) / 1000

    def _slowness(self, age_s: float) -> float:
        """Return how much slower a pod of this age is: its caches are cold at first."""
        for_s, factor = self.release.warm_up_s, self.release.warm_up_factor
        if not for_s or factor is None or age_s >= for_s:
            return 1.0
        return 1 + (factor - 1) * (1 - age_s / for_s)

"""What becomes of single requests, drawn one by one: for the engine that plays each request.

The same words of `sim.scenarios` as `atoms`, in another way: by chance and by counting, request for request, as the
demo service does it. No code is shared with the expected numbers beyond the schema, so each is a check on the other.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from sim.load.happenings import Happening, Happenings
from sim.load.pods import Pod
from sim.metrics_model.cells import End, Kind, reaches
from sim.scenarios import Scenario

_BLOCK = 8_192
_LOAD_WINDOW_S = 10.0


class Fate(NamedTuple):
    """One request's fate, unless its pod has no room for it.

    Attributes:
        end: how it ends.
        status: what it is answered with; what a proxy says where no pod answers.
        work_s: how long a pod works on it, without waiting.
        held_s: how long a proxy holds the answer back.
        kind: position of its kind in the plan's space.
    """

    end: End
    status: int
    work_s: float
    held_s: float
    kind: int


class Fates:
    """Draws the fates of one pod's requests, in the order in which they come.

    Args:
        kinds: the kinds of requests, as in the plan's space.
    """

    def __init__(
        self,
        scenario: Scenario,
        happenings: Happenings,
        kinds: Sequence[Kind],
        pod: Pod,
        chance: np.random.Generator,
    ) -> None:
        release = scenario.release if pod.is_release else scenario.stable
        own = "canary" if pod.is_release else "stable"
        self._release = release
        self._latency = release.latency
        self._tail_else = scenario.stable.latency if pod.is_release else None  # of requests that meet no fault
        self._median_s = release.latency.median_ms / 1000
        self._pod = pod
        self._chance = chance
        self._shares = list(accumulate(kind.share for kind in kinds))
        self._reached = [reaches(release, kind) for kind in kinds]
        self._side = own
        self.meet(happenings)
        service = scenario.service
        self._warm_up_s = service.warm_up_s if release.warm_up_s is None else release.warm_up_s
        self._warm_up_factor = service.warm_up_factor if release.warm_up_factor is None else release.warm_up_factor
        self._by_count = frozenset(release.errors_at) if pod.ordinal == 0 else frozenset()
        self._met = 0
        self._served = 0
        self._recent: deque[float] = deque()
        self._uniforms: list[float] = []
        self._normals: list[float] = []

    def meet(self, happenings: Happenings) -> None:
        """Let requests from now on meet other happenings: the rollout has set one off."""
        self._incidents: tuple[Happening, ...] = tuple(
            one for one in happenings.incidents if one.incident.side in ("both", self._side)
        )
        off = happenings.switched_off
        has_flag = off is not None and self._release.behind_flag is not None
        self._off: tuple[float, float] | None = off.noticed_by(self._pod) if off is not None and has_flag else None

    def draw(self, t_s: float) -> Fate:
        """Return the fate of the next request, which comes at `t_s`."""
        kind = bisect_left(self._shares, self._uniform() * self._shares[-1]) if len(self._shares) > 1 else 0
        incidents = [one.incident for one in self._incidents if _lasts(one, t_s)] if self._incidents else ()
        for incident in incidents:
            if incident.proxy_errors and self._uniform() < incident.proxy_errors:
                return Fate(End.INTERCEPTED, 503, 0.0, 0.0, kind)
        release, age_s = self._release, max(t_s - self._pod.ready_s, 0.0)
        self._served += 1
        if release.hang_after_s is not None and age_s >= release.hang_after_s:
            return Fate(End.UNANSWERED, 504, math.inf, 0.0, kind)
        is_faulty = self._meets_fault(t_s, kind)
        work_s = self._work_s(age_s, is_faulty=is_faulty)
        for incident in incidents:
            work_s *= incident.latency_factor
        if is_faulty and self._fails(age_s):
            return Fate(self._end_of_fault(), release.error_status, work_s, 0.0, kind)
        if release.base_errors and self._uniform() < release.base_errors:
            return Fate(End.FAILED, 500, work_s, 0.0, kind)
        for incident in incidents:
            if incident.errors and self._uniform() < incident.errors:
                return Fate(End.FAILED, 500, work_s, 0.0, kind)
        if is_faulty and release.wrong and self._uniform() < release.wrong:
            return Fate(End.WRONG, 200, work_s, 0.0, kind)
        for incident in incidents:
            if incident.proxy_slow_share and incident.proxy_slow_by_s and self._uniform() < incident.proxy_slow_share:
                return Fate(End.HELD, 200, work_s, incident.proxy_slow_by_s, kind)
        return Fate(End.OK, 200, work_s, 0.0, kind)

    def _end_of_fault(self) -> End:
        return End.FAILED if self._release.error_status == 500 else End.FAULTY

    def _meets_fault(self, t_s: float, kind: int) -> bool:
        if self._off is not None and self._off[0] <= t_s < self._off[1]:
            return False
        if not self._reached[kind]:
            return False
        if self._release.above_rps is None:
            return True
        recent = self._recent
        recent.append(t_s)
        while recent[0] < t_s - _LOAD_WINDOW_S:
            recent.popleft()
        return len(recent) / _LOAD_WINDOW_S > self._release.above_rps

    def _fails(self, age_s: float) -> bool:
        release = self._release
        self._met += 1
        if self._served in self._by_count:
            return True
        if release.every_nth is not None and self._met % release.every_nth == 0:
            return True
        share = release.errors + release.leak.errors_per_minute * age_s / 60
        return share > 0 and self._uniform() < share

    def _work_s(self, age_s: float, *, is_faulty: bool) -> float:
        latency = self._latency
        work_s = self._median_s * math.exp(latency.sigma * self._normal())
        if is_faulty:
            work_s *= latency.factor
        tail = latency if is_faulty else self._tail_else
        if tail is not None and tail.tail_share and self._uniform() < tail.tail_share:
            work_s += tail.tail_ms / 1000
        if is_faulty:
            work_s += self._release.leak.latency_ms_per_minute * age_s / 60_000
        if age_s < self._warm_up_s:
            work_s *= 1 + (self._warm_up_factor - 1) * (1 - age_s / self._warm_up_s)
        return work_s

    def _uniform(self) -> float:
        if not self._uniforms:
            self._uniforms = self._chance.random(_BLOCK).tolist()
        return self._uniforms.pop()

    def _normal(self) -> float:
        if not self._normals:
            self._normals = self._chance.standard_normal(_BLOCK).tolist()
        return self._normals.pop()


def _lasts(happening: Happening, t_s: float) -> bool:
    return happening.from_s <= t_s < happening.until_s

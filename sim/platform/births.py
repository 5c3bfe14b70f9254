"""How lives of pods begin, and what their releases have in store for them: start, readiness, crash, hang, memory.

Everything about a life that no decision can change is worked out when it begins. When a pod has had the request that
kills it depends on its load, which is the platform's business.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sim.platform.fates import Fates
from sim.platform.pods import NEVER, PodLife
from sim.releases import Release
from sim.scenarios import Scenario

BACKOFF_MAX_S = 300.0
BACKOFF_RESET_S = 600.0  # a process that lived for so long is forgiven the crashes before
PROBE_FAILURES = 3  # Kubernetes' default for a readiness probe


class Births:
    """Makes lives. One for all forks of a cohort: it holds nothing that changes but fates, which are drawn once."""

    __slots__ = ("_pods", "_router", "_service", "fates", "release", "stable")

    def __init__(self, scenario: Scenario, fates: Fates) -> None:
        self.fates = fates
        self.release = scenario.release
        self.stable = scenario.stable
        self._service = scenario.service
        self._pods = scenario.pods
        self._router = scenario.router

    def of(self, life: PodLife) -> Release:
        """Return what the revision of a pod is like."""
        return self.release if life.is_release else self.stable

    def standing(self, pod_hash: str, ordinal: int, from_s: float) -> PodLife:
        """Return the life of a stable pod that is up when the simulation begins."""
        return self._life(pod_hash, ordinal, is_release=False, created_s=from_s, start_s=0.0)

    def first(self, pod_hash: str, ordinal: int, *, is_release: bool, now_s: float) -> PodLife:
        """Return the first life of a pod that is created now."""
        start_s = self._start_s(is_release, ordinal, 0)
        return self._life(pod_hash, ordinal, is_release=is_release, created_s=now_s, start_s=start_s)

    def again(self, died: PodLife) -> PodLife:
        """Return the next life of a pod whose process died at `died.ended_s`, after the back-off."""
        lived_s = died.ended_s - died.created_s
        crashes = 1 if lived_s >= BACKOFF_RESET_S else died.crashes + 1
        wait_s = min(self._pods.backoff_s * 2 ** min(crashes - 1, 30), BACKOFF_MAX_S)
        incarnation = died.incarnation + 1
        return self._life(
            died.pod_hash,
            died.ordinal,
            is_release=died.is_release,
            created_s=died.ended_s + wait_s,
            start_s=self._start_s(died.is_release, died.ordinal, incarnation),
            incarnation=incarnation,
            crashes=crashes,
            born_s=died.born_s,
        )

    def _start_s(self, is_release: bool, ordinal: int, incarnation: int) -> float:
        pods = self._pods
        return self.fates.lognormal(pods.start_s, pods.sigma, "pod start", int(is_release), ordinal, incarnation)

    def _life(
        self,
        pod_hash: str,
        ordinal: int,
        *,
        is_release: bool,
        created_s: float,
        start_s: float,
        incarnation: int = 0,
        crashes: int = 0,
        born_s: float | None = None,
    ) -> PodLife:
        side = "release" if is_release else "stable"
        life = PodLife(
            name=f"{side}-{ordinal}",
            pod_hash=pod_hash,
            is_release=is_release,
            ordinal=ordinal,
            incarnation=incarnation,
            born_s=created_s if born_s is None else born_s,
            created_s=created_s,
            listens_s=created_s + start_s,
            ready_s=created_s + start_s,
            share_factor=self._share_factor(is_release, ordinal),
            crashes=crashes,
        )
        release = self.of(life)
        return self._fated(life, release) if _may_fail(release) else life

    def _share_factor(self, is_release: bool, ordinal: int) -> float:
        sigma = self._router.unevenness
        if sigma == 0.0:
            return 1.0
        return self.fates.lognormal(1.0, sigma, "pod share", int(is_release), ordinal)

    def _fated(self, life: PodLife, release: Release) -> PodLife:
        ready_s = NEVER if release.never_ready else life.ready_s + release.start_s
        hangs_s = NEVER if release.hang_after_s is None else ready_s + release.hang_after_s
        unready_s = self._unready_s(life, release, ready_s, hangs_s)
        dies_s = NEVER if release.crash_after_s is None else ready_s + release.crash_after_s
        dies_s = max(life.listens_s, min(dies_s, self._out_of_memory_s(life, release)))
        return replace(
            life,
            ready_s=ready_s,
            hangs_s=hangs_s,
            unready_s=unready_s,
            dies_s=dies_s,
            requests_max=self._requests_max(life, release),
        )

    def _requests_max(self, life: PodLife, release: Release) -> float:
        """Return with which request the process dies: a given one, or one that chance has chosen."""
        most = NEVER if release.crash_at_request is None else float(release.crash_at_request)
        if release.crash_share > 0.0:
            luck = self.fates.uniform("crash", int(life.is_release), life.ordinal, life.incarnation)
            # The first of requests that each kill with probability p; 1 - luck is never 0.
            chosen = math.log1p(-luck) / math.log1p(-release.crash_share) if release.crash_share < 1.0 else 0.0
            most = min(most, math.floor(chosen) + 1.0)
        return most

    def _unready_s(self, life: PodLife, release: Release, ready_s: float, hangs_s: float) -> float:
        """Return when users are sent elsewhere: the third failed probe after the first cause to fail."""
        cause_s = hangs_s
        if release.unready_after_s is not None:
            cause_s = min(cause_s, ready_s + release.unready_after_s)
        if cause_s == NEVER:
            return NEVER
        phase = self.fates.uniform("probe phase", int(life.is_release), life.ordinal, life.incarnation)
        pods = self._pods
        takes_s = pods.probe_timeout_s if cause_s == hangs_s else 0.0
        apart_s = pods.probe_period_s if pods.probe_retry_s is None else takes_s + pods.probe_retry_s
        return cause_s + phase * pods.probe_period_s + (PROBE_FAILURES - 1) * apart_s + takes_s

    def _out_of_memory_s(self, life: PodLife, release: Release) -> float:
        limit = release.memory_limit_bytes
        if limit is None:
            return NEVER
        left = limit - self._service.memory_bytes
        if left <= 0:
            return life.created_s
        grows = release.leak.memory_bytes_per_minute
        return life.created_s + left / grows * 60.0 if grows > 0 else NEVER


def _may_fail(release: Release) -> bool:
    """Return whether anything about a pod's own life is other than plain."""
    return (
        release.never_ready
        or release.start_s > 0
        or release.crash_after_s is not None
        or release.hang_after_s is not None
        or release.unready_after_s is not None
        or release.memory_limit_bytes is not None
        or release.crash_at_request is not None
        or release.crash_share > 0.0
    )

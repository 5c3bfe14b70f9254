"""Tell what happens to one rollout in a cluster, from its objects alone: statuses, analysis runs, pods, weights.

Only what both Gamebird's controller and Argo Rollouts write is read. Objects are told when the watch brings them, so
every time is that of seeing; a measurement keeps the time that the controller gave it. What Argo does not write (the
number of requests behind a value, the rule) is unknown, and told as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.core.driving import PodCounts
from controller.core.runs import AnalysisPhase, Measurement
from controller.core.status import RolloutStatus
from controller.kubernetes.analysis_runs import analysis_run_from
from controller.kubernetes.observing import stored_status
from controller.kubernetes.replica_sets import controller_of, pod_hash_of, seen
from experiments.events import PodEnded, WeightSet
from experiments.testbeds.cluster.notes import RouterState
from experiments.testbeds.cluster.routes import Route
from experiments.testbeds.local.telling import Bulletin, Teller

Json = dict[str, Any]

_UNDER_WAY = (AnalysisPhase.UNKNOWN, AnalysisPhase.PENDING, AnalysisPhase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The Services of a rollout."""

    stable: str
    canary: str


@dataclass(slots=True, kw_only=True)
class RolloutSight:
    """Turns changes of one rollout's objects into events. Called by one thread at a time.

    Args:
        name: the Rollout's.
        now_s: unix seconds.
    """

    name: str
    sides: Sides
    bulletin: Bulletin
    teller: Teller
    now_s: Callable[[], float]
    status: RolloutStatus = field(default_factory=RolloutStatus)
    _runs: dict[str, Any] = field(default_factory=dict)  # what was told last, by name
    _measured: set[tuple[str, str, float, float]] = field(default_factory=set)
    _pods: Mapping[str, PodCounts] = field(default_factory=dict)
    _wanted: Mapping[str, int] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)
    _weight: tuple[int, int, str, str] | None = None

    def rollout(self, item: Json) -> None:
        """Tell a status that differs from the last one."""
        if item["metadata"]["name"] != self.name or not item.get("status"):
            return
        before, self.status = self.status, stored_status(item)
        self.teller.status_seen(self.now_s(), before, self.status)

    def analysis_run(self, item: Json) -> None:
        """Tell the measurements that were not told yet, and how the run stands."""
        if not self._is_mine(item):
            return
        run = analysis_run_from(item)
        if not run.metrics or run.status == self._runs.get(run.name):
            return
        self._runs[run.name] = run.status
        now_s = self.now_s()
        for result in run.status.results:
            for measurement in result.measurements:
                if self._is_new(run.name, result.name, measurement):
                    self.teller.measured(now_s, run, run.metric(result.name), measurement)
        self.teller.run_changed(now_s, run)

    def replica_sets(self, items: list[Json]) -> None:
        """Tell the pods of every revision where a count has changed."""
        sets = {pod_hash_of(item): seen(item) for item in items if self._is_mine(item)}
        pods = {
            pod_hash: PodCounts(created=each.created, ready=each.ready, available=each.available)
            for pod_hash, each in sets.items()
        }
        wanted = {pod_hash: each.wanted for pod_hash, each in sets.items()}
        if (pods, wanted) != (self._pods, self._wanted):
            self._pods, self._wanted = pods, wanted
            self.teller.pods_changed(self.now_s(), pods, wanted)

    def pod(self, item: Json) -> None:
        """Tell a container that ended unasked: it was started again, or waits for it."""
        pod_hash = pod_hash_of(item)
        if pod_hash not in self._wanted:
            return
        name = item["metadata"]["name"]
        for container in (item.get("status") or {}).get("containerStatuses") or ():
            ended = (container.get("lastState") or {}).get("terminated")
            restarts, key = int(container.get("restartCount") or 0), f"{name}/{container['name']}"
            if ended and self._restarts.get(key, -1) < restarts:
                self._restarts[key] = restarts
                code = ended.get("exitCode")
                self.bulletin.tell(PodEnded(t_s=self.now_s(), pod=name, pod_hash=pod_hash, exit_code=code))

    def routed(self, state: RouterState) -> None:
        """Tell the split that the data plane's router has acknowledged."""
        if state.shares:
            hashes = {share.service: share.pod_hash for share in state.shares}
            canary = sum(share.weight for share in state.shares if share.service == self.sides.canary)
            total = sum(share.weight for share in state.shares)
            self._weigh(canary, total, hashes, asked_s=state.asked_s, t_s=state.acknowledged_s)

    def routed_by_objects(self, route: Route, hashes: Mapping[str, str]) -> None:
        """Tell the split that the routing objects hold, where nobody says what the router has taken up.

        Args:
            hashes: the pod-template hash that each Service selects.
        """
        now_s = self.now_s()
        self._weigh(route.weight_of(self.sides.canary), route.total, hashes, asked_s=now_s, t_s=now_s)

    def _weigh(self, canary: int, total: int, hashes: Mapping[str, str], *, asked_s: float, t_s: float) -> None:
        stable_hash = hashes.get(self.sides.stable, "")
        split = (canary, total, hashes.get(self.sides.canary, stable_hash), stable_hash)
        if split != self._weight:
            self._weight = split
            self.bulletin.tell(
                WeightSet(
                    t_s=t_s, canary=canary, total=total, canary_hash=split[2], stable_hash=stable_hash, asked_s=asked_s
                )
            )

    def _is_mine(self, item: Json) -> bool:
        owner = controller_of(item)
        return owner is not None and owner.get("kind") == "Rollout" and owner.get("name") == self.name

    def _is_new(self, run: str, metric: str, measurement: Measurement) -> bool:
        key = (run, metric, measurement.started_s, measurement.finished_s)
        if measurement.phase in _UNDER_WAY or key in self._measured:
            return False
        self._measured.add(key)
        return True

"""Carry the core's actions out on one machine: a fleet of pods behind one Envoy.

The platform keeps what a cluster would keep (which revision each Service selects, the canary's weight) and tells Envoy
the split that follows from it: the ready pods of the stable and of the canary Service's revision. Everything that
changes the split goes through one place, so Envoy never sees half a change.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.core.actions import SetWeight
from controller.core.driving import PodCounts
from experiments.testbeds.local.envoy import SIDES, Envoy, ProxyFault, Split
from experiments.testbeds.local.managed_routes import ManagedRoute
from experiments.testbeds.local.pods import Fleet


@dataclass(slots=True, kw_only=True)
class LocalPlatform:
    """Pods and a router. Every method may be repeated, blocks until what it did holds, and is safe from any thread.

    Args:
        managed_routes: the names of routes that steps may set, in order of precedence.
        by_pods: the rollout has no traffic router: one Service selects the pods of every revision, so that the ratio of
            pods is the ratio of traffic.
    """

    fleet: Fleet
    envoy: Envoy
    managed_routes: tuple[str, ...] = ()
    by_pods: bool = False
    _selected: dict[str, str] = field(default_factory=dict)  # side -> pod-template hash
    _weight: tuple[int, int] = (0, 100)
    _managed: dict[str, ManagedRoute] = field(default_factory=dict)  # by name
    _faults: dict[str, ProxyFault] = field(default_factory=dict)
    _factor: float = 1.0  # what the router makes of the canary's share; 1 but for a fault
    _stuck: tuple[int, int] | None = None  # the weight that the router keeps; None but for a fault
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, pod_hash: str, revision: int) -> None:
        """Know a revision: nothing to do here before it has pods."""

    def delete(self, pod_hash: str) -> None:
        """Forget a revision that has no pods: nothing to do here."""

    def scale(self, pod_hash: str, replicas: int) -> None:
        """Let a revision have so many pods. Those that go get no new request before they are told to end."""
        self.fleet.scale(pod_hash, replicas)
        self.refresh()
        self.fleet.dismiss()

    def restart(self, pod: str) -> None:
        """End a pod once no user is sent to it any more; another one takes its place. Repeated: nothing more."""
        self.fleet.restart(pod)
        self.refresh()
        self.fleet.dismiss()

    def set_weight(self, weight: SetWeight) -> None:
        """Let the router send the canary its share; returns when Envoy has acknowledged it."""
        with self._lock:
            self._weight = (weight.canary, weight.total)
            self.refresh()

    def select_service(self, role: str, pod_hash: str) -> None:
        """Let the stable or the canary Service select the pods of one revision."""
        with self._lock:
            self._selected[role] = pod_hash
            self.refresh()

    def set_route(self, route: ManagedRoute) -> None:
        """Let a step's route hold beside the split; one without matches is removed."""
        with self._lock:
            if route.matches:
                self._managed[route.name] = route
            else:
                self._managed.pop(route.name, None)
            self.refresh()

    def remove_routes(self) -> None:
        """Remove every route that steps have set."""
        with self._lock:
            self._managed.clear()
            self.refresh()

    def pod_counts(self, now_s: float, min_ready_s: float) -> Mapping[str, PodCounts]:
        """Return what runs, by pod-template hash."""
        return self.fleet.counts(now_s, min_ready_s)

    def inject(self, name: str, fault: ProxyFault) -> None:
        """Let the proxy itself misbehave, until `restore(name)`."""
        with self._lock:
            self._faults[name] = fault
            self.refresh()

    def restore(self, name: str) -> None:
        """End a fault of the proxy; one that is not there is no mistake."""
        with self._lock:
            if self._faults.pop(name, None) is not None:
                self.refresh()

    def distort(self, factor: float) -> None:
        """Let the router give the canary so many times the share that it was told; 1 is the truth."""
        with self._lock:
            self._factor = factor
            self.refresh()

    def stick(self, *, stuck: bool) -> None:
        """Let the router keep the weight that it has, whatever it acknowledges, or no more."""
        with self._lock:
            self._stuck = self._weight if stuck else None
            self.refresh()

    def selected(self, side: str) -> tuple[str, ...]:
        """Return the revisions whose pods stand on one side of the router."""
        with self._lock:
            if self.by_pods:
                return self._every_revision()[side]
            return (self._selected[side],) if side in self._selected else ()

    def refresh(self) -> None:
        """Tell Envoy the split that follows from selectors, ready pods, weight and faults."""
        with self._lock:
            canary, total = self._stuck or self._weight
            selected: dict[str, tuple[str, ...]] = {side: (pod_hash,) for side, pod_hash in self._selected.items()}
            if self.by_pods:
                selected = self._every_revision()
            endpoints = {
                side: tuple(port for pod_hash in selected.get(side, ()) for port in self.fleet.serving(pod_hash))
                for side in SIDES
            }
            if self.by_pods:
                canary, total = len(endpoints["canary"]), max(1, len(endpoints["canary"]) + len(endpoints["stable"]))
            if self._factor != 1:
                canary, total = min(100 * total, round(100 * canary * self._factor)), 100 * total
            self.envoy.apply(
                Split(
                    canary=canary,
                    total=total,
                    endpoints=endpoints,
                    revisions={side: hashes[-1] for side, hashes in selected.items() if hashes},
                    faults=tuple(self._faults.values()),
                    managed=tuple(self._managed[name] for name in sorted(self._managed, key=self._precedence)),
                )
            )

    def _every_revision(self) -> dict[str, tuple[str, ...]]:
        """Return the oldest revision that serves as one side, all others as the other: each pod gets its equal part."""
        serving = tuple(pod_hash for pod_hash in self.fleet.revisions() if self.fleet.serving(pod_hash))
        return {"stable": serving[:1], "canary": serving[1:]}

    def _precedence(self, route: str) -> tuple[int, str]:
        known = self.managed_routes
        return (known.index(route) if route in known else len(known), route)

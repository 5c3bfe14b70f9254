"""What a scrape of the modelled service finds: targets, their series, and the requests that each series counts.

`atoms` are the parts into which the queries (and "was this request bad?") cut all requests of a pod: the coarsest
cut from which every needed series can be summed. Engines draw or count atoms; series are sums of them. Nothing here
knows rates or chances (`sim.load`) or samples (the engines).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from promql.storage.labels import Labels, labels_of
from sim.load.pods import Pod
from sim.metrics_model.cells import CellSpace, End
from sim.metrics_model.naming import Naming
from sim.metrics_model.options import Side

SeriesKind = Literal["count", "amount", "gauge"]
Gauge = Literal["memory_bytes", "restarts"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesSpec:
    """One series of a target.

    Attributes:
        labels: all of them, the metric's name and the target's included.
        kind: `count` is the number of requests in `atoms` since the pod started; `amount` is the same with each
            request counted by its atom's weight (CPU seconds, latencies); `gauge` is a level that hangs on the pod.
        atoms: (n,) positions of the atoms that are summed.
        weights: (n,) how much one request of each atom adds: by release and stable, for an amount; None for a count.
        gauge: which level.
        whose: `own`, the target's one pod; else all pods of a side, summed by a proxy.
        born: whether the series is there from the target's start, or from the first request that it counts.
    """

    labels: Labels
    kind: SeriesKind = "count"
    atoms: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    gauge: Gauge | None = None
    whose: Literal["own", "stable", "release", "both"] = "own"
    born: Literal["start", "first-event"] = "start"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """Something that is scraped: a pod, or a proxy in front of all of them.

    Attributes:
        name: the same for the same target in every run and policy; schedules of scrapes are drawn by it.
        pod: position of its pod; None for a proxy.
        series: what a scrape finds, without `up`.
        up: labels of `up`, or None if no query reads it.
    """

    name: str
    pod: int | None
    series: tuple[SeriesSpec, ...]
    up: Labels | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesPattern:
    """A series before its pod is known: `{pod}` in a label's value stands for the name of the pod."""

    labels: tuple[tuple[str, str], ...]
    side: Side | None
    is_proxy: bool
    spec: SeriesSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricsPlan:
    """All series that the queries need of the service, by pod.

    Attributes:
        space: the cells of one pod's requests.
        atom_of: (endings, latency bins, kinds) the atom of each cell.
        bad: (atoms,) whether requests of the atom failed, were wrong, or were slower than a user bears.
        patterns: the series.
        ups: labels of `up` with `{pod}`, by side, where a query reads it.
        notes: what was taken to be so although nothing says it, for reports.
    """

    space: CellSpace
    naming: Naming
    atom_of: NDArray[np.intp]
    bad: NDArray[np.bool_]
    patterns: tuple[SeriesPattern, ...]
    ups: Mapping[Side, tuple[tuple[str, str], ...]]
    notes: tuple[str, ...] = ()
    _made: dict[tuple[str, bool, int], Target] = field(default_factory=dict, repr=False)

    @property
    def atoms(self) -> int:
        """How many parts the requests of a pod are cut into."""
        return len(self.bad)

    @property
    def unserved(self) -> NDArray[np.float64] | None:
        """Return (atoms,) where the proxy counts a request that no pod is there for, by the kinds' shares.

        None where no proxy counts anything: then nobody does.
        """
        place = next((place for place, one in enumerate(self.space.endings) if one.end is End.INTERCEPTED), None)
        if place is None or not self.has_proxy:
            return None
        found = np.zeros(self.atoms)
        np.add.at(found, self.atom_of[place, 0, :], [kind.share for kind in self.space.kinds])
        return found

    @property
    def has_proxy(self) -> bool:
        return any(pattern.is_proxy for pattern in self.patterns)

    def targets(self, pods: Sequence[Pod]) -> tuple[Target, ...]:
        """Return every scrape target while these pods live; a pod's place in `pods` is what its target points to."""
        found = tuple(self.target(pod, place) for place, pod in enumerate(pods))
        return (*found, self.proxy()) if self.has_proxy else found

    def target(self, pod: Pod, place: int) -> Target:
        """Return the target of one pod. The same object each time, so that stores may key by it."""
        key = (pod.name, pod.is_release, place)
        if key not in self._made:
            side: Side = "release" if pod.is_release else "stable"
            own = self.naming.pod(pod.ordinal, is_release=pod.is_release)
            self._made[key] = Target(
                name=pod.name,
                pod=place,
                series=tuple(
                    _specific(pattern, own)
                    for pattern in self.patterns
                    if not pattern.is_proxy and pattern.side in (None, side)
                ),
                up=_labels(self.ups[side], own) if side in self.ups else None,
            )
        return self._made[key]

    def proxy(self) -> Target:
        """Return the target of the proxy in front of all pods."""
        key = ("", False, -1)
        if key not in self._made:
            series = tuple(_specific(pattern, "proxy") for pattern in self.patterns if pattern.is_proxy)
            self._made[key] = Target(name="proxy", pod=None, series=series, up=None)
        return self._made[key]


def _labels(pattern: Sequence[tuple[str, str]], pod: str) -> Labels:
    return labels_of([(name, value.replace("{pod}", pod)) for name, value in pattern])


def _specific(pattern: SeriesPattern, pod: str) -> SeriesSpec:
    spec = pattern.spec
    return SeriesSpec(
        labels=_labels(pattern.labels, pod),
        kind=spec.kind,
        atoms=spec.atoms,
        weights=spec.weights,
        gauge=spec.gauge,
        whose=spec.whose,
        born=spec.born,
    )

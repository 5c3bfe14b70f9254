"""One path's past as metrics see it: which units counted requests, which targets were scraped, and when.

Made from a platform's lives and stretches at one instant, and thrown away with it; what forks have in common (scrape
schedules, series, words of chance) is kept in a `Cast` for the whole cohort.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Literal

import numpy as np

from sim.flock.bits import key_of
from sim.flock.counters import Unit
from sim.flock.quantiles import Floats
from sim.flock.schedules import Schedule, Scraping
from sim.flock.stage import Stage
from sim.load.flows import meant_for_release
from sim.load.model import LoadModel, Spans
from sim.metrics_model.plan import SeriesSpec, Target
from sim.platform.platform import Platform
from sim.platform.pods import PodLife, Stretch

Whose = Literal["stable", "release"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """A unit of `Counters`: one life of a pod, one side of a proxy whose pods nobody counts, or those without a pod.

    Attributes:
        lives: positions of the lives whose requests it counts.
        is_nobody: whether it counts the requests of its side that no pod is there for.
    """

    key: int
    born_ms: int
    is_release: bool
    lives: tuple[int, ...]
    is_nobody: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scraped:
    """A target on this path.

    Attributes:
        units: by life of its pod; of a proxy, every unit that it has ever counted.
        is_release: whose pod it is; None for a proxy.
    """

    name: str
    target: Target
    schedule: Schedule
    units: tuple[Counted, ...]
    lives: tuple[PodLife, ...]
    is_release: bool | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pods:
    """All pods of a path at an instant: the unit of each life, and the targets that queries read."""

    lives: tuple[PodLife, ...]
    units: tuple[Counted, ...]
    targets: tuple[Scraped, ...]


class Cast:
    """What all paths of one cohort share."""

    def __init__(self, stage: Stage, *, seed: int, cohort: int) -> None:
        plan = stage.plan
        self.stage = stage
        self.scenario = stage.scenario
        self.plan = plan
        self.load = stage.load
        self.seed = seed
        self.cohort = cohort
        self.until_s = stage.deployment.bound_s + 2 * stage.scenario.scrapes.interval_s
        self.scraping = Scraping(stage.scenario, seed, cohort)
        self.by_side = plan.has_proxy and not any(_counts(p.spec) and not p.is_proxy for p in plan.patterns)
        self._scraped: dict[object, Scraped | None] = {}
        self._units: dict[tuple[int, int], tuple[PodLife, Counted]] = {}
        self._pods: dict[tuple[tuple[int, ...], tuple[bool, ...], tuple[object, ...]], _Pods] = {}

    def pods(self, lives: tuple[PodLife, ...], platform: Platform, now_s: float) -> _Pods:
        """Return all pods' units and targets at an instant; the same ones until a life begins, changes or answers."""
        instants = platform.instants
        key = (
            tuple(map(id, lives)),
            tuple([life.listens_s <= now_s for life in lives]),
            tuple(instants.items()) if instants else (),
        )
        found = self._pods.get(key)
        if found is None:
            found = self._pods[key] = self._work_out(lives, key[1], platform)
        return found

    def _work_out(self, lives: tuple[PodLife, ...], listens: tuple[bool, ...], platform: Platform) -> _Pods:
        own = tuple([self.unit(life, place) for place, life in enumerate(lives)])
        places: dict[str, list[int]] = {}
        for place, life in enumerate(lives):
            if listens[place]:
                places.setdefault(life.name, []).append(place)
        targets = []
        for mine in places.values():
            scraped = self.pod(tuple([lives[one] for one in mine]), tuple([own[one] for one in mine]), platform)
            if scraped is not None:
                targets.append(scraped)
        return _Pods(lives=lives, units=own, targets=tuple(targets))

    def pod(self, lives: tuple[PodLife, ...], units: tuple[Counted, ...], platform: Platform) -> Scraped | None:
        """Return the target of a pod, given all that is known of its lives; None if no query reads it."""
        # Forks share lives until they change, so identity tells them apart; `units` keeps each alive.
        key = (tuple(map(id, units)), tuple(platform.instants.items()))
        if key not in self._scraped:
            first = lives[0]
            target = self.plan.target(first, 0)
            self._scraped[key] = None
            if target.series or target.up is not None:
                schedule = self.scraping.of_pod(lives, self.until_s, platform.instants)
                self._scraped[key] = Scraped(
                    name=first.name,
                    target=target,
                    schedule=schedule,
                    units=units,
                    lives=lives,
                    is_release=first.is_release,
                )
        return self._scraped[key]

    def unit(self, life: PodLife, place: int) -> Counted:
        """Return the unit of one life; the same object each time."""
        found = self._units.get((id(life), place))
        if found is None:
            named = zlib.crc32(life.name.encode())
            unit = Counted(
                key=key_of("pod", self.seed, self.cohort, named, life.incarnation),
                born_ms=floor(life.listens_s * 1000),
                is_release=life.is_release,
                lives=(place,),
            )
            found = self._units[id(life), place] = life, unit
        return found[1]


@dataclass(slots=True, eq=False)
class Scene:
    """The past of one path, at one instant. Also the expectations that its counters draw around."""

    cast: Cast
    platform: Platform
    now_s: float
    lives: tuple[PodLife, ...] = field(init=False)
    stretches: tuple[Stretch, ...] = field(init=False)
    units: tuple[Counted, ...] = field(init=False)
    targets: tuple[Scraped, ...] = field(init=False)
    visible_ms: int = field(init=False)
    _spans: Spans = field(init=False)
    load: LoadModel = field(init=False)

    def __post_init__(self) -> None:
        platform, cast = self.platform, self.cast
        self.lives = tuple(platform.lives)
        self.stretches = (*platform.timeline, platform.current)
        self.load = cast.load.on_path(platform.instants)
        self._spans = self.load.spans(self.lives, self.stretches)
        pods = cast.pods(self.lives, platform, self.now_s)
        self.units = (*(self._sides() if cast.by_side else pods.units), *self._nobody())
        self.targets = (*pods.targets, *self._proxies())
        self.visible_ms = floor((self.now_s - cast.scenario.prometheus.lag_s) * 1000 + 0.5)

    @property
    def atoms(self) -> int:
        return self.cast.plan.atoms

    def _sides(self) -> tuple[Counted, ...]:
        cast = self.cast
        return tuple(
            Counted(
                key=key_of("side", cast.seed, cast.cohort, int(is_release)),
                born_ms=0,
                is_release=is_release,
                lives=tuple(place for place, life in enumerate(self.lives) if life.is_release == is_release),
            )
            for is_release in (False, True)
        )

    def _nobody(self) -> tuple[Counted, ...]:
        """Return the units of requests that a proxy answers because no pod is there, by side."""
        cast = self.cast
        if cast.plan.unserved is None:
            return ()
        sides = {meant_for_release(self.lives, stretch) for stretch in self.stretches if stretch.unserved}
        return tuple(
            Counted(
                key=key_of("nobody", cast.seed, cast.cohort, int(side)),
                born_ms=0,
                is_release=side,
                lives=(),
                is_nobody=True,
            )
            for side in sorted(sides)
        )

    def _proxies(self) -> list[Scraped]:
        cast = self.cast
        if not cast.plan.has_proxy:
            return []
        target = cast.plan.proxy()
        schedule = cast.scraping.of_proxy(target.name, cast.until_s, self.platform.instants)
        return [
            Scraped(name=target.name, target=target, schedule=schedule, units=self.units, lives=(), is_release=None)
        ]

    def means(self, spans: Sequence[tuple[Unit, int, int]]) -> Floats:
        """Return (spans, atoms) expected requests of each unit from one instant (ms) to another."""
        rows, parts = [], []
        total = np.zeros((len(spans), self.atoms))
        for row, (unit, begin, end) in enumerate(spans):
            lives = unit.lives  # type: ignore[attr-defined]  # every unit here is a `Counted`
            if unit.is_nobody:  # type: ignore[attr-defined]
                total[row] = self._spans.unserved(
                    np.array([begin / 1000]),
                    np.array([end / 1000]),
                    is_release=unit.is_release,  # type: ignore[attr-defined]
                )[0]
            for life in lives:
                rows.append(row)
                parts.append((life, begin, end))
        if not parts:
            return total
        places, begins, ends = np.array(parts, dtype=np.int64).reshape(-1, 3).T
        found = self._spans.means(places, begins / 1000, ends / 1000)
        if len(parts) == len(spans):
            return found
        np.add.at(total, rows, found)
        return total

    def lost_to_crashes(self) -> tuple[int, float]:
        """Return how many of the release's processes a request has ended, and how many other requests those that have
        ended by themselves are expected to have taken with them."""
        killers, under_way = 0, 0.0
        for place, life in enumerate(self.lives):
            if life.is_release and life.gone_s == life.ended_s <= self.now_s:
                killers += life.ended_s < life.dies_s
                under_way += self._spans.under_way(place, life.ended_s)
        return killers, under_way

    def level(self, spec: SeriesSpec, scraped: Scraped, life: int, time_ms: int) -> float:
        """Return a gauge's value at a scrape of one of the target's lives."""
        return self.load.level(spec, scraped.lives[life], time_ms / 1000)


def _counts(spec: SeriesSpec) -> bool:
    return spec.kind != "gauge"

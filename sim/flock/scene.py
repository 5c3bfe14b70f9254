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
from sim.load.model import LoadModel, Spans
from sim.metrics_model.plan import SeriesSpec, Target
from sim.platform.platform import Platform
from sim.platform.pods import PodLife, Stretch

Whose = Literal["stable", "release"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """A unit of `Counters`: one life of a pod, or one side of a proxy whose pods nobody counts.

    Attributes:
        lives: positions of the lives whose requests it counts.
        ends_s: no request comes after that; inf while it may.
    """

    key: int
    born_ms: int
    is_release: bool
    lives: tuple[int, ...]
    ends_s: float


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
        self._schedules: dict[object, Schedule] = {}
        self._units: dict[tuple[PodLife, int], Counted] = {}

    def schedule(self, name: str, lives: tuple[PodLife, ...], platform: Platform) -> Schedule:
        """Return when a target is scraped, given all that is known of its lives."""
        instants = platform.instants
        key = (name, lives, tuple(instants.items()))
        found = self._schedules.get(key)
        if found is None:
            if lives:
                found = self.scraping.of_pod(lives, self.until_s, instants)
            else:
                found = self.scraping.of_proxy(name, self.until_s, instants)
            self._schedules[key] = found
        return found

    def unit(self, life: PodLife, place: int) -> Counted:
        """Return the unit of one life."""
        found = self._units.get((life, place))
        if found is None:
            named = zlib.crc32(life.name.encode())
            found = self._units[life, place] = Counted(
                key=key_of("pod", self.seed, self.cohort, named, life.incarnation),
                born_ms=floor(life.listens_s * 1000),
                is_release=life.is_release,
                lives=(place,),
                ends_s=life.ended_s,
            )
        return found


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
        own = tuple(cast.unit(life, place) for place, life in enumerate(self.lives))
        self.units = self._sides() if cast.by_side else own
        self.targets = (*self._pods(own), *self._proxies())
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
                ends_s=float("inf"),
            )
            for is_release in (False, True)
        )

    def _pods(self, own: Sequence[Counted]) -> list[Scraped]:
        cast = self.cast
        places: dict[str, list[int]] = {}
        for place, life in enumerate(self.lives):
            if life.listens_s <= self.now_s:
                places.setdefault(life.name, []).append(place)
        found = []
        for name, mine in places.items():
            lives = tuple(self.lives[place] for place in mine)
            target = cast.plan.target(lives[0], 0)
            if not target.series and target.up is None:
                continue
            found.append(
                Scraped(
                    name=name,
                    target=target,
                    schedule=cast.schedule(name, lives, self.platform),
                    units=tuple(own[place] for place in mine),
                    lives=lives,
                    is_release=lives[0].is_release,
                )
            )
        return found

    def _proxies(self) -> list[Scraped]:
        cast = self.cast
        if not cast.plan.has_proxy:
            return []
        target = cast.plan.proxy()
        schedule = cast.schedule(target.name, (), self.platform)
        return [
            Scraped(name=target.name, target=target, schedule=schedule, units=self.units, lives=(), is_release=None)
        ]

    def means(self, spans: Sequence[tuple[Unit, int, int]]) -> Floats:
        """Return (spans, atoms) expected requests of each unit from one instant (ms) to another."""
        lives, begins, ends, rows = [], [], [], []
        for row, (unit, begin, end) in enumerate(spans):
            assert isinstance(unit, Counted)
            for life in unit.lives:
                lives.append(life)
                begins.append(begin)
                ends.append(end)
                rows.append(row)
        found = self._spans.means(np.array(lives, dtype=np.intp), np.array(begins) / 1000, np.array(ends) / 1000)
        if len(lives) == len(spans):
            return found
        total = np.zeros((len(spans), self.atoms))
        np.add.at(total, rows, found)
        return total

    def level(self, spec: SeriesSpec, scraped: Scraped, life: int, time_ms: int) -> float:
        """Return a gauge's value at a scrape of one of the target's lives."""
        return self.load.level(spec, scraped.lives[life], time_ms / 1000)


def _counts(spec: SeriesSpec) -> bool:
    return spec.kind != "gauge"

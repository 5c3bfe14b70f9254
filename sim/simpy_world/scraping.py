"""Scrapes: at its own instants each target's counters are read and, a lag later, stored for queries.

A scrape that fails, or finds nobody, leaves a staleness marker on every series that the target had, as Prometheus does,
and `up` at 0. The instants, and which scrapes fail, are the cohort's fate, the same in both engines.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from promql.storage import STALE_NAN, MemoryStore
from promql.storage.labels import Labels
from sim.flock.bits import key_of
from sim.flock.schedules import Scraping
from sim.metrics_model.plan import SeriesSpec, Target
from sim.platform import PodLife, begins_s
from sim.scenarios import Scenario, Trigger
from sim.simpy_world.servers import Counting

Floats = NDArray[np.float64]

_FOUND, _NOT_FOUND, _GONE = range(3)


class Scraper:
    """Scrapes every target that it was shown, from then on until the target is gone.

    Args:
        instants: when each trigger of the scenario was reached; the platform's own, read anew at each scrape.
        horizon_s: nothing is scraped after that.
        atoms: how many parts the plan cuts requests into.
    """

    def __init__(
        self,
        env: Environment,
        scenario: Scenario,
        store: MemoryStore,
        *,
        seed: int,
        cohort: int,
        horizon_s: float,
        atoms: int,
        instants: Callable[[], Mapping[Trigger, float]],
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._store = store
        self._seed = seed
        self._cohort = cohort
        self._horizon_s = horizon_s
        self._atoms = atoms
        self._instants = instants
        self._scraping = Scraping(scenario, seed, cohort)
        self._known: set[str] = set()

    def is_out(self, at_s: float) -> bool:
        """Return whether the metrics server does not answer, and scrapes nothing either."""
        return self._scraping.is_out(at_s, self._instants())

    def watch(self, target: Target, from_s: float, lives: Callable[[], Sequence[Counting]]) -> None:
        """Scrape a target from an instant on. `lives` returns its pod's servers so far; of a proxy, all that count."""
        if target.name in self._known:
            return
        self._known.add(target.name)
        schedule = self._scraping.of_proxy(target.name, self._horizon_s, {})
        instants = zip((schedule.times_ms / 1000).tolist(), (schedule.life < 0).tolist(), strict=True)
        coming = iter([(at_s, missed) for at_s, missed in instants if at_s >= from_s])
        _Scraped(self, target, lives, coming, self._atoms).schedule()

    def at(self, at_s: float, what: Callable[[Any], None]) -> Event:
        """Call `what` with the event that is returned, at an instant."""
        event = self._env.timeout(max(at_s - self._env.now, 0.0))
        event.callbacks.append(what)
        return event

    def store(self, time_ms: int, samples: Sequence[tuple[Labels, float]]) -> None:
        """Let samples be read from now on, or a lag later."""

        def keep(event: Any = None) -> None:
            for labels, value in samples:
                self._store.append_ms(labels, time_ms, value)

        lag_s = self._scenario.prometheus.lag_s
        if lag_s > 0.0:
            self.at(self._env.now + lag_s, keep)
        else:
            keep()

    def is_lost(self, life: PodLife, at_s: float) -> bool:
        """Return whether the target is one of those that are not scraped for a while."""
        for number, loss in enumerate(self._scenario.scrapes.losses):
            if loss.side not in ("both", "canary" if life.is_release else "stable"):
                continue
            begin_s = begins_s(loss, self._instants())
            if begin_s <= at_s < begin_s + loss.for_s:
                luck = key_of("target loss", self._seed, self._cohort, number, zlib.crc32(life.name.encode()))
                if luck * 2.0**-64 < loss.share:
                    return True
        return False

    def level(self, spec: SeriesSpec, life: PodLife, at_s: float) -> float:
        """Return a gauge of a pod."""
        if spec.gauge == "restarts":
            return float(life.incarnation)
        release = self._scenario.release if life.is_release else self._scenario.stable
        grown = release.leak.memory_bytes_per_minute * max(0.0, at_s - life.created_s) / 60.0
        memory = self._scenario.service.memory_bytes + grown
        return memory if release.memory_limit_bytes is None else min(memory, release.memory_limit_bytes)


class _Scraped:
    """One target and what its last scrape has left in the store."""

    __slots__ = ("_coming", "_lives", "_missed", "_scraper", "_seen", "_target", "_weights")

    def __init__(
        self,
        scraper: Scraper,
        target: Target,
        lives: Callable[[], Sequence[Counting]],
        coming: Iterator[tuple[float, bool]],
        atoms: int,
    ) -> None:
        self._weights = _weights_of(target, atoms)
        self._scraper = scraper
        self._target = target
        self._lives = lives
        self._coming = coming
        self._missed = False
        self._seen: dict[Labels, None] = {}

    def schedule(self) -> None:
        coming = next(self._coming, None)
        if coming is not None:
            at_s, self._missed = coming
            self._scraper.at(at_s, lambda event: self._scrape(at_s))

    def _scrape(self, at_s: float) -> None:
        scraper, time_ms = self._scraper, round(at_s * 1000)
        if scraper.is_out(at_s):
            self.schedule()
            return
        state, servers = self._look(at_s)
        samples = self._values(servers, at_s) if state == _FOUND else []
        found = dict.fromkeys(labels for labels, _ in samples)
        stale = [(labels, STALE_NAN) for labels in self._seen if labels not in found]
        self._seen = found
        up = self._target.up
        if up is not None:
            samples.append((up, STALE_NAN if state == _GONE else float(state == _FOUND)))
        scraper.store(time_ms, samples + stale)
        if state != _GONE:
            self.schedule()

    def _look(self, at_s: float) -> tuple[int, Sequence[Counting]]:
        """Return what the scrape meets, and whose counters it reads."""
        servers = self._lives()
        if self._target.pod is None:
            return (_NOT_FOUND if self._missed else _FOUND), servers
        life = servers[-1].life
        if at_s >= life.gone_s:
            return _GONE, ()
        alive = life.listens_s <= at_s < life.hangs_s
        if self._missed or not alive or self._scraper.is_lost(life, at_s):
            return _NOT_FOUND, ()
        return _FOUND, servers[-1:]

    def _values(self, servers: Sequence[Counting], at_s: float) -> list[tuple[Labels, float]]:
        total = np.zeros(len(self._target.series))
        for side in (0, 1):
            own = [server.counts for server in servers if server.life.is_release == bool(side)]
            if own:
                total += self._weights[side] @ np.sum(own, axis=0, dtype=np.float64)
        found = []
        for spec, value in zip(self._target.series, total.tolist(), strict=True):
            if spec.gauge is not None:
                value = self._scraper.level(spec, servers[-1].life, at_s)
            if value > 0.0 or spec.born == "start":
                found.append((spec.labels, value))
        return found


def _weights_of(target: Target, atoms: int) -> tuple[Floats, Floats]:
    """Return, for stable's pods and for the release's, (series, atoms) what one request of each atom adds."""
    weights = np.zeros((2, len(target.series), atoms))
    for row, spec in enumerate(target.series):
        for side, name in enumerate(("stable", "release")):
            if spec.whose in ("own", "both", name):
                weights[side, row, spec.atoms] = 1.0 if spec.weights is None else spec.weights[side]
    return weights[0], weights[1]

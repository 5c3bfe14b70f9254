"""When each target is scraped, and which scrapes find something: drawn once for a cohort, whatever is decided.

A target is one name, scraped every interval at a phase of its own, from its process's first answer until its pod is
gone. A scrape that fails (by chance, because the target is lost for a while, because the process is down or hangs)
leaves staleness markers and `up` 0; so does the first scrape that no longer takes place, which leaves no `up`.
While the metrics server is out nothing is scraped at all. Instants are milliseconds, as Prometheus keeps them.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf

import numpy as np
from numpy.typing import NDArray

from sim.flock.bits import key_of, words_of_cells
from sim.platform.moments import begins_s
from sim.platform.pods import PodLife
from sim.scenarios import Scenario, Trigger, Window

Times = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """The scrapes of one target so far.

    Attributes:
        times_ms: (scrapes,) all that took place, and the last staleness marker of a target that is gone.
        life: (scrapes,) position of the life whose counters were found; -1: the scrape failed, or nothing is there.
        is_gone: whether the last instant is that of the marker only.
        good_ms: (samples,) the scrapes that found something; good_life: whose; good_places: where they stand among all;
            good_list: their instants once more, for searches that are quicker in a list.
    """

    times_ms: Times
    life: NDArray[np.int64]
    is_gone: bool
    good_ms: Times = field(init=False)
    good_life: NDArray[np.int64] = field(init=False)
    good_places: list[int] = field(init=False)
    good_list: list[int] = field(init=False)

    def __post_init__(self) -> None:
        good = np.flatnonzero(self.life >= 0)
        object.__setattr__(self, "good_ms", self.times_ms[good])
        object.__setattr__(self, "good_life", self.life[good])
        object.__setattr__(self, "good_places", good.tolist())
        object.__setattr__(self, "good_list", self.good_ms.tolist())

    def first_after(self, time_ms: int) -> int:
        """Return the place, among the scrapes that found something, of the first after an instant."""
        return bisect_right(self.good_list, time_ms)


class Scraping:
    """The scrape instants of all targets of one cohort."""

    def __init__(self, scenario: Scenario, seed: int, cohort: int) -> None:
        self._scrapes = scenario.scrapes
        self._prometheus = scenario.prometheus
        self._seed = seed
        self._cohort = cohort
        self._instants: dict[str, tuple[Times, Bools]] = {}

    def of_pod(self, lives: Sequence[PodLife], until_s: float, instants: Mapping[Trigger, float]) -> Schedule:
        """Return the scrapes of a pod up to an instant, given its lives in the order of their starts.

        Args:
            instants: when each trigger of the scenario was reached, for losses and outages that wait for one.
        """
        first, last = lives[0], lives[-1]
        ends_s = min(until_s, last.gone_s)
        times_ms, missed = self._between(first.name, first.listens_s, ends_s)
        life = np.full(len(times_ms), -1, dtype=np.int64)
        for place, one in enumerate(lives):
            dies_s = min(one.gone_s, one.hangs_s)
            life[(times_ms >= one.listens_s * 1000) & (times_ms < dies_s * 1000)] = place
        life[missed | self._lost(times_ms, first, instants)] = -1
        return self._noted(first.name, times_ms, life, last.gone_s, until_s, instants)

    def of_proxy(self, name: str, until_s: float, instants: Mapping[Trigger, float]) -> Schedule:
        """Return the scrapes of something that is always there."""
        times_ms, missed = self._between(name, 0.0, until_s)
        life = np.where(missed, -1, 0).astype(np.int64)
        return self._noted(name, times_ms, life, inf, until_s, instants)

    def is_out(self, at_s: float, instants: Mapping[Trigger, float]) -> bool:
        """Return whether the metrics server does not answer at an instant."""
        return any(_holds(outage, at_s, instants) for outage in self._prometheus.outages)

    def _noted(
        self,
        name: str,
        times_ms: Times,
        life: NDArray[np.int64],
        gone_s: float,
        until_s: float,
        instants: Mapping[Trigger, float],
    ) -> Schedule:
        """Return the schedule without what an outage kept from being scraped, and with the marker of a gone target."""
        gone = False
        if gone_s < until_s:
            more_ms, _ = self._between(name, gone_s, min(until_s, gone_s + 2 * self._scrapes.interval_s))
            if len(more_ms):
                times_ms, life, gone = np.append(times_ms, more_ms[0]), np.append(life, -1), True
        out = np.zeros(len(times_ms), dtype=np.bool_)
        for outage in self._prometheus.outages:
            begin_s = begins_s(outage, instants)
            out |= (times_ms >= begin_s * 1000) & (times_ms < (begin_s + outage.for_s) * 1000)
        if out.any():
            gone = gone and not out[-1]
            times_ms, life = times_ms[~out], life[~out]
        return Schedule(times_ms=times_ms, life=life, is_gone=gone)

    def _between(self, name: str, from_s: float, until_s: float) -> tuple[Times, Bools]:
        """Return the instants from one instant up to, not including, another, and which scrapes fail by chance."""
        times_ms, missed = self._drawn(name, until_s)
        # From the start on, the first instant not before it; a target that goes is not scraped at that very instant.
        low, high = np.searchsorted(times_ms, (ceil(from_s * 1000), ceil(until_s * 1000)))
        return times_ms[low:high], missed[low:high]

    def _drawn(self, name: str, until_s: float) -> tuple[Times, Bools]:
        known = self._instants.get(name)
        if known is None or known[0][-1] < until_s * 1000:
            count = max(256, 2 * ceil(until_s / self._scrapes.interval_s) + 8)
            known = self._instants[name] = self._draw(name, count)
        return known

    def _draw(self, name: str, count: int) -> tuple[Times, Bools]:
        scrapes, named = self._scrapes, zlib.crc32(name.encode())
        phase = key_of("scrape phase", self._seed, self._cohort, named) * 2.0**-64
        at_s = (phase + np.arange(count)) * scrapes.interval_s
        if scrapes.jitter_s:
            at_s = at_s + scrapes.jitter_s * (2.0 * self._uniforms("scrape jitter", named, count) - 1.0)
        missed = np.zeros(count, dtype=np.bool_)
        if scrapes.miss:
            missed = self._uniforms("scrape miss", named, count) < scrapes.miss
        times_ms = np.maximum(np.floor(at_s * 1000).astype(np.int64), 0)
        return times_ms, missed

    def _uniforms(self, part: str, named: int, count: int) -> NDArray[np.float64]:
        words = words_of_cells([key_of(part, self._seed, self._cohort, named)], count)[0]
        return np.asarray(words.astype(np.float64) * 2.0**-64)

    def _lost(self, times_ms: Times, pod: PodLife, instants: Mapping[Trigger, float]) -> Bools:
        lost = np.zeros(len(times_ms), dtype=np.bool_)
        for number, loss in enumerate(self._scrapes.losses):
            if loss.side not in ("both", "canary" if pod.is_release else "stable"):
                continue
            luck = key_of("target loss", self._seed, self._cohort, number, zlib.crc32(pod.name.encode())) * 2.0**-64
            if luck < loss.share:
                begin_s = begins_s(loss, instants)
                lost |= (times_ms >= begin_s * 1000) & (times_ms < (begin_s + loss.for_s) * 1000)
        return lost


def _holds(window: Window, at_s: float, instants: Mapping[Trigger, float]) -> bool:
    begin_s = begins_s(window, instants)
    return begin_s <= at_s < begin_s + window.for_s


def milliseconds(at_s: float) -> int:
    """Return the instant as a scrape or a query sees it."""
    return floor(at_s * 1000 + 0.5)

"""What a pod's requests meet at an instant: how strong the fault is, what fails anyway, what slows answers down.

One `Side` holds all of it for the pods of one revision. Everything is a function of the pod's age, the time and the
pod's rate; instants at which it jumps are listed, so that integrals can be split there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim.load.happenings import Happening, Happenings
from sim.load.pods import Pod
from sim.releases import Release
from sim.scenarios import Scenario

Floats = NDArray[np.float64]

LOAD_WINDOW_S = 10.0
"""Over how long a pod measures its own load for `above_rps`; the demo service does the same."""

GRID_S = 10.0
"""What grows (a leak) is taken at the middle of pieces no longer than this. A linear growth of errors at a constant
rate is integrated exactly; a latency that leaks 100 ms a minute moves by 17 ms within a piece."""

WARM_UP_PIECES = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """(pieces,) each: what requests meet in each piece of time.

    Attributes:
        fault: share of those that the fault's route and segment reach which meet it (flag, load).
        faulty_errors: share of requests that meet the fault which fail because of it.
        wrong: share of those that do not fail which are answered wrongly.
        errors: share that fails anyway.
        slowness: what every answer's time is multiplied by.
        leaked_s: what every answer that meets the fault takes longer.
        unanswered: 1 where the pod hangs.
        intercepted: share that the proxy answers by itself.
        rejected, waits, wait_s, wait_cv2: what waiting in the pod does, as in `queueing.Waiting`.
        held: (pieces, delays) share of good answers that the proxy holds back, by how long.
    """

    fault: Floats
    faulty_errors: Floats
    wrong: Floats
    errors: Floats
    slowness: Floats
    leaked_s: Floats
    unanswered: Floats
    intercepted: Floats
    rejected: Floats
    waits: Floats
    wait_s: Floats
    wait_cv2: Floats
    held: Floats

    def table(self) -> Floats:
        """Return (pieces, columns) all of it side by side."""
        columns = [getattr(self, name) for name in _COLUMNS]
        return np.concatenate([np.stack(columns, axis=1), self.held], axis=1)

    def of_pieces(self, pieces: NDArray[np.intp]) -> Conditions:
        """Return the conditions of some of the pieces."""
        return self.of_table(self.table()[pieces])

    @classmethod
    def of_table(cls, table: Floats) -> Conditions:
        """Return the conditions of a table's rows."""
        return cls(**dict(zip(_COLUMNS, table.T, strict=False)), held=table[:, len(_COLUMNS) :])


_COLUMNS = tuple(field.name for field in fields(Conditions) if field.name != "held")


class Side:
    """One revision's release in its scenario.

    Attributes:
        is_steady: whether its requests meet the same at every instant.
        hangs_on_rate: whether what they meet hangs on how many there are.
        delays_s: how long a proxy may hold an answer back, increasing.
    """

    def __init__(self, scenario: Scenario, happenings: Happenings, *, is_release: bool) -> None:
        release = scenario.release if is_release else scenario.stable
        own = "canary" if is_release else "stable"
        self.release: Release = release
        self.incidents = tuple(one for one in happenings.incidents if one.incident.side in ("both", own))
        self.switched_off = happenings.switched_off if release.behind_flag is not None else None
        service = scenario.service
        self.warm_up_s = service.warm_up_s if release.warm_up_s is None else release.warm_up_s
        self.warm_up_factor = service.warm_up_factor if release.warm_up_factor is None else release.warm_up_factor
        if self.warm_up_factor == 1.0:
            self.warm_up_s = 0.0
        self.leaks = bool(release.leak.errors_per_minute or release.leak.latency_ms_per_minute)
        self.has_fault = has_fault(release)
        self.delays_s = tuple(
            sorted({one.proxy_slow_by_s for one in scenario.incidents if one.proxy_slow_share and one.proxy_slow_by_s})
        )
        self.has_queue = service.concurrency is not None
        self.hangs_on_rate = self.has_queue or (release.above_rps is not None and self.has_fault)
        self.is_steady = not (
            self.incidents
            or self.switched_off
            or self.warm_up_s
            or self.leaks
            or release.hang_after_s is not None
            or self.hangs_on_rate
        )

    def edges_s(self, pod: Pod, from_s: float, to_s: float) -> Floats:
        """Return the instants at which something jumps, and those of a span at which what grows is looked at anew."""
        found: list[float] = []
        for happening in self.incidents:
            found += [happening.from_s, happening.until_s]
        if self.switched_off is not None:
            found += self.switched_off.noticed_by(pod)
        if self.release.hang_after_s is not None:
            found.append(pod.ready_s + self.release.hang_after_s)
        edges = [np.array(found, dtype=np.float64)]
        if self.warm_up_s and pod.ready_s < to_s and pod.ready_s + self.warm_up_s > from_s:
            edges.append(pod.ready_s + np.linspace(0.0, self.warm_up_s, WARM_UP_PIECES + 1))
        if self.leaks and to_s > from_s:
            edges.append(grid_s(pod.created_s, from_s, to_s))
        return np.concatenate(edges)

    def conditions(self, pod: Pod, t_s: Floats, rps: Floats) -> Conditions:
        """Return what the pod's requests meet at each instant.

        Args:
            t_s: (pieces,) instants.
            rps: (pieces,) requests/s that the pod gets then.
        """
        release = self.release
        age_s = np.maximum(t_s - pod.ready_s, 0.0) if np.isfinite(pod.ready_s) else np.zeros_like(t_s)
        own = np.minimum(release.errors + release.leak.errors_per_minute * age_s / 60, 1.0)
        if release.every_nth is not None:
            own = 1 - (1 - own) * (1 - 1 / release.every_nth)
        hangs = np.zeros_like(t_s) if release.hang_after_s is None else (age_s >= release.hang_after_s) * 1.0
        errors, slowness, intercepted, held = self._incidents(t_s)
        return Conditions(
            fault=self._fault(pod, t_s, rps),
            faulty_errors=own,
            wrong=np.full_like(t_s, release.wrong),
            errors=1 - (1 - release.base_errors) * (1 - errors),
            slowness=slowness * (1.0 + (self.warm_up_factor - 1.0) * self._cold(age_s)),
            leaked_s=release.leak.latency_ms_per_minute * age_s / 60_000,
            unanswered=np.asarray(hangs, dtype=np.float64),
            intercepted=intercepted,
            rejected=np.zeros_like(t_s),
            waits=np.zeros_like(t_s),
            wait_s=np.zeros_like(t_s),
            wait_cv2=np.ones_like(t_s),
            held=held,
        )

    def _incidents(self, t_s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return errors, slowness, what the proxy intercepts and what it holds back, of all incidents together."""
        errors, slowness, intercepted = np.zeros_like(t_s), np.ones_like(t_s), np.zeros_like(t_s)
        held = np.zeros((len(t_s), len(self.delays_s)))
        for happening in self.incidents:
            inside, incident = _inside(happening, t_s), happening.incident
            errors = 1 - (1 - errors) * (1 - inside * incident.errors)
            slowness = slowness * np.where(inside > 0, incident.latency_factor, 1.0)
            intercepted = 1 - (1 - intercepted) * (1 - inside * incident.proxy_errors)
            if incident.proxy_slow_share and incident.proxy_slow_by_s:
                # Whoever holds a request first has it; two that hold it at once do not add up.
                free = 1 - held.sum(axis=1)
                held[:, self.delays_s.index(incident.proxy_slow_by_s)] += free * inside * incident.proxy_slow_share
        return errors, slowness, intercepted, held

    def _cold(self, age_s: Floats) -> Floats:
        """Return how cold a pod of each age is: 1 at first, 0 when it is warm."""
        if not self.warm_up_s:
            return np.zeros_like(age_s)
        return np.asarray(np.maximum(1.0 - age_s / self.warm_up_s, 0.0))

    def _fault(self, pod: Pod, t_s: Floats, rps: Floats) -> Floats:
        fault = np.full_like(t_s, 1.0 if self.has_fault else 0.0)
        if self.switched_off is not None:
            off_s, on_s = self.switched_off.noticed_by(pod)
            fault = np.where((t_s >= off_s) & (t_s < on_s), 0.0, fault)
        if self.release.above_rps is not None:
            fault = fault * above_load(rps, self.release.above_rps)
        return np.asarray(fault)


def grid_s(origin_s: float, from_s: float, to_s: float) -> Floats:
    """Return the instants that are whole pieces away from an origin, from the last before a span to the first after."""
    first, last = np.floor((from_s - origin_s) / GRID_S), np.ceil((to_s - origin_s) / GRID_S)
    return np.asarray(origin_s + np.arange(first, last + 1) * GRID_S)


def _inside(happening: Happening, t_s: Floats) -> Floats:
    return np.asarray((t_s >= happening.from_s) & (t_s < happening.until_s), dtype=np.float64)


def above_load(rps: Floats, limit_rps: float) -> Floats:
    """Return the probability that a request finds more than `limit_rps` in the last ten seconds, itself included.

    Requests are Poisson, so that many others were there with P(N + 1 > limit × window).
    """
    from scipy.special import pdtrc

    others = np.floor(limit_rps * LOAD_WINDOW_S) - 1.0
    mean = rps * LOAD_WINDOW_S
    if others < 0:
        return np.ones_like(mean)
    return np.asarray(pdtrc(others, mean), dtype=np.float64)


def has_fault(release: Release) -> bool:
    """Return whether requests that meet the release's fault fare otherwise than those that do not."""
    latency = release.latency
    return bool(
        release.errors
        or release.wrong
        or release.every_nth
        or release.leak.errors_per_minute
        or release.leak.latency_ms_per_minute
        or latency.factor != 1.0
        or (latency.tail_share and latency.tail_ms)
    )

"""What a pod's requests meet at an instant: how strong the fault is, what fails anyway, what slows answers down.

One `Side` holds all of it for the pods of one revision. Everything is a function of the pod's age, the time and the
pod's rate; instants at which it jumps are listed, so that integrals can be split there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from sim.load.happenings import Happenings
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
    """

    fault: Floats
    faulty_errors: Floats
    wrong: Floats
    errors: Floats
    slowness: Floats
    leaked_s: Floats
    unanswered: Floats

    def stacked(self) -> Floats:
        """Return (pieces, 7) all of it as one table."""
        return np.stack(
            [
                self.fault,
                self.faulty_errors,
                self.wrong,
                self.errors,
                self.slowness,
                self.leaked_s,
                self.unanswered,
            ],
            axis=1,
        )


class Side:
    """One revision's release in its scenario."""

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
        self.has_fault = _has_fault(release)
        self.is_steady = not (
            self.incidents
            or self.switched_off
            or self.warm_up_s
            or self.leaks
            or release.hang_after_s is not None
            or release.above_rps is not None
        )
        self.hangs_on_rate = release.above_rps is not None

    def edges_s(self, pod: Pod, from_s: float, to_s: float) -> Floats:
        """Return the instants within a span at which something jumps or must be looked at anew."""
        found: list[float] = []
        for incident in self.incidents:
            found += [incident.from_s, incident.until_s]
        if self.switched_off is not None:
            found += self.switched_off.noticed_by(pod)
        if self.release.hang_after_s is not None:
            found.append(pod.ready_s + self.release.hang_after_s)
        edges = [np.array(found, dtype=np.float64)]
        if self.warm_up_s and pod.ready_s < to_s and pod.ready_s + self.warm_up_s > from_s:
            edges.append(pod.ready_s + np.linspace(0.0, self.warm_up_s, WARM_UP_PIECES + 1))
        if self.leaks and to_s > from_s:
            edges.append(np.linspace(from_s, to_s, int(np.ceil((to_s - from_s) / GRID_S)) + 1))
        joined = np.concatenate(edges)
        return joined[(joined > from_s) & (joined < to_s)]

    def conditions(self, pod: Pod, t_s: Floats, rps: Floats) -> Conditions:
        """Return what the pod's requests meet at each instant.

        Args:
            t_s: (pieces,) instants.
            rps: (pieces,) requests/s that the pod gets then.
        """
        release = self.release
        age_s = np.maximum(t_s - pod.ready_s, 0.0) if np.isfinite(pod.ready_s) else np.zeros_like(t_s)
        errors = np.full_like(t_s, release.base_errors)
        slowness = 1.0 + (self.warm_up_factor - 1.0) * self._cold(age_s)
        for incident in self.incidents:
            inside = (t_s >= incident.from_s) & (t_s < incident.until_s)
            errors = np.where(inside, 1 - (1 - errors) * (1 - incident.incident.errors), errors)
            slowness = np.where(inside, slowness * incident.incident.latency_factor, slowness)
        own = np.minimum(release.errors + release.leak.errors_per_minute * age_s / 60, 1.0)
        if release.every_nth is not None:
            own = 1 - (1 - own) * (1 - 1 / release.every_nth)
        hangs = np.zeros_like(t_s) if release.hang_after_s is None else (age_s >= release.hang_after_s) * 1.0
        return Conditions(
            fault=self._fault(pod, t_s, rps),
            faulty_errors=own,
            wrong=np.full_like(t_s, release.wrong),
            errors=errors,
            slowness=slowness,
            leaked_s=release.leak.latency_ms_per_minute * age_s / 60_000,
            unanswered=np.asarray(hangs, dtype=np.float64),
        )

    def _cold(self, age_s: Floats) -> Floats:
        """Return how cold a pod of each age is: 1 at first, 0 when it is warm."""
        if not self.warm_up_s:
            return np.zeros_like(age_s)
        return np.maximum(1.0 - age_s / self.warm_up_s, 0.0)

    def _fault(self, pod: Pod, t_s: Floats, rps: Floats) -> Floats:
        fault = np.full_like(t_s, 1.0 if self.has_fault else 0.0)
        if self.switched_off is not None:
            off_s, on_s = self.switched_off.noticed_by(pod)
            fault = np.where((t_s >= off_s) & (t_s < on_s), 0.0, fault)
        if self.release.above_rps is not None:
            fault = fault * above_load(rps, self.release.above_rps)
        return fault


def above_load(rps: Floats, limit_rps: float) -> Floats:
    """Return the probability that a request finds more than `limit_rps` in the last ten seconds, itself included.

    Requests are Poisson, so that many others were there with P(N + 1 > limit × window).
    """
    others = np.floor(limit_rps * LOAD_WINDOW_S) - 1.0
    mean = rps * LOAD_WINDOW_S
    if others < 0:
        return np.ones_like(mean)
    return np.asarray(pdtrc(others, mean), dtype=np.float64)


def _has_fault(release: Release) -> bool:
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

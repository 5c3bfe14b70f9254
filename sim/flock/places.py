"""The decisions that were met so far in one platform history, as a graph: askings, and where each answer leads.

Decisions hang on phases and never on values, so a way is explored once, however many blocks of runs take it. Ways whose
drivers have become equal lead to the same place: limits that forgive do not multiply them. Releases that differ in
nothing but what their requests meet live through the same history: `Histories` keeps it for the next of them.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from hashlib import blake2b

from controller.core.conditions.judging import PHASES
from controller.core.runs import AnalysisPhase, Measurement
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.driving import Asking, Deployment, VirtualDriver, prepare
from sim.flock.judging import MISSING_CODE
from sim.platform.moments import triggers
from sim.releases import Leak, Release
from sim.scenarios import Scenario, Scrapes, Service

Codes = tuple[int, ...]

_HISTORIES_MAX = 128
"""More than the hundred cohorts that one simulation has, so that the next release finds those of the one before."""


class Place:
    """A place on the way: something is to be measured, or a verdict was reached.

    Attributes:
        asking: what is to be measured; None at the end.
        number: in the order in which places were first met; it only orders flocks of one instant.
    """

    __slots__ = ("_next", "asking", "driver", "number")

    def __init__(self, driver: VirtualDriver, asking: Asking | None, number: int) -> None:
        self._next: dict[Codes, Place] = {}
        self.driver = driver
        self.asking = asking
        self.number = number


class Places:
    """All places of one history that somebody has come to."""

    __slots__ = ("_joins", "_known", "_numbers", "root")

    def __init__(self, deployment: Deployment, *, seed: int, cohort: int, joins: bool = True) -> None:
        self._numbers = 0
        self._joins = joins
        self._known: dict[tuple[object, ...], Place] = {}
        driver = VirtualDriver(deployment, seed=seed, cohort=cohort)
        self.root = self._met(driver, driver.play())

    def after(self, place: Place, codes: Codes) -> Place:
        """Return where the phases of all that is asked at a place, in their order, lead."""
        found = place._next.get(codes)
        if found is None:
            found = place._next[codes] = self._go_on(place, codes)
        return found

    def _go_on(self, place: Place, codes: Codes) -> Place:
        asking = place.asking
        assert asking is not None
        fork = place.driver.fork()
        fork.answer(
            {question.key: _measurement(code, asking) for question, code in zip(asking.questions, codes, strict=True)}
        )
        asked = fork.play()
        if asked is None or not self._joins:
            return self._met(fork, asked)
        key = fork.key()
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._met(fork, asked)
        return found

    def _met(self, driver: VirtualDriver, asking: Asking | None) -> Place:
        self._numbers += 1
        return Place(driver, asking, self._numbers)


def _measurement(code: int, asking: Asking) -> Measurement:
    phase = AnalysisPhase.MISSING if code == MISSING_CODE else PHASES[code]
    return Measurement(phase=phase, started_s=asking.at_s, finished_s=asking.answered_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """What a history hangs on beside chance: the policy, and the part of a scenario that is lived through."""

    key: bytes
    deployment: Deployment


class Histories:
    """The histories that a process has met, the oldest forgotten first."""

    def __init__(self) -> None:
        self._worlds: dict[bytes, World] = {}
        self._places: dict[tuple[bytes, int, int], Places] = {}

    def world(self, policy: Policy, scenario: Scenario) -> World:
        """Return the world of a scenario; the same one for all that live through the same.

        Raises:
            DrivingError: the core refuses the policy.
        """
        lived = lived_through(scenario)
        key = blake2b(pickle.dumps((policy, lived)), digest_size=16).digest()
        found = self._worlds.get(key)
        if found is None:
            if len(self._worlds) >= _HISTORIES_MAX:
                self._worlds.clear()
            found = self._worlds[key] = World(key=key, deployment=prepare(policy, lived))
        return found

    def of(self, world: World, *, seed: int, cohort: int) -> Places:
        """Return the places of a cohort, with all that was met of them before."""
        key = (world.key, seed, cohort)
        found = self._places.pop(key, None)
        if found is None:
            found = Places(world.deployment, seed=seed, cohort=cohort)
        self._places[key] = found
        if len(self._places) > _HISTORIES_MAX:
            del self._places[next(iter(self._places))]
        return found


def lived_through(scenario: Scenario) -> Scenario:
    """Return the scenario without all that neither pods nor router nor controller notice: what requests meet.

    The driver then sees nothing else, so that what is left out here cannot change a history. Where the load itself
    moves pods (an autoscaler, a request that kills) or the rollout's progress starts something, more is left in.
    """
    unnamed = {"name": "release", "kind": "bad", "about": ""}
    if scenario.autoscaler is not None or triggers(scenario):
        return scenario.model_copy(update=unnamed)
    update: dict[str, object] = {
        **unnamed,
        "release": _life_of(scenario.release),
        "stable": _life_of(scenario.stable),
        "service": Service(memory_bytes=scenario.service.memory_bytes),
        "scrapes": Scrapes(),
        "prometheus": scenario.prometheus.model_copy(update={"lag_s": 0.0, "outages": ()}),
        "incidents": (),
        "kill_switch": None,
        "slow_after_s": None,
    }
    if not any(one.crash_at_request or one.crash_share for one in (scenario.release, scenario.stable)):
        update |= {"traffic": _SOME_TRAFFIC, "traffic_changes": ()}
    return scenario.model_copy(update=update)


_SOME_TRAFFIC = Traffic(rps=1.0)
_MET_BY_REQUESTS = (
    "errors",
    "error_status",
    "wrong",
    "every_nth",
    "errors_at",
    "base_errors",
    "latency",
    "routes",
    "segments",
    "above_rps",
    "warm_up_s",
    "warm_up_factor",
    "cpu_factor",
    "behind_flag",
    "series_5xx",
)


def _life_of(release: Release) -> Release:
    """Return what a release does to its pods, and nothing that it does to requests."""
    plain = Release()
    leak = Leak(memory_bytes_per_minute=release.leak.memory_bytes_per_minute)
    return release.model_copy(update={**{name: getattr(plain, name) for name in _MET_BY_REQUESTS}, "leak": leak})

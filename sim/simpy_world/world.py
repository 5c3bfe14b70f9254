"""One run, request by request: the reference engine, and what one watches to understand a single run.

A SimPy environment holds requests, scrapes and the controller's looks, each an event. Decisions, pods and weights are
`sim.driving`'s; what becomes of a request is drawn by `sim.load.fates`; queries are the policy's own, answered by the
PromQL engine from what was scraped. Processes that a request kills die by the request that really came; the
autoscaler sees the expected load, as in the flock.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from simpy import Environment, Event

from controller.core.runs import Measurement
from controller.manifests.policies import Policy
from promql.storage import MemoryStore
from sim.chance import stream
from sim.driving import Asking, VirtualDriver
from sim.flock.stage import Stage, set_stage
from sim.load.fates import Fates
from sim.load.flows import meant_for_release
from sim.load.happenings import Happenings, happenings_of
from sim.metrics_model import MetricsMap
from sim.outcomes.table import RunTable
from sim.platform import NEVER, PodLife
from sim.scenarios import Scenario
from sim.simpy_world.arrivals import Arrivals, Route, Turns
from sim.simpy_world.asking import measure
from sim.simpy_world.scraping import Scraper
from sim.simpy_world.servers import Refusals, Server, Sorting
from sim.simpy_world.telling import Teller
from sim.simpy_world.traces import Trace

Asked = dict[tuple[str, str], Measurement]
"""Measurements by run and metric."""

AFTER_S = 3_700.0  # traffic goes on for so long after the bound: an abort at the last moment has to take hold


def play_run(
    policy: Policy,
    scenario: Scenario,
    *,
    seed: int,
    run: int = 0,
    cohort: int | None = None,
    stage: Stage | None = None,
    metrics_map: MetricsMap | None = None,
    tally_s: float = 10.0,
) -> tuple[RunTable, Trace]:
    """Play one run and return its row and what happened in it.

    Args:
        cohort: the platform history that the run meets; its own if None.
        stage: the policy and scenario made ready, if that was done already.
        metrics_map: metrics that the model does not know, as ones that it knows.
        tally_s: how often requests are summed up in the trace.

    Raises:
        sim.driving.DrivingError: the core refuses the policy.
        sim.metrics_model.PlanError: a query that the model cannot feed.
    """
    world = World(
        stage or set_stage(policy, scenario, metrics_map),
        seed=seed,
        run=run,
        cohort=run if cohort is None else cohort,
        tally_s=tally_s,
    )
    return world.play()


class World:
    """Everything of one run.

    Attributes:
        requests: how many there have been.
    """

    def __init__(self, stage: Stage, *, seed: int, run: int, cohort: int, tally_s: float) -> None:
        self._stage = stage
        self._seed = seed
        self._run = run
        self._cohort = cohort
        self._tally_s = tally_s
        scenario, deployment = stage.scenario, stage.deployment
        self._env = env = Environment()
        self._driver = VirtualDriver(deployment, seed=seed, cohort=cohort, records=True, counts_requests=False)
        self._store = MemoryStore()
        self._sorting = Sorting(stage.plan)
        self._bad = np.array(stage.plan.bad)
        self._servers: list[Server] = []  # by life
        self._by_pod: dict[str, list[Server]] = {}
        self._instants: dict[Any, float] = {}
        self._happenings: Happenings = happenings_of(scenario, {})
        horizon_s = deployment.bound_s + AFTER_S
        self._scraper = Scraper(
            env,
            scenario,
            self._store,
            seed=seed,
            cohort=cohort,
            horizon_s=horizon_s,
            atoms=stage.plan.atoms,
            instants=lambda: self._driver.platform.instants,
        )
        self._unserved = 0
        self._refusals = tuple(
            Refusals(stage.plan, stream(seed, "refusals", run, side), is_release=bool(side)) for side in (0, 1)
        )
        self._split: tuple[tuple[int, float], ...] = ()
        self._arrivals = Arrivals(env, scenario.traffic, seed=seed, run=run, ends_s=horizon_s, nobody=self._nobody)
        self._before: tuple[int, int, int] = (0, 0, 0)
        self._teller = Teller(deployment.deploy_s)
        self._pending: Event | None = None
        self._asked: Asked | None = None  # what has been asked and not answered yet
        self._done = env.event()
        self._meet_happenings()

    @property
    def requests(self) -> int:
        return self._arrivals.sent

    def play(self) -> tuple[RunTable, Trace]:
        """Play to the end."""
        self._follow()
        if self._stage.plan.has_proxy:
            self._scraper.watch(self._stage.plan.proxy(), 0.0, lambda: [*self._servers, *self._refusals])
        self._tick()
        self._scraper.at(self._stage.deployment.deploy_s, self._deploy)
        self._env.run(until=self._done)
        verdict = self._driver.verdict
        assert verdict is not None
        self._teller.ended(verdict)
        return self._row(), Trace(
            scenario=self._stage.scenario.name,
            seed=self._seed,
            run=self._run,
            cohort=self._cohort,
            deploy_s=self._stage.deployment.deploy_s,
            events=self._teller.told(),
            requests=self.requests,
        )

    # ---- the controller

    def _tick(self, event: Any = None) -> None:
        """Let the driver do all that is due, and come back when it next has something to do."""
        driver, env = self._driver, self._env
        if event is not None and event is not self._pending:
            return  # something has happened since that changed when to look
        while driver.verdict is None and self._asked is None:
            at_s = driver.next_s()
            if at_s > env.now + 1e-9:
                break
            asking = driver.play(max(at_s, driver.now_s))
            self._follow()
            if asking is not None:
                self._ask(asking)
        if self._asked is not None:
            return
        if driver.verdict is not None:
            if not self._done.triggered:
                self._done.succeed()
            return
        self._pending = self._scraper.at(driver.next_s(), self._tick)

    def _ask(self, asking: Asking) -> None:
        is_out = self._scraper.is_out(asking.at_s)
        answers = {}
        for question in asking.questions:
            measurement = measure(question.metric, self._store, asking.at_s, is_out=is_out)
            answers[question.key] = replace(measurement, finished_s=asking.answered_s)
            self._teller.measured(asking.at_s, question, measurement)
        if asking.answered_s <= self._env.now:
            self._driver.answer(answers)
            return
        asked = self._asked = answers

        def arrived(event: Any) -> None:
            if self._asked is asked:
                self._answer()
                self._tick()

        self._scraper.at(asking.answered_s, arrived)

    def _answer(self) -> None:
        """Let the controller have the answers that are outstanding."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self._driver.answer(asked, self._env.now)

    def _follow(self) -> None:
        """Bring servers and router in line with the platform."""
        platform = self._driver.platform
        for index, life in enumerate(platform.lives):
            if index == len(self._servers):
                self._begin(life)
            elif self._servers[index].life is not life:
                self._changed(self._servers[index], life)
        if platform.instants != self._instants:
            self._instants = dict(platform.instants)
            self._meet_happenings()
        shares = platform.current.shares
        if shares is not self._split:
            self._split = shares
            self._arrivals.split(self._routes(shares))
        self._teller.follow(self._driver)

    def _routes(self, shares: Sequence[tuple[int, float]]) -> list[tuple[float, Route]]:
        """Return who takes which share of the requests: pods, or revisions whose pods take turns."""
        router, servers = self._stage.scenario.router, self._servers
        if router.picks == "random" or router.unevenness > 0.0:
            return [(share, servers[index].take) for index, share in shares]
        sides = [
            [one for one in shares if servers[one[0]].life.is_release is is_release] for is_release in (False, True)
        ]
        return [
            (sum(share for _, share in side), Turns([servers[index].take for index, _ in side]))
            for side in sides
            if side
        ]

    def _begin(self, life: PodLife) -> None:
        server = Server(
            self._env, life, self._fates(life), self._sorting, self._stage.scenario.service, kills=self._kill
        )
        self._servers.append(server)
        own = self._by_pod.setdefault(life.name, [])
        own.append(server)
        if len(own) == 1:
            target = self._stage.plan.target(life, 0)
            if target.series or target.up is not None:
                self._scraper.watch(target, life.listens_s, lambda: own)

    def _changed(self, server: Server, life: PodLife) -> None:
        server.life = life
        if life.gone_s == life.ended_s < NEVER:  # it died; a pod that is told to end still answers what it has
            server.die()

    def _kill(self, server: Server) -> None:
        """A request has killed a process: its pod goes down now, whatever the controller was waiting for."""
        server.die()
        driver = self._driver
        self._answer()  # a little early, rather than a controller that cannot be told of the crash
        asking = driver.play(self._env.now)
        if asking is not None:
            self._ask(asking)
            self._answer()
        driver.crash(self._servers.index(server))
        self._follow()
        self._tick()

    # ---- what requests meet

    def _fates(self, life: PodLife) -> Fates:
        named = zlib.crc32(life.name.encode())
        chance = stream(self._seed, "requests", self._run, named, life.incarnation)
        return Fates(self._stage.scenario, self._happenings, self._stage.plan.space.kinds, life, chance)

    def _meet_happenings(self) -> None:
        """Let windows that the rollout has set off be in force from now on."""
        scenario = self._stage.scenario
        self._happenings = happenings_of(scenario, self._instants)
        if self._happenings.changes:
            horizon_s = self._stage.deployment.bound_s + AFTER_S
            self._arrivals.changed(scenario.traffic.curve(horizon_s, self._happenings.changes))
        for server in self._servers:
            server.meet(self._happenings)

    def _nobody(self) -> None:
        """No pod is there for a request: the proxy answers it, and counts it if anybody asks the proxy."""
        self._unserved += 1
        self._refusals[meant_for_release(self._driver.platform.lives, self._driver.platform.current)].refuse()

    # ---- tallies

    def _deploy(self, event: Any) -> None:
        self._before = self._sums()
        self._tally()

    def _sums(self) -> tuple[int, int, int]:
        """Return the requests of all pods so far, those of the release, and the bad ones of the release."""
        total = canary = bad = 0
        for server in self._servers:
            counts = np.array(server.counts)
            answered = int(counts.sum()) + server.lost
            total += answered
            if server.life.is_release:
                canary += answered
                bad += int(counts[self._bad].sum()) + server.lost
        return total + self._unserved, canary, bad

    def _met_s(self) -> float:
        """Return when a user first met the release; inf: nobody did."""
        return min((server.met_s for server in self._servers if server.life.is_release), default=NEVER)

    def _tally(self, event: Any = None) -> None:
        self._teller.tally(self._env.now, self._sums(), self._unserved)
        self._scraper.at(self._env.now + self._tally_s, self._tally)

    def _row(self) -> RunTable:
        verdict = self._driver.verdict
        assert verdict is not None
        total, canary, bad = self._sums()
        metrics = self._stage.metrics
        metric = metrics.index(verdict.metric) if verdict.metric in metrics else -1
        return RunTable(
            run=_one(self._run),
            cohort=_one(self._cohort),
            outcome=_one(int(verdict.outcome)),
            ended_s=np.array([verdict.ended_s]),
            detected_s=np.array([verdict.detected_after(self._met_s())]),
            recovered_s=np.array([verdict.recovered_s]),
            step=_one(verdict.step),
            metric=_one(metric),
            weight_max=np.array([verdict.weight_max]),
            canary_requests=np.array([float(canary)]),
            requests=np.array([float(total - self._before[0])]),
            bad_requests=np.array([float(bad)]),
            metrics=metrics,
        )


def _one(number: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([number], dtype=np.int64)

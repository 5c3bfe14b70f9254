"""The local world: a team's policy, a real proxy, real pods, real metrics, and the decision core, on loopback.

It puts the parts together and takes them apart: Envoy, the fleet, the scraper, a metrics server and the driver. While
it stands, whoever holds it deploys a release, injects faults and listens to events. It has no opinion: the policy
decides, the load generator counts, the scorecard judges. Nothing of it is left when `stop` has returned, or when its
process is gone.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.core.measuring import Answer
from controller.core.operator import Word
from controller.core.status import Phase
from controller.manifests.policies import Policy
from controller.manifests.values import Metric, PodTemplate, Rollout, canonical_json
from controller.metrics.addresses import AddressMap
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient
from experiments.events import Event, PodEnded
from experiments.instants import Fault
from experiments.leases import Effect
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.demo.playing import UnplayableError, check_playable
from experiments.testbeds.local.driver import RolloutDriver, template_hash
from experiments.testbeds.local.envoy import Envoy, ProxyFault
from experiments.testbeds.local.flags_file import FlagsFile
from experiments.testbeds.local.metrics_servers import EmbeddedServer, MetricsServer, RealServer
from experiments.testbeds.local.platform import LocalPlatform
from experiments.testbeds.local.pods import Crash, Fleet, Program
from experiments.testbeds.local.programs import READY_PATH, DemoProgram, OwnProgram
from experiments.testbeds.local.sabotage import Sabotage
from experiments.testbeds.local.scraper import Scraper, Target
from experiments.testbeds.local.stepped_clock import SteppedClock, TrueTimes
from experiments.testbeds.local.tampering import Tampering
from experiments.testbeds.local.telling import Bulletin, Teller
from promql.storage.exposition import read_exposition
from sim.releases import Release

STABLE_WITHIN_S = 60.0  # wall: how long the first deployment may take on a busy machine
DEFAULT_ROUTES = (("GET", "/"),)


class LocalWorld:
    """One rollout on one machine. Made, started and stopped by one owner; everything else from any thread.

    Args:
        policy: the rollout and its templates, as the team has them.
        stable: what the revision before the release under test is like.
        speed: policy seconds per second of the wall.
        folder: an existing, empty folder for logs and sockets.
        routes: (method, path) of each kind of request, so that their series exist from the start.
        command: the team's own program in place of the demo service.
        prometheus: the binary of a real Prometheus 3; None for the embedded query server.
        scrape_s: policy seconds between two scrapes.
        flags: the feature flags that are on or off at the start.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        stable: Release,
        speed: float,
        seed: int,
        folder: Path,
        routes: tuple[tuple[str, str], ...] = DEFAULT_ROUTES,
        command: tuple[str, ...] | None = None,
        prometheus: Path | None = None,
        scrape_s: float = 15.0,
        flags: Mapping[str, bool] | None = None,
    ) -> None:
        self.clock = PolicyClock(origin_now(speed))
        self._policy, self._stable, self._routes, self._command = policy, stable, routes, command
        self._seed, self._folder, self._binary, self._scrape_s = seed, folder, prometheus, scrape_s
        self._bulletin = Bulletin()
        self._flags = FlagsFile(folder / "flags.json", dict(flags or {}))
        self._programs: dict[str, Program] = {}
        self._parts = contextlib.ExitStack()
        self._standing: _Standing | None = None

    # ---- life

    def start(self) -> str:
        """Bring the stable revision up and return its pod-template hash.

        Raises:
            WorldError: a part did not start, or the stable revision did not become healthy.
        """
        with contextlib.ExitStack() as parts:
            self._standing = self._build(parts)
            self._parts = parts.pop_all()
        try:
            self._await_healthy()
            self._warm_up()
        except BaseException:
            self.stop()
            raise
        return template_hash(self._standing.driver.rollout)

    def stop(self) -> None:
        """End every process and thread. Safe to repeat, and safe when nothing was started."""
        self._parts.close()
        self._standing = None

    def check(self) -> None:
        """Do nothing while every part stands.

        Raises:
            WorldError: a part has died, or a thread of ours has met a bug.
        """
        standing = self._it()
        for name, part in (("driver", standing.driver), ("fleet", standing.fleet), ("scraper", standing.scraper)):
            if part.failure is not None:
                raise WorldError(f"the {name} of the local world failed: {part.failure}") from part.failure
        standing.envoy.check()

    # ---- what users of the world need to know

    @property
    def target_url(self) -> str:
        """Where users send their requests."""
        return self._it().envoy.address

    @property
    def metrics_server(self) -> str:
        """What answers queries, for reports."""
        return self._it().metrics.text

    @property
    def addresses(self) -> AddressMap:
        """Where the manifests' addresses really are."""
        return AddressMap(everything=self._it().metrics.place)

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Pass every later event on."""
        self._bulletin.subscribe(subscriber)

    # ---- what is done to it

    def deploy(self, release: Release) -> str:
        """Hand the release under test to the controller, as `kubectl apply` would; return its pod-template hash."""
        rollout = self._policy.rollout
        pod_hash = template_hash(rollout)
        self._programs[pod_hash] = self._program(release, "under test")
        self._it().driver.deploy(rollout)
        return pod_hash

    def say(self, word: Word) -> None:
        """Carry out an operator's word."""
        self._it().driver.say(word)

    def cut_metrics(self, *, cut: bool) -> None:
        """Let nobody answer at Prometheus' address, or answer again."""
        metrics = self._it().metrics
        if cut:
            metrics.cut()
        else:
            metrics.restore()

    def set_proxy_fault(self, side: str, fault: Mapping[str, Any] | None) -> None:
        """Let the proxy misbehave towards one side ("canary", "stable", "all"), or no more.

        Args:
            fault: `abort_share` with `status`, or `delay_share` with `delay_s` (wall); shares from 0 to 1.
        """
        platform = self._it().platform
        if fault is None:
            platform.restore(side)
        elif "status" in fault:
            percent = 100 * float(fault["abort_share"])
            platform.inject(side, ProxyFault(side=side, percent=percent, status=int(fault["status"])))
        else:
            percent = 100 * float(fault["delay_share"])
            platform.inject(side, ProxyFault(side=side, percent=percent, delay_s=float(fault["delay_s"])))

    def set_flag(self, flag: str, *, on: bool | None) -> None:
        """Let a feature flag be on or off for everybody; None: as it was at the start."""
        self._flags.set(flag, on=on)

    def effect_of(self, fault: Fault) -> Effect:
        """Return how a fault of the machinery is put in force here, and how it ends.

        Raises:
            WorldError: only another world can have it.
        """
        return self._it().sabotage.effect_of(fault)

    # ---- putting it together

    def _build(self, parts: contextlib.ExitStack) -> _Standing:
        """Start every part, and leave on `parts` how each is ended, the last one first."""
        clock, rollout = self.clock, before(self._policy.rollout)
        self._programs[template_hash(rollout)] = self._program(self._stable, "stable")
        metrics = self._metrics_server()
        parts.callback(metrics.stop)
        envoy = parts.enter_context(Envoy(self._folder))
        fleet = Fleet(
            folder=self._folder,
            clock=clock,
            programs=self._programs,
            on_change=self._pods_changed,
            on_crash=self._pod_crashed,
            name=rollout.name,
            seed=self._seed,
        )
        fleet.start()
        parts.callback(fleet.stop)
        routing = self._policy.rollout.strategy.traffic_routing
        platform = LocalPlatform(
            fleet=fleet,
            envoy=envoy,
            managed_routes=() if routing is None else routing.managed_routes,
            by_pods=routing is None,
        )
        evidence = Tampering(sink=metrics)
        scraper = Scraper(
            targets=self._targets, sink=evidence, clock=clock, parse=_samples_in, interval_s=self._scrape_s
        )
        client = parts.enter_context(PrometheusClient(addresses=AddressMap(everything=metrics.place)))

        believed = SteppedClock(true=clock)

        def ask(metric: Metric) -> Answer:
            return ask_metric(client, metric, believed.now_s)

        driver = RolloutDriver(
            rollout=rollout,
            templates=self._policy.templates,
            platform=platform,
            clock=believed,
            listener=TrueTimes(listener=Teller(bulletin=self._bulletin, steps=rollout.strategy.steps), clock=believed),
            ask_metric=ask,
        )
        standing = _Standing(metrics, envoy, fleet, platform, scraper, driver)
        standing.sabotage = Sabotage(
            fleet=fleet,
            platform=platform,
            scraper=scraper,
            evidence=evidence,
            metrics=metrics,
            clock=believed,
            controller=standing,
            flags=self._flags,
        )
        self._standing = standing
        scraper.start()
        parts.callback(scraper.stop)
        driver.start()
        parts.callback(lambda: standing.driver.stop())  # by then it may be another one
        return standing

    def _metrics_server(self) -> MetricsServer:
        if self._binary is not None:
            return RealServer(self._binary, self._folder / "prometheus")
        return EmbeddedServer(self.clock.now_s)

    def _program(self, release: Release, role: str) -> Program:
        if self._command is not None:
            return OwnProgram(argv=self._command, release=role)
        try:
            check_playable(release)
        except UnplayableError as error:
            raise WorldError(str(error)) from error
        return DemoProgram(
            service=self._policy.rollout.name,
            release=release,
            speed=self.clock.speed,
            routes=self._routes,
            flags_file=self._flags.path,
        )

    def _await_healthy(self) -> None:
        """Wait until the first revision is stable and its pods are in the proxy."""
        driver, ends = self._it().driver, time.monotonic() + STABLE_WITHIN_S
        while not (driver.status.phase is Phase.HEALTHY and driver.status.stable_hash):
            self.check()
            crashed = next((event for event in self._bulletin.events if isinstance(event, PodEnded)), None)
            if crashed is not None:
                raise WorldError(
                    f"{crashed.pod} ended at its start (exit code {crashed.exit_code}):\n{crashed.log_tail}"
                )
            if time.monotonic() > ends:
                status = driver.status
                raise WorldError(
                    f"the stable revision was not healthy within {STABLE_WITHIN_S:g} s: {status.phase.value} "
                    f"({status.message}), {status.available_replicas} pods available{self._hint()}"
                )
            time.sleep(0.02)

    def _warm_up(self) -> None:
        """Ask every metric once: the first answer of a process takes several times as long as all others.

        At speed 20 that would be seconds of policy time, which no rollout after this one would show again.
        """
        ask = self._it().driver.ask_metric
        for analysis in self._policy.analyses:
            for metric in analysis.resolved.metrics:
                ask(metric)  # whatever it answers: nothing is judged by it

    def _hint(self) -> str:
        if self._command is None:
            return ""
        return (
            f". A program of your own listens on $PORT of 127.0.0.1 and answers {READY_PATH} with 200 once it is ready"
        )

    # ---- what its parts call

    def _pods_changed(self) -> None:
        standing = self._standing
        if standing is not None:
            standing.platform.refresh()
            standing.driver.wake()

    def _pod_crashed(self, crash: Crash) -> None:
        self._bulletin.tell(
            PodEnded(
                t_s=self.clock.now_s(),
                pod=crash.pod.name,
                pod_hash=crash.pod.pod_hash,
                exit_code=crash.exit_code,
                log_tail=crash.log_tail,
            )
        )

    def _targets(self) -> tuple[Target, ...]:
        rollout = self._policy.rollout
        return tuple(
            Target(
                name=pod.name,
                place=pod.place,
                labels={
                    "job": rollout.name,
                    "namespace": rollout.namespace,
                    "instance": str(pod.place),
                    "pod": pod.name,
                    "pod_template_hash": pod.pod_hash,
                },
            )
            for pod in self._it().fleet.targets()
        )

    def _it(self) -> _Standing:
        if self._standing is None:
            raise WorldError("the local world does not stand: it was not started, or was stopped")
        return self._standing


class _Standing:
    """The parts of a world that stands."""

    __slots__ = ("driver", "envoy", "fleet", "metrics", "platform", "sabotage", "scraper")
    sabotage: Sabotage

    def __init__(
        self,
        metrics: MetricsServer,
        envoy: Envoy,
        fleet: Fleet,
        platform: LocalPlatform,
        scraper: Scraper,
        driver: RolloutDriver,
    ) -> None:
        self.metrics, self.envoy, self.fleet = metrics, envoy, fleet
        self.platform, self.scraper, self.driver = platform, scraper, driver

    def kill(self) -> None:
        """End the controller in the middle of what it does."""
        self.driver.kill()

    def revive(self) -> None:
        """Start a controller from what the killed one had stored. Safe to repeat."""
        if self.driver.killed:
            self.driver = self.driver.successor()
            self.driver.start()


def before(rollout: Rollout) -> Rollout:
    """Return the rollout as it was before this release: the same spec with another pod template.

    The manifest is the release under test, byte for byte; what runs before it differs in one annotation of its pods.
    """
    template = rollout.template
    if template is None:
        raise WorldError(f"{rollout.name} has no pod template of its own; the local world cannot follow a workloadRef")
    data = json.loads(template.canonical)
    data.setdefault("metadata", {}).setdefault("annotations", {})["gamebird.dev/revision"] = "before"
    return replace(rollout, template=PodTemplate(canonical=canonical_json(data), labels=template.labels))


def _samples_in(text: str) -> list[tuple[Mapping[str, str], float]]:
    return [(dict(sample.labels), sample.value) for sample in read_exposition(text).samples]

"""How the local world carries out the faults of its machinery: what each one does to which part, and how it ends.

Pods get signals, samples are tampered with between scraper and server, the router is told one weight and gives another,
the controller is killed and started again from what it had stored. Nothing here decides when; leases do.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from experiments.faults import (
    ClockStep,
    ControllerKilled,
    FlagSourceBroken,
    FreezePods,
    KillPods,
    LabelRenamed,
    MetricLies,
    PrometheusSlow,
    PrometheusStale,
    ScrapeLost,
    StuckWeight,
    UnequalSplit,
)
from experiments.instants import Fault
from experiments.leases import Effect
from experiments.testbeds.local.children import Child, WorldError
from experiments.testbeds.local.flags_file import FlagsFile
from experiments.testbeds.local.metrics_servers import MetricsServer
from experiments.testbeds.local.platform import LocalPlatform
from experiments.testbeds.local.pods import Fleet, Pod
from experiments.testbeds.local.scraper import Scraper, Target
from experiments.testbeds.local.stepped_clock import SteppedClock
from experiments.testbeds.local.tampering import Selection, Tampering


class Controller(Protocol):
    """The decision driver as a process: it can be killed, and started again from what is stored."""

    def kill(self) -> None: ...
    def revive(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Sabotage:
    """The parts of a local world that faults act on."""

    fleet: Fleet
    platform: LocalPlatform
    scraper: Scraper
    evidence: Tampering
    metrics: MetricsServer
    clock: SteppedClock
    controller: Controller
    flags: FlagsFile
    _frozen: list[Child] = field(default_factory=list)

    def effect_of(self, fault: Fault) -> Effect:
        """Return what a fault does here.

        Raises:
            WorldError: this world cannot have it.
        """
        match fault:
            case KillPods(count=count, side=side):
                return _effect(lambda: self._kill(count, side), _nothing, f"{_pods(count)} of {side} ended by SIGKILL")
            case FreezePods(count=count, side=side):
                return _effect(lambda: self._freeze(count, side), self._thaw, f"{_pods(count)} of {side} stand still")
            case UnequalSplit(factor=factor):
                detail = f"the router gives the canary {factor:g} times its weight"
                return _effect(lambda: self.platform.distort(factor), lambda: self.platform.distort(1.0), detail)
            case StuckWeight():
                stick = self.platform.stick
                detail = "the router keeps the weight that it has"
                return _effect(lambda: stick(stuck=True), lambda: stick(stuck=False), detail)
            case ControllerKilled():
                return _effect(self.controller.kill, self.controller.revive, "the controller is killed")
            case ClockStep(step_s=step_s):
                detail = f"the controller's clock is off by {step_s:+g} s"
                return _effect(lambda: self.clock.step(step_s), lambda: self.clock.step(0.0), detail)
            case FlagSourceBroken(how=how):
                detail = f"the source of the flags is {'of the wrong type' if how == 'wrong-type' else how}"
                return _effect(lambda: self.flags.break_down(how), self.flags.mend, detail)
            case _:
                return self._on_evidence(fault)

    def _on_evidence(self, fault: Fault) -> Effect:
        evidence = self.evidence
        match fault:
            case PrometheusSlow(delay_s=delay_s):
                detail = f"Prometheus answers {delay_s:g} s of the wall later"
                return _effect(lambda: self.metrics.delay(delay_s), lambda: self.metrics.delay(0.0), detail)
            case PrometheusStale():
                detail = "Prometheus takes no new sample"
                return _effect(lambda: evidence.drop(dropped=True), lambda: evidence.drop(dropped=False), detail)
            case ScrapeLost(share=share, side=side):
                detail = f"{share:.0%} of the pods of {side} are not scraped"
                return _effect(lambda: self._lose(share, side), self._find, detail)
            case LabelRenamed(label=label, to=to):
                detail = f"the label {label} is called {to}"
                return Effect(
                    start=lambda: evidence.rename(label, to),
                    end=lambda: evidence.rename(label, None),
                    detail=detail,
                    place=f"label {label}",
                )
            case MetricLies(metric=metric, labels=labels):
                still = Selection(metric=metric, labels=labels or {})
                return _effect(
                    lambda: evidence.hold(still), lambda: evidence.hold(None), f"the series of {metric} stand still"
                )
            case _:
                raise WorldError(f"{fault.func}: the local world cannot have this fault")

    # ---- pods

    def _of(self, side: str) -> list[Pod]:
        sides = ("stable", "canary") if side == "all" else (side,)
        hashes = {pod_hash for one in sides for pod_hash in self.platform.selected(one)}
        return [pod for pod in self.fleet.members() if pod.pod_hash in hashes and pod.child is not None]

    def _some(self, count: int, side: str) -> list[Child]:
        found = [pod.child for pod in self._of(side) if pod.child is not None][:count]
        if not found:
            raise WorldError(f"there is no pod of {side} that could be harmed")
        return found

    def _kill(self, count: int, side: str) -> None:
        for child in self._some(count, side):
            child.signal(signal.SIGKILL)

    def _freeze(self, count: int, side: str) -> None:
        for child in self._some(count, side):
            self._frozen.append(child)
            child.signal(signal.SIGSTOP)

    def _thaw(self) -> None:
        while self._frozen:
            self._frozen.pop().signal(signal.SIGCONT)

    # ---- evidence and clock

    def _lose(self, share: float, side: str) -> None:
        def is_lost(target: Target) -> bool:
            names = sorted(pod.name for pod in self._of(side))
            return target.name in names[: math.ceil(share * len(names))]

        self.scraper.is_lost = is_lost

    def _find(self) -> None:
        self.scraper.is_lost = lambda _: False


def _effect(start: Callable[[], None], end: Callable[[], None], detail: str) -> Effect:
    return Effect(start=start, end=end, detail=detail)


def _nothing() -> None:
    """A pod that was killed is started again by the fleet, so nothing has to be undone."""


def _pods(count: int) -> str:
    return "a pod" if count == 1 else f"up to {count} pods"

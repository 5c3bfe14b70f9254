"""One rehearsal of one policy: a world, its traffic, its faults, and what happened, from the first pod to the last.

The actions and probes of a game day act on this; `runner` and Chaos Toolkit's control start and stop it. It decides
nothing about the rollout and knows no kind of world: pods, proxy and metrics are behind `World`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.core.operator import Word
from experiments.effects import effect_of
from experiments.events import (
    Deployed,
    Event,
    PodsChanged,
    StatusChanged,
    WeightSet,
)
from experiments.gameday_files import GameDay, Setup
from experiments.leases import Leases
from experiments.method import (
    AwaitVerdict,
    DeployRelease,
    Fault,
    Timed,
    When,
)
from experiments.run_folders import left_running, note_process
from experiments.verdicts import Verdict, verdict_in
from experiments.worlds import Operable, RehearsalError, World
from loadgen.openloop import LoadError, LoadProcess
from sim.releases import Release

if TYPE_CHECKING:
    import pandas as pd

_LOOK_S = 0.1  # how often a wait looks whether the world still stands, seconds of the wall
_START_SPARE_S = 120.0  # policy seconds of traffic beyond what the method can take
WITHIN_S = 7200.0


@dataclass(slots=True)
class _Seen:
    """The newest of what happened, for waits and probes."""

    status: StatusChanged | None = None
    weight: WeightSet | None = None
    pods: PodsChanged | None = None


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """One rehearsal. `start` and `stop` belong to whoever made it; everything else may be called from any thread."""

    game_day: GameDay
    policy: str
    speed: float
    seed: int
    directory: Path
    world: World
    events: list[Event] = field(default_factory=list)
    leases: Leases = field(init=False)
    load: LoadProcess | None = None
    stable_hash: str = ""
    metrics_server: str = ""
    release_hash: str = ""
    began_s: float = 0.0
    ended_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    failure: Exception | None = None
    time_box_s: float | None = None  # policy seconds from the deployment in which nothing is put right; None: no box
    left: tuple[str, ...] | None = None  # what still ran when the world had been taken down
    interrupted: bool = False  # somebody wants it to end; kept, because the exception alone can get lost on its way
    started_at: datetime | None = None
    steady_before: bool | None = None
    steady_after: bool | None = None
    _seen: _Seen = field(default_factory=_Seen)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _subscribers: list[Callable[[Event], None]] = field(default_factory=list)
    _stopped: bool = False
    _box_ends_s: float | None = None

    def __post_init__(self) -> None:
        self.leases = Leases(clock=self.world.clock, tell=self._happened, journal=self.directory / "faults.jsonl")
        self.world.subscribe(self._happened)

    # ---- life

    def start(self) -> None:
        """Bring the world up: stable serves, and users ask."""
        self.started_at = datetime.now(UTC)
        self.stable_hash = self.world.start()
        self._heed_interruption()
        self.metrics_server = self.world.metrics_server
        clock = self.world.clock
        self._happened(
            Deployed(t_s=clock.now_s(), role="stable", pod_hash=self.stable_hash, release=describe(self.setup.stable))
        )
        self.load = LoadProcess(
            self.setup.traffic.model_copy(update={"seed": self.seed}),
            self.world.target_url,
            speed=self.speed,
            duration_s=self._traffic_s(),
            directory=self.directory / "load",
            origin=clock.origin,
            slow_after_s=self.setup.slow_after_s,
        )
        self.load.start()
        if self.load.pid is not None:
            note_process(self.directory, self.load.pid, "load generator")
        self._heed_interruption()
        self.began_s = self.load.began_policy_s or clock.now_s()

    def stop(self) -> None:
        """End every fault, the traffic and the world, in this order. Safe to repeat."""
        if self._stopped:
            return
        self._stopped = True
        self.ended_s = self.world.clock.now_s()
        try:
            self.leases.close()
        finally:
            try:
                if self.load is not None:
                    self.load.stop()
            finally:
                self.world.stop()
                self.left = left_running(self.directory)

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Pass every later event on to `subscriber`."""
        self._subscribers.append(subscriber)

    @property
    def setup(self) -> Setup:
        """What the game day says of policies, traffic and releases."""
        return self.game_day.setup

    # ---- what is left of it

    def requests(self) -> pd.DataFrame:
        """Return one row per request, as the load generator recorded it."""
        return self._traffic().records()

    def load_summary(self) -> dict[str, Any]:
        """Return the load generator's figures and its verdict on its own run; empty when it left none."""
        try:
            return self._traffic().summary()
        except LoadError as error:
            self.notes.append(f"The load generator left no summary: {error}")
            return {}

    # ---- actions

    def deploy_release(self, action: DeployRelease) -> dict[str, Any]:
        """Hand the release under test to the controller at its instant."""
        if not self._await_instant(action):
            return {"done": False, "why": f"{action.instant} never came"}
        release = self.setup.release
        at_s = self.world.clock.now_s()
        self.release_hash = self.world.deploy(release)
        if self.time_box_s is not None:
            self._box_ends_s = at_s + self.time_box_s
        self._happened(Deployed(t_s=at_s, role="under test", pod_hash=self.release_hash, release=describe(release)))
        return {"done": True, "at_s": round(at_s - self.began_s, 3), "pod_template_hash": self.release_hash}

    def await_verdict(self, action: AwaitVerdict) -> dict[str, Any]:
        """Wait for the verdict, and then a little, so that the way back is seen."""
        if self._box_ends_s is not None:
            self._await_the_box()
            return {"verdict": (self.verdict() or Verdict.UNFINISHED).value, "at_s": round(self._now_s(), 3)}
        until_s = self.world.clock.now_s() + action.within_s
        self._await(lambda: self.verdict() is not None, until_s)
        verdict = self.verdict()
        if verdict is not None:
            self._await(lambda: False, min(until_s, self.world.clock.now_s() + self.setup.settle_s))
        return {"verdict": (verdict or Verdict.UNFINISHED).value, "at_s": round(self._now_s(), 3)}

    def inject(self, action: Fault) -> dict[str, Any]:
        """Put a fault in force at its instant; it ends by itself."""
        if not self._await_instant(action):
            self.notes.append(f"{action.func} was never in force: {action.instant} did not come before the verdict.")
            return {"done": False, "why": f"{action.instant} never came"}
        effect = effect_of(action, self.world, self._traffic())
        for_s = action.for_s
        if self._box_ends_s is not None:  # nothing is put right before people had their time
            for_s = max(1.0, self._box_ends_s - self.world.clock.now_s())
        self.leases.begin(
            action.func,
            kind=action.func,
            detail=effect.detail,
            for_s=for_s,
            start=effect.start,
            end=effect.end,
            place=effect.place or action.func,
        )
        return {"done": True, "at_s": round(self._now_s(), 3), "for_s": for_s, "detail": effect.detail}

    def say(self, word: Word) -> None:
        """Speak to the rollout as an operator would.

        Raises:
            RehearsalError: this world carries no words.
        """
        if not isinstance(self.world, Operable):
            raise RehearsalError("this world carries no words to the rollout; use the rollout's own tools")
        self.world.say(word)

    def tell(self, event: Event) -> None:
        """Add what people said to what happened."""
        self._happened(event)

    def end_time_box(self) -> None:
        """Let the time box end now."""
        with self._changed:
            self._box_ends_s = self.world.clock.now_s()
            self._changed.notify_all()

    def restore_everything(self) -> dict[str, Any]:
        """End every fault that is in force."""
        names = self.leases.in_force
        self.leases.end_all("restored")
        return {"restored": list(names), "left": list(self.leases.in_force)}

    # ---- what probes ask

    def verdict(self) -> Verdict | None:
        """Return what became of the release, or None while it is under way."""
        status = self._seen.status
        return verdict_in(status, self.release_hash) if status is not None and self.release_hash else None

    def phase(self) -> str:
        """Return the rollout's phase."""
        return self._seen.status.phase if self._seen.status is not None else ""

    def canary_weight(self) -> float:
        """Return the canary's share of the traffic as the router acknowledged it, percent."""
        weight = self._seen.weight
        if weight is None or weight.canary_hash == weight.stable_hash:
            return 0.0
        return float(weight.percent)

    def serving_pods(self) -> int:
        """Return how many pods of the stable revision are available."""
        status, pods = self._seen.status, self._seen.pods
        stable = status.stable_hash if status is not None else self.stable_hash
        revisions = pods.revisions if pods is not None else ()
        return sum(revision.available for revision in revisions if revision.pod_hash == stable)

    def bad_requests(self) -> int:
        """Return how many requests users saw fail or saw too slow so far."""
        return self._traffic().progress().bad

    def bad_share(self, over_s: float) -> float:
        """Return the share of bad requests over the next `over_s` seconds.

        Raises:
            RehearsalError: there was no request.
        """
        before = self._traffic().progress()
        self._await(lambda: False, self.world.clock.now_s() + over_s)
        after = self._traffic().progress()
        requests = after.requests - before.requests
        if requests <= 0:
            raise RehearsalError(f"there was no request in {over_s:g} s, so nobody can say how users are served")
        return (after.bad - before.bad) / requests

    def _await_the_box(self) -> None:
        """Wait until the time box ends, which somebody may bring forward meanwhile."""
        while self._box_ends_s is not None and self.world.clock.now_s() < self._box_ends_s:
            self._await(self._box_is_over, self._box_ends_s)

    def _box_is_over(self) -> bool:
        return self._box_ends_s is None or self.world.clock.now_s() >= self._box_ends_s

    def real_split(self, over_s: float) -> float:
        """Return the release's share of the requests that a revision answers in the next `over_s` seconds, percent.

        Raises:
            RehearsalError: no revision answered any.
        """
        before = self._traffic().progress().seen
        self.wait(over_s)
        after = self._traffic().progress().seen
        answered = {
            name: seen.requests - (before[name].requests if name in before else 0) for name, seen in after.items()
        }
        known = {self.stable_hash, self.release_hash} - {""}
        total = sum(count for name, count in answered.items() if name in known)
        if total <= 0:
            raise RehearsalError(
                f"no revision answered a request in {over_s:g} s, so nobody can say how they are split"
            )
        return 100 * answered.get(self.release_hash, 0) / total if self.release_hash else 0.0

    # ---- waiting

    def wait(self, for_s: float) -> None:
        """Let so many policy seconds pass.

        Raises:
            RehearsalError: the world, or the traffic, has died meanwhile.
        """
        self._await(lambda: False, self.world.clock.now_s() + for_s)

    def _await_instant(self, timed: Timed) -> bool:
        """Wait for an action's instant; False when the verdict came first and it can come no more."""
        if timed.at_s is not None:
            self._await(lambda: False, self.began_s + timed.at_s)
            return True
        when = timed.when
        assert when is not None
        until_s = self.world.clock.now_s() + WITHIN_S
        self._await(lambda: self._is_met(when) or self.verdict() is not None, until_s)
        if not self._is_met(when):
            return False
        self._await(lambda: False, self.world.clock.now_s() + when.after_s)
        return True

    def _is_met(self, when: When) -> bool:
        status = self._seen.status
        if when.weight_at_least is not None:
            return self.canary_weight() >= when.weight_at_least
        if status is None or status.current_hash != self.release_hash:
            return False
        if when.step_at_least is not None:
            return status.step_index is not None and status.step_index >= when.step_at_least
        return status.phase == when.phase

    def _await(self, seen: Callable[[], bool], until_s: float) -> None:
        """Return when `seen` is true, or at `until_s`.

        Raises:
            RehearsalError: the world, or the traffic, has died meanwhile.
        """
        clock = self.world.clock
        looked_s = 0.0
        with self._changed:
            while not seen():
                left_s = clock.wall_s(until_s - clock.now_s())
                if left_s <= 0:
                    return
                self._changed.wait(min(left_s, _LOOK_S))
                if time.monotonic() - looked_s >= _LOOK_S:
                    looked_s = time.monotonic()
                    self._check()

    def _check(self) -> None:
        self._heed_interruption()
        # Kept as well as raised: Chaos Toolkit makes a failed action of it and goes on with the next entry.
        if self.failure is not None:
            raise self.failure
        try:
            self.world.check()
            if self.load is not None and not self.load.alive:
                raise RehearsalError(f"the load generator ended too early, with exit code {self.load.returncode}")
        except Exception as error:
            self.failure = error
            raise

    def _heed_interruption(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt

    def _happened(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            match event:
                case StatusChanged():
                    self._seen.status = event
                case WeightSet():
                    self._seen.weight = event
                case PodsChanged():
                    self._seen.pods = event
                case _:
                    pass
            self._changed.notify_all()
        for subscriber in self._subscribers:
            subscriber(event)

    def _now_s(self) -> float:
        return self.world.clock.now_s() - self.began_s

    def _traffic(self) -> LoadProcess:
        if self.load is None:
            raise RehearsalError("the traffic has not begun")
        return self.load

    def _traffic_s(self) -> float:
        """Return how long the method can take at most, policy seconds."""
        total_s = _START_SPARE_S + self.setup.settle_s + (self.time_box_s or 0.0)
        for entry in self.game_day.method:
            action = entry.action
            if isinstance(action, AwaitVerdict):
                total_s += action.within_s
            elif isinstance(action, Timed):
                total_s += action.at_s if action.at_s is not None else WITHIN_S
        return total_s


def describe(release: Release) -> str:
    """Return a release in words, on one line."""
    text = release.text
    return text if len(text) <= 90 else f"{text[:70].rsplit(',', 1)[0]}, … {text.rsplit(' ', 1)[-1]}"

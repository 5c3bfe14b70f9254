"""A small world in virtual time that plays a recorded scenario against the decision core.

Pods become ready half a second after they are created, the router takes a weight at once, metrics answer by
a script. Nothing here decides; the loop is the driver's duty as `controller.core.decisions` and
`controller.core.analysis` state it.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest
from recorded_scenarios import recordings, rollout_of, templates_of

from controller.core.analysis import advance, due
from controller.core.decisions import decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.measuring import Answer, measure
from controller.core.operator import Word, ask
from controller.core.runs import AnalysisRun
from controller.core.snapshot import PodSeen
from controller.core.status import PauseReason, RolloutStatus
from controller.core.summaries import summaries
from controller.manifests import values as v
from controller.manifests.loading import Manifests, load

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """How long things take in a world."""

    reaction_s: float  # from a change to the controller's next look
    creation_s: float  # from a scaled set to its pods
    ready_s: float
    operator_s: float  # from the state that a person waits for to what is then done
    one_look_at_a_time: bool = False  # changes while a look is due ask for no second one


CLUSTER = Tempo(reaction_s=0.01, creation_s=0.03, ready_s=0.5, operator_s=1.2)
# Argo keeps whole seconds, so nothing is lost where everything takes whole seconds.
WHOLE_SECONDS = Tempo(reaction_s=1.0, creation_s=7.0, ready_s=23.0, operator_s=3.0, one_look_at_a_time=True)


# ---- scenarios as values


def loaded(manifests: list[dict[str, Any]]) -> Manifests:
    """Load manifests as a user would; JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        file.write("\n---\n".join(json.dumps(manifest) for manifest in manifests))
    try:
        return load(file.name)
    finally:
        Path(file.name).unlink()


def policy_of(scenario: dict[str, Any]) -> tuple[v.Rollout, dict[str, v.AnalysisTemplate]]:
    """Return the scenario's Rollout at v1, and its templates by the names that scenarios use."""
    templates = templates_of(scenario)
    found = loaded([rollout_of(scenario, "v1"), *templates.values()])
    return found.rollouts[0], dict(zip(templates, found.templates, strict=True))


@lru_cache
def template_of(version: str) -> v.PodTemplate:
    """Return the pod template of a version, as loading reads it."""
    plain = {"name": "r", "replicas": 1, "steps": [], "canary": {}, "spec": {}, "traffic_routing": None}
    template = loaded([rollout_of(plain, version)]).rollouts[0].template
    assert template is not None
    return template


@lru_cache
def versions() -> dict[str, str]:
    return {template_of(version).pod_hash: version for version in ("v1", "v2", "v3", "v4")}


# ---- the world


@dataclass
class Pod:
    name: str
    created_s: float
    ready_s: float  # infinite for a version that never becomes ready


@dataclass
class World:
    """Everything around the core. With `whole_seconds` the core is told the time as Argo would store it."""

    scenario: dict[str, Any]
    tempo: Tempo = CLUSTER
    closely: bool = False  # note conditions and the size of each set, too
    whole_seconds: bool = False
    fraction_s: float = 0.0  # where in a second the new version comes
    now_s: float = -60.0
    ledger: PlatformLedger = field(default_factory=PlatformLedger.empty)
    status: RolloutStatus = field(default_factory=RolloutStatus)
    generation: int = 1
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    trace: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    history: list[Any] = field(default_factory=list)
    recording: bool = False
    decisions: int = 0
    acts_twice: bool = False  # every action is carried out twice, as after a crash between acting and remembering
    forgets: bool = False  # the controller is restarted before every look and has only what was stored

    def __post_init__(self) -> None:
        self.ids = itertools.count()
        self.rollout, self.templates = policy_of(self.scenario)
        never = set(self.scenario.get("never_ready", ()))
        if "never_ready" not in self.scenario and "never-ready" in self.scenario["name"]:
            never = {"v2", "v3"}
        self.never = {template_of(version).pod_hash for version in never}
        self.waiting = list(self.scenario["operator"])
        self.look_is_due = False
        for time_s, version in self.scenario.get("kills", ()):
            self.at(float(time_s), partial(self.kill, template_of(version).pod_hash))
        self.operator_busy = False
        self.look_at_s: float | None = self.now_s
        self.dirty = True

    # pods

    def counts(self) -> dict[str, PodCounts]:
        found = {}
        for pod_hash, pods in self.pods.items():
            ready = [pod for pod in pods if pod.ready_s <= self.now_s + 1e-9]
            available = [p for p in ready if p.ready_s + self.rollout.min_ready_s <= self.now_s + 1e-9]
            found[pod_hash] = PodCounts(
                created=len(pods),
                ready=len(ready),
                available=len(available),
                pods=tuple(PodSeen(name=pod.name, created_s=pod.created_s, available=pod in available) for pod in pods),
            )
        return found

    def settle_pods(self) -> None:
        """Do what the ReplicaSet controller does: make or end pods until there are as many as wanted."""
        for pod_hash, written in self.ledger.replica_sets.items():
            pods = self.pods.setdefault(pod_hash, [])
            missing = written.wanted - len(pods)
            if missing < 0:
                pods.sort(key=lambda pod: (pod.ready_s > self.now_s, pod.created_s), reverse=True)
                del pods[:-missing]
                self.dirty = True
            for _ in range(missing):
                ready_s = float("inf") if pod_hash in self.never else self.now_s + self.tempo.ready_s
                pods.append(Pod(name=f"p{next(self.ids)}", created_s=self.now_s, ready_s=ready_s))
                self.dirty = True
            if missing > 0 and pod_hash not in self.never:
                self.at(self.now_s + self.tempo.ready_s, self.touch)
                if self.rollout.min_ready_s:
                    self.at(self.now_s + self.tempo.ready_s + self.rollout.min_ready_s, self.touch)

    def kill(self, pod_hash: str) -> None:
        """End the oldest pod of a revision; its set makes a new one."""
        if self.pods.get(pod_hash):
            del self.pods[pod_hash][0]
            self.dirty = True
            self.at(self.now_s + self.tempo.creation_s, self.settle_pods)

    @property
    def policy_s(self) -> float:
        if not self.whole_seconds:
            return self.now_s
        return math.floor(self.now_s + self.fraction_s + 1e-6) - self.fraction_s

    def touch(self) -> None:
        self.dirty = True

    def at(self, time_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time_s, next(self.ids), what))

    # the driver

    def look(self) -> None:
        self.look_is_due = False
        snapshot = self.ledger.snapshot(
            rollout=self.rollout,
            template_hash=self.rollout.template.pod_hash,
            generation=self.generation,
            status=self.status,
            pods=self.counts(),
            templates=tuple(self.templates.values()),
        )
        if self.forgets:
            snapshot = pickle.loads(pickle.dumps(snapshot))
        decision = decide(snapshot, self.policy_s)
        self.history.append((self.now_s, snapshot, decision))
        self.decisions += 1
        twice = 2 if self.acts_twice else 1
        for action in decision.actions * twice:
            known = set(self.ledger.runs)
            self.ledger.apply(action, self.policy_s)
            if type(action).__name__ == "ScaleReplicaSet":
                self.at(self.now_s + self.tempo.creation_s, self.settle_pods)
            if type(action).__name__ == "RestartPod":
                pods = self.pods[action.pod_hash]
                pods[:] = [pod for pod in pods if pod.name != action.pod]
                self.at(self.now_s + self.tempo.creation_s, self.settle_pods)
                self.dirty = True
            for name in self.ledger.runs.keys() - known:
                self.record_run(self.ledger.runs[name])
        # A time to look again that has passed in whole seconds is not a reason to look at once.
        self.look_at_s = decision.look_again_s
        if self.look_at_s is not None and not decision.changed and self.look_at_s <= self.now_s:
            self.look_at_s = self.now_s + 0.1
        if decision.changed:
            self.store(decision.status)
        elif self.closely:
            self.note()

    def store(self, status: RolloutStatus) -> None:
        self.status = status
        self.dirty = True
        if not self.recording and self.status.current_hash == template_of("v2").pod_hash:
            self.recording = True
            self.start_s = self.now_s
            for word in self.scenario["operator"]:
                if word["when"].startswith("at-"):
                    self.at(self.start_s + int(word["when"][3:]), self.operate)
        self.note()

    def note(self) -> None:
        """Add what is seen of the rollout to the trace, if it differs from what was seen before."""
        if not self.recording:
            return
        seen = self.seen() | (self.seen_closely() if self.closely else {})
        last = next((e["rollout"] for e in reversed(self.trace) if "rollout" in e), None)
        if seen != last:
            self.trace.append({"t": self.now_s - self.start_s, "rollout": seen})

    def seen(self) -> dict[str, Any]:
        status = self.status
        return {
            "phase": status.phase.value,
            "step": status.step_index,
            "weight": status.weights.canary if status.weights else None,
            "abort": status.abort,
            "pause": [pause.reason.value for pause in status.pauses],
            "message": status.message,
            "updated": status.updated_replicas,
            "replicas": status.replicas,
            "stable_is_current": status.is_fully_promoted,
        }

    def seen_closely(self) -> dict[str, Any]:
        status, sets = self.status, self.ledger.replica_sets.items()
        conditions = [(c.kind.value, c.status.value, c.reason, c.message) for c in status.conditions]
        return {
            "conditions": sorted(f"{kind}={truth} {reason} {message}" for kind, truth, reason, message in conditions),
            "sizes": {versions()[pod_hash]: [s.wanted, s.scale_down_at_s is not None] for pod_hash, s in sets},
            "controller_pause": status.controller_pause,
            "promote_full": status.promote_full,
            "revision": str(status.revision),
        }

    def analyse(self) -> None:
        for run in list(self.ledger.runs.values()):
            while True:
                run = self.ledger.runs[run.name]
                names, look_s = due(run, self.policy_s)
                if look_s is None or look_s > self.policy_s:
                    break
                measured = {name: measure(run, name, self.answer(run, name)) for name in names}
                status = advance(run, measured, self.policy_s)
                if status == run.status:
                    break
                self.ledger.update_run(run.name, status)
                self.record_run(self.ledger.runs[run.name])
                self.dirty = True

    def answer(self, run: AnalysisRun, name: str) -> Answer:
        script = self.scenario["script"][name]
        number = self.asked.get(name, 0)
        self.asked[name] = number + 1
        told = script[min(number, len(script) - 1)]
        provider = run.metric(name).provider
        if self.recording:
            self.queries.append(
                {"t": self.now_s - self.start_s, "metric": name, "query": provider.query, "answer": told}
            )
        common = {"started_s": self.policy_s, "finished_s": self.policy_s}
        if told == "error":
            return Answer(error="server_error: server error: 500", **common)
        if isinstance(told, dict) and "requests" in told:
            return Answer(value=(float(told["value"]),), requests=float(told["requests"]), **common)
        if isinstance(told, dict):
            return Answer(value=float(told["scalar"]), **common)
        if told == "empty":
            return Answer(value=(), **common)
        numbers = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
        if isinstance(told, list):
            return Answer(value=tuple(numbers.get(x, x) for x in told), **common)
        return Answer(value=(float(numbers.get(told, told) if isinstance(told, str) else told),), **common)

    def record_run(self, run: AnalysisRun) -> None:
        if not self.recording:
            return
        metrics = {
            result.name: {
                "phase": result.phase.value,
                "count": result.count,
                "successful": result.successful,
                "failed": result.failed,
                "inconclusive": result.inconclusive,
                "error": result.error,
                "consecutiveError": result.consecutive_error,
            }
            for result in run.status.results
        }
        label = f"{run.kind}:{'' if run.step_index is None else run.step_index}"
        seen = {
            "run": label,
            "phase": run.status.phase.value,
            "message": run.status.message,
            "metrics": metrics,
        }
        if self.closely:
            seen |= self.run_closely(run)
        self.trace.append({"t": self.now_s - self.start_s, "analysis": seen})

    def run_closely(self, run: AnalysisRun) -> dict[str, Any]:
        summary, dry_summary = summaries(run)
        return {
            "of": versions()[run.pod_hash],
            "messages": {result.name: result.message for result in run.status.results},
            "kept": {result.name: len(result.measurements) for result in run.status.results},
            "summary": asdict(summary),
            "dry_summary": asdict(dry_summary),
        }

    # operator

    def operate(self) -> None:
        if not self.recording or self.operator_busy or not self.waiting or not self.holds(self.waiting[0]["when"]):
            return
        self.operator_busy = True
        self.at(self.now_s + self.tempo.operator_s, self.act)

    def holds(self, when: str) -> bool:
        status = self.status
        match when:
            case "paused":
                return status.phase == "Paused" and bool(status.pauses)
            case "aborted":
                return status.abort and status.phase == "Degraded"
            case "degraded":
                return status.phase == "Degraded"
            case "inconclusive":
                return any(p.reason is PauseReason.INCONCLUSIVE_ANALYSIS for p in status.pauses)
            case "healthy":
                return status.phase == "Healthy" and status.is_fully_promoted
            case "spec-paused":
                return self.rollout.paused and status.message == "manually paused"
            case "analysing":
                return any(run.status.phase == "Running" for run in self.ledger.runs.values())
        kind, _, number = when.rpartition("-")
        if kind == "at":
            return self.now_s - self.start_s >= int(number)
        if kind == "paused-at":
            return status.phase == "Paused" and status.weights is not None and status.weights.canary == int(number)
        if kind == "measured":
            return any(
                run.status.phase == "Running"
                and sum(result.count + result.error for result in run.status.results) >= int(number)
                for run in self.ledger.runs.values()
            )
        raise ValueError(when)

    def act(self) -> None:
        do = self.waiting.pop(0)["do"]
        verb, _, rest = do.partition(" ")
        self.trace.append({"t": self.now_s - self.start_s, "operator": do})
        words = {word.value: word for word in Word}
        if verb in words and verb != "restart":
            self.asked_of(words[verb])
        elif verb == "restart":
            self.asked_of(Word.RESTART)
        elif verb in ("deploy", "rollback"):
            self.change(replace(self.rollout, template=template_of(rest or "v1")))
        elif verb == "scale":
            self.change(replace(self.rollout, replicas=int(rest)))
        elif verb == "set-steps":
            changed = {**self.scenario, "steps": self.scenario["new_steps"]}
            steps = policy_of(changed)[0].strategy.steps
            self.change(replace(self.rollout, strategy=replace(self.rollout.strategy, steps=steps)))
        elif verb == "set-template":
            # The template that the rollout names gets the metrics of another one.
            first = next(iter(self.templates))
            self.templates[first] = replace(self.templates[first], metrics=self.templates[rest].metrics)
        else:
            raise ValueError(do)
        self.operator_busy = False
        self.dirty = True

    def asked_of(self, word: Word) -> None:
        asked = ask(word, self.rollout, self.status, self.policy_s)
        if asked.rollout is not self.rollout:
            self.change(asked.rollout)
        if asked.status is not self.status:
            self.store(asked.status)

    def change(self, rollout: v.Rollout) -> None:
        self.rollout = rollout
        self.generation += 1
        self.dirty = True

    # time

    def run_until(self, end_s: float) -> None:
        while True:
            self.analyse()
            if self.dirty:
                self.dirty = False
                if not (self.look_is_due and self.tempo.one_look_at_a_time):
                    self.look_is_due = True
                    self.at(self.now_s + self.tempo.reaction_s, self.look)
            self.operate()
            times = [self.events[0][0]] if self.events else []
            if self.look_at_s is not None:
                times.append(max(self.look_at_s, self.now_s))
            for run in self.ledger.runs.values():
                look_s = due(run, self.policy_s)[1]
                if look_s is not None:
                    times.append(max(look_s, self.now_s))
            if not times or min(times) > end_s:
                self.now_s = end_s
                return
            self.now_s = min(times)
            if self.look_at_s is not None and self.look_at_s <= self.now_s:
                self.look_at_s = None
                self.dirty = True
            if self.events and self.events[0][0] <= self.now_s:
                heapq.heappop(self.events)[2]()
            assert self.decisions < 5_000, "the rollout never comes to rest"


def play(recording: dict[str, Any], *, whole_seconds: bool = False, fraction_s: float = 0.0) -> World:
    """Play a recording's scenario until as many transitions of the rollout were seen as it has, and a bit on."""
    world = World(recording["scenario"], whole_seconds=whole_seconds, fraction_s=fraction_s)
    world.run_until(-1.0)
    if world.status.message.startswith("InvalidSpec"):
        world.recording, world.start_s = True, world.now_s
        world.store(world.status)
        return world
    assert world.status.phase == "Healthy", f"v1 is {world.status.phase}: {world.status.message}"
    world.change(replace(world.rollout, template=template_of("v2")))
    world.run_until(0.0)
    lasts_s = recording["trace"][-1]["t"]
    wanted = sum("rollout" in entry for entry in recording["trace"])
    world.run_until(lasts_s)
    while sum("rollout" in entry for entry in world.trace) < wanted and world.now_s < lasts_s + 8.0:
        world.run_until(world.now_s + 0.2)
    world.run_until(world.now_s + 0.5)
    return world


def play_freely(scenario: dict[str, Any], lasts_s: float, **how: Any) -> World:
    """Play a made-up scenario for a while; v1 need not be healthy first."""
    world = World(scenario, **how)
    world.run_until(-1.0)
    world.change(replace(world.rollout, template=template_of("v2")))
    world.run_until(lasts_s)
    return world


def play_closely(scenario: dict[str, Any]) -> World:
    """Play a scenario in whole seconds, as those in `whole_seconds/` were recorded, and note all that is compared."""
    world = World(scenario, tempo=WHOLE_SECONDS, closely=True, now_s=-200.0)
    world.run_until(-1.0)
    world.change(replace(world.rollout, template=template_of("v2")))
    world.run_until(float(scenario["lasts"]))
    return world


@pytest.fixture(scope="session")
def close_player() -> Callable[..., World]:
    return play_closely


@pytest.fixture(scope="session")
def free_player() -> Callable[..., World]:
    return play_freely


@pytest.fixture(scope="session")
def version_of() -> Callable[[str], str]:
    """Return the version, v1 to v4, that a pod-template hash stands for."""
    return versions().__getitem__


@pytest.fixture(scope="session")
def recorded() -> list[dict[str, Any]]:
    return recordings(HERE.parent)


@pytest.fixture(scope="session")
def player() -> Callable[..., World]:
    return play


@pytest.fixture(scope="session")
def policy_maker() -> Callable[[dict[str, Any]], tuple[v.Rollout, dict[str, v.AnalysisTemplate]]]:
    """Return a scenario's rollout and templates, for another driver than this world's."""
    return policy_of

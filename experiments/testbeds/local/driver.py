"""Drive one rollout on one machine: observe, decide, act, remember; and its analysis runs beside it.

The driver is the local world's controller. It decides nothing (`controller.core` does), starts no process and moves no
traffic (a `Platform` does). It runs in a thread of its own, wakes when something changed or when the core wanted to
look again, and tells everybody who listens what it saw, asked and did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from controller.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    RemoveManagedRoutes,
    RestartPod,
    ScaleReplicaSet,
    SelectService,
    SetHeaderRoute,
    SetMirrorRoute,
    SetWeight,
)
from controller.core.analysis import AnalysisRun, advance, due
from controller.core.decisions import Decision, decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.measuring import Answer, measure
from controller.core.operator import Word, ask
from controller.core.records import OperatorRecord
from controller.core.runs import AnalysisStatus, Measurement
from controller.core.status import RolloutStatus
from controller.manifests import values
from controller.manifests.values import AnalysisTemplate, Metric, Rollout

ASKERS = 4  # metrics asked at the same time
LOOKS_IN_A_ROW_MAX = 200  # a core that never reaches a fixed point is a bug; better a crash than a hot loop


class _Killed(BaseException):
    """The controller was killed; what it had not remembered is lost."""


class Platform(Protocol):
    """What carries actions out: pods and a router. Every call may be repeated; each blocks until it holds."""

    def create(self, pod_hash: str, revision: int) -> None: ...
    def scale(self, pod_hash: str, replicas: int) -> None: ...
    def delete(self, pod_hash: str) -> None: ...
    def set_weight(self, weight: SetWeight) -> None: ...
    def select_service(self, role: str, pod_hash: str) -> None: ...
    def restart(self, pod: str) -> None: ...
    def set_route(self, route: values.SetHeaderRoute | values.SetMirrorRoute) -> None: ...
    def remove_routes(self) -> None: ...
    def pod_counts(self, now_s: float, min_ready_s: float) -> Mapping[str, PodCounts]: ...


class Clock(Protocol):
    """Policy time, and how long a stretch of it takes on the wall."""

    def now_s(self) -> float: ...
    def wall_s(self, policy_s: float) -> float: ...


class Listener(Protocol):
    """Who is told. Calls come from the driver's thread, in order, and must not block."""

    def status_changed(self, t_s: float, before: RolloutStatus, after: RolloutStatus, decision: Decision) -> None: ...
    def acted(self, asked_s: float, t_s: float, action: Action) -> None: ...
    def measured(self, t_s: float, run: AnalysisRun, metric: Metric, measurement: Measurement) -> None: ...
    def run_changed(self, t_s: float, run: AnalysisRun) -> None: ...
    def pods_changed(self, t_s: float, pods: Mapping[str, PodCounts], wanted: Mapping[str, int]) -> None: ...
    def operator_said(self, t_s: float, record: OperatorRecord) -> None: ...


@dataclass(slots=True, kw_only=True)
class RolloutDriver:
    """One rollout's controller thread.

    Args:
        rollout: the spec to begin with (the first deployment).
        templates: every analysis template that the rollout may name.
        ask_metric: asks one metric and returns its answer; called in worker threads.
    """

    rollout: Rollout
    templates: tuple[AnalysisTemplate, ...]
    platform: Platform
    clock: Clock
    listener: Listener
    ask_metric: Callable[[Metric], Answer]
    status: RolloutStatus = field(default_factory=RolloutStatus)
    ledger: PlatformLedger = field(default_factory=PlatformLedger.empty)
    generation: int = 1
    failure: BaseException | None = None

    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _wake: threading.Event = field(default_factory=threading.Event, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _killed: bool = field(default=False, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)
    _askers: ThreadPoolExecutor | None = field(default=None, repr=False)
    _asked: dict[tuple[str, str], Future[Answer]] = field(default_factory=dict, repr=False)
    _pods: tuple[Mapping[str, PodCounts], Mapping[str, int]] = field(default=({}, {}), repr=False)

    def start(self) -> None:
        """Begin to drive, in a thread."""
        self._askers = ThreadPoolExecutor(max_workers=ASKERS, thread_name_prefix="ask")
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; pods and weights stay as they are."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        if self._askers is not None:
            self._askers.shutdown(wait=False, cancel_futures=True)

    def kill(self) -> None:
        """End in the middle of whatever is done now: between an action and remembering it, if that is where it is."""
        self._killed = True
        self.stop()

    @property
    def killed(self) -> bool:
        """Whether somebody killed it."""
        return self._killed

    def successor(self) -> RolloutDriver:
        """Return a driver, not started, that knows what this one had stored and nothing else."""
        return replace(
            self,
            failure=None,
            _killed=False,
            _lock=threading.RLock(),
            _wake=threading.Event(),
            _stopping=threading.Event(),
            _thread=None,
            _askers=None,
            _asked={},
            _pods=({}, {}),
        )

    def wake(self) -> None:
        """Look again now: a pod became ready, or somebody changed something. Safe from every thread."""
        self._wake.set()

    def deploy(self, rollout: Rollout) -> None:
        """Replace the spec, as `kubectl apply` does."""
        with self._lock:
            self.rollout = rollout
            self.generation += 1
        self.wake()

    def say(self, word: Word) -> OperatorRecord:
        """Carry out an operator's word and return its record."""
        with self._lock:
            now_s = self.clock.now_s()
            asked = ask(word, self.rollout, self.status, now_s)
            if asked.rollout is not self.rollout:
                self.generation += 1
            self.rollout, self.status = asked.rollout, asked.status
            self.listener.operator_said(now_s, asked.record)
        self.wake()
        return asked.record

    # ---- the loop

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                look_again_s = self._look()
                if look_again_s is None:
                    self._wake.wait()
                    continue
                wall_s = self.clock.wall_s(look_again_s - self.clock.now_s())
                self._wake.wait(max(wall_s, 0.0))
        except _Killed:
            return
        except BaseException as error:  # whoever started the driver re-raises it; a dead controller must not look idle
            self.failure = error

    def _look(self) -> float | None:
        """Decide until nothing changes; return when to look again."""
        for _ in range(LOOKS_IN_A_ROW_MAX):
            with self._lock:
                again_s = self._decide()
                changed, run_again_s = self._tend_runs()
            if again_s == float("-inf") or changed:
                continue
            return min((t for t in (again_s, run_again_s) if t is not None), default=None)
        raise RuntimeError(f"{self.rollout.name}: {LOOKS_IN_A_ROW_MAX} decisions in a row and no fixed point")

    def _decide(self) -> float | None:
        """Observe, decide, act, remember. Returns when to look again; minus infinity for at once."""
        now_s = self.clock.now_s()
        pods = self.platform.pod_counts(now_s, self.rollout.min_ready_s)
        wanted = {pod_hash: written.wanted for pod_hash, written in self.ledger.replica_sets.items()}
        if (pods, wanted) != self._pods:
            self._pods = pods, wanted
            self.listener.pods_changed(now_s, pods, wanted)
        snapshot = self.ledger.snapshot(
            rollout=self.rollout,
            template_hash=template_hash(self.rollout),
            generation=self.generation,
            status=self.status,
            pods=pods,
            templates=self.templates,
        )
        decision = decide(snapshot, now_s)
        # Act before remembering: a crash in between repeats an action, and actions are safe to repeat.
        for action in decision.actions:
            self._carry_out(action)
            self._survive()
            self.ledger.apply(action, now_s)
            self.listener.acted(now_s, self.clock.now_s(), action)
        self._survive()
        before, self.status = self.status, decision.status
        if decision.changed or decision.records:
            self.listener.status_changed(now_s, before, decision.status, decision)
        return float("-inf") if decision.changed else decision.look_again_s

    def _survive(self) -> None:
        if self._killed:
            raise _Killed

    def _carry_out(self, action: Action) -> None:
        match action:
            case CreateReplicaSet():
                self.platform.create(action.pod_hash, action.revision)
            case ScaleReplicaSet():
                self.platform.scale(action.pod_hash, action.replicas)
            case DeleteReplicaSet():
                self.platform.delete(action.pod_hash)
            case SetWeight():
                self.platform.set_weight(action)
            case SelectService():
                self.platform.select_service(action.role, action.pod_hash)
            case RestartPod():
                self.platform.restart(action.pod)
            case SetHeaderRoute() | SetMirrorRoute():
                self.platform.set_route(action.route)
            case RemoveManagedRoutes():
                self.platform.remove_routes()
            case _:
                pass  # bookkeeping (the ledger's), or a subject that this world does not have, such as pod metadata

    # ---- analysis runs

    def _tend_runs(self) -> tuple[bool, float | None]:
        """Collect answers, ask what is due, advance. Returns whether a run changed, and when to look again."""
        changed, again_s = False, None
        for run in tuple(self.ledger.runs.values()):
            if run.status.phase.completed:
                continue
            changed |= self._tend(run)
            run = self.ledger.runs[run.name]
            _, run_again_s = due(run, self.clock.now_s())
            if run_again_s is not None and not self._is_waiting(run):
                again_s = run_again_s if again_s is None else min(again_s, run_again_s)
        return changed, again_s

    def _tend(self, run: AnalysisRun) -> bool:
        now_s = self.clock.now_s()
        measured = {name: measure(run, name, answer) for name, answer in self._answers(run).items()}
        for name, measurement in measured.items():
            self.listener.measured(now_s, run, run.metric(name), measurement)
        status = advance(run, measured, now_s)
        if status != run.status:
            self._remember(run, status, now_s)
        for name in due(self.ledger.runs[run.name], now_s)[0]:
            self._ask(run, name)
        return status != run.status

    def _remember(self, run: AnalysisRun, status: AnalysisStatus, now_s: float) -> None:
        self.ledger.update_run(run.name, status)
        self.listener.run_changed(now_s, replace(run, status=status))

    def _ask(self, run: AnalysisRun, name: str) -> None:
        if (run.name, name) in self._asked or self._askers is None:
            return
        future = self._askers.submit(self.ask_metric, run.metric(name))
        self._asked[(run.name, name)] = future
        future.add_done_callback(lambda _: self.wake())

    def _answers(self, run: AnalysisRun) -> dict[str, Answer]:
        """Return the answers for this run once all that were asked have come.

        All of one look are judged together, as Argo Rollouts does: two metrics that fail at once fail in one status.
        """
        keys = [key for key in self._asked if key[0] == run.name]
        if not all(self._asked[key].done() for key in keys):
            return {}
        return {key[1]: self._asked.pop(key).result() for key in keys}

    def _is_waiting(self, run: AnalysisRun) -> bool:
        """True while everything that is due has been asked and not answered: the answer wakes the driver."""
        names, _ = due(run, self.clock.now_s())
        return bool(names) and all((run.name, name) in self._asked for name in names)


def template_hash(rollout: Rollout) -> str:
    """Return the short name of the rollout's pod template.

    Raises:
        ValueError: the rollout has no template of its own (a workloadRef), so this world cannot run it.
    """
    if rollout.template is None:
        raise ValueError(f"{rollout.name} has no pod template of its own; the local world cannot follow a workloadRef")
    return rollout.template.pod_hash

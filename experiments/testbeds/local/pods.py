"""Pods as operating-system processes: started, probed over HTTP, restarted when they crash, drained when they go.

A fleet holds the pods of every revision and reports what it sees of them. The local world tells it how many pods a
revision has; in a test cluster the API server names each pod, and the fleet is the kubelet's. Which revision gets
traffic is others' business. Probe periods and back-offs are policy time, as a kubelet's would be.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from controller.core.driving import PodCounts
from controller.core.snapshot import PodSeen
from experiments.testbeds.local.children import Child, WorldError, free_port, start_child, tail_of
from experiments.testbeds.local.clock import PolicyClock
from experiments.testbeds.local.places import LOOPBACK, Place

PROBE_S = 1.0  # policy seconds between two probes of a pod that is not ready
PROBE_READY_S = 10.0  # the same for one that is
PROBE_FAILURES = 3  # failed probes in a row before a ready pod counts as not ready
PROBE_TIMEOUT_S = 1.0  # wall
TICK_MIN_S = 0.01  # wall: how often the fleet looks, at the fastest
BACKOFF_S, BACKOFF_MAX_S = 10.0, 300.0  # policy seconds before a crashed pod is started again, doubling
DRAIN_S = 3.0  # wall: how long a pod that goes may take to answer what it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a new process of a pod is told: who it is, where to listen, which chance it has."""

    name: str
    pod_hash: str
    port: int
    first: bool
    seed: int
    host: str = LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """How a pod is asked whether it is ready.

    Attributes:
        path: what is asked for over HTTP; None: it is ready once it takes connections.
        delay_s: policy seconds before the first question.
        unready_s, ready_s: policy seconds between two questions to a pod that is not ready, and to one that is.
        failures: so many bad answers in a row make a ready pod unready.
    """

    path: str | None
    delay_s: float = 0.0
    unready_s: float = PROBE_S
    ready_s: float = PROBE_READY_S
    failures: int = PROBE_FAILURES


class Program(Protocol):
    """How a revision's pods are started: the demo service, or a team's own program."""

    @property
    def ready_path(self) -> str: ...
    def command(self, birth: Birth) -> list[str]: ...
    def environment(self, birth: Birth) -> Mapping[str, str]: ...


@dataclass(slots=True, kw_only=True)
class Pod:
    """One pod. Its process may change (a restart); its name and place stay."""

    name: str
    pod_hash: str
    ordinal: int
    place: Place
    program: Program
    probing: Probing
    created_s: float
    child: Child | None = None
    ready_since_s: float | None = None
    restarts: int = 0
    restart_at_s: float | None = None
    probe_at_s: float = 0.0
    failures: int = 0
    exit_code: int | None = None  # of the last process that ended unasked
    leaving: bool = False
    probe: Future[bool] | None = None

    @property
    def serves(self) -> bool:
        """Whether users may be sent here."""
        return self.ready_since_s is not None and not self.leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A process that ended unasked."""

    pod: Pod
    exit_code: int | None
    log_tail: str


@dataclass(slots=True, kw_only=True)
class Fleet:
    """All pods of one rehearsal.

    Args:
        programs: how to start the pods of each revision that is scaled, by pod-template hash.
        on_change: called after pods became ready, unready or available, or ended; from the fleet's thread.
        on_crash: called for each process that ended unasked.
        look_s: policy seconds between two looks at all pods.
    """

    folder: Path
    clock: PolicyClock
    programs: Mapping[str, Program]
    on_change: Callable[[], None]
    on_crash: Callable[[Crash], None]
    name: str = "app"
    seed: int = 0
    min_ready_s: float = 0.0
    look_s: float = PROBE_S / 2
    _pods: list[Pod] = field(default_factory=list)
    _leaving: list[Pod] = field(default_factory=list)
    _born: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _probers: ThreadPoolExecutor | None = None
    _client: httpx.Client | None = None
    failure: BaseException | None = None

    def start(self) -> None:
        """Begin to look after pods, in a thread."""
        limits = httpx.Limits(max_keepalive_connections=0)  # a probe tests that a pod takes connections
        self._client = httpx.Client(trust_env=False, timeout=PROBE_TIMEOUT_S, limits=limits)
        self._probers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every pod."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._probers is not None:
            self._probers.shutdown(wait=True, cancel_futures=True)
        children = [pod.child for pod in (*self._pods, *self._leaving) if pod.child is not None]
        for child in children:
            child.signal(signal.SIGTERM)
        for child in children:
            child.stop(within_s=DRAIN_S)
        if self._client is not None:
            self._client.close()

    def scale(self, pod_hash: str, replicas: int) -> None:
        """Let a revision have so many pods. Those that go are drained; call `dismiss` once no user is sent to them.

        Raises:
            WorldError: a pod's program cannot be started.
        """
        with self._lock:
            mine = [pod for pod in self._pods if pod.pod_hash == pod_hash]
            for _ in range(replicas - len(mine)):
                self._pods.append(self._create(pod_hash))
            # Those that are not ready go first, then the youngest, as a ReplicaSet would choose.
            mine.sort(key=lambda pod: (pod.ready_since_s is not None, -pod.ordinal))
            for pod in mine[: max(0, len(mine) - replicas)]:
                self._let_go(pod)

    def _let_go(self, pod: Pod) -> None:
        pod.leaving = True
        self._pods.remove(pod)
        self._leaving.append(pod)

    def admit(self, name: str, pod_hash: str, place: Place, program: Program, probing: Probing) -> None:
        """Start a pod that somebody else has named and placed.

        Raises:
            WorldError: its program cannot be started.
        """
        with self._lock:
            self._pods.append(self._place(name, pod_hash, place, program, probing))

    def evict(self, name: str) -> None:
        """Tell a pod to end, after it has answered what it has; one that is gone is no mistake."""
        with self._lock:
            for pod in [pod for pod in self._pods if pod.name == name]:
                self._let_go(pod)
                if pod.child is not None:
                    pod.child.signal(signal.SIGTERM)

    def has_ended(self, name: str) -> bool:
        """Whether nothing runs of a pod that was evicted any more."""
        with self._lock:
            leaving = any(pod.name == name and self._still_drains(pod) for pod in self._leaving)
            return not leaving and all(pod.name != name for pod in self._pods)

    def restart(self, name: str) -> None:
        """Let a pod go as in a scale-down, and start another one in its place; a pod that is gone is no mistake."""
        with self._lock:
            for pod in [pod for pod in self._pods if pod.name == name]:
                self._pods.append(self._create(pod.pod_hash))
                self._let_go(pod)

    def dismiss(self) -> None:
        """Tell the pods that are leaving to end: nobody sends users to them any more."""
        with self._lock:
            for pod in self._leaving:
                if pod.child is not None:
                    pod.child.signal(signal.SIGTERM)

    def counts(self, now_s: float, min_ready_s: float) -> dict[str, PodCounts]:
        """Return the pods of every revision that ever had one, without those that leave."""
        with self._lock:
            self.min_ready_s = min_ready_s
            return {pod_hash: self._count(pod_hash, now_s) for pod_hash in self._born}

    def revisions(self) -> tuple[str, ...]:
        """Return every revision that ever had a pod, the oldest first."""
        with self._lock:
            return tuple(self._born)

    def serving(self, pod_hash: str) -> tuple[Place, ...]:
        """Return where the pods of a revision are that users may be sent to."""
        with self._lock:
            return tuple(pod.place for pod in self._pods if pod.pod_hash == pod_hash and pod.serves)

    def targets(self) -> tuple[Pod, ...]:
        """Return every pod that has a process, for a scraper."""
        with self._lock:
            return tuple(pod for pod in self._pods if pod.child is not None)

    def members(self) -> tuple[Pod, ...]:
        """Return every pod but those that leave, as it is now; whoever reads must not change it."""
        with self._lock:
            return tuple(self._pods)

    # ---- one pod

    def _create(self, pod_hash: str) -> Pod:
        program = self.programs[pod_hash]
        name = f"{self.name}-{pod_hash}-{self._born.get(pod_hash, 0)}"
        place = Place(LOOPBACK, free_port())
        return self._place(name, pod_hash, place, program, Probing(path=program.ready_path))

    def _place(self, name: str, pod_hash: str, place: Place, program: Program, probing: Probing) -> Pod:
        ordinal = self._born.get(pod_hash, 0)
        self._born[pod_hash] = ordinal + 1
        now_s = self.clock.now_s()
        pod = Pod(
            name=name,
            pod_hash=pod_hash,
            ordinal=ordinal,
            place=place,
            program=program,
            probing=probing,
            created_s=now_s,
            probe_at_s=now_s + probing.delay_s,
        )
        self._begin(pod)
        return pod

    def _begin(self, pod: Pod) -> None:
        program = pod.program
        seed = zlib.crc32(f"{self.seed}/{pod.pod_hash}/{pod.ordinal}/{pod.restarts}".encode())
        birth = Birth(
            name=pod.name,
            pod_hash=pod.pod_hash,
            host=pod.place.host,
            port=pod.place.port,
            first=pod.ordinal == 0,
            seed=seed,
        )
        pod.child = start_child(
            program.command(birth), log=self._log(pod), name=pod.name, environment=program.environment(birth)
        )

    def _log(self, pod: Pod) -> Path:
        return self.folder / f"{pod.name}.log"

    def _count(self, pod_hash: str, now_s: float) -> PodCounts:
        mine = [pod for pod in self._pods if pod.pod_hash == pod_hash]
        seen = tuple(
            PodSeen(name=pod.name, created_s=pod.created_s, available=self._is_available(pod, now_s)) for pod in mine
        )
        ready = sum(pod.ready_since_s is not None for pod in mine)
        return PodCounts(created=len(mine), ready=ready, available=sum(pod.available for pod in seen), pods=seen)

    def _is_available(self, pod: Pod, now_s: float) -> bool:
        return pod.ready_since_s is not None and now_s - pod.ready_since_s >= self.min_ready_s

    # ---- looking after them

    def _run(self) -> None:
        tick_s = max(TICK_MIN_S, self.clock.wall_s(self.look_s))
        seen: dict[str, PodCounts] = {}
        try:
            while not self._stopping.wait(tick_s):
                crashes = self._look()
                for crash in crashes:
                    self.on_crash(crash)
                counts = self.counts(self.clock.now_s(), self.min_ready_s)
                if counts != seen:
                    seen = counts
                    self.on_change()
        except BaseException as error:  # a fleet that nobody looks after must not look healthy
            self.failure = error

    def _look(self) -> list[Crash]:
        now_s, crashes = self.clock.now_s(), []
        with self._lock:
            self._leaving = [pod for pod in self._leaving if pod.child is not None and self._still_drains(pod)]
            for pod in self._pods:
                if pod.child is not None and not pod.child.alive:
                    crashes.append(self._bury(pod, now_s))
                elif pod.child is None and pod.restart_at_s is not None and now_s >= pod.restart_at_s:
                    pod.restarts += 1
                    self._begin(pod)
                if pod.child is not None:
                    self._probe(pod, now_s)
        return crashes

    def _still_drains(self, pod: Pod) -> bool:
        return pod.child is not None and pod.child.alive

    def _bury(self, pod: Pod, now_s: float) -> Crash:
        assert pod.child is not None
        crash = Crash(pod=pod, exit_code=pod.child.returncode, log_tail=tail_of(self._log(pod)))
        pod.child, pod.ready_since_s, pod.probe, pod.failures = None, None, None, 0
        pod.exit_code = crash.exit_code
        pod.restart_at_s = now_s + min(BACKOFF_S * 2**pod.restarts, BACKOFF_MAX_S)
        return crash

    def _probe(self, pod: Pod, now_s: float) -> None:
        if pod.probe is not None:
            if not pod.probe.done():
                return
            self._take(pod, pod.probe.result(), now_s)
            pod.probe = None
        if now_s >= pod.probe_at_s and self._probers is not None:
            pod.probe = self._probers.submit(self._ask, pod)

    def _take(self, pod: Pod, passed: bool, now_s: float) -> None:
        if passed:
            pod.failures = 0
            if pod.ready_since_s is None:
                pod.ready_since_s = now_s
        elif pod.ready_since_s is not None:
            pod.failures += 1
            if pod.failures >= pod.probing.failures:
                pod.ready_since_s = None
        hurry = pod.ready_since_s is None or pod.failures
        pod.probe_at_s = now_s + (pod.probing.unready_s if hurry else pod.probing.ready_s)

    def _ask(self, pod: Pod) -> bool:
        assert self._client is not None
        try:
            if pod.probing.path is None:
                socket.create_connection(pod.place, timeout=PROBE_TIMEOUT_S).close()
                return True
            return self._client.get(f"http://{pod.place}{pod.probing.path}").is_success
        except (httpx.HTTPError, OSError):
            return False


def await_ready(fleet: Fleet, pod_hash: str, replicas: int, *, within_s: float) -> None:
    """Wait, on the wall, until a revision has so many ready pods.

    Raises:
        WorldError: it does not get there, or one of its processes ends; with the last lines of its log.
    """
    ends = time.monotonic() + within_s
    while len(fleet.serving(pod_hash)) < replicas:
        for pod in fleet.targets():
            if pod.pod_hash == pod_hash and pod.child is not None and not pod.child.alive:
                log = tail_of(fleet.folder / f"{pod.name}.log")
                raise WorldError(f"{pod.name} ended at its start (exit code {pod.child.returncode}):\n{log}")
        if time.monotonic() > ends:
            ready = len(fleet.serving(pod_hash))
            raise WorldError(f"only {ready} of {replicas} pods of {pod_hash} became ready within {within_s:g} s")
        time.sleep(0.02)

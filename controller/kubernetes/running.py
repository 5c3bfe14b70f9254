"""The controller as a whole: copies of the cluster, two queues, a few workers, and a lease where several share it.

`Controller.start` returns when the copies are in; `stop` ends every thread. A change of any object wakes the rollout
that it belongs to. What one bad object raises is logged and waits its turn; the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from controller.kubernetes import labels
from controller.kubernetes.acting import ActingError, Actor
from controller.kubernetes.analyses import AnalysisReconciler, Ask
from controller.kubernetes.api import ApiError, ConflictError, Connection, ForbiddenError, NotFoundError, Resource
from controller.kubernetes.api.leases import Lease
from controller.kubernetes.api.watching import Changed, Key, Reflector, key_of
from controller.kubernetes.clock import Clock
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.events import EventQueue, EventWriter
from controller.kubernetes.observing import Observed, Observer
from controller.kubernetes.replica_sets import controller_of
from controller.kubernetes.rollouts import RolloutReconciler
from controller.kubernetes.routing import router_of
from controller.kubernetes.telling import Teller
from controller.kubernetes.work_queue import WorkQueue
from controller.traffic.routers import Router

Json = dict[str, Any]

ANALYSES_AT_ONCE = 16
SYNC_WITHIN_S = 60.0
SYNC_LOOK_S = 0.2
REFUSED_WITHIN_S = 3.0  # a server that has just started knows its custom resources and its roles a little later

log = logging.getLogger(__name__)


def _why_not(copy: Reflector) -> ApiError:
    """Return an error that says what could not be done to which kind, and what would help."""
    if isinstance(copy.problem, NotFoundError):
        return NotFoundError(
            f"the cluster has no {copy.resource.text}, which the controller has to list and watch; "
            "`gamebird controller crds` prints the custom resources that it needs"
        )
    return copy.problem or ApiError(f"{copy.resource.text} could not be listed and watched in {SYNC_WITHIN_S:g} s")


def _same_spec(before: Json | None, after: Json | None) -> bool:
    """Whether nothing changed that a rollout may depend on.

    An Ingress has its weight in an annotation, and a PodTemplate has its template beside the metadata.
    """
    if before is None or after is None:
        return False
    if any(before.get(part) != after.get(part) for part in ("spec", "template")):
        return False
    return bool(before["metadata"].get("annotations") == after["metadata"].get("annotations"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a controller runs.

    Attributes:
        namespace: the only one that is looked after; None for all.
        instance_id: only objects with this label of Argo's; "" for those without it.
        workers: how many rollouts are looked at at once; of analysis runs some more, because they wait for answers.
    """

    namespace: str | None = None
    instance_id: str = ""
    workers: int = 4


class Controller:
    """Looks after the rollouts of a cluster.

    Args:
        ask: asks one metric.
        lease: who leads, where several run; None: this one alone does.
        teller: counts and writes down what happens; one of its own unless given.
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        *,
        ask: Ask,
        lease: Lease | None = None,
        teller: Teller | None = None,
    ) -> None:
        self.settings, self.lease = settings, lease
        self.teller = teller or Teller()
        self.clock = Clock()
        self.rollout_queue: WorkQueue[Key] = WorkQueue()
        self.analysis_queue: WorkQueue[Key] = WorkQueue()
        self.cluster = Cluster(connection, namespace=settings.namespace, changed=self._listener)
        self.observer = Observer(self.cluster)
        self.events = EventQueue(EventWriter(connection), pressed=lambda: self.rollout_queue.pressed)
        self.rollouts = RolloutReconciler(
            cluster=self.cluster,
            observer=self.observer,
            actor=Actor(
                cluster=self.cluster,
                observer=self.observer,
                events=self.events,
                router=self._router,
                instance_id=settings.instance_id,
            ),
            events=self.events,
            now_s=self.clock.now_s,
            watcher=self.teller,
            pressed=lambda: self.rollout_queue.pressed,
            term=(lambda: 0) if lease is None else (lambda: lease.terms_led),
        )
        self.analyses = AnalysisReconciler(
            cluster=self.cluster, observer=self.observer, ask=ask, now_s=self.clock.now_s, watcher=self.teller
        )
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        if lease is not None:
            connection.fence = lease.guard

    def start(self) -> None:
        """Begin to look after rollouts, once the copies are in and the lease is held.

        Raises:
            ApiError: a kind of object that is needed is not there, or may not be read.
        """
        if self.lease is not None:
            self.lease.start()
        self.cluster.start()
        for copy in self.cluster.copies.values():
            self._await(copy)
        for number in range(self.settings.workers):
            self._spawn("rollout", number, self.rollout_queue, self._reconcile)
        for number in range(max(self.settings.workers, ANALYSES_AT_ONCE)):
            self._spawn("analysis", number, self.analysis_queue, self.analyses.reconcile)

    def stop(self) -> None:
        """End every thread, and give the lease back. Safe to repeat."""
        self._stopping.set()
        self.rollout_queue.close()
        self.analysis_queue.close()
        for thread in self._threads:
            thread.join()
        self.analyses.close()
        self.events.close()
        self.cluster.stop()
        if self.lease is not None:
            self.lease.stop()

    @property
    def ready(self) -> bool:
        """Whether the copies are in and are being kept up to date."""
        return all(copy.synced and copy.problem is None for copy in self.cluster.copies.values())

    @property
    def failure(self) -> BaseException | None:
        """What ended one of the threads that must not end; None while all is well."""
        return self.cluster.failure

    def _await(self, copy: Reflector) -> None:
        began_s = time.monotonic()
        while not copy.wait_followed(SYNC_LOOK_S) and not self._stopping.is_set():
            if copy.failure is not None:
                raise copy.failure
            refused = isinstance(copy.problem, (ForbiddenError, NotFoundError))
            if time.monotonic() - began_s > (REFUSED_WITHIN_S if refused else SYNC_WITHIN_S):
                raise _why_not(copy)

    # ---- what wakes whom

    def _listener(self, resource: Resource) -> Changed:
        return {
            "Rollout": self._rollout_changed,
            "AnalysisRun": self._run_changed,
            "ReplicaSet": self._set_changed,
            "AnalysisTemplate": self._template_changed,
            "ClusterAnalysisTemplate": self._template_changed,
        }.get(resource.kind, self._neighbour_changed)

    def _rollout_changed(self, before: Json | None, after: Json | None) -> None:
        item = after or before
        if item is None or not self._is_ours(item):
            return
        if after is None:
            self.rollouts.forget(item["metadata"]["uid"])
            self.rollout_queue.forget(key_of(item))
            self.teller.gone(key_of(item))
        else:
            self.rollout_queue.add(key_of(item))

    def _run_changed(self, before: Json | None, after: Json | None) -> None:
        if after is not None and self._is_ours(after):
            self.analysis_queue.add(key_of(after))
        if after is None and before is not None:
            self.observer.forget(before["metadata"]["uid"])
            self.analysis_queue.forget(key_of(before))
        self._owned_changed(before, after)

    def _set_changed(self, before: Json | None, after: Json | None) -> None:
        """A ReplicaSet: look at the rollout that it is of, with each pod of it, or at those whose workload it is."""
        item = after or before
        owner = None if item is None else controller_of(item)
        is_owned = owner is not None and owner.get("kind") == "Rollout"
        (self._owned_changed if is_owned else self._neighbour_changed)(before, after)

    def _owned_changed(self, before: Json | None, after: Json | None) -> None:
        item = after or before
        owner = None if item is None else controller_of(item)
        if item is not None and owner is not None and owner.get("kind") == "Rollout":
            self.rollout_queue.add(Key(item["metadata"]["namespace"], owner["name"]))

    def _template_changed(self, before: Json | None, after: Json | None) -> None:
        """Look at the rollouts that may use a template, of their own accord or through another template."""
        if _same_spec(before, after):
            return
        for rollout in self._rollouts_beside(after or before or {}):
            self.rollout_queue.add(key_of(rollout))

    def _neighbour_changed(self, before: Json | None, after: Json | None) -> None:
        """What rollouts name: look at those that name this one, and at the one that it was made for."""
        item = after or before or {}
        if _same_spec(before, after):
            return
        self._owned_changed(before, after)
        for rollout in self._rollouts_beside(item):
            if item["metadata"]["name"] in self.observer.names(rollout):
                self.rollout_queue.add(key_of(rollout))

    def _rollouts_beside(self, item: Json) -> Iterator[Json]:
        namespace, rollouts = item["metadata"].get("namespace"), self.cluster.copies["Rollout"]
        found = rollouts.all() if namespace is None else rollouts.in_namespace(namespace)
        return (rollout for rollout in found if self._is_ours(rollout))

    def _is_ours(self, item: Json) -> bool:
        names = item["metadata"].get("labels") or {}
        return str(names.get(labels.INSTANCE_ID, "")) == self.settings.instance_id

    def _reconcile(self, key: Key) -> float | None:
        """Reconcile a rollout, if it is ours: what wakes it may be an object that says nothing of an instance."""
        item = self.cluster.get("Rollout", key)
        return None if item is not None and not self._is_ours(item) else self.rollouts.reconcile(key)

    def _router(self, seen: Observed) -> Router | None:
        return router_of(self.cluster, seen)

    # ---- workers

    def _spawn(self, kind: str, number: int, queue: WorkQueue[Key], turn: Callable[[Key], float | None]) -> None:
        thread = threading.Thread(target=self._work, args=(kind, queue, turn), name=f"{kind}-{number}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, kind: str, queue: WorkQueue[Key], turn: Callable[[Key], float | None]) -> None:
        if self.lease is not None:
            while not self.lease.wait_leading(0.5):
                if self._stopping.is_set():
                    return
        took_s, failures = self.teller.reconcile_s.labels(kind), self.teller.failures.labels(kind)
        while (key := queue.take()) is not None:
            began_s = time.monotonic()
            try:
                again_s = turn(key)
            except (ConflictError, NotFoundError) as error:
                # Somebody was faster. The copy will show what they did, and usually has by now.
                log.info("a turn is repeated", extra={"object": str(key), "why": str(error)})
                queue.failed(key)
            except (ApiError, ActingError) as error:
                failures.inc()
                wait_s = queue.failed(key)
                log.warning("a turn failed", extra={"object": str(key), "why": str(error), "again_s": wait_s})
            except Exception:
                failures.inc()
                wait_s = queue.failed(key)
                log.exception("a turn met a bug", extra={"object": str(key), "again_s": wait_s})
            else:
                queue.done(key, again_s=again_s)
            took_s.observe(time.monotonic() - began_s)
            self.teller.waiting.labels(kind).set(len(queue))

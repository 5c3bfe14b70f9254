"""The test cluster's router: one Envoy for each namespace with a route, fed from the API by watching.

Ingress or HTTPRoute, Services and EndpointSlices make a split; Envoy takes it, and only when Envoy has acknowledged it
does the namespace's ConfigMap say so. Faults of the proxy come the same way and end at their instant by themselves.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.kubernetes.api import ApiError, Connection, NotFoundError, Resource
from controller.kubernetes.api.resources import HTTP_ROUTES, INGRESSES, SERVICES
from controller.kubernetes.api.watching import Key, Reflector
from controller.kubernetes.work_queue import WorkQueue
from experiments.testbeds.cluster.notes import (
    CONFIG_MAPS,
    FAULTS,
    LABEL,
    METRICS,
    ROUTER,
    FaultWish,
    RouterState,
    Share,
    wishes_of,
    write_state,
)
from experiments.testbeds.cluster.routes import Route, RouteError, endpoints_of, find_route, selected_hash
from experiments.testbeds.local.envoy import SIDES, Envoy, ProxyFault, Split

Json = dict[str, Any]

ENDPOINT_SLICES = Resource(group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice")
RETRY_S = 0.2


@dataclass(slots=True, kw_only=True)
class _Home:
    """One namespace's Envoy and what was said of it last."""

    envoy: Envoy
    said: RouterState


class ClusterRouter:
    """Routes the traffic of a whole cluster. Made, started and stopped by one owner.

    Args:
        folder: an existing folder for Envoys' files.
        about: what every state says beside the split: the metrics server. Its target is each namespace's own.
        cut_metrics: told whether a game day wants nobody to answer at Prometheus; blocks until it holds.
    """

    def __init__(
        self, connection: Connection, folder: Path, *, about: RouterState, cut_metrics: Callable[[bool], None]
    ) -> None:
        self._connection, self._folder, self._about, self._cut = connection, folder, about, cut_metrics
        self._queue: WorkQueue[str] = WorkQueue()
        self._copies = {
            resource.kind: Reflector(
                connection, resource, changed=self._changed, selector=LABEL if resource is CONFIG_MAPS else ""
            )
            for resource in (INGRESSES, HTTP_ROUTES, SERVICES, ENDPOINT_SLICES, CONFIG_MAPS)
        }
        self._homes: dict[str, _Home] = {}
        self._noticed: dict[str, float] = {}  # since when a namespace waits for its turn, unix seconds
        self._cut_by: set[str] = set()
        self._lock = threading.Lock()
        # Said in order and apart from routing: a weight must not wait until the API server has heard of the last one.
        self._sayings: queue.SimpleQueue[tuple[str, RouterState] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._watched, args=(work,), name=name, daemon=True)
            for name, work in (("router", self._work), ("router's word", self._say))
        ]
        self._stopping = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to route."""
        for copy in self._copies.values():
            copy.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every Envoy."""
        self._stopping.set()
        self._queue.close()
        self._sayings.put(None)
        for copy in self._copies.values():
            copy.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        for home in self._homes.values():
            home.envoy.stop()

    @property
    def failure(self) -> BaseException | None:
        """What ended one of its threads; None while all is well."""
        return self._failure or next((copy.failure for copy in self._copies.values() if copy.failure), None)

    # ---- what wakes it

    def _changed(self, before: Json | None, after: Json | None) -> None:
        item = after or before
        if item is not None and item["metadata"]["name"] != ROUTER:
            namespace = item["metadata"].get("namespace", "")
            with self._lock:
                self._noticed.setdefault(namespace, time.time())
            self._queue.add(namespace)

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # whoever holds the router looks; one that no longer routes must not look well
            self._failure = error

    def _work(self) -> None:
        while (namespace := self._queue.take()) is not None:
            with self._lock:
                asked_s = self._noticed.pop(namespace, time.time())
            try:
                self._route(namespace, asked_s)
            finally:
                self._queue.done(namespace)

    def _say(self) -> None:
        while (saying := self._sayings.get()) is not None:
            namespace, state = saying
            while not self._stopping.is_set():
                try:
                    write_state(self._connection, namespace, state)
                    break
                except NotFoundError:  # the namespace is gone, and whoever listened
                    break
                except ApiError:
                    self._stopping.wait(RETRY_S)

    # ---- one namespace's turn

    def _route(self, namespace: str, asked_s: float) -> None:
        wishes, problem = self._wishes(namespace), ""
        self._heed_metrics(namespace, wishes)
        route, split = None, Split()
        try:
            route = find_route(self._of(INGRESSES, namespace), self._of(HTTP_ROUTES, namespace))
            split = split if route is None else self._split(namespace, route, wishes)
        except RouteError as error:
            route, problem = None, str(error)
        home = self._homes.get(namespace)
        if home is None:
            if route is None and not problem:
                return
            home = self._homes[namespace] = self._open(namespace)
        shares: tuple[Share, ...] = ()
        if route is not None:
            home.envoy.apply(split)
            shares = _shares(route, split)
        state = replace_state(
            home.said,
            problem=problem,
            shares=shares,
            faults={name: wish.model_dump_json() for name, wish in wishes.items()},
        )
        if state != home.said:
            if state.shares != home.said.shares:
                state = replace_state(state, asked_s=asked_s, acknowledged_s=time.time())
            self._sayings.put((namespace, state))
            home.said = state

    def _open(self, namespace: str) -> _Home:
        folder = self._folder / namespace
        folder.mkdir()
        envoy = Envoy(folder)
        return _Home(envoy=envoy, said=replace_state(self._about, target=envoy.address))

    def _wishes(self, namespace: str) -> dict[str, FaultWish]:
        """Return the faults that are to be in force now, and come back when the next one ends."""
        now_s = time.time()
        wishes = wishes_of(self._copies[CONFIG_MAPS.kind].get(Key(namespace, FAULTS)))
        found = {name: wish for name, wish in wishes.items() if wish.until_s > now_s}
        if found:
            self._queue.add(namespace, after_s=min(wish.until_s for wish in found.values()) - now_s)
        return found

    def _heed_metrics(self, namespace: str, wishes: dict[str, FaultWish]) -> None:
        before = bool(self._cut_by)
        wanted = any(wish.service == METRICS for wish in wishes.values())
        self._cut_by = self._cut_by | {namespace} if wanted else self._cut_by - {namespace}
        if bool(self._cut_by) != before:
            self._cut(bool(self._cut_by))

    def _split(self, namespace: str, route: Route, wishes: dict[str, FaultWish]) -> Split:
        sides = dict(zip(SIDES, route.backends, strict=False))
        services = {side: self._service(namespace, backend.service) for side, backend in sides.items()}
        slices = self._of(ENDPOINT_SLICES, namespace)
        return Split(
            canary=sides["canary"].weight if "canary" in sides else 0,
            total=route.total or 100,
            endpoints={
                side: endpoints_of(backend, services[side] or {"spec": {}}, slices) for side, backend in sides.items()
            },
            revisions={side: selected_hash(services[side]) for side in sides},
            faults=tuple(
                fault
                for name, wish in sorted(wishes.items())
                for fault in _proxy_faults(wish, {side: backend.service for side, backend in sides.items()})
            ),
        )

    def _service(self, namespace: str, name: str) -> Json | None:
        return self._copies[SERVICES.kind].get(Key(namespace, name))

    def _of(self, resource: Resource, namespace: str) -> list[Json]:
        items = self._copies[resource.kind].all()
        return [item for item in items if item["metadata"].get("namespace") == namespace]


def replace_state(state: RouterState, **changes: Any) -> RouterState:
    """Return the state with some fields changed."""
    return state.model_copy(update=changes)


def _shares(route: Route, split: Split) -> tuple[Share, ...]:
    """Return what Envoy has acknowledged, by Service."""
    return tuple(
        Share(
            service=backend.service,
            weight=backend.weight,
            pod_hash=split.revisions[side],
            pods=len(split.endpoints[side]),
        )
        for side, backend in zip(SIDES, route.backends, strict=False)
    )


def _proxy_faults(wish: FaultWish, services: dict[str, str]) -> list[ProxyFault]:
    """Return what Envoy is to do for a wish, by the sides on which its Service stands now."""
    if wish.service == METRICS:
        return []
    sides = ["all"] if not wish.service else [side for side, service in services.items() if service == wish.service]
    fault = ProxyFault(side="all", percent=100 * wish.share, status=wish.status, delay_s=wish.delay_s)
    return [replace(fault, side=side) for side in sides]

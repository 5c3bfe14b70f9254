"""The cluster world: a game day on an API server, with whichever controller looks after Rollouts there.

It brings the policy's objects into a namespace, watches what becomes of them, and takes them away again. The controller
is Gamebird's or Argo Rollouts, the cluster is the test cluster, kind or a real one: this module reads only what all of
them write. It needs a way in for the users' requests (the data plane's ConfigMap names it, or the caller does), and
lets the proxy or Prometheus misbehave only where the data plane is one that can.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.core.status import Phase
from controller.kubernetes.api import ApiError, Connection
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    HTTP_ROUTES,
    INGRESSES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
)
from controller.kubernetes.api.watching import Key, Reflector
from controller.manifests.policies import Policy
from experiments.events import Event, PodEnded
from experiments.testbeds.cluster.guests import Guests, Revision, read_guests
from experiments.testbeds.cluster.notes import (
    CONFIG_MAPS,
    METRICS,
    ROUTER,
    FaultWish,
    RouterState,
    state_of,
    write_wish,
)
from experiments.testbeds.cluster.routes import RouteError, find_route, selected_hash
from experiments.testbeds.cluster.seeing import RolloutSight, Sides
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.clock import PolicyClock
from experiments.testbeds.local.telling import Bulletin, Teller
from loadgen.openloop.clock import Origin
from sim.releases import Release

Json = dict[str, Any]

SYNC_WITHIN_S = 20.0
STABLE_WITHIN_S = 120.0
DEPLOYED_WITHIN_S = 30.0
AWAY_MAX_S = 30.0  # so long may the API server be away
FAULT_FOR_S, RENEW_S = 30.0, 10.0  # a fault outlives its game day by so much at most
ACKNOWLEDGED_WITHIN_S = 15.0
_LOOK_S = 0.02
_OF_THE_DATA_PLANE, _OF_USERS = ("prometheus_gone", "proxy_errors", "proxy_delay"), ("change_traffic",)
_TAKES_NO_FAULTS = "nobody in this cluster can let its proxy or its Prometheus misbehave"
_WATCHED = (ROLLOUTS, ANALYSIS_RUNS, REPLICA_SETS, PODS, SERVICES, INGRESSES, HTTP_ROUTES, CONFIG_MAPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where a game day is played.

    Attributes:
        connection: to the API server, as an identity that may create and delete what a policy consists of.
        namespace: an existing one.
        target: where users send requests, http://127.0.0.1:PORT; "" where the data plane says it.
    """

    connection: Connection
    namespace: str
    target: str = ""


class ClusterWorld:
    """One rollout in one namespace. Made, started and stopped by one owner; everything else from any thread.

    Args:
        policy: the rollout and its templates.
        files: the manifests that the policy was read from.
        stable: the revision before the release under test.
        under_test: the revision that `deploy` hands to the controller.
        routes: (method, path) of each kind of request.
        scrape_s: how often the game day counts on a pod's being scraped.
        faults: the kinds of the faults that the game day plans.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        policy: Policy,
        files: tuple[Path, ...],
        stable: Revision,
        under_test: Revision,
        routes: tuple[tuple[str, str], ...],
        scrape_s: float,
        faults: tuple[str, ...] = (),
    ) -> None:
        # Prometheus and the controller live in the wall's time, so policy time is the wall's.
        self.clock = PolicyClock(Origin(monotonic_s=time.monotonic(), policy_s=time.time(), speed=1.0))
        self._venue, self._policy, self._scrape_s = venue, policy, scrape_s
        self._stable, self._under_test, self._faults = stable, under_test, faults
        strategy, connection = policy.rollout.strategy, venue.connection
        self._guests = Guests(
            connection=connection,
            namespace=venue.namespace,
            rollout=policy.rollout.name,
            objects=read_guests(files),
            routes=routes,
        )
        self._bulletin = Bulletin()
        self._sight = RolloutSight(
            name=policy.rollout.name,
            sides=Sides(stable=strategy.stable_service, canary=strategy.canary_service),
            bulletin=self._bulletin,
            teller=Teller(bulletin=self._bulletin, steps=strategy.steps),
            now_s=self.clock.now_s,
        )
        self._copies = {
            resource.kind: Reflector(
                connection, resource, namespace=venue.namespace, changed=self._listener(resource.kind)
            )
            for resource in _WATCHED
        }
        self._lock = threading.RLock()
        self._state: RouterState | None = None
        self._away_since: float | None = None
        self._wishes: dict[str, FaultWish] = {}
        self._stopping = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="fault leases", daemon=True)
        self._failure: BaseException | None = None

    # ---- life

    def start(self) -> str:
        """Bring the stable revision up and return its pod-template hash.

        Raises:
            WorldError: the cluster is not as a game day needs it, or the stable revision did not become healthy.
        """
        try:
            self._check_policy()
            for copy in self._copies.values():
                copy.start()
            self._await_synced()
            self._guests.enter(self._stable)
            self._await(self._is_healthy, STABLE_WITHIN_S, self._unhealthy)
            self._await(self._has_target, ACKNOWLEDGED_WITHIN_S, self._no_target)
            self._check_data_plane()
            self._renewer.start()
        except ApiError as error:
            self.stop()
            raise WorldError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        return self._sight.status.current_hash

    def stop(self) -> None:
        """Take away everything that was brought, and end every thread. Safe to repeat."""
        self._stopping.set()
        try:
            self._guests.leave()
        finally:
            if self._renewer.is_alive():
                self._renewer.join()
            for copy in self._copies.values():
                copy.stop()

    def check(self) -> None:
        """Do nothing while the world stands.

        Raises:
            WorldError: the API server has been away for too long, or a thread of ours has met a bug.
        """
        for copy in self._copies.values():
            if copy.failure is not None:
                raise WorldError(f"the watch of {copy.resource.text} failed: {copy.failure}") from copy.failure
        if self._failure is not None:
            raise WorldError(f"the faults' leases could not be renewed: {self._failure}") from self._failure
        if self._state is not None and self._state.problem:
            raise WorldError(f"the router of this cluster cannot route: {self._state.problem}")
        problem = self._copies[ROLLOUTS.kind].problem
        if problem is None:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
        elif time.monotonic() - self._away_since > AWAY_MAX_S:
            raise WorldError(f"the API server has been away for {AWAY_MAX_S:g} s: {problem}")

    # ---- what users of the world need to know

    @property
    def target_url(self) -> str:
        """Where users send their requests."""
        return self._venue.target or (self._state.target if self._state is not None else "")

    @property
    def metrics_server(self) -> str:
        """What answers queries, for reports."""
        text = self._state.metrics_text if self._state is not None else ""
        return f"{text}, in the cluster" if text else "the cluster's own"

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Pass every later event on."""
        self._bulletin.subscribe(subscriber)

    # ---- what is done to it

    def deploy(self, release: Release) -> str:
        """Hand the release to the controller, as `kubectl apply` would, and return its pod-template hash.

        Raises:
            WorldError: no controller takes it up.
        """
        before = self._sight.status.current_hash
        self._guests.deploy(replace(self._under_test, release=release))
        self._await(
            lambda: self._sight.status.current_hash not in ("", before),
            DEPLOYED_WITHIN_S,
            lambda: "no controller has taken the release up; is one running that looks after this namespace?",
        )
        return self._sight.status.current_hash

    def cut_metrics(self, *, cut: bool) -> None:
        """Let nobody answer at Prometheus' address, or answer again."""
        self._wish("metrics", FaultWish(service=METRICS, until_s=0.0) if cut else None)

    def set_proxy_fault(self, side: str, fault: Mapping[str, Any] | None) -> None:
        """Let the proxy misbehave towards one side ("canary", "stable", "all"), or no more.

        Args:
            fault: `abort_share` with `status`, or `delay_share` with `delay_s`; shares from 0 to 1.
        """
        if fault is None:
            self._wish(f"proxy-{side}", None)
            return
        strategy = self._policy.rollout.strategy
        service = {"canary": strategy.canary_service, "stable": strategy.stable_service}.get(side, "")
        share = float(fault.get("abort_share", fault.get("delay_share", 1.0)))
        wish = FaultWish(
            service=service, share=share, status=fault.get("status"), delay_s=fault.get("delay_s"), until_s=0.0
        )
        self._wish(f"proxy-{side}", wish)

    def set_flag(self, flag: str, *, on: bool | None) -> None:
        """Refuse: which flags a service follows, and where they stand, is the cluster's own.

        Raises:
            WorldError: always, but for putting a flag back that was never set.
        """
        if on is not None:
            raise WorldError("set_flag: feature flags are not driven in a cluster")

    # ---- faults

    def _wish(self, name: str, wish: FaultWish | None) -> None:
        """Ask the data plane for a fault or its end; returns when it says that it holds.

        Raises:
            WorldError: there is no data plane that can, or it does not say so in time.
        """
        if self._state is None:
            raise WorldError(_TAKES_NO_FAULTS)
        with self._lock:
            if wish is None:
                self._wishes.pop(name, None)
                text = write_wish(self._venue.connection, self._venue.namespace, name, None)
            else:
                self._wishes[name] = wish
                text = self._write(name, wish)
        self._await(
            lambda: self._state is not None and self._acknowledges(name, text),
            ACKNOWLEDGED_WITHIN_S,
            lambda: f"the data plane did not acknowledge the fault {name}",
        )

    def _acknowledges(self, name: str, text: str) -> bool:
        assert self._state is not None
        return (name in self._state.faults) == bool(text)

    def _write(self, name: str, wish: FaultWish) -> str:
        lasting = wish.model_copy(update={"until_s": time.time() + FAULT_FOR_S})
        return write_wish(self._venue.connection, self._venue.namespace, name, lasting)

    def _renew(self) -> None:
        """Let faults in force go on. When this process is gone, so are they, half a minute later."""
        try:
            while not self._stopping.wait(RENEW_S):
                with self._lock, contextlib.suppress(ApiError):
                    for name, wish in self._wishes.items():
                        self._write(name, wish)
        except BaseException as error:
            self._failure = error

    # ---- preconditions

    def _check_policy(self) -> None:
        rollout = self._policy.rollout
        foreign = [fault for fault in self._faults if fault not in (*_OF_THE_DATA_PLANE, *_OF_USERS)]
        if foreign:
            raise WorldError(f"{', '.join(foreign)}: such faults cannot be put in force in a cluster")
        if rollout.template is None:
            raise WorldError(f"{rollout.name} has no pod template of its own; a game day cannot follow a workloadRef")
        if rollout.strategy.traffic_routing is None:
            raise WorldError(
                f"{rollout.name} has no trafficRouting; what the canary gets cannot be told from the cluster's objects"
            )

    def _check_data_plane(self) -> None:
        state = self._state
        if state is None and set(self._faults) & set(_OF_THE_DATA_PLANE):
            raise WorldError(f"{_TAKES_NO_FAULTS}, and the game day plans {', '.join(self._faults)}")
        if state is not None and state.scrape_s and state.scrape_s != self._scrape_s:
            raise WorldError(
                f"the game day counts on a scrape every {self._scrape_s:g} s (scrape_s), and this cluster's Prometheus "
                f"scrapes every {state.scrape_s:g} s"
            )

    def _await_synced(self) -> None:
        for copy in self._copies.values():
            if copy.resource is HTTP_ROUTES:
                continue  # not every cluster has the Gateway API; a policy that needs it is told when it comes
            if not copy.wait_synced(SYNC_WITHIN_S):
                raise WorldError(f"{copy.resource.text} cannot be read: {copy.problem}")

    def _is_healthy(self) -> bool:
        status = self._sight.status
        crashed = next((event for event in self._bulletin.events if isinstance(event, PodEnded)), None)
        if crashed is not None and status.phase is not Phase.HEALTHY:
            raise WorldError(f"{crashed.pod} ended at its start (exit code {crashed.exit_code})")
        return status.phase is Phase.HEALTHY and bool(status.stable_hash)

    def _unhealthy(self) -> str:
        status = self._sight.status
        if not status.current_hash:
            return f"nobody looks after Rollouts in the namespace {self._venue.namespace}: start a controller"
        refused = [
            waiting["message"]
            for item in self._copies[PODS.kind].all()
            for each in (item.get("status") or {}).get("containerStatuses") or ()
            if (waiting := (each.get("state") or {}).get("waiting") or {}).get("message")
        ]
        why = f"; a pod says: {refused[0]}" if refused else ""
        return (
            f"the stable revision was not healthy within {STABLE_WITHIN_S:g} s: {status.phase.value} "
            f"({status.message}), {status.available_replicas} pods available{why}"
        )

    def _has_target(self) -> bool:
        if self._venue.target:
            return True
        state = self._state
        return state is not None and any(share.weight and share.pods for share in state.shares)

    def _no_target(self) -> str:
        return (
            "nobody says where users come in: name it with --target http://127.0.0.1:PORT, as kubectl port-forward "
            "gives it for the ingress"
        )

    def _await(self, holds: Callable[[], bool], within_s: float, otherwise: Callable[[], str]) -> None:
        ends = time.monotonic() + within_s
        while not holds():
            self.check()
            if time.monotonic() > ends:
                raise WorldError(otherwise())
            time.sleep(_LOOK_S)

    # ---- what the watches bring

    def _listener(self, kind: str) -> Callable[[Json | None, Json | None], None]:
        def changed(before: Json | None, after: Json | None) -> None:
            with self._lock:
                self._see(kind, after)

        return changed

    def _see(self, kind: str, item: Json | None) -> None:
        if kind == REPLICA_SETS.kind:
            self._sight.replica_sets(self._copies[kind].all())
        elif kind == CONFIG_MAPS.kind:
            state = state_of(self._copies[kind].get(Key(self._venue.namespace, ROUTER)))
            if state is not None:
                self._state = state
                self._sight.routed(state)
        elif kind in (SERVICES.kind, INGRESSES.kind, HTTP_ROUTES.kind):
            if self._state is None:
                self._see_routes()
        elif item is not None:
            tell = {
                ROLLOUTS.kind: self._sight.rollout,
                ANALYSIS_RUNS.kind: self._sight.analysis_run,
                PODS.kind: self._sight.pod,
            }
            tell[kind](item)

    def _see_routes(self) -> None:
        """Where no data plane says what its router has taken up, the objects' own weights are all there is."""
        try:
            route = find_route(self._copies[INGRESSES.kind].all(), self._copies[HTTP_ROUTES.kind].all())
        except RouteError:
            return
        if route is not None:
            services = self._copies[SERVICES.kind]
            namespace = self._venue.namespace
            hashes = {
                each.service: selected_hash(services.get(Key(namespace, each.service))) for each in route.backends
            }
            self._sight.routed_by_objects(route, hashes)

"""One platform history in virtual time: pods, Services, the router, and who gets which share of the traffic.

Deterministic given the scenario and the fates; it decides nothing and knows no rollout. A driver carries actions out on
it (`carry_out`), lets it go on by itself (`next_s`, `advance`) and counts its pods. A fork shares the past and goes its
own way; `key` says when two histories have the same future. Whatever depends on the load sees the expected load.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile

from controller.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    RestartPod,
    ScaleReplicaSet,
    SelectService,
    SetWeight,
)
from controller.core.driving import PodCounts
from controller.core.snapshot import PodSeen
from sim.platform.autoscaling import METRICS_WINDOW_S, ScalerState, recommended, synced
from sim.platform.demands import instant_of, requests_of
from sim.platform.ground import Ground
from sim.platform.moments import begins_s
from sim.platform.pods import NEVER, PodLife, Stretch
from sim.platform.sharing import Shares, shared_by
from sim.platform.sizing import uses
from sim.scenarios import Trigger

# Kinds of events, in the order in which they happen at one instant.
_LIFE, _DEATH, _LAST_REQUEST, _ROUTE, _SYNC = range(5)

_Route = tuple[float, str, object]  # (holds from, what, value)


class Platform:
    """Pods and a router. Times are policy seconds, 0 is the first request.

    Attributes:
        lives: every life of a pod so far; shares point into it. A life is replaced when it ends, never moved.
        timeline: the stretches that are over, in order; what is under way is `current`.
        instants: when each trigger of the scenario was reached, with its delay.
        size: how many pods the autoscaler wants the rollout to have; what it has without one.
    """

    __slots__ = (
        "_born",
        "_changed",
        "_counts",
        "_events",
        "_first_s",
        "_ground",
        "_history",
        "_last_request_s",
        "_pending",
        "_routed_s",
        "_routes",
        "_scaler",
        "_selected",
        "_seq",
        "_served",
        "_share_max",
        "_shares",
        "_since_s",
        "_standing",
        "_until_s",
        "_weight",
        "instants",
        "lives",
        "now_s",
        "size",
        "timeline",
    )

    def __init__(self, ground: Ground, *, stable_pods: int) -> None:
        self._ground = ground
        self.now_s = 0.0
        self.lives: list[PodLife] = []
        self.timeline: list[Stretch] = []
        self.instants: dict[Trigger, float] = {}
        self._share_max = 0.0
        self._first_s = NEVER
        self._until_s = 0.0
        self._born: dict[str, int] = {}
        self._standing: dict[str, list[int]] = {ground.stable_hash: []}
        self._events: list[tuple[float, int, int, int]] = []
        self._seq = 0
        self._selected: dict[str, str] = {"stable": ground.stable_hash, "canary": ground.stable_hash}
        self._weight = 0.0
        self._pending: list[_Route] = []
        self._routes = 0  # instants at which the router was asked for something, so far
        self._routed_s = (-1.0, 0.0)  # the last of them, and when what was asked holds
        self._served: dict[int, float] = {}  # by life that a request will kill: expected requests up to this stretch
        self._last_request_s: dict[int, float] = {}
        self.size = stable_pods
        self._scaler = ScalerState(recommendations=((0.0, stable_pods),))
        self._counts: dict[str, PodCounts] | None = None
        self._changed = False
        self._history = 0
        self._since_s = 0.0
        self._shares: Shares = ((), 0.0, 0.0)
        for ordinal in range(stable_pods):
            self._add(ground.births.standing(ground.stable_hash, ordinal, 0.0))
        self._born[ground.stable_hash] = stable_pods
        self._shares = self._split()
        self._foresee()
        if ground.scenario.autoscaler is not None:
            self._push(ground.sync_phase_s, _SYNC, -1)

    # ---- what is

    @property
    def current(self) -> Stretch:
        """The stretch that is under way, as far as it has come."""
        shares, unserved, release = self._shares
        return Stretch(
            from_s=self._since_s, until_s=self.now_s, shares=shares, unserved=unserved, release_share=release
        )

    @property
    def release_share(self) -> float:
        """The share of all traffic that the release gets now."""
        return self._shares[2]

    @property
    def release_share_max(self) -> float:
        """The largest share of all traffic that the release had so far."""
        return max(self._share_max, self._shares[2])

    @property
    def release_first_s(self) -> float:
        """When the release was first sent users; inf: never."""
        return min(self._first_s, self._since_s) if self._shares[2] > 0.0 else self._first_s

    @property
    def release_until_s(self) -> float:
        """Since when it has been sent none any more; inf while it is."""
        return NEVER if self._shares[2] > 0.0 else self._until_s

    @property
    def is_away(self) -> bool:
        """Whether no user is sent to the release, nor would be if its pods came back."""
        ground = self._ground
        if self._pending or self._shares[2] > 0.0:
            return False
        if not ground.routed:
            return not self._standing.get(ground.release_hash)
        sides = ["stable"] if self._weight == 0.0 else ["stable", "canary"]
        return all(self._selected[side] != ground.release_hash for side in sides)

    def pod_counts(self) -> Mapping[str, PodCounts]:
        """Return the pods of each revision as they are now, by pod-template hash."""
        if self._counts is None:
            self._counts = {pod_hash: self._count(indices) for pod_hash, indices in self._standing.items()}
        return self._counts

    def _count(self, indices: list[int]) -> PodCounts:
        now_s, min_ready_s = self.now_s, self._ground.min_ready_s
        ready = available = 0
        for index in indices:
            life = self.lives[index]
            if life.ready_s <= now_s < life.unready_s:
                ready += 1
                available += life.ready_s + min_ready_s <= now_s
        pods: tuple[PodSeen, ...] = ()
        if self._ground.keeps_pods:
            pods = tuple(self._seen(self.lives[index]) for index in indices)
        return PodCounts(created=len(indices), ready=ready, available=available, pods=pods)

    def _seen(self, life: PodLife) -> PodSeen:
        available = life.serves(self.now_s) and life.ready_s + self._ground.min_ready_s <= self.now_s
        return PodSeen(name=life.name, created_s=life.born_s, available=available)

    # ---- time

    def next_s(self) -> float:
        """Return when something next changes by itself; inf when nothing will."""
        events = self._events
        while events:
            at_s, kind, _, index = events[0]
            if kind >= _ROUTE:
                return at_s
            if self.lives[index].ended_s == NEVER and (
                kind != _LAST_REQUEST or self._last_request_s.get(index) == at_s
            ):
                return at_s
            heapq.heappop(events)
        return NEVER

    def advance(self, to_s: float) -> bool:
        """Go on to an instant; True when something changed on the way that a decision sees: pods, or the size."""
        while True:
            at_s = self.next_s()
            if at_s > to_s:
                break
            _, kind, _, index = heapq.heappop(self._events)
            self.now_s = at_s
            self._happen(kind, index)
            if self.next_s() > at_s:
                self._reshare()
        if to_s > self.now_s:
            self.now_s = to_s
        changed, self._changed = self._changed, False
        return changed

    def _happen(self, kind: int, index: int) -> None:
        if kind == _ROUTE:
            self._route()
        elif kind == _SYNC:
            self._sync()
        else:
            self._counts = None
            self._changed = True
            if kind != _LIFE:
                self._die(index)

    def crash(self, index: int) -> None:
        """End a process now, by a request that the caller has counted."""
        if self.lives[index].ended_s == NEVER:
            self._counts = None
            self._changed = True
            self._die(index)
            self._reshare()

    def reached_step(self, step_index: int) -> None:
        """Note the step that the rollout has come to, for windows that begin with one."""
        for trigger in self._ground.triggers:
            if trigger.step_at_least is not None and step_index >= trigger.step_at_least:
                self._set_off(trigger)

    def _reached_weight(self, percent: float) -> None:
        for trigger in self._ground.triggers:
            if trigger.weight_at_least is not None and percent >= trigger.weight_at_least - 1e-9:
                self._set_off(trigger)

    def _set_off(self, trigger: Trigger) -> None:
        if trigger not in self.instants:
            self.instants[trigger] = self.now_s + trigger.after_s
            self._foresee()

    # ---- actions

    def carry_out(self, action: Action) -> None:
        """Do what a decision asks for, now. Doing it a second time changes nothing."""
        match action:
            case CreateReplicaSet():
                self._standing.setdefault(action.pod_hash, [])
            case ScaleReplicaSet():
                self._scale(action.pod_hash, action.replicas)
            case DeleteReplicaSet():
                if not self._standing.get(action.pod_hash):
                    self._standing.pop(action.pod_hash, None)
            case RestartPod():
                self._restart(action.pod_hash, action.pod)
            case SetWeight():
                self._ask_router("weight", action.canary / action.total)
                if self._ground.by_hashes:
                    self._ask_router("canary", action.canary_hash)
                    self._ask_router("stable", action.stable_hash)
            case SelectService():
                self._ask_router(action.role, action.pod_hash)
            case _:
                return  # bookkeeping, or a subject that this world does not have
        self._counts = None
        self._reshare()

    def _scale(self, pod_hash: str, replicas: int) -> None:
        standing = self._standing.setdefault(pod_hash, [])
        for _ in range(replicas - len(standing)):
            self._create(pod_hash)
        surplus = len(standing) - replicas
        if surplus > 0:
            # As a ReplicaSet chooses: those that are not ready first, then those that have been ready the shortest.
            standing.sort(key=lambda index: (self._is_ready(index), -self.lives[index].ready_s, -index))
            for index in standing[:surplus]:
                self._end(index)
            self._standing[pod_hash] = sorted(standing[surplus:])

    def _is_ready(self, index: int) -> bool:
        return self.lives[index].serves(self.now_s)

    def _create(self, pod_hash: str) -> None:
        ordinal = self._born.get(pod_hash, 0)
        self._born[pod_hash] = ordinal + 1
        is_release = pod_hash == self._ground.release_hash
        self._add(self._ground.births.first(pod_hash, ordinal, is_release=is_release, now_s=self.now_s))

    def _add(self, life: PodLife) -> None:
        """Begin a life and note the instants at which something about it will change."""
        index = len(self.lives)
        self.lives.append(life)
        self._standing[life.pod_hash].append(index)
        available_s = life.ready_s + self._ground.min_ready_s
        for at_s in {life.ready_s, available_s, life.unready_s}:
            if self.now_s < at_s < life.dies_s:
                self._push(at_s, _LIFE, index)
        if life.dies_s < NEVER:
            self._push(life.dies_s, _DEATH, index)
        if life.requests_max < NEVER and self._ground.counts_requests:
            self._served[index] = 0.0

    def _push(self, at_s: float, kind: int, index: int) -> None:
        self._seq += 1
        heapq.heappush(self._events, (at_s, kind, self._seq, index))

    def _end(self, index: int) -> None:
        drained_s = self.now_s + self._ground.scenario.pods.drain_s
        self.lives[index] = replace(self.lives[index], ended_s=self.now_s, gone_s=drained_s)

    def _die(self, index: int) -> None:
        """A process ends by itself; its pod stays and starts another after the back-off."""
        died = replace(self.lives[index], ended_s=self.now_s, gone_s=self.now_s)
        self.lives[index] = died
        self._standing[died.pod_hash].remove(index)
        self._add(self._ground.births.again(died))

    def _restart(self, pod_hash: str, name: str) -> None:
        for index in tuple(self._standing.get(pod_hash, ())):
            if self.lives[index].name == name:
                self._standing[pod_hash].remove(index)
                self._end(index)
                self._create(pod_hash)

    # ---- the router

    def _ask_router(self, what: str, value: object) -> None:
        """Let a change hold after the router's delay; what is asked for at one instant holds at one instant."""
        asked_s, holds_s = self._routed_s
        if asked_s != self.now_s:
            router = self._ground.scenario.router
            delay_s = self._ground.births.fates.lognormal(router.delay_s, router.sigma, "router delay", self._routes)
            self._routes += 1
            holds_s = max(holds_s, self.now_s + delay_s)
            self._routed_s = (self.now_s, holds_s)
        # Also what holds at once holds only when time goes on: all that one look asks for takes effect together.
        self._pending.append((holds_s, what, value))
        self._push(holds_s, _ROUTE, -1)

    def _route(self) -> None:
        while self._pending and self._pending[0][0] <= self.now_s:
            _, what, value = self._pending.pop(0)
            if what != "weight":
                self._selected[what] = str(value)
            elif isinstance(value, float):
                self._weight = value

    def _reshare(self) -> None:
        shares = self._split()
        if shares == self._shares:
            return
        if self.now_s > self._since_s:
            self._count_requests()
            self.timeline.append(self.current)
            self._history = hash((self._history, self._since_s, self._shares))
            self._note_release(self._shares[2])
        self._shares, self._since_s = shares, self.now_s
        if self._ground.triggers:
            self._reached_weight(100.0 * shares[2])
        self._foresee()

    def _note_release(self, share: float) -> None:
        """Keep what the stretch that ends now has shown of the release."""
        if share > 0.0:
            self._share_max = max(self._share_max, share)
            self._first_s = min(self._first_s, self._since_s)
            self._until_s = self.now_s

    # ---- requests that kill

    def _count_requests(self) -> None:
        """Add what the stretch that ends now has brought to the processes that a request will kill."""
        if not self._served:
            return
        requests = self._ground.demands.on_path(self.instants).requests(self._since_s, self.now_s)
        for index, share in self._shares[0]:
            if index in self._served:
                self._served[index] += share * requests

    def _foresee(self) -> None:
        """Work out when each of them will have had its last request, if shares stay as they are."""
        if not self._served:
            return
        self._served = {index: served for index, served in self._served.items() if self.lives[index].ended_s == NEVER}
        self._last_request_s = {}
        demand = self._ground.demands.on_path(self.instants)
        for index, share in self._shares[0]:
            if index in self._served:
                left = self.lives[index].requests_max - self._served[index]
                at_s = max(self.now_s, instant_of(demand, self._since_s, left / share))
                self._last_request_s[index] = at_s
                if at_s < NEVER:
                    self._push(at_s, _LAST_REQUEST, index)

    # ---- the autoscaler

    def _sync(self) -> None:
        """Let the autoscaler look at the pods' CPU and choose a size."""
        ground = self._ground
        rules = ground.scenario.autoscaler
        assert rules is not None
        now_s = self.now_s
        self._push(now_s + rules.sync_s, _SYNC, -1)
        begins = [(begins_s(gap, self.instants), gap.for_s) for gap in rules.metrics_missing]
        wanted: int | None = None
        if not any(from_s <= now_s < from_s + for_s for from_s, for_s in begins):
            begin_s = now_s - METRICS_WINDOW_S
            recent = [self.current]
            recent += takewhile(lambda stretch: stretch.until_s > begin_s, reversed(self.timeline))
            requests = requests_of(ground.demands.on_path(self.instants), recent, begin_s, now_s)
            standing = [(index, self.lives[index]) for indices in self._standing.values() for index in indices]
            found = uses(ground.scenario, standing, requests, now_s)
            wanted = recommended(rules, ground.scenario.service.cpu_request, self.size, found)
        size, self._scaler = synced(rules, self._scaler, self.size, wanted, now_s)
        if size != self.size:
            self.size = size
            self._changed = True

    def _split(self) -> Shares:
        """Return who gets which share of the traffic now."""
        if not self._ground.routed:
            return shared_by(self.lives, self._standing, self.now_s, [(tuple(self._standing), 1.0)])
        canary, stable = self._selected["canary"], self._selected["stable"]
        weight = self._weight
        if weight == 0.0 or canary == stable:
            sides = [((stable,), 1.0)]
        elif weight == 1.0:
            sides = [((canary,), 1.0)]
        else:
            sides = [((stable,), 1.0 - weight), ((canary,), weight)]
        return shared_by(self.lives, self._standing, self.now_s, sides)

    # ---- forks

    def fork(self) -> Platform:
        """Return a history with the same past that goes its own way from here on."""
        twin = object.__new__(Platform)
        for name in Platform.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.lives = self.lives.copy()
        twin.timeline = self.timeline.copy()
        twin.instants = self.instants.copy()
        twin._born = self._born.copy()
        twin._standing = {pod_hash: indices.copy() for pod_hash, indices in self._standing.items()}
        twin._events = self._events.copy()
        twin._selected = self._selected.copy()
        twin._pending = self._pending.copy()
        twin._served = self._served.copy()
        return twin

    def key(self) -> tuple[object, ...]:
        """Return what of a history decides its future, and its timeline: two equal keys may be joined."""
        lives = self.lives
        return (
            self._history,
            self._since_s,
            self._shares,
            tuple(
                (pod_hash, tuple((index, lives[index].ordinal, lives[index].created_s) for index in indices))
                for pod_hash, indices in self._standing.items()
            ),
            tuple(self._born.items()),
            self._weight,
            tuple(self._selected.items()),
            tuple(self._pending),
            self._routes,
            tuple(self.instants.items()),
            self.size,
            self._scaler,
            tuple(self._last_request_s.items()),
        )

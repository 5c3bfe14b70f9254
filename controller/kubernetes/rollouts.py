"""One rollout's turn: observe, decide, act, remember, until nothing changes.

The status is stored last: a crash before it repeats actions, which are safe to repeat. A write that meets somebody
else's change ends the turn, and the next one begins from what is there then. What does not validate is told in the
status, in Argo's words, and nothing is done about it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controller.core.actions import SetWeight
from controller.core.decisions import Decision, decide
from controller.core.services import names_by_role
from controller.core.snapshot import Snapshot
from controller.core.status import Condition, ConditionKind, Phase, RolloutStatus, Truth
from controller.kubernetes import labels
from controller.kubernetes.acting import ActingError, Actor
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.events import EventQueue
from controller.kubernetes.named import first_missing
from controller.kubernetes.observing import Observed, Observer, Unreadable, stored_status
from controller.kubernetes.wire import rollout_status_json
from controller.manifests.values import LabelSelector, Step
from controller.traffic.routers import RouterError

Json = dict[str, Any]

LOOKS_IN_A_ROW_MAX = 50
INVALID_RETRY_S = 60.0

log = logging.getLogger(__name__)


class NoFixedPointError(RuntimeError):
    """Decision after decision changes the status: a bug of ours that must not become a hot loop."""


class Watcher(Protocol):
    """Who is told of decisions, for metrics and logs. Must not block."""

    def decided(self, key: Key, before: RolloutStatus, decision: Decision) -> None: ...


@dataclass(slots=True, kw_only=True)
class RolloutReconciler:
    """Reconciles rollouts, one call each; several threads may call it for different rollouts.

    Attributes:
        pressed: whether other rollouts wait for their turn. One decision is then carried out and stored, and the rest
            is left to the next turn: where many are aborted at once, the first thing that an abort writes is the
            router's weight, and nobody's weight should wait for what others write after theirs.
        term: the number of times that this controller has begun to lead; another may have led in between.
    """

    cluster: Cluster
    observer: Observer
    actor: Actor
    events: EventQueue
    now_s: Callable[[], float]
    watcher: Watcher | None = None
    pressed: Callable[[], bool] = lambda: False
    term: Callable[[], int] = lambda: 0
    _looks: dict[Key, int] = field(default_factory=dict)  # decisions in a row, of turns that were left unfinished
    # By uid: what Argo's schema has no field for, and the term in which it was so.
    _routes: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def reconcile(self, key: Key) -> float | None:
        """Bring a rollout to where nothing is left to do now; return the seconds until the next look, if any.

        Raises:
            ActingError, ApiError: something stood in the way; the turn is to be repeated.
            NoFixedPointError: the core did not come to rest.
        """
        looks = self._looks.pop(key, 0)
        while looks < LOOKS_IN_A_ROW_MAX:
            item = self.cluster.get("Rollout", key)
            if item is None or "deletionTimestamp" in item["metadata"]:
                return None
            status = stored_status(item)
            uid = item["metadata"]["uid"]
            term = self.term()
            status = replace(status, routes=self._routes_of(item, status, term))
            seen = self.observer.observe(item, status)
            now_s = self.now_s()
            why = seen.message if isinstance(seen, Unreadable) else self._missing(seen.snapshot)
            if isinstance(seen, Unreadable) or why:
                self._refuse(item, status, why, now_s)
                return INVALID_RETRY_S
            decision = decide(seen.snapshot, now_s)
            for action in decision.actions:
                self.actor.carry_out(action, seen)
            if self.watcher is not None and (decision.changed or decision.records):
                self.watcher.decided(key, status, decision)
            self._routes[uid] = term, decision.status.routes
            self._note_workload(seen)
            self._remember(seen, decision.status)
            if not decision.changed:
                self._repair_weight(seen, decision)
                return None if decision.look_again_s is None else max(decision.look_again_s - self.now_s(), 0.0)
            looks += 1
            if self.pressed():
                self._looks[key] = looks
                return 0.0
        raise NoFixedPointError(f"{key}: {LOOKS_IN_A_ROW_MAX} decisions in a row and no fixed point")

    def _missing(self, snapshot: Snapshot) -> str:
        return first_missing(self.cluster, snapshot.rollout, snapshot.status, snapshot.template_hash)

    def forget(self, uid: str) -> None:
        """Drop what is known of a rollout that is gone."""
        self._routes.pop(uid, None)
        self.observer.forget(uid)

    def _routes_of(self, item: Json, status: RolloutStatus, term: int) -> tuple[str, ...]:
        """Return the steps' routes that hold. A controller that has just begun to lead goes by the steps behind."""
        noted_in, routes = self._routes.get(item["metadata"]["uid"], (None, ()))
        if noted_in == term:
            return routes
        rollout = self.observer.rollout(item)
        if isinstance(rollout, Unreadable):
            return ()
        return routes_set(rollout.strategy.steps[: status.step_index or 0])

    def _repair_weight(self, seen: Observed, decision: Decision) -> None:
        """Write the weight again where somebody has changed the router's object; only what the status says counts."""
        weights = decision.status.weights
        if weights is None or any(isinstance(action, SetWeight) for action in decision.actions):
            return
        try:
            router = self.actor.router(seen)
            if router is None or router.weight() == weights.canary:
                return
        except RouterError as error:
            raise ActingError(str(error)) from error
        total = seen.snapshot.rollout.total_weight
        hashes = {"canary_hash": weights.canary_hash, "stable_hash": weights.stable_hash}
        self.actor.carry_out(SetWeight(canary=weights.canary, total=total, **hashes), seen)

    def _note_workload(self, seen: Observed) -> None:
        """Note the generation of the workload whose template was followed, as Argo does."""
        if seen.workload is None:
            return
        annotations = seen.item["metadata"].get("annotations") or {}
        if annotations.get(labels.WORKLOAD_GENERATION) != seen.workload.generation:
            noted = {labels.WORKLOAD_GENERATION: seen.workload.generation}
            seen.item.update(self.cluster.annotate("Rollout", seen.item, noted))

    def _remember(self, seen: Observed, status: RolloutStatus) -> None:
        stable, canary = names_by_role(seen.snapshot.rollout.strategy, status.stable_ping_pong)
        stored = rollout_status_json(
            status,
            selector=selector_text(seen.snapshot.rollout.selector),
            canary_service=canary,
            stable_service=stable,
        )
        if seen.workload is not None:
            stored["workloadObservedGeneration"] = seen.workload.generation
        self._store(seen.item, stored)

    def _store(self, item: Json, stored: Json) -> None:
        known = item.get("status") or {}
        if "collisionCount" in known:  # the hash of the template depends on it
            stored["collisionCount"] = known["collisionCount"]
        if stored != known:
            self.cluster.replace_status("Rollout", item, stored)

    def _refuse(self, item: Json, status: RolloutStatus, why: str, now_s: float) -> None:
        """Tell a spec that cannot be followed, once, and leave everything else as it is."""
        message = f'The Rollout "{item["metadata"]["name"]}" is invalid: {why}'
        known = status.condition(ConditionKind.INVALID_SPEC)
        if known is None or known.message != message:
            self.events.emit(item, "InvalidSpec", message, warning=True, now_s=now_s)
            known = Condition(
                kind=ConditionKind.INVALID_SPEC,
                status=Truth.TRUE,
                reason="InvalidSpec",
                message=message,
                updated_s=now_s,
                changed_s=now_s,
            )
        others = tuple(each for each in status.conditions if each.kind is not ConditionKind.INVALID_SPEC)
        refused = replace(
            status,
            phase=Phase.DEGRADED,
            message=f"InvalidSpec: {message}",
            observed_generation=int(item["metadata"].get("generation") or 0),
            conditions=(known, *others),
        )
        self._store(item, rollout_status_json(refused, selector=str((item.get("status") or {}).get("selector", ""))))


def routes_set(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return the routes that these steps have set, as a status remembers them: the last step of each name counts."""
    found: dict[str, str] = {}
    for index, step in enumerate(steps):
        for route in (step.set_header_route, step.set_mirror_route):
            if route is not None:
                found.pop(route.name, None)
                found[route.name] = f"{route.name}@{index}"
    return tuple(found.values())


def selector_text(selector: LabelSelector | None) -> str:
    """Return a label selector as text, as the scale subresource and kubectl write it."""
    if selector is None:
        return ""
    parts = [f"{name}={text}" for name, text in sorted(selector.match_labels.items())]
    for each in selector.match_expressions:
        values = ",".join(sorted(each.values))
        match each.operator:
            case "In":
                parts.append(f"{each.key} in ({values})")
            case "NotIn":
                parts.append(f"{each.key} notin ({values})")
            case "Exists":
                parts.append(each.key)
            case _:
                parts.append(f"!{each.key}")
    return ",".join(parts)

"""What follows from a rollout's spec alone: weights by step, surge in pods, delays. Worked out once per spec.

A decision is taken many times on the same spec, so all that does not depend on what was seen is kept here.
Everything in `controller.core` that needs a default or a rounding rule of the spec asks this module.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from controller.manifests.values import (
    DEFAULT_SCALE_DOWN_DELAY_S,
    CanaryStrategy,
    Parity,
    Rollout,
    SetCanaryScale,
    Step,
)

_KEPT = 256  # specs; a simulation of one policy needs one, a controller one for each rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A rollout's spec with its consequences. Lists by step index have one entry more than there are steps."""

    rollout: Rollout
    canary: CanaryStrategy
    steps: tuple[Step, ...]
    step_hash: str
    replicas: int
    total_weight: int
    routed: bool  # there is a trafficRouting; otherwise the ratio of pods makes the weight
    weighted: bool  # it names a router that weights are asked of
    dynamic: bool  # stable shrinks as the canary grows
    step_texts: tuple[str, ...]  # each step as Argo's events write it
    weight_at: tuple[int, ...]  # the weight in force at a step; all traffic after the last
    weight_before: tuple[int, ...]  # the weight of the last setWeight before a step, 0 if there is none
    scale_at: tuple[SetCanaryScale | None, ...]  # the setCanaryScale in force at a step
    canary_pods_at: tuple[int, ...]  # what a router's weights or the scale in force ask for at a step
    surge: int
    unavailable: int
    scale_down_delay_s: float
    abort_delay_s: float | None  # None: the manifest says 0, which turns the delay off
    abort_delay_explicit: bool  # a delay other than 0 was written down
    background_from: int
    strict: bool  # decides as Argo Rollouts to the letter


_plans: dict[int, tuple[Rollout, Plan]] = {}


def plan_of(rollout: Rollout) -> Plan:
    """Return the plan of a spec; the same object for the same spec."""
    known = _plans.get(id(rollout))
    if known is not None and known[0] is rollout:
        return known[1]
    plan = make_plan(rollout)
    if len(_plans) >= _KEPT:
        _plans.clear()
    _plans[id(rollout)] = (rollout, plan)  # holding the spec keeps its id from being used again
    return plan


def make_plan(rollout: Rollout) -> Plan:
    """Work out the plan of a spec."""
    canary = rollout.strategy
    routed = canary.traffic_routing is not None
    surge, unavailable = _fenceposts(canary, rollout.replicas)
    weight_at, weight_before = _weights(canary.steps, rollout.total_weight)
    scale_at = _scales(canary.steps) if routed else (None,) * (len(canary.steps) + 1)
    delay = canary.abort_scale_down_delay_s
    return Plan(
        rollout=rollout,
        canary=canary,
        steps=canary.steps,
        step_hash=_step_hash(canary.steps),
        replicas=rollout.replicas,
        total_weight=rollout.total_weight,
        routed=routed,
        weighted=canary.traffic_routing is not None and bool(canary.traffic_routing.routers),
        dynamic=routed and canary.dynamic_stable_scale,
        step_texts=tuple(map(describe, canary.steps)),
        weight_at=weight_at,
        weight_before=weight_before,
        scale_at=scale_at,
        canary_pods_at=tuple(
            canary_pods(rollout, scale, weight) for scale, weight in zip(scale_at, weight_at, strict=True)
        ),
        surge=surge,
        unavailable=unavailable,
        scale_down_delay_s=_delay_s(canary.scale_down_delay_s, routed=routed),
        abort_delay_s=None if routed and delay == 0 else _delay_s(delay, routed=routed),
        abort_delay_explicit=routed and bool(delay),
        background_from=canary.analysis.starting_step if canary.analysis is not None else 0,
        strict=rollout.extensions.parity is not Parity.OFF,
    )


def pods_for(replicas: int, weight: int, total: int) -> int:
    """Return the pods that a share of the traffic needs, rounded up."""
    return math.ceil(weight * replicas / total)


def canary_pods(rollout: Rollout, scale: SetCanaryScale | None, weight: int) -> int:
    """Return the pods of the canary under a router: those of its scale, else those of its weight."""
    if scale is not None:
        if scale.replicas is not None:
            return scale.replicas
        if scale.weight_percent is not None:
            weight = scale.weight_percent
    return at_least(rollout, pods_for(rollout.replicas, weight, rollout.total_weight))


def at_least(rollout: Rollout, count: int) -> int:
    """Return a number of pods under a router, raised to the fewest that a set with pods may have."""
    least = rollout.strategy.min_pods_per_replica_set
    return count if count == 0 or least is None else max(count, min(least, rollout.replicas))


def describe(step: Step) -> str:
    """Return a step as Argo's events write it."""
    if step.set_weight is not None:
        return f"setWeight: {step.set_weight}"
    if step.pause is not None:
        return "pause" if step.pause.duration_s is None else f"pause: {step.pause.duration_s:g}s"
    if step.analysis is not None:
        return "analysis"
    scale = step.set_canary_scale
    if scale is not None:
        if scale.weight_percent is not None:
            return f"setCanaryScale{{weight: {scale.weight_percent}}}"
        if scale.match_traffic_weight:
            return "setCanaryScale{matchTrafficWeight: true}"
        return f"setCanaryScale{{replicas: {scale.replicas}}}"
    if step.set_header_route is not None:
        return f"setHeaderRoute: {step.set_header_route.name}"
    if step.set_mirror_route is not None:
        return f"setMirrorRoute: {step.set_mirror_route.name}"
    return "invalid"


def _delay_s(written_s: float | None, *, routed: bool) -> float:
    if not routed:
        return 0.0
    return DEFAULT_SCALE_DOWN_DELAY_S if written_s is None else written_s


def _step_hash(steps: tuple[Step, ...]) -> str:
    return hashlib.sha256(repr(steps).encode()).hexdigest()[:10]


def _weights(steps: tuple[Step, ...], total: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    at: list[int] = []
    before: list[int] = []
    weight = 0
    for step in steps:
        before.append(weight)
        if step.set_weight is not None:
            weight = step.set_weight
        at.append(weight)
    before.append(weight)
    at.append(total)
    return tuple(at), tuple(before)


def _scales(steps: tuple[Step, ...]) -> tuple[SetCanaryScale | None, ...]:
    in_force: list[SetCanaryScale | None] = []
    scale: SetCanaryScale | None = None
    for step in steps:
        if step.set_canary_scale is not None:
            scale = None if step.set_canary_scale.match_traffic_weight else step.set_canary_scale
        in_force.append(scale)
    return (*in_force, None)


def _fenceposts(canary: CanaryStrategy, replicas: int) -> tuple[int, int]:
    """Return how many pods more, and how many fewer, than the replicas there may be on the way."""
    surge = canary.max_surge.of(replicas, round_up=True)
    unavailable = canary.max_unavailable.of(replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # both have rounded to nothing, and nothing could ever move
    return surge, 0 if replicas == 0 else min(unavailable, replicas)

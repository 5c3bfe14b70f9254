"""The autoscaler's eyes: what it finds of each pod at a sync, and the size that a rollout has before the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sim.load.demand import Demand
from sim.platform.autoscaling import (
    CPU_INITIALISATION_S,
    METRICS_WINDOW_S,
    PodUse,
    Standing,
    recommended,
)
from sim.platform.pods import PodLife
from sim.scenarios import Scenario


def uses(
    scenario: Scenario, lives: Iterable[tuple[int, PodLife]], requests: Mapping[int, float], now_s: float
) -> list[PodUse]:
    """Return how each pod counts and what CPU it used.

    Args:
        lives: the newest life of each pod that is to stay, with its index.
        requests: expected requests of each life over the last `METRICS_WINDOW_S`, by index.
    """
    found = []
    for index, life in lives:
        standing = standing_of(life, now_s)
        release = scenario.release if life.is_release else scenario.stable
        cost_s = scenario.service.cpu_s_per_request * release.cpu_factor
        cpu = requests.get(index, 0.0) * cost_s / METRICS_WINDOW_S
        found.append(PodUse(standing, cpu if standing is Standing.COUNTED else 0.0))
    return found


def standing_of(life: PodLife, now_s: float) -> Standing:
    """Return how a pod counts: its phase, its readiness and the age of its metrics decide, in this order."""
    if now_s < life.created_s:
        return Standing.MISSING  # waits for its next start: nothing runs that could be measured
    is_ready = life.ready_s <= now_s < life.unready_s
    if now_s < life.born_s + CPU_INITIALISATION_S:
        if not is_ready or now_s - METRICS_WINDOW_S < life.ready_s:
            return Standing.UNREADY
    elif now_s < life.ready_s and life.incarnation == 0:
        # It was never ready. One that has been, and no longer is, counts with what it uses.
        return Standing.UNREADY
    return Standing.COUNTED


def first_size(scenario: Scenario, replicas: int, demand: Demand) -> int:
    """Return the size that an autoscaler has brought the rollout to before the first request that we see."""
    rules = scenario.autoscaler
    if rules is None:
        return replicas
    size = min(max(replicas, rules.min_replicas), rules.max_replicas)
    cpu = demand.rps_at(0.0) * scenario.service.cpu_s_per_request * scenario.stable.cpu_factor
    request = scenario.service.cpu_request
    wanted = recommended(rules, request, size, [PodUse(Standing.COUNTED, cpu / size)] * size)
    return size if wanted is None else min(max(wanted, rules.min_replicas), rules.max_replicas)

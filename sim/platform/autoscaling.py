"""The HorizontalPodAutoscaler's arithmetic, as Kubernetes does it (autoscaling/v2, one CPU utilisation metric).

Pure: what is known of each pod goes in, a number of pods comes out. The rules, by Kubernetes' documentation and, where
that is silent, its replica calculator:

* The utilisation is the pods' CPU over their requests, in whole percent; the ratio is that over the target's percent.
* Pods that are not ready are set aside, as are pods without metrics. A ratio within the tolerance of 1 changes nothing.
* Scaling up, pods set aside for either reason count as idle; scaling down, pods without metrics count as using all that
  they request, or the target where it is higher. If that turns the direction or ends within the tolerance, nothing
  changes.
* Recommendations are kept for the stabilisation windows: the lowest of the window upwards, the highest downwards.
* Policies limit the change within each period: upwards the larger of so many pods and so many percent, downwards
  so many percent, both of the size at the period's beginning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sim.scenarios import Autoscaler

CPU_INITIALISATION_S = 300.0  # Kubernetes' --horizontal-pod-autoscaler-cpu-initialization-period
METRICS_WINDOW_S = 15.0  # the metrics server's resolution: over how long a pod's CPU is averaged


class Standing(Enum):
    """How a pod counts."""

    COUNTED = 0
    UNREADY = 1
    MISSING = 2


@dataclass(frozen=True, slots=True)
class PodUse:
    """One pod: how it counts, and how much CPU it used (cores)."""

    standing: Standing
    cpu: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerState:
    """What an autoscaler remembers between two syncs: (s, pods) each, the newest last."""

    recommendations: tuple[tuple[float, int], ...] = ()
    ups: tuple[tuple[float, int], ...] = ()
    downs: tuple[tuple[float, int], ...] = ()


def recommended(rules: Autoscaler, request: float, current: int, pods: Sequence[PodUse]) -> int | None:
    """Return the size that the metrics ask for, before windows, policies and bounds; None: nothing is known.

    Args:
        request: CPU that each pod requests, cores.
        current: the size that the spec asks for now.
    """
    counted = [pod.cpu for pod in pods if pod.standing is Standing.COUNTED]
    unready = sum(pod.standing is Standing.UNREADY for pod in pods)
    missing = sum(pod.standing is Standing.MISSING for pod in pods)
    if not counted:
        return None
    ratio = _ratio(rules, request, counted)
    scales_up_with_unready = unready > 0 and ratio > 1.0
    if not scales_up_with_unready and not missing:
        return current if _tolerated(rules, ratio) else math.ceil(ratio * len(counted))
    if ratio < 1.0:
        counted += [request * max(1.0, rules.target_utilisation)] * missing
    elif ratio > 1.0:
        counted += [0.0] * missing
    if scales_up_with_unready:
        counted += [0.0] * unready
    second = _ratio(rules, request, counted)
    if _tolerated(rules, second) or (ratio < 1.0 < second) or (second < 1.0 < ratio):
        return current
    size = math.ceil(second * len(counted))
    if (second < 1.0 and size > current) or (second > 1.0 and size < current):
        return current
    return size


def _ratio(rules: Autoscaler, request: float, cpus: Sequence[float]) -> float:
    percent = int(sum(cpus) * 100 / (request * len(cpus)) + 1e-9)  # 1e-9: 0.8 / 0.8 is 100 %, not 99
    return percent / (rules.target_utilisation * 100)


def _tolerated(rules: Autoscaler, ratio: float) -> bool:
    return abs(1.0 - ratio) <= rules.tolerance + 1e-12


def synced(
    rules: Autoscaler, state: ScalerState, current: int, recommendation: int | None, now_s: float
) -> tuple[int, ScalerState]:
    """Return the size after one sync, and what is remembered of it."""
    if current > rules.max_replicas:
        return _noted(state, current, rules.max_replicas, now_s)
    if current < rules.min_replicas:
        return _noted(state, current, rules.min_replicas, now_s)
    if recommendation is None:
        return current, state
    stable, state = _stabilised(rules, state, current, recommendation, now_s)
    if stable > current:
        return _noted(state, current, _limited_up(rules, state, current, stable), now_s)
    if stable < current:
        return _noted(state, current, _limited_down(rules, state, current, stable), now_s)
    return current, state


def _stabilised(
    rules: Autoscaler, state: ScalerState, current: int, recommendation: int, now_s: float
) -> tuple[int, ScalerState]:
    longest_s = max(rules.scale_up_window_s, rules.scale_down_window_s)
    kept = [(at_s, size) for at_s, size in state.recommendations if at_s > now_s - longest_s]
    up = min([recommendation, *(size for at_s, size in kept if at_s > now_s - rules.scale_up_window_s)])
    down = max([recommendation, *(size for at_s, size in kept if at_s > now_s - rules.scale_down_window_s)])
    state = ScalerState(
        recommendations=(*kept, (now_s, recommendation)),
        ups=tuple(event for event in state.ups if event[0] > now_s - rules.period_s),
        downs=tuple(event for event in state.downs if event[0] > now_s - rules.period_s),
    )
    return (up if current < up else down if current > down else current), state


def _period_start(state: ScalerState, current: int) -> int:
    """Return the size at the beginning of the period; events older than that are forgotten already."""
    return current - sum(pods for _, pods in state.ups) + sum(pods for _, pods in state.downs)


def _limited_up(rules: Autoscaler, state: ScalerState, current: int, wanted: int) -> int:
    start = _period_start(state, current)
    limit = max(start + rules.scale_up_pods, math.ceil(start * (1 + rules.scale_up_percent / 100)))
    return min(wanted, rules.max_replicas, max(limit, current))


def _limited_down(rules: Autoscaler, state: ScalerState, current: int, wanted: int) -> int:
    start = _period_start(state, current)
    limit = int(start * (1 - rules.scale_down_percent / 100))
    return max(wanted, rules.min_replicas, min(limit, current))


def _noted(state: ScalerState, current: int, size: int, now_s: float) -> tuple[int, ScalerState]:
    if size == current:
        return size, state
    ups, downs = state.ups, state.downs
    if size > current:
        ups = (*ups, (now_s, size - current))
    else:
        downs = (*downs, (now_s, current - size))
    return size, ScalerState(recommendations=state.recommendations, ups=ups, downs=downs)

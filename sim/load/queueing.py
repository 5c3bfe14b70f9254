"""What waiting does to a pod that works on a limited number of requests at once: an approximation, and its state.

A pod is an M/G/c queue with room for so many that wait. Its stationary laws are those of M/M/c/K (Erlang's), with
queues made longer or shorter by (1 + cv²)/2 for service times that are no exponentials (Allen and Cunneen). How a queue
grows and drains between is the pointwise stationary fluid approximation (Wang, Tipper and Banerjee 1996): the number in
the pod follows dL/dt = what comes in and is let in - what a stationary pod with as many in it would get done.

docs/model.md has the formulas; a test holds them against a simulation of the same queue, event by event.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LOADS = np.concatenate([np.linspace(1e-6, 0.9, 91), np.linspace(0.905, 1.1, 40), np.geomspace(1.12, 50.0, 70)])
"""Loads (arrivals over capacity) at which the stationary laws are worked out; between them they are interpolated."""

_FIRST_STEP_S, _STEP_GROWTH, _LAST_STEP_S = 0.5, 1.6, 20.0

QUANTILES = (np.arange(24) + 0.5) / 24
"""Where the law of a wait is looked at: the middles of 24 equal shares of those that wait."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueueLaws:
    """(loads,) each: the stationary pod at each of `_LOADS`.

    Attributes:
        inside: mean number of requests in the pod, increasing.
        done: requests done, over the pod's capacity.
        rejected: share of requests that find no room.
        waits: share of those let in that must wait.
        wait: mean wait of those, in mean service times.
        wait_cv2: squared coefficient of variation of that wait.
    """

    inside: Floats
    done: Floats
    rejected: Floats
    waits: Floats
    wait: Floats
    wait_cv2: Floats


@lru_cache(maxsize=64)
def laws(concurrency: int, queue_max: int, stretch: float) -> QueueLaws:
    """Return the stationary laws of a pod.

    Args:
        stretch: how much longer queues are than with exponential service times: (1 + cv²)/2.
    """
    from scipy.special import gammaln, logsumexp

    room = max(round(queue_max / stretch), 1 if queue_max else 0)
    states = np.arange(concurrency + room + 1, dtype=np.float64)
    busy, queued = np.minimum(states, concurrency), np.maximum(states - concurrency, 0.0)
    # log of a^n / n!, and of a^c / c! · ρ^(n - c) from n = c on
    logs = states * np.log(_LOADS * concurrency)[:, None] - gammaln(busy + 1) - queued * math.log(concurrency)
    chances = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
    rejected = chances[:, -1]
    let_in = np.maximum(1 - rejected, 1e-300)
    # A request that is let in and finds n ≥ c there waits until n - c + 1 others have left.
    waiting = chances[:, concurrency:-1]
    ahead = queued[concurrency:-1] + 1
    waits = waiting.sum(axis=1)
    safe = np.maximum(waits, 1e-300)
    mean_ahead = (waiting * ahead).sum(axis=1) / safe
    variance = mean_ahead + np.maximum((waiting * ahead**2).sum(axis=1) / safe - mean_ahead**2, 0.0)
    wait = stretch * mean_ahead / concurrency
    inside = (chances * busy).sum(axis=1) + stretch * (chances * queued).sum(axis=1)
    return QueueLaws(
        inside=np.maximum.accumulate(inside + np.arange(len(inside)) * 1e-12),
        done=np.maximum.accumulate((chances * busy).sum(axis=1) / concurrency),
        rejected=rejected,
        waits=waits / let_in,
        wait=wait,
        wait_cv2=variance / np.maximum(mean_ahead, 1.0) ** 2,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waiting:
    """(pieces,) each: what waiting does to the requests of each piece of time.

    Attributes:
        rejected: share that finds no room.
        waits: share of the others that must wait.
        wait_s: mean wait of those.
        wait_cv2: its squared coefficient of variation.
    """

    rejected: Floats
    waits: Floats
    wait_s: Floats
    wait_cv2: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """How one pod's queue went: (pieces, 3) the pieces' ends, rates and service times; mean and last number in it."""

    met: Floats
    inside: Floats
    left: Floats


class Queues:
    """The queues of one revision's pods. A path that begins as a known one did is followed from where they part."""

    def __init__(self, concurrency: int, queue_max: int, stretch: float) -> None:
        self._law = laws(concurrency, queue_max, stretch)
        self._concurrency = concurrency
        self._paths: dict[Hashable, _Path] = {}

    def followed(self, pod: Hashable, edges_s: Floats, rps: Floats, service_s: Floats) -> Waiting:
        """Return what waiting does in each piece, from an empty pod on.

        Args:
            pod: what this pod is known by.
            edges_s: (pieces + 1,) increasing.
            rps: (pieces,) requests/s that reach the pod.
            service_s: (pieces,) mean time that a request is worked on.
        """
        met = np.stack([edges_s[1:], rps, service_s], axis=1)
        inside, left = np.empty(len(rps)), np.empty(len(rps))
        known = self._paths.get(pod)
        common = 0 if known is None else _common(known.met, met)
        if known is not None:
            inside[:common], left[:common] = known.inside[:common], known.left[:common]
        now = float(left[common - 1]) if common else 0.0
        for piece in range(common, len(rps)):
            capacity = self._concurrency / max(float(service_s[piece]), 1e-9)
            length_s = float(edges_s[piece + 1] - edges_s[piece])
            inside[piece], now = _through(self._law, now, length_s, float(rps[piece]), capacity)
            left[piece] = now
        self._paths[pod] = _Path(met, inside, left)
        return _waiting(self._law, self._concurrency, inside, rps, service_s)


def _common(one: Floats, other: Floats) -> int:
    """Return how many pieces two paths have in common from their beginning."""
    shorter = min(len(one), len(other))
    apart = np.flatnonzero(np.any(one[:shorter] != other[:shorter], axis=1))
    return int(apart[0]) if len(apart) else shorter


def _waiting(law: QueueLaws, concurrency: int, inside: Floats, rps: Floats, service_s: Floats) -> Waiting:
    load = np.interp(inside, law.inside, _LOADS)
    capacities = concurrency / np.maximum(service_s, 1e-9)
    # A queue that is still growing has room, whatever a stationary one of its length would turn away.
    stationary = np.interp(rps / capacities, _LOADS, law.inside)
    full = np.where(inside >= 0.999 * np.minimum(stationary, law.inside[-1]), 1.0, 0.0)
    rejected = np.interp(np.where(full > 0, rps / capacities, np.minimum(load, rps / capacities)), _LOADS, law.rejected)
    return Waiting(
        rejected=rejected,
        waits=np.interp(load, _LOADS, law.waits),
        wait_s=np.interp(load, _LOADS, law.wait) * service_s,
        wait_cv2=np.interp(load, _LOADS, law.wait_cv2),
    )


def _through(law: QueueLaws, now: float, length_s: float, rps: float, capacity: float) -> tuple[float, float]:
    """Return the mean number in the pod over a piece, and the number at its end. Implicit steps: never unstable."""
    total, gone_s, step_s = 0.0, 0.0, _FIRST_STEP_S
    while gone_s < length_s - 1e-9:
        step_s = min(step_s, length_s - gone_s)
        # now + step · (what comes in - what gets done) = then, solved for `then` on the laws' grid.
        flow = capacity * law.done - rps * (1 - law.rejected)
        then = float(np.interp(now, law.inside + step_s * flow, law.inside))
        total += (now + then) / 2 * step_s
        gone_s += step_s
        step_s = min(step_s * _STEP_GROWTH, _LAST_STEP_S)
        now = then
    return (total / length_s if length_s > 0 else now), now


class Waited(Protocol):
    """What the law of a wait is made of."""

    @property
    def wait_s(self) -> Floats: ...

    @property
    def wait_cv2(self) -> Floats: ...


def wait_points_s(waiting: Waited) -> Floats:
    """Return (pieces, points) waits that stand for equal shares of those that wait, by a gamma law."""
    from scipy.special import gammaincinv

    shape = 1 / np.maximum(waiting.wait_cv2, 1e-6)
    unit = gammaincinv(shape[:, None], QUANTILES[None, :]) / shape[:, None]
    mean = unit.mean(axis=1, keepdims=True)
    return np.asarray(waiting.wait_s[:, None] * unit / np.maximum(mean, 1e-12))

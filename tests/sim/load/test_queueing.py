"""Queues of pods: stationary laws against Erlang's formulas, and their course against a simulation event by event."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim.load.latencies import mean_s, second_moment_s2
from sim.load.queueing import Queues, wait_points_s
from sim.releases import Latency
from sim.scenarios import Service

Make = Callable[..., Any]
LONG_S = np.array([0.0, 100_000.0, 100_001.0])


def settled(concurrency: int, queue_max: int, load: float, stretch: float = 1.0) -> Any:
    """Return what waiting does after a very long time, with a service time of 1 s."""
    queues = Queues(concurrency, queue_max, stretch)
    return queues.followed("pod", LONG_S, np.full(2, load * concurrency), np.ones(2))


@pytest.mark.parametrize(
    ("concurrency", "load", "waits", "wait_s"),
    [
        # One server: who comes waits with probability rho, and those wait 1/(1 - rho) service times.
        (1, 0.5, 0.5, 2.0),
        (1, 0.8, 0.8, 5.0),
        # Erlang C of two servers at 1 erlang: (1/2 · 2) / (1 + 1 + 1) = 1/3; the wait is 1/(2 - 1).
        (2, 0.5, 1 / 3, 1.0),
    ],
)
def test_a_pod_with_room_for_all_waits_by_erlangs_formula(
    concurrency: int, load: float, waits: float, wait_s: float
) -> None:
    found = settled(concurrency, 1000, load)
    assert found.waits[1] == pytest.approx(waits, rel=1e-3)
    assert found.wait_s[1] == pytest.approx(wait_s, rel=1e-2)
    assert found.rejected[1] == pytest.approx(0, abs=1e-9)


def test_a_pod_without_a_queue_turns_away_by_erlang_b() -> None:
    # Two servers at 2 erlangs: (2^2/2) / (1 + 2 + 2) = 0.4.
    assert settled(2, 0, 1.0).rejected[1] == pytest.approx(0.4, rel=1e-2)


def test_constant_service_times_halve_the_wait() -> None:
    # Pollaczek and Khinchine: (1 + cv²)/2 with cv = 0.
    assert settled(1, 1000, 0.8, stretch=0.5).wait_s[1] == pytest.approx(2.5, rel=0.02)


def test_a_pod_with_twice_the_work_it_can_do_turns_half_of_it_away_and_the_rest_waits_for_a_full_queue() -> None:
    found = settled(4, 100, 2.0)
    assert found.rejected[1] == pytest.approx(0.5, abs=0.005)
    # A hundred ahead, four done a second.
    assert found.wait_s[1] == pytest.approx(25, rel=0.03)


def test_a_queue_that_begins_as_a_known_one_did_goes_on_from_where_they_part() -> None:
    queues = Queues(2, 50, 1.0)
    edges_s = np.arange(0.0, 101.0, 10.0)
    busy = np.full(10, 2.4)
    first = queues.followed("pod", edges_s, busy, np.ones(10))
    calm = np.where(edges_s[:-1] < 50, 2.4, 0.5)
    parted = queues.followed("pod", edges_s, calm, np.ones(10))
    fresh = Queues(2, 50, 1.0).followed("pod", edges_s, calm, np.ones(10))
    assert parted.wait_s == pytest.approx(fresh.wait_s)
    assert parted.wait_s[:5] == pytest.approx(first.wait_s[:5])


def test_the_law_of_a_wait_has_its_mean_and_spread() -> None:
    found = settled(1, 1000, 0.8)
    points_s = wait_points_s(found)[1]
    assert points_s.mean() == pytest.approx(5.0, rel=0.02)
    # An exponential: the middle of 24 equal parts at the median is ln 2 of the mean.
    assert np.median(points_s) == pytest.approx(5 * math.log(2), rel=0.05)


def simulated(
    concurrency: int, queue_max: int, latency: Latency, rates: list[tuple[float, float]], rounds: int
) -> list[tuple[float, float]]:
    """Return (share turned away, mean wait of the others in s) in each span of (length in s, requests/s)."""
    chance = np.random.default_rng(7)
    edges_s = np.concatenate([[0.0], np.cumsum([length_s for length_s, _ in rates])])
    seen: list[list[float]] = [[] for _ in rates]
    for _ in range(rounds):
        at_s = np.concatenate(
            [
                np.sort(chance.uniform(begin_s, begin_s + length_s, chance.poisson(length_s * rps)))
                for begin_s, (length_s, rps) in zip(edges_s, rates, strict=False)
            ]
        )
        works_s = latency.median_ms / 1000 * np.exp(latency.sigma * chance.standard_normal(len(at_s)))
        free_s, starts_s = [0.0] * concurrency, deque[float]()
        for t_s, work_s in zip(at_s.tolist(), works_s.tolist(), strict=True):
            while starts_s and starts_s[0] <= t_s:
                starts_s.popleft()
            span = int(np.searchsorted(edges_s, t_s, side="right")) - 1
            if free_s[0] > t_s and len(starts_s) >= queue_max:
                seen[span].append(math.nan)
                continue
            start_s = max(t_s, free_s[0])
            heapq.heapreplace(free_s, start_s + work_s)
            if start_s > t_s:
                starts_s.append(start_s)
            seen[span].append(start_s - t_s)
    return [(float(np.mean(np.isnan(waits))), float(np.nanmean(waits))) for waits in seen]


def test_a_pod_that_is_overrun_and_recovers_fares_as_in_a_simulation_event_by_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four at once, 360 ms each: 10 requests/s at the most. Calm, then busy, then overrun, then calm again."""
    latency = Latency(median_ms=360.0, sigma=0.45)
    rates = [(60.0, 5.0), (60.0, 9.0), (60.0, 9.0), (30.0, 13.0), (90.0, 13.0), (30.0, 5.0), (60.0, 5.0)]
    truth = simulated(4, 100, latency, rates, rounds=25)
    mean = mean_s(latency)
    queues = Queues(4, 100, second_moment_s2(latency) / mean**2 / 2)
    edges_s = np.concatenate([[0.0], np.cumsum([length_s for length_s, _ in rates])])
    found = queues.followed("pod", edges_s, np.array([rps for _, rps in rates]), np.full(len(rates), mean))
    with capsys.disabled():
        print("\n  requests/s  turned away (simulated)  mean wait s (simulated)")
        for place, ((_, rps), (away, wait_s)) in enumerate(zip(rates, truth, strict=True)):
            own_s = found.waits[place] * found.wait_s[place]
            print(f"  {rps:10g}  {found.rejected[place]:11.3f} ({away:9.3f})  {own_s:11.2f} ({wait_s:9.2f})")
            # The approximation's own error: a tenth of the requests at the moment of change, a third of the wait.
            assert found.rejected[place] == pytest.approx(away, abs=0.1)
            assert own_s == pytest.approx(wait_s, rel=0.35, abs=0.05)


def test_a_slow_release_makes_its_pods_queue_and_users_wait_longer_than_the_work_takes(loaded: Make, pod: Make) -> None:
    # Six times 60 ms, four at once: 10 requests/s at the most. At 20/s half is turned away with a 503; whoever is let
    # in waits for the hundred ahead, ten seconds.
    load = loaded(release={"latency": Latency(factor=6)}, service=Service(concurrency=4, queue_max=100))
    found = load.model.expected(pod(), 1.0, 0.0, 2000.0)
    assert load.counted(found, metric="http_requests_total", status="503") / 40_000 == pytest.approx(0.5, abs=0.02)
    assert load.bad(found) / 40_000 > 0.98
    calm = load.model.expected(pod(), 0.1, 0.0, 2000.0)
    assert load.bad(calm) / 4000 < 0.03

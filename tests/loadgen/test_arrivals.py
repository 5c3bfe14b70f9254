"""When requests begin: exact where the arithmetic is exact, lawful where chance has a say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.traffic import Change, Level, Ramp, RateCurve, Route, Spike, Step, Traffic, TrafficError, schedule


def test_even_arrivals_fall_into_the_middle_of_each_interval() -> None:
    arrivals = schedule(Traffic(rps=4, arrivals="even"), duration_s=1)
    assert arrivals.at_s.tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert arrivals.wall_s(speed=20).tolist() == pytest.approx([0.00625, 0.01875, 0.03125, 0.04375])


def test_even_arrivals_of_a_ramp_come_closer_and_closer() -> None:
    # From 0 to 10 requests/s in 10 s: the rate is t, so t²/2 requests are expected by t. The first is where
    # t²/2 = 1/2, the second where t²/2 = 3/2, the last of the fifty where t²/2 = 49.5.
    arrivals = schedule(Traffic(rps=0, shape=Ramp(over_s=10, to_rps=10), arrivals="even"), duration_s=10)
    assert len(arrivals) == 50
    assert arrivals.at_s[[0, 1, 49]].tolist() == pytest.approx([1.0, math.sqrt(3), math.sqrt(99)])


def test_no_request_falls_into_a_silence() -> None:
    silence = Step(levels=(Level(at_s=10, rps=0), Level(at_s=20, rps=50)))
    at_s = schedule(Traffic(rps=50, shape=silence), duration_s=30).at_s
    assert not np.any((at_s > 10) & (at_s < 20))
    assert np.count_nonzero(at_s < 10) == pytest.approx(500, abs=5 * math.sqrt(500))
    assert np.count_nonzero(at_s > 20) == pytest.approx(500, abs=5 * math.sqrt(500))


def test_no_traffic_has_no_arrivals() -> None:
    assert len(schedule(Traffic(rps=0), duration_s=1000)) == 0
    assert len(schedule(Traffic(rps=20), duration_s=0)) == 0


def test_a_rate_over_several_blocks_of_chance_keeps_its_mean() -> None:
    arrivals = schedule(Traffic(rps=1000), duration_s=300)  # 300,000 ± √300,000
    assert len(arrivals) == pytest.approx(300_000, abs=4 * math.sqrt(300_000))
    gaps = np.diff(arrivals.at_s)
    # Exponential gaps: mean and standard deviation are both 1/1000; each is known to a share of 1/√300,000.
    assert gaps.mean() * 1000 == pytest.approx(1, abs=0.01)
    assert gaps.std() * 1000 == pytest.approx(1, abs=0.01)


def test_poisson_counts_vary_as_much_as_their_mean() -> None:
    at_s = schedule(Traffic(rps=20), duration_s=10_000).at_s
    counts = np.bincount(at_s.astype(int), minlength=10_000)
    # Variance over mean is 1 for Poisson, with a standard error of √(2/10,000) = 0.014.
    assert counts.var() / counts.mean() == pytest.approx(1, abs=4 * 0.0142)


def test_the_same_seed_gives_the_same_requests_and_another_seed_others() -> None:
    traffic = Traffic(rps=20, routes=(Route(path="/a"), Route(path="/b")))
    first, again = schedule(traffic, duration_s=100), schedule(traffic, duration_s=100)
    other = schedule(traffic.model_copy(update={"seed": 2}), duration_s=100)
    assert np.array_equal(first.at_s, again.at_s)
    assert np.array_equal(first.route, again.route)
    assert not np.array_equal(first.at_s[:100], other.at_s[:100])


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = (schedule(Traffic(rps=200), duration_s=duration_s) for duration_s in (50, 1000))
    assert np.array_equal(short.at_s, long.at_s[: len(short)])


def test_another_route_does_not_move_old_arrivals() -> None:
    one, two = Traffic(rps=20), Traffic(rps=20, routes=(Route(path="/a"), Route(path="/b")))
    assert np.array_equal(schedule(one, duration_s=50).at_s, schedule(two, duration_s=50).at_s)


def test_routes_are_drawn_by_weight() -> None:
    traffic = Traffic(rps=100, routes=(Route(path="/a", weight=3), Route(path="/b", weight=1)))
    routes = schedule(traffic, duration_s=1000).route
    # A quarter of n requests, with a standard error of √(0.25 · 0.75 / n).
    assert np.mean(routes == 1) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / len(routes)))


def test_more_requests_than_memory_should_hold_are_refused() -> None:
    with pytest.raises(TrafficError, match="at most 20,000,000"):
        schedule(Traffic(rps=1000), duration_s=86_400)


@pytest.mark.parametrize("duration_s", [-1, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration_s: float) -> None:
    with pytest.raises(TrafficError):
        schedule(Traffic(rps=1), duration_s=duration_s)


rates = st.floats(0, 1000)
points = st.lists(st.tuples(st.floats(0.01, 100), rates), min_size=1, max_size=8)


@given(gaps=points, first=rates, share=st.floats(0, 1))
def test_when_is_the_inverse_of_the_expected_count(gaps: list[tuple[float, float]], first: float, share: float) -> None:
    at_s, knots = 0.0, [(0.0, first)]
    for gap_s, rate in gaps:
        at_s += gap_s
        knots.append((at_s, rate))
    curve = RateCurve.through(knots, duration_s=at_s)
    wanted = curve.requests * share
    found_s = float(curve.when(np.array([wanted]))[0])
    assert 0 <= found_s <= at_s + 1e-9
    expected = RateCurve.through(knots, duration_s=max(found_s, 1e-12)).requests
    assert expected == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@given(
    seed=st.integers(0, 2**32),
    at_s=st.floats(0, 60),
    factor=st.floats(0, 5),
    arrivals=st.sampled_from(["poisson", "even"]),
)
def test_a_change_moves_nothing_that_came_before_it(seed: int, at_s: float, factor: float, arrivals: str) -> None:
    traffic = Traffic.model_validate(
        {"rps": 20, "shape": Spike(at_s=20, for_s=10, to_rps=60), "seed": seed, "arrivals": arrivals}
    )
    planned = schedule(traffic, duration_s=60)
    changed = schedule(traffic, duration_s=60, changes=[Change(from_s=at_s, factor=factor)])
    before = int(np.searchsorted(planned.at_s, at_s))
    assert np.allclose(planned.at_s[:before], changed.at_s[:before], rtol=0, atol=1e-9)
    common = min(len(planned), len(changed))
    assert np.array_equal(planned.route[:common], changed.route[:common])
    assert np.all(np.diff(changed.at_s) >= 0)

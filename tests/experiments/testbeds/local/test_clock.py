"""Policy time: as fast as it says, in the past of a real Prometheus, the same in two places."""

from __future__ import annotations

import time

import pytest

from experiments.testbeds.local.clock import PolicyClock, origin_now


def test_policy_time_runs_as_many_times_as_fast_as_it_says() -> None:
    clock = PolicyClock(origin_now(20.0))
    before_wall, before = time.monotonic(), clock.now_s()
    time.sleep(0.05)
    after, after_wall = clock.now_s(), time.monotonic()
    # Both readings of policy time lie between the two of the wall, so at most 20 times that can have passed.
    assert 1.0 <= after - before <= 20 * (after_wall - before_wall) + 1e-6


def test_policy_time_begins_a_day_before_now() -> None:
    # 86,400 s back, within the second that was cut off and the time that this test takes.
    assert PolicyClock(origin_now(1.0)).now_s() == pytest.approx(time.time() - 86_400, abs=5)


def test_a_minute_of_policy_time_takes_three_seconds_at_speed_twenty() -> None:
    assert PolicyClock(origin_now(20.0)).wall_s(60.0) == pytest.approx(3.0)


def test_two_clocks_with_one_origin_read_the_same_time() -> None:
    origin = origin_now(50.0)
    one, other = PolicyClock(origin), PolicyClock(origin)
    first, between, last = one.now_s(), other.now_s(), one.now_s()
    assert first <= between <= last

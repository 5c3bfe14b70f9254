"""When the requests of a replay are due: worked out by hand, then laws that hold for any recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, lists

from loadgen.replay.timing import Pace, ReplayError, period_of, timetable

recordings = lists(floats(0, 1000, allow_nan=False), min_size=1, max_size=60).map(
    lambda times: np.sort(np.array(times)) - min(times)
)


def test_a_recording_is_sent_once_at_its_own_times_unless_told_otherwise() -> None:
    planned = timetable(np.array([0.0, 0.5, 2.0]), Pace())
    assert planned.at_s.tolist() == [0.0, 0.5, 2.0]
    assert planned.base.tolist() == [0, 1, 2]
    # Two seconds between first and last, in two steps of one on average: the next would come at 3 s.
    assert planned.lasts_s == 3.0


def test_twice_the_speed_halves_every_distance() -> None:
    planned = timetable(np.array([0.0, 0.5, 2.0]), Pace(speed=2))
    assert planned.at_s.tolist() == [0.0, 0.25, 1.0]


def test_a_longer_replay_begins_the_recording_again_after_its_period() -> None:
    planned = timetable(np.array([0.0, 0.5, 2.0]), Pace(lasts_s=7))
    # Passes begin at 0, 3 and 6 s; the last is cut at 7 s.
    assert planned.at_s.tolist() == [0.0, 0.5, 2.0, 3.0, 3.5, 5.0, 6.0, 6.5]
    assert planned.passes == 3


def test_twice_the_rate_is_the_recording_and_a_copy_moved_by_less_than_a_second() -> None:
    planned = timetable(np.array([0.0, 5.0, 9.0]), Pace(rate=2))
    # The period is 9 + 9/2 = 13.5 s; the copy is moved by the golden ratio of a second, 0.618 s.
    assert planned.at_s == pytest.approx([0.0, 0.618, 5.0, 5.618, 9.0, 9.618], abs=1e-3)
    assert planned.base.tolist() == [0, 0, 1, 1, 2, 2]


def test_what_is_moved_beyond_the_end_of_the_recording_comes_at_its_beginning() -> None:
    planned = timetable(np.array([0.0, 0.9]), Pace(rate=2), period_s=1.0)
    # 0.9 + 0.618 s is 0.518 s into the period.
    assert planned.at_s == pytest.approx([0.0, 0.518, 0.618, 0.9], abs=1e-3)
    assert planned.base.tolist() == [0, 1, 0, 1]


def test_a_burst_stays_a_burst_at_any_rate() -> None:
    # Ten bursts of 100 requests within 2 s, a minute apart.
    burst = np.linspace(0, 2, 100, endpoint=False)
    times = np.concatenate([60 * number + burst for number in range(10)])
    for rate in (0.3, 1.0, 3.0, 4.5):
        planned = timetable(times, Pace(rate=rate), period_s=600.0)
        within = planned.at_s % 60
        # Copies are moved by less than a second, so all of it falls within 3 s of its burst's beginning.
        assert within.max() < 3.0
        counts = np.histogram(planned.at_s, bins=np.arange(0, 601, 60))[0]
        # Thinning is binomial: 0.5 of 100 has a standard deviation of 5; five of them are 25.
        assert np.abs(counts - rate * 100).max() <= 25


def test_each_pass_draws_for_itself_what_a_lighter_replay_leaves_out() -> None:
    times = np.arange(1000.0)
    planned = timetable(times, Pace(rate=0.5, lasts_s=2000))
    first, second = (set(planned.base[(planned.at_s // 1000) == number].tolist()) for number in (0, 1))
    assert first != second
    # Chance agrees in half of the requests: 500, give or take five standard deviations of 16.
    assert 420 < len(first ^ second) < 580


def test_the_same_seed_leaves_out_the_same_requests() -> None:
    times = np.arange(100.0)
    first, second, other = (timetable(times, Pace(rate=0.5, seed=seed)).base.tolist() for seed in (1, 1, 2))
    assert first == second != other


def test_the_peak_is_the_most_requests_of_any_second() -> None:
    # 0.9, 1.0, 1.1 and 1.8 s are within the second that begins at 0.9.
    assert timetable(np.array([0.0, 0.9, 1.0, 1.1, 1.8, 5.0]), Pace()).peak_rps() == 4


@pytest.mark.parametrize("pace", [{"speed": 0}, {"rate": -1}, {"lasts_s": float("inf")}, {"speed": float("nan")}])
def test_a_pace_that_is_none_is_refused(pace: dict[str, float]) -> None:
    with pytest.raises(ReplayError, match="a number above 0"):
        Pace(**pace)


def test_more_requests_than_memory_holds_are_refused_before_they_are_made() -> None:
    with pytest.raises(ReplayError, match="at most 10,000,000"):
        timetable(np.arange(1000) / 1000, Pace(rate=100, lasts_s=3600))


@settings(max_examples=60, deadline=None)
@given(times=recordings, copies=integers(1, 5), passes=integers(1, 4))
def test_whole_rates_and_whole_passes_send_every_request_exactly_so_often(
    times: np.ndarray, copies: int, passes: int
) -> None:
    planned = timetable(times, Pace(rate=copies, lasts_s=passes * period_of(times)))
    assert np.bincount(planned.base, minlength=len(times)).tolist() == [copies * passes] * len(times)
    assert (np.diff(planned.at_s) >= 0).all()
    assert planned.at_s.min() == 0
    assert planned.at_s.max() < planned.lasts_s


@settings(max_examples=40, deadline=None)
@given(times=recordings, speed=floats(0.1, 50), rate=floats(0.1, 4), seed=integers(0, 9))
def test_speed_changes_nothing_but_the_clock(times: np.ndarray, speed: float, rate: float, seed: int) -> None:
    slow = timetable(times, Pace(rate=rate, seed=seed))
    fast = timetable(times, Pace(rate=rate, seed=seed, speed=speed))
    assert fast.base.tolist() == slow.base.tolist()
    assert fast.at_s * speed == pytest.approx(slow.at_s)

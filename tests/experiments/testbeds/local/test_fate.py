"""What becomes of a request in the demo service: errors by chance and by count, latency, leaks, and whom they reach."""

from __future__ import annotations

import random
import statistics

import pytest

from experiments.testbeds.local.demo.fate import Fate, Fates
from sim.releases import Latency, Leak, Release

FLAT = Latency(median_ms=40.0, sigma=0.0)  # every body takes exactly 40 ms


def fates(release: Release, *, first: bool = True, seed: int = 1) -> Fates:
    return Fates(release, first, random.Random(seed))


def draw(source: Fates, *, path: str = "/", age_s: float = 0.0, flag_on: bool = True) -> Fate:
    return source.draw(path=path, age_s=age_s, flag_on=flag_on)


def failures(source: Fates, count: int, **asked: object) -> int:
    return sum(draw(source, **asked).status == 500 for _ in range(count))  # type: ignore[arg-type]


def test_a_good_release_fails_nothing() -> None:
    assert failures(fates(Release()), 2000) == 0


def test_five_percent_errors_fail_one_request_in_twenty() -> None:
    # 20,000 requests at 5 %: 1000 expected, standard deviation sqrt(20000 x 0.05 x 0.95) = 30.8; five of them are 154.
    assert failures(fates(Release(errors=0.05)), 20_000) == pytest.approx(1000, abs=154)


def test_errors_by_count_fail_exactly_those_requests_of_the_first_pod() -> None:
    release = Release(errors_at=(2, 5))
    first = fates(release)
    assert [draw(first).status for _ in range(6)] == [200, 500, 200, 200, 500, 200]
    assert failures(fates(release, first=False), 6) == 0


def test_two_pods_with_the_same_seed_answer_the_same() -> None:
    release = Release(errors=0.3)
    one, other = fates(release, seed=7), fates(release, seed=7)
    assert [draw(one) for _ in range(50)] == [draw(other) for _ in range(50)]


def test_a_fault_on_one_route_leaves_the_others_alone() -> None:
    source = fates(Release(errors=1.0, routes=("/checkout",)))
    assert (draw(source, path="/checkout/pay").status, draw(source, path="/orders").status) == (500, 200)


def test_a_fault_behind_a_flag_stays_away_while_the_flag_is_off_but_base_errors_do_not() -> None:
    release = Release(errors=0.5, base_errors=0.5, behind_flag="recommender-v2-enabled")
    # Off: half of 2000 fail by the base alone, five standard deviations (22.4 each) are 112.
    assert failures(fates(release), 2000, flag_on=False) == pytest.approx(1000, abs=112)
    # On: three quarters, as either of two even chances fails them; a deviation is sqrt(2000 x 3/16) = 19.4.
    assert failures(fates(release), 2000, flag_on=True) == pytest.approx(1500, abs=97)


def test_a_fault_under_load_shows_only_above_that_load() -> None:
    release = Release(errors=1.0, above_rps=2.0)
    calm, busy = fates(release), fates(release)
    # One request a second never comes to more than 2/s; ten a second do once more than 20 came within 10 s.
    assert all(draw(calm, age_s=float(age)).status == 200 for age in range(60))
    statuses = [draw(busy, age_s=age / 10).status for age in range(60)]
    assert statuses == [200] * 20 + [500] * 40


def test_a_leak_of_errors_grows_with_age() -> None:
    source = fates(Release(leak=Leak(errors_per_minute=0.1)))
    assert failures(source, 500, age_s=0.0) == 0
    # Five minutes old: half of 2000, five standard deviations of 22.4 are 112. After ten minutes: all of them.
    assert failures(source, 2000, age_s=300.0) == pytest.approx(1000, abs=112)
    assert failures(source, 500, age_s=600.0) == 500


def test_a_leak_of_latency_adds_so_much_for_each_minute() -> None:
    source = fates(Release(latency=FLAT, leak=Leak(latency_ms_per_minute=30.0)))
    # 40 ms, and 30 ms for each of two minutes.
    assert draw(source, age_s=120.0).delay_s == pytest.approx(0.100)


def test_a_factor_slows_the_faulty_and_nobody_else() -> None:
    release = Release(latency=Latency(median_ms=40.0, sigma=0.0, factor=2.0))
    assert draw(fates(release)).delay_s == pytest.approx(0.080)
    assert draw(fates(release), flag_on=False).delay_s == pytest.approx(0.040)


def test_a_tail_reaches_its_share_of_requests() -> None:
    source = fates(Release(latency=Latency(median_ms=40.0, sigma=0.0, tail_share=0.1, tail_ms=500.0)))
    slow = sum(draw(source).delay_s > 0.5 for _ in range(5000))
    # 500 expected, a standard deviation is sqrt(5000 x 0.09) = 21.2; five of them are 106.
    assert slow == pytest.approx(500, abs=106)


def test_half_of_the_answers_are_faster_than_the_median() -> None:
    source = fates(Release(latency=Latency(median_ms=40.0, sigma=0.45)))
    # The median of 10,000 draws is within 5 x 1.2533 x 0.45/100 = 2.8 % of the true one.
    assert statistics.median(draw(source).delay_s for _ in range(10_000)) == pytest.approx(0.040, rel=0.028)


def test_every_third_request_fails_like_clockwork() -> None:
    source = fates(Release(every_nth=3))
    assert [draw(source).status for _ in range(7)] == [200, 200, 500, 200, 200, 500, 200]


def test_a_fault_answers_with_the_status_that_the_release_names() -> None:
    assert draw(fates(Release(errors=1.0, error_status=503))).status == 503


def test_a_fault_of_one_segment_leaves_other_users_alone() -> None:
    source = fates(Release(errors=1.0, segments={"region": ("ap", "us")}))
    regions = ["ap", "eu", "us", ""]
    answers = [source.draw(path="/", age_s=0, flag_on=True, segments={"region": region}).status for region in regions]
    assert answers == [500, 200, 500, 200]


def test_a_pod_of_a_cold_release_is_slower_at_first_and_warms_up_in_a_straight_line() -> None:
    # 40 ms and five times that at first; half way through the minute three times, then as always.
    source = fates(Release(latency=FLAT, warm_up_s=60, warm_up_factor=5))
    assert [draw(source, age_s=age_s).delay_s for age_s in (0, 30, 60)] == pytest.approx([0.2, 0.12, 0.04])


def test_a_pod_ends_with_the_request_that_the_release_names() -> None:
    source = fates(Release(crash_at_request=3))
    assert [draw(source).is_last for _ in range(4)] == [False, False, True, False]


def test_some_requests_end_their_pod() -> None:
    # 10,000 at 1 %: 100 expected, a deviation is 10; five of them are 50.
    source = fates(Release(crash_share=0.01))
    assert sum(draw(source).is_last for _ in range(10_000)) == pytest.approx(100, abs=50)

"""What becomes of pods that fail: crash loops, memory, hangs, probes, requests that kill. Instants by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from loadgen.traffic import Traffic
from sim.platform import Births, Fates
from sim.releases import Leak, Release
from sim.scenarios import PodStarts, Scenario, Service, TrafficChange, Trigger


def lives(platform):
    return [life for life in platform.lives if life.is_release]


def counts(platform):
    found = platform.pod_counts()["new"]
    return found.created, found.ready, found.available


def test_a_pod_counts_as_created_then_ready_then_available(released):
    platform = released(min_ready_s=30.0)
    seen = []
    for at_s in (104.9, 105.0, 134.9, 135.0):
        platform.advance(at_s)
        seen.append(counts(platform))
    assert seen == [(1, 0, 0), (1, 1, 0), (1, 1, 0), (1, 1, 1)]


def test_a_crash_loop_waits_ten_twenty_forty_seconds_and_never_more_than_five_minutes(released):
    platform = released(release=Release(crash_after_s=20.0))
    platform.advance(4_000.0)
    # Created at 100, ready 5 s later, dead after 20 s more, started again 10, 20, 40, 80, 160, 300, 300 s later.
    starts, at_s = [100.0], 100.0
    for wait_s in (10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0):
        at_s += 25.0 + wait_s
        starts.append(at_s)
    assert [life.created_s for life in lives(platform)][:8] == pytest.approx(starts)
    assert [life.incarnation for life in lives(platform)][:3] == [0, 1, 2]
    assert len({life.name for life in lives(platform)}) == 1
    assert all(life.born_s == 100.0 for life in lives(platform))


def test_a_pod_in_its_back_off_is_created_and_not_ready_and_gets_no_users(released):
    platform = released(release=Release(crash_after_s=20.0))
    platform.advance(126.0)  # it died at 125
    assert counts(platform) == (1, 0, 0)
    assert platform.current.unserved == pytest.approx(0.1)
    platform.advance(140.0)  # 125 + 10 s of back-off + 5 s until ready
    assert counts(platform) == (1, 1, 1)
    assert (platform.current.unserved, platform.release_share) == (0.0, 0.1)


def test_a_process_that_lived_for_ten_minutes_is_forgiven_its_crashes(released):
    platform = released(release=Release(crash_after_s=700.0))
    platform.advance(5_000.0)
    starts = [life.created_s for life in lives(platform)]
    assert [later - earlier for earlier, later in pairwise(starts)][:3] == [715.0] * 3


def test_a_leak_ends_a_pod_when_its_memory_reaches_the_limit(released):
    release = Release(memory_limit_bytes=306e6, leak=Leak(memory_bytes_per_minute=10e6))
    platform = released(release=release, service=Service(memory_bytes=256e6))
    platform.advance(1_000.0)
    # 50 MB at 10 MB a minute: 300 s after the process started; 10 s later the next one, which has 300 s as well.
    assert [life.ended_s for life in lives(platform)][:2] == [400.0, 710.0]


def test_a_limit_below_what_a_pod_needs_lets_it_never_come_up(released):
    platform = released(release=Release(memory_limit_bytes=200e6))
    platform.advance(1_000.0)
    assert all(life.ended_s <= life.ready_s for life in lives(platform) if life.ended_s < math.inf)
    assert platform.release_share_max == 0.0


def test_a_pod_that_is_never_ready_gets_no_users_and_a_routed_share_is_lost(released):
    platform = released(release=Release(never_ready=True))
    platform.advance(1_000.0)
    assert counts(platform) == (1, 0, 0)
    assert platform.current.unserved == pytest.approx(0.1)


def test_a_hung_pod_keeps_its_users_until_three_probes_have_failed(released):
    for seed in range(20):
        platform = released(release=Release(hang_after_s=60.0), seed=seed)
        life = lives(platform)[0]
        assert life.hangs_s == 165.0
        # The first failed probe comes within 10 s, the third 20 s later, and each waits a second for an answer.
        assert 165.0 + 21.0 <= life.unready_s <= 165.0 + 31.0
        platform.advance(life.unready_s - 0.001)
        assert platform.release_share == pytest.approx(0.1)
        platform.advance(life.unready_s)
        assert (platform.release_share, counts(platform)) == (0.0, (1, 0, 0))


def test_probes_that_are_repeated_sooner_and_wait_longer_take_as_long_as_those_of_the_local_world(released):
    """At speed 20: a time-out of 20 s, a second until the next: up to 10 + 3 x 20 + 2 x 1 s after the hang."""
    pods = PodStarts(start_s=5.0, sigma=0.0, probe_timeout_s=20.0, probe_retry_s=1.0)
    for seed in range(1, 6):
        for release, least_s in ((Release(hang_after_s=60.0), 62.0), (Release(unready_after_s=60.0), 2.0)):
            scenario = Scenario(traffic=Traffic(rps=100.0), release=release, pods=pods)
            life = Births(scenario, Fates(seed, 0)).first("new", 0, is_release=True, now_s=0.0)
            assert least_s <= life.unready_s - (life.ready_s + 60.0) <= least_s + 10.0


def test_failing_health_checks_take_a_pod_that_serves_well_out_of_the_traffic(released):
    platform = released(release=Release(unready_after_s=60.0))
    life = lives(platform)[0]
    assert 165.0 + 20.0 <= life.unready_s <= 165.0 + 30.0
    assert life.hangs_s == math.inf


def test_the_hundredth_request_kills_when_it_is_expected(released):
    # 10 requests/s from 105 on: the hundredth is expected at 115; the next process starts 10 s later, ready at 130.
    platform = released(release=Release(crash_at_request=100))
    platform.advance(200.0)
    assert [life.ended_s for life in lives(platform)][:2] == pytest.approx([115.0, 140.0])


def test_a_change_of_the_share_moves_the_request_that_kills(released):
    from controller.core.actions import SetWeight

    platform = released(release=Release(crash_at_request=100))
    platform.advance(109.0)
    platform.carry_out(SetWeight(canary=50, total=100, canary_hash="new", stable_hash="old"))
    platform.advance(200.0)
    # 10/s from 105 until the weight holds at 110: 50 requests; the other 50 at 50/s take a second.
    assert lives(platform)[0].ended_s == pytest.approx(111.0)


def test_a_change_of_the_traffic_that_the_rollout_sets_off_moves_it_too(released):
    change = TrafficChange(when=Trigger(weight_at_least=10.0, after_s=3.0), for_s=60.0, rps=200.0)
    platform = released(release=Release(crash_at_request=100), traffic_changes=(change,))
    platform.advance(200.0)
    # The release has its 10 % from 105 on, so the traffic doubles at 108: 30 requests, then 70 at 20/s take 3.5 s.
    assert lives(platform)[0].ended_s == pytest.approx(111.5)


def test_requests_that_kill_by_chance_kill_as_often_as_they_should(released):
    # One in 200 kills: 200 requests on average, 10/s, so 20 s; 300 pods: the mean is within 4 x 20/sqrt(300) = 4.6 s.
    spans = []
    for seed in range(300):
        platform = released(release=Release(crash_share=0.005), seed=seed)
        platform.advance(1_000.0)
        spans.append(lives(platform)[0].ended_s - 105.0)
    assert abs(sum(spans) / len(spans) - 20.0) < 4.6


def test_without_traffic_no_request_kills(released):
    platform = released(release=Release(crash_at_request=1), traffic=Traffic(rps=0.0))
    platform.advance(1_000.0)
    assert lives(platform)[0].ended_s == math.inf


def test_a_pod_that_is_told_to_end_is_scraped_until_its_drain_is_over(released):
    from controller.core.actions import ScaleReplicaSet

    platform = released(pods=2)
    platform.advance(110.0)
    platform.carry_out(ScaleReplicaSet(pod_hash="new", replicas=1, desired_replicas=4))
    ended = [life for life in lives(platform) if life.ended_s < math.inf]
    assert [(life.ordinal, life.ended_s, life.gone_s) for life in ended] == [(1, 110.0, 115.0)]

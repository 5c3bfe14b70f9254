"""Who gets which share of the traffic, from when on: weights, Services, ready pods, unevenness."""

from __future__ import annotations

import math

import pytest

from controller.core.actions import ScaleReplicaSet, SelectService, SetWeight
from loadgen.traffic import Spike, Traffic
from sim.scenarios import Autoscaler, Outage, Router, Service, Trigger


def weigh(platform, canary: int) -> None:
    platform.carry_out(SetWeight(canary=canary, total=100, canary_hash="new", stable_hash="old"))


def test_a_weight_holds_after_the_routers_delay_and_not_before(released):
    platform = released()
    platform.advance(110.0)
    weigh(platform, 30)
    platform.advance(110.999)
    assert platform.release_share == pytest.approx(0.1)
    platform.advance(111.0)
    assert platform.release_share == 0.3


def test_weights_hold_in_the_order_in_which_they_were_asked_for(released):
    for seed in range(30):
        platform = released(router=Router(delay_s=5.0, sigma=2.0), seed=seed)
        platform.advance(2_000.0)
        weigh(platform, 50)
        platform.advance(2_000.1)
        weigh(platform, 20)
        platform.advance(9_000.0)
        assert platform.release_share == 0.2


def test_what_is_asked_for_twice_holds_once(released):
    platform = released()
    platform.advance(110.0)
    weigh(platform, 30)
    weigh(platform, 30)
    platform.advance(120.0)
    assert [stretch.release_share for stretch in platform.timeline] == [0.0, 0.0, 0.1]
    assert platform.release_share == 0.3


def test_traffic_meant_for_a_canary_without_a_ready_pod_is_served_by_nobody(released):
    platform = released()
    platform.advance(103.0)  # the weight holds since 101, the pod is ready at 105
    assert (platform.current.unserved, platform.release_share) == (0.1, 0.0)
    assert sum(share for _, share in platform.current.shares) == pytest.approx(0.9)


def test_on_the_way_back_the_canary_service_and_the_weight_move_at_one_instant(released):
    platform = released()
    platform.advance(110.0)
    weigh(platform, 0)
    platform.carry_out(SelectService(role="canary", service="canary", pod_hash="old"))
    platform.advance(120.0)
    assert (platform.release_first_s, platform.release_until_s) == (105.0, 111.0)
    assert platform.release_share_max == pytest.approx(0.1)


def test_without_a_router_every_ready_pod_of_every_revision_gets_an_equal_part(released):
    platform = released(routed=False)
    platform.advance(110.0)
    assert platform.release_share == pytest.approx(1 / 5)
    platform.carry_out(ScaleReplicaSet(pod_hash="old", replicas=3, desired_replicas=4))
    assert platform.release_share == pytest.approx(1 / 4)
    platform.carry_out(ScaleReplicaSet(pod_hash="new", replicas=2, desired_replicas=4))
    assert platform.release_share == pytest.approx(1 / 4)
    platform.advance(115.0)
    assert platform.release_share == pytest.approx(2 / 5)


def test_uneven_pods_share_what_their_side_gets(released):
    platform = released(pods=3, weight=30, router=Router(delay_s=1.0, sigma=0.0, unevenness=0.5), seed=3)
    platform.advance(110.0)
    shares = dict(platform.current.shares)
    release = [shares[index] for index, life in enumerate(platform.lives) if life.is_release]
    assert sum(release) == pytest.approx(0.3)
    assert max(release) / min(release) > 1.2
    assert platform.release_share == 0.3


def test_unevenness_is_as_large_as_the_scenario_says(platform_of):
    factors = [
        life.share_factor for seed in range(250) for life in platform_of(router=Router(unevenness=0.3), seed=seed).lives
    ]
    # 1,000 factors, lognormal with sigma 0.3: the median's logarithm is within 4 x 0.3 x 1.25 / sqrt(1000) = 0.047.
    logs = sorted(math.log(factor) for factor in factors)
    assert abs(logs[500]) < 0.047
    assert abs((sum(log * log for log in logs) / 1_000) ** 0.5 - 0.3) < 0.03


def test_a_scale_down_ends_those_that_are_not_ready_first_and_then_the_youngest(released):
    platform = released(pods=2)
    platform.advance(110.0)
    platform.carry_out(ScaleReplicaSet(pod_hash="new", replicas=3, desired_replicas=4))
    platform.advance(112.0)
    platform.carry_out(ScaleReplicaSet(pod_hash="new", replicas=1, desired_replicas=4))
    standing = [life.ordinal for life in platform.lives if life.is_release and life.ended_s == math.inf]
    assert standing == [0]


def test_a_window_that_waits_for_a_weight_begins_when_the_weight_holds(released):
    outage = Outage(when=Trigger(weight_at_least=30.0, after_s=7.0), for_s=60.0)
    platform = released(prometheus={"outages": (outage,)})
    platform.advance(110.0)
    weigh(platform, 30)
    platform.advance(110.5)
    assert platform.instants == {}
    platform.advance(200.0)
    assert platform.instants == {outage.when: 118.0}


def test_the_autoscaler_follows_the_load_of_all_pods(platform_of):
    # 100 requests/s x 0.032 s = 3.2 cores on 4 pods: 80 %, on target. From 200 s on 200/s: 160 %, 2 x 4 = 8.
    platform = platform_of(
        traffic=Traffic(rps=100.0, shape=Spike(to_rps=200.0, at_s=200.0, for_s=10_000.0)),
        service=Service(cpu_s_per_request=0.032),
        autoscaler=Autoscaler(min_replicas=2, max_replicas=10, target_utilisation=0.8),
    )
    sizes = {}
    for at_s in range(0, 300, 5):
        platform.advance(float(at_s))
        sizes[at_s] = platform.size
    assert sizes[195] == 4
    # Syncs come every 15 s and see the last 15 s: full sight at the latest 30 s after the change.
    assert sizes[230] == 8


def test_the_autoscaler_does_nothing_while_metrics_are_missing(platform_of):
    platform = platform_of(
        traffic=Traffic(rps=100.0, shape=Spike(to_rps=200.0, at_s=200.0, for_s=10_000.0)),
        service=Service(cpu_s_per_request=0.032),
        autoscaler=Autoscaler(max_replicas=10, metrics_missing=(Outage(from_s=190.0, for_s=100.0),)),
    )
    platform.advance(289.0)
    assert platform.size == 4
    platform.advance(310.0)
    assert platform.size == 8

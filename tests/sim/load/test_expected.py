"""Expected requests of a pod: rates, shares and faults, each against a number worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loadgen.traffic import Constant, Ramp, Route, Step, Traffic
from loadgen.traffic.shapes import Level
from sim.releases import Latency, Leak, Release
from sim.scenarios import Incident, KillSwitch, Service, TrafficChange, Trigger

Make = Callable[..., Any]
FLAT = Latency(median_ms=100.0, sigma=0.0)  # every answer takes exactly 100 ms


def test_a_canary_with_a_tenth_of_twenty_requests_a_second_fails_six_in_a_minute_at_five_percent(
    loaded: Make, pod: Make
) -> None:
    # 20/s x 10 % x 60 s = 120 requests, and 5 % of those are 6.
    load = loaded(release={"errors": 0.05})
    found = load.model.expected(pod(), 0.1, 0.0, 60.0)
    assert found.sum() == pytest.approx(120)
    assert load.counted(found, metric="http_requests_total", status="500") == pytest.approx(6)
    assert load.counted(found, metric="http_requests_total", status="200") == pytest.approx(114)


def test_stable_pods_fail_by_their_own_release_and_not_by_the_one_under_test(loaded: Make, pod: Make) -> None:
    load = loaded(release={"errors": 0.05}, stable={"base_errors": 0.01})
    found = load.model.expected(pod(is_release=False), 0.1, 0.0, 60.0)
    assert load.bad(found) == pytest.approx(120 * 0.01, rel=1e-6)


def test_errors_and_base_errors_meet_in_one_request_by_chance(loaded: Make, pod: Make) -> None:
    # 1 - 0.9 x 0.8 = 0.28 of 120.
    load = loaded(release={"errors": 0.2, "base_errors": 0.1})
    found = load.model.expected(pod(), 0.1, 0.0, 60.0)
    assert load.counted(found, metric="http_requests_total", status="500") == pytest.approx(33.6)


def test_latency_buckets_hold_the_shares_of_the_lognormal(loaded: Make, pod: Make) -> None:
    # Median 60 ms, sigma 0.45: within 100 ms is Phi(ln(100/60)/0.45) = Phi(1.1352) = 0.8718; within 60 ms... half.
    load = loaded()
    found = load.model.expected(pod(), 1.0, 0.0, 50.0)  # 1000 requests
    counted = {le: load.counted(found, metric="http_request_duration_seconds_bucket", le=le) for le in ("0.1", "+Inf")}
    assert counted["0.1"] == pytest.approx(871.8, abs=0.1)
    assert counted["+Inf"] == pytest.approx(1000)


def test_a_tail_moves_its_share_of_the_answers_and_no_others(loaded: Make, pod: Make) -> None:
    # 3 % take 100 + 400 ms, which is more than 0.4 s and not more than 0.5 s; the rest take 100 ms.
    load = loaded(release={"latency": Latency(median_ms=100.0, sigma=0.0, tail_share=0.03, tail_ms=400.0)})
    found = load.model.expected(pod(), 1.0, 0.0, 50.0)
    counted = [
        load.counted(found, metric="http_request_duration_seconds_bucket", le=le)
        for le in ("0.075", "0.1", "0.4", "0.5")
    ]
    assert counted == pytest.approx([0, 970, 970, 1000])


def test_an_answer_later_than_users_wait_is_bad(loaded: Make, pod: Make) -> None:
    load = loaded(release={"latency": Latency(median_ms=900.0, sigma=0.0, tail_share=0.2, tail_ms=200.0)})
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 50.0)) == pytest.approx(200)


def test_a_leak_of_errors_is_the_integral_of_its_growth(loaded: Make, pod: Make) -> None:
    # 6/s for 600 s; the share that fails grows from 0 to 10 % in a line: 3600 x 5 % = 180.
    load = loaded(rps=6.0, release={"leak": Leak(errors_per_minute=0.01)})
    found = load.model.expected(pod(), 1.0, 0.0, 600.0)
    assert load.counted(found, metric="http_requests_total", status="500") == pytest.approx(180)


def test_a_leak_stops_at_all_requests(loaded: Make, pod: Make) -> None:
    # 50 % a minute: a line to 100 % at two minutes, then everything. 10/s: 600 and then 1200.
    load = loaded(rps=10.0, release={"leak": Leak(errors_per_minute=0.5)})
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 240.0)) == pytest.approx(1800)


def test_a_leak_of_latency_crosses_a_bound_when_it_must(loaded: Make, pod: Make) -> None:
    # 100 ms and 60 ms more a minute: over 0.3 s from 200 s on, of 400 s at 10/s: 2000 of 4000; pieces are 10 s.
    load = loaded(rps=10.0, release={"latency": FLAT, "leak": Leak(latency_ms_per_minute=60.0)})
    found = load.model.expected(pod(), 1.0, 0.0, 400.0)
    assert load.counted(found, metric="http_request_duration_seconds_bucket", le="0.3") == pytest.approx(2000, abs=50)


def test_a_cold_pod_is_slow_until_it_has_warmed_up(loaded: Make, pod: Make) -> None:
    # Five times 100 ms at first, 100 ms after 100 s, in a line: over 0.3 s for the first 50 s. 10/s.
    service = Service(warm_up_s=100.0, warm_up_factor=5.0)
    load = loaded(rps=10.0, release={"latency": FLAT}, service=service)
    found = load.model.expected(pod(), 1.0, 0.0, 200.0)
    late = 2000 - load.counted(found, metric="http_request_duration_seconds_bucket", le="0.3")
    assert late == pytest.approx(500)


def test_an_incident_is_only_there_while_it_lasts_and_only_on_its_side(loaded: Make, pod: Make) -> None:
    # 10 % of 20/s for 30 s of the minute.
    load = loaded(incidents=(Incident(from_s=30.0, for_s=30.0, side="canary", errors=0.1),))
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 120.0)) == pytest.approx(60, rel=1e-6)
    assert load.bad(load.model.expected(pod(is_release=False), 1.0, 0.0, 120.0)) == pytest.approx(0, abs=1e-4)


def test_an_incident_that_waits_for_a_trigger_is_there_on_the_path_where_it_went_off(loaded: Make, pod: Make) -> None:
    trigger = Trigger(weight_at_least=30.0)
    load = loaded(incidents=(Incident(when=trigger, for_s=30.0, errors=0.5),))
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 600.0)) == pytest.approx(0, abs=1e-3)
    on_path = load.model.on_path({trigger: 100.0})
    assert load.bad(on_path.expected(pod(), 1.0, 0.0, 600.0)) == pytest.approx(300, rel=1e-5)
    assert load.model.on_path({trigger: 100.0}) is on_path


def test_what_the_proxy_answers_itself_never_reaches_the_pod(loaded: Make, pod: Make) -> None:
    # A quarter of 20/s for 60 s is answered by the proxy: the pod counts 900, and its users are not the release's.
    load = loaded(release={"errors": 0.1}, incidents=(Incident(from_s=0.0, for_s=60.0, proxy_errors=0.25),))
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    assert load.counted(found, metric="http_requests_total") == pytest.approx(900)
    assert load.bad(found) == pytest.approx(90, rel=1e-5)


def test_a_proxy_that_holds_answers_back_hurts_users_whom_the_pod_served_in_time(loaded: Make, pod: Make) -> None:
    # 100 ms in the pod and 950 ms in the proxy is more than a second for half of 1200; the pod's buckets do not move.
    held = Incident(from_s=0.0, for_s=60.0, proxy_slow_share=0.5, proxy_slow_by_s=0.95)
    load = loaded(release={"latency": FLAT}, incidents=(held,))
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    assert load.bad(found) == pytest.approx(600)
    assert load.counted(found, metric="http_request_duration_seconds_bucket", le="0.1") == pytest.approx(1200)


def test_a_kill_switch_ends_the_fault_and_later_lets_it_come_back(loaded: Make, pod: Make) -> None:
    # 10 % of 20/s for 400 s, without the 100 s of the switch: 2/s x 300 s. The first of the pods notices at the middle.
    load = loaded(
        release={"errors": 0.1, "behind_flag": "new"},
        kill_switch=KillSwitch(from_s=100.0, for_s=100.0, propagation_s=10.0),
    )
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 400.0)) == pytest.approx(600, rel=1e-5)
    # It is off from 105 s to 205 s.
    assert load.bad(load.model.expected(pod(), 1.0, 100.0, 110.0)) == pytest.approx(10, rel=1e-4)


def test_a_pod_that_hangs_answers_nobody_and_counts_nothing(loaded: Make, pod: Make) -> None:
    load = loaded(rps=10.0, release={"hang_after_s": 30.0})
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    assert load.counted(found, metric="http_requests_total") == pytest.approx(300)
    assert load.bad(found) == pytest.approx(300, rel=1e-5)


def test_a_fault_above_a_load_shows_as_often_as_ten_seconds_hold_more_requests(loaded: Make, pod: Make) -> None:
    # 5/s against a limit of 4/s: P(N + 1 > 40) with N ~ Poisson(50), by the normal law P(Z > (39.5-50)/7.07) = 0.931.
    load = loaded(rps=5.0, release={"errors": 1.0, "above_rps": 4.0})
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 100.0)) / 500 == pytest.approx(0.931, abs=0.01)
    assert load.bad(load.model.expected(pod(), 0.1, 0.0, 100.0)) == pytest.approx(0.0, abs=1e-6)


def test_a_fault_on_one_route_fails_that_routes_share(loaded: Make, pod: Make) -> None:
    # One request in twenty is a checkout, and half of those fail: 2.5 % of 1200.
    traffic = Traffic(rps=20.0, routes=(Route(path="/orders", weight=19.0), Route(path="/checkout", weight=1.0)))
    query = "sum by (route, status) (rate(http_requests_total[5m]))"
    load = loaded(queries=(query,), traffic=traffic, release={"errors": 0.5, "routes": ("/checkout",)})
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    counted = [
        load.counted(found, metric="http_requests_total", status=status, route=route)
        for route in ("/orders", "/checkout")
        for status in ("200", "500")
    ]
    assert counted == pytest.approx([1140, 0, 30, 30])


def test_the_tail_that_a_service_has_anyway_stays_on_routes_that_meet_no_fault(loaded: Make, pod: Make) -> None:
    # Every answer takes 60 ms, or 2 s more: of 1140 orders a tenth as in stable, of 60 checkouts every second one.
    traffic = Traffic(rps=20.0, routes=(Route(path="/orders", weight=19.0), Route(path="/checkout", weight=1.0)))
    stable = Release(latency=Latency(sigma=0.0, tail_share=0.1, tail_ms=2_000.0))
    slow = {"latency": Latency(sigma=0.0, tail_share=0.5, tail_ms=2_000.0), "routes": ("/checkout",)}
    load = loaded(traffic=traffic, release=slow, stable=stable)
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 60.0)) == pytest.approx(114 + 30)


def test_a_fault_of_one_segment_fails_that_segments_share(loaded: Make, pod: Make) -> None:
    # 10 % come from ap, and a fifth of those fail: 2 % of 1200.
    service = Service(segments={"region": {"eu": 0.9, "ap": 0.1}})
    load = loaded(service=service, release={"errors": 0.2, "segments": {"region": ("ap",)}})
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 60.0)) == pytest.approx(24, rel=1e-5)


def test_every_fourth_request_fails_a_quarter_of_them(loaded: Make, pod: Make) -> None:
    load = loaded(release={"every_nth": 4})
    assert load.bad(load.model.expected(pod(), 1.0, 0.0, 60.0)) == pytest.approx(300)


def test_a_wrong_answer_is_bad_and_counted_as_a_good_one(loaded: Make, pod: Make) -> None:
    load = loaded(release={"wrong": 0.2})
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    assert load.counted(found, metric="http_requests_total", status="500") == 0
    assert load.bad(found) == pytest.approx(240)


def test_a_fault_is_answered_with_its_own_status(loaded: Make, pod: Make) -> None:
    load = loaded(
        queries=('sum(rate(http_requests_total{status=~"4..|5.."}[5m]))',), release={"errors": 0.1, "error_status": 404}
    )
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    assert load.counted(found, metric="http_requests_total", status="404") == pytest.approx(120)
    assert load.counted(found, metric="http_requests_total", status="500") == 0


def test_a_request_that_fails_by_its_number_fails_once_whenever_it_comes(
    loaded: Make, pod: Make, stretch: Make
) -> None:
    # The first and the third request of the first pod: two failures in all, spread as Poisson points are. Of the first
    # one, 1 - exp(-2) = 0.865 comes while two requests are expected.
    load = loaded(rps=1.0, release={"errors_at": (1, 3)})
    stretches = [stretch(from_s=0.0, shares=((0, 1.0),))]
    assert load.bad(load.model.expected_many([pod()], stretches, np.array([0.0, 1000.0])))[0, 0] == pytest.approx(2)
    alone = loaded(rps=1.0, release={"errors_at": (1,)})
    found = alone.model.expected_many([pod()], stretches, np.array([0.0, 2.0, 1000.0]))
    assert alone.bad(found)[0] == pytest.approx([0.8647, 0.1353], abs=1e-4)
    other = alone.model.expected_many([pod(ordinal=1)], stretches, np.array([0.0, 1000.0]))
    assert alone.bad(other)[0, 0] == pytest.approx(0, abs=1e-3)


def test_a_ramp_is_integrated_exactly(loaded: Make, pod: Make) -> None:
    # From 0 to 60/s in 60 s: 1800, half of them the pod's. Then 60/s.
    traffic = Traffic(rps=0.0, shape=Ramp(to_rps=60.0, over_s=60.0))
    load = loaded(traffic=traffic)
    assert load.model.expected(pod(), 0.5, 0.0, 60.0).sum() == pytest.approx(900)
    assert load.model.expected(pod(), 0.5, 30.0, 90.0).sum() == pytest.approx((1350 + 1800) / 2)
    assert (load.model.requests(0.0, 60.0), load.model.rps_at(30.0)) == (pytest.approx(1800), pytest.approx(30))


def test_a_change_of_the_traffic_is_laid_over_its_shape(loaded: Make, pod: Make) -> None:
    load = loaded(rps=10.0, traffic_changes=(TrafficChange(from_s=10.0, for_s=10.0, rps=100.0),))
    assert load.model.expected(pod(), 1.0, 0.0, 30.0).sum() == pytest.approx(10 * 20 + 100 * 10)


def test_traffic_goes_on_however_long_a_run_takes(loaded: Make, pod: Make) -> None:
    load = loaded(traffic=Traffic(rps=1.0, shape=Step(levels=(Level(at_s=100_000.0, rps=3.0),))))
    assert load.model.expected(pod(), 1.0, 99_999.0, 100_001.0).sum() == pytest.approx(4)
    assert load.model.rps_at(1_000_000.0) == pytest.approx(3)
    assert isinstance(Traffic(rps=1.0).shape, Constant)


def test_an_interval_over_a_change_of_shares_is_the_sum_of_its_pieces(loaded: Make, pod: Make, stretch: Make) -> None:
    # 10/s; a tenth until 100 s, then three tenths: from 90 s to 110 s that is 10 and 30. Nothing before it serves.
    load = loaded(rps=10.0)
    stretches = [
        stretch(from_s=0.0, until_s=50.0),
        stretch(from_s=50.0, until_s=100.0, shares=((0, 0.1),)),
        stretch(from_s=100.0, shares=((0, 0.3), (1, 0.7))),
    ]
    pods = [pod(), pod(is_release=False)]
    found = load.model.expected_many(pods, stretches, np.array([[0.0, 50.0, 90.0, 110.0], [0.0, 60.0, 110.0, 120.0]]))
    assert found.sum(axis=2) == pytest.approx(np.array([[0, 40, 40], [0, 70, 70]]))


@pytest.mark.parametrize(
    "release",
    [
        {"errors": 0.1},
        {"leak": Leak(errors_per_minute=0.02, latency_ms_per_minute=30)},
        {"errors_at": (3, 90)},
        {"errors": 0.2, "above_rps": 3.0},
        {"hang_after_s": 77.0},
        {"warm_up_s": 60.0, "warm_up_factor": 3.0},
        {"latency": Latency(factor=20.0)},
    ],
)
def test_spans_add_up_wherever_they_are_cut(loaded: Make, pod: Make, stretch: Make, release: Any) -> None:
    service = Service(concurrency=4 if "latency" in release else None)
    load = loaded(rps=10.0, release=release, service=service)
    stretches = [stretch(from_s=0.0, until_s=60.0, shares=((0, 0.2),)), stretch(from_s=60.0, shares=((0, 0.5),))]
    whole = load.model.expected_many([pod()], stretches, np.array([0.0, 300.0]))[0, 0]
    cut = load.model.expected_many([pod()], stretches, np.array([0.0, 60.0, 100.0, 130.0, 300.0]))[0].sum(axis=0)
    assert cut == pytest.approx(whole, abs=1e-9)


def test_gauges_and_costs_hang_on_the_pod(loaded: Make, pod: Make) -> None:
    queries = (
        "sum(rate(container_cpu_usage_seconds_total[5m]))",
        "max(container_memory_working_set_bytes)",
    )
    load = loaded(
        queries=queries, release={"cpu_factor": 2.0, "leak": Leak(memory_bytes_per_minute=1e6)}, service=Service()
    )
    found = load.model.expected(pod(), 1.0, 0.0, 60.0)
    cpu, memory = load.plan.target(pod(), 0).series
    # 1200 requests x 0.01 s x 2; 256 MB and three minutes of 1 MB.
    assert (found[cpu.atoms] * cpu.weights[1]).sum() == pytest.approx(24)
    assert (found[cpu.atoms] * cpu.weights[0]).sum() == pytest.approx(12)
    assert load.model.level(memory, pod(), 180.0) == pytest.approx(259e6)
    capped = loaded(queries=queries, release={"leak": Leak(memory_bytes_per_minute=1e6), "memory_limit_bytes": 257e6})
    assert capped.model.level(memory, pod(), 180.0) == pytest.approx(257e6)


def test_requests_that_no_pod_is_there_for_are_the_proxys_to_count(loaded: Make, pod: Make, stretch: Make) -> None:
    # A tenth of 20/s from 30 s to 90 s, while stable serves the rest: 60 in each half of it.
    query = 'sum(rate(nginx_ingress_controller_requests{service="shop-canary",status=~"5.."}[5m]))'
    load = loaded(queries=(query,))
    stretches = [
        stretch(from_s=0.0, until_s=30.0),
        stretch(from_s=30.0, until_s=90.0, shares=((1, 0.9),), unserved=0.1),
        stretch(from_s=90.0),
    ]
    spans = load.model.spans([pod(), pod(is_release=False)], stretches)
    found = spans.unserved(np.array([0.0, 60.0]), np.array([60.0, 200.0]), is_release=True)
    assert spans.unserved(np.array([0.0]), np.array([200.0]), is_release=False).sum() == 0
    refused = next(one for one in load.plan.proxy().series if dict(one.labels)["status"] == "503")
    assert refused.whose == "release"
    assert found.sum(axis=1) == pytest.approx([60, 60])
    assert found[:, refused.atoms].sum(axis=1) == pytest.approx([60, 60])
    assert load.bad(found) == pytest.approx([0, 0])


def test_pods_alone_never_hear_of_requests_that_nobody_served(loaded: Make, pod: Make, stretch: Make) -> None:
    load = loaded()
    spans = load.model.spans([pod()], [stretch(from_s=0.0, unserved=1.0)])
    assert spans.unserved(np.array([0.0]), np.array([60.0]), is_release=False).sum() == 0

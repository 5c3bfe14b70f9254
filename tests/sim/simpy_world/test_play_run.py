"""One run of the SimPy world: what it counts, what it measures, and that it is the same every time."""

from __future__ import annotations

import json
import math
import time

import pytest

from controller.manifests.loading import load
from loadgen.traffic import Spike, Traffic
from sim.flock.stage import set_stage
from sim.outcomes.table import Outcome
from sim.releases import Latency, Leak, Release
from sim.scenarios import (
    Incident,
    Outage,
    Prometheus,
    Router,
    Scenario,
    Scrapes,
    Service,
    TargetLoss,
    TrafficChange,
    Trigger,
)
from sim.simpy_world import play_run
from sim.simpy_world.arrivals import Turns
from sim.simpy_world.world import World


def measured(trace, metric="error-rate"):
    return [
        dict(event.data) for event in trace.events if event.kind == "measured" and dict(event.data)["metric"] == metric
    ]


def test_the_same_run_is_the_same_byte_for_byte_and_another_is_another(guide, even):
    scenario = even(release=Release(errors=0.02))
    first, again, other = (json.dumps(play_run(guide, scenario, seed=3, run=run)[1].data()) for run in (5, 5, 6))
    assert first == again
    assert first != other


def test_runs_of_one_cohort_share_the_platforms_fate_and_not_their_requests(guide):
    scenario = Scenario(traffic=Traffic(rps=20.0), release=Release(errors=1.0))
    rows = [play_run(guide, scenario, seed=3, run=run, cohort=1)[0] for run in (0, 1)]
    assert rows[0].ended_s == rows[1].ended_s
    assert rows[0].detected_s != rows[1].detected_s  # each from its own first request
    assert rows[0].canary_requests != rows[1].canary_requests


def test_requests_are_counted_as_the_shares_say(guide, even):
    table, trace = play_run(guide, even(), seed=1)
    assert table.outcome[0] == Outcome.PROMOTED
    # 10 % for 305.4 s, 30 % for 305.4 s, 60 % for 425.4 s, at 50/s: 1527 + 4581 + 12762 = 18870, give or take
    # 4 x sqrt(18870 x ~0.5) = 390; all requests of 1041.4 s + the second until the weight holds: 52120 +- 920.
    assert abs(table.canary_requests[0] - 18_870) < 390
    assert abs(table.requests[0] - 52_120) < 920
    assert table.bad_requests[0] == 0.0
    assert trace.requests > 52_120


def test_a_canary_that_fails_everything_is_measured_by_its_part_of_the_window(guide, even):
    table, trace = play_run(guide, even(traffic=Traffic(rps=200.0), release=Release(errors=1.0)), seed=1)
    assert (table.outcome[0], table.metrics[table.metric[0]]) == (Outcome.ABORTED, "error-rate")
    # The first look at 485.3 reads 300 s, in 179.1 of which the canary had 10 %: 0.0597. 60,000 requests: the standard
    # deviation is 0.001; the scrapes' phases move the window's ends by up to 15 s each, 5 % of it.
    assert measured(trace)[0]["value"][0] == pytest.approx(0.0597, abs=0.007)
    # From the first of 20 requests/s on: no more than half a second later than the weight.
    assert 178.6 < table.detected_s[0] <= 179.1
    # 10 % of 200/s for 180.1 s, and what was under way
    assert abs(table.bad_requests[0] - 3_602) < 4 * math.sqrt(3_602)
    assert table.bad_requests[0] == table.canary_requests[0]


def test_the_number_of_requests_behind_a_value_comes_with_it(guide, even):
    _, trace = play_run(guide, even(release=Release(errors=1.0)), seed=1)
    # 50/s for 300 s, less what the scrapes' phases cut off.
    assert measured(trace)[0]["requests"] == pytest.approx(15_000, rel=0.05)


def test_slow_answers_are_seen_by_the_quantile_and_by_the_users(guide, even):
    release = Release(latency=Latency(tail_share=1.0, tail_ms=2_000))
    table, trace = play_run(guide, even(release=release), seed=1)
    assert table.metrics[table.metric[0]] == "latency-p95"
    assert table.bad_requests[0] == table.canary_requests[0] > 500
    assert measured(trace, "latency-p95")[0]["value"][0] > 1.0


def test_more_than_a_pod_can_do_waits_and_is_refused_in_the_end(guide, even):
    # Each of six pods works on one request at a time for 60 ms: 16.7/s; 20/s come, so 20 of 120/s find the queue full,
    # but for the 66 that fill places and queues: (6,020 - 66) of 36,120. The traffic's own deviation is 0.5 %.
    release = Release(latency=Latency(median_ms=60.0, sigma=0.0))
    scenario = even(
        traffic=Traffic(rps=120.0),
        service=Service(concurrency=1, queue_max=10),
        release=release,
        stable=release,
        bound_s=1.0,
    )
    world = World(set_stage(guide, scenario), seed=1, run=0, cohort=0, tally_s=10.0)
    world.play()
    counts = sum(sum(server.counts) for server in world._servers)
    refused = sum(sum(server.counts[atom] for atom in _refused(world)) for server in world._servers)
    assert refused / counts == pytest.approx(0.165, abs=0.016)


def _refused(world):
    space = world._stage.plan.space
    place = [ending.status for ending in space.endings].index(503)
    return set(world._stage.plan.atom_of[place].ravel().tolist())


def test_a_request_that_kills_is_the_one_that_really_came(guide, even):
    scenario = even(release=Release(crash_at_request=50))
    world = World(set_stage(guide, scenario), seed=1, run=0, cohort=0, tally_s=10.0)
    table, trace = world.play()
    dead = [server for server in world._servers if server.is_dead]
    assert len(dead) > 3
    assert {server.taken for server in dead} == {50}
    assert any(event.kind == "pods" and "dies" in event.text for event in trace.events)
    assert table.bad_requests[0] >= len(dead)


def test_a_metrics_server_that_is_away_is_an_error_and_five_in_a_row_abort(guide, even):
    outage = Prometheus(outages=(Outage(from_s=480.0, for_s=3_000.0),))
    table, trace = play_run(guide, even(prometheus=outage, traffic=Traffic(rps=5.0)), seed=1)
    assert table.outcome[0] == Outcome.ABORTED
    assert [entry["phase"] for entry in measured(trace)] == ["Error"] * 5
    assert measured(trace)[0]["message"] == "the metrics server does not answer"


def test_without_scrapes_of_the_canary_its_errors_are_not_seen(guide, even):
    losses = Scrapes(losses=(TargetLoss(side="canary", from_s=0.0, for_s=100_000.0),))
    table, _ = play_run(guide, even(scrapes=losses, release=Release(errors=1.0), traffic=Traffic(rps=20.0)), seed=1)
    assert table.outcome[0] == Outcome.PROMOTED


def test_samples_are_seen_after_the_lag_and_not_before(guide, even):
    values = []
    for lag_s in (0.0, 120.0):
        scenario = even(prometheus=Prometheus(lag_s=lag_s), release=Release(errors=1.0), traffic=Traffic(rps=100.0))
        values.append(measured(play_run(guide, scenario, seed=1)[1])[0]["value"][0])
    # With a lag of 120 s the window has lost its last 120 s, all with failures: (179.1 - 120) / (300 - 120) x 10 %.
    assert values[0] == pytest.approx(0.0597, abs=0.008)
    assert values[1] == pytest.approx(0.0328, abs=0.008)


def test_an_incident_that_the_rollout_sets_off_hits_both_sides(guide, even):
    incident = Incident(when=Trigger(weight_at_least=10.0, after_s=100.0), for_s=60.0, errors=0.5)
    table, trace = play_run(guide, even(incidents=(incident,)), seed=1)
    assert table.outcome[0] == Outcome.ABORTED
    # 60 of 300 s with 50 % errors: 10 %.
    assert measured(trace)[0]["value"][0] == pytest.approx(0.1, abs=0.015)
    # The release's own bad requests: 5/s for 60 s, half of them.
    assert abs(table.bad_requests[0] - 150) < 4 * math.sqrt(300 * 0.25) + 10


def test_traffic_that_the_rollout_changes_changes_from_then_on(guide, even):
    change = TrafficChange(when=Trigger(weight_at_least=10.0, after_s=50.0), for_s=100.0, rps=200.0)
    _, trace = play_run(guide, even(traffic_changes=(change,), release=Release(errors=1.0)), seed=1, tally_s=10.0)
    tallies = {round(event.t_s): dict(event.data)["requests"] for event in trace.events if event.kind == "tally"}
    # The canary has its 10 % from 306.2: 200/s from 356.2 to 456.2.
    assert tallies[400] == pytest.approx(2_000, abs=4 * math.sqrt(2_000))
    assert tallies[350] == pytest.approx(500, abs=4 * math.sqrt(500))
    assert tallies[470] == pytest.approx(500, abs=4 * math.sqrt(500))


def test_a_spike_comes_when_the_traffic_says(guide, even):
    traffic = Traffic(rps=20.0, shape=Spike(to_rps=200.0, at_s=320.0, for_s=50.0), arrivals="even")
    _, trace = play_run(guide, even(traffic=traffic, release=Release(errors=1.0)), seed=1, tally_s=10.0)
    tallies = {round(event.t_s): dict(event.data)["requests"] for event in trace.events if event.kind == "tally"}
    # Requests are counted when they are answered, some 60 ms after they came.
    assert tallies[350] == pytest.approx(2_000, abs=20)
    assert tallies[310] == pytest.approx(200, abs=5)


def test_a_leak_hurts_more_the_longer_a_pod_lives(guide, even):
    release = Release(leak=Leak(errors_per_minute=0.02))
    table, _ = play_run(guide, even(release=release, traffic=Traffic(rps=200.0)), seed=1)
    # In 180 s it grows from 0 to 6 %, 3 % on average, of 20/s x 179 s = 107; 4 deviations are 41. It goes on if the
    # first look lets it.
    assert table.bad_requests[0] > 66


def test_fifty_thousand_requests_a_second_are_played(guide, even):
    began = time.process_time()
    _, trace = play_run(guide, even(traffic=Traffic(rps=100.0)), seed=1)
    played = trace.requests / (time.process_time() - began)
    print(f"\n{played:,.0f} requests/s of CPU time, {trace.requests:,} requests")
    assert played > 30_000  # 90,000 on the machine where it was written; the bound leaves room for a busy one


def test_a_proxy_counts_what_no_pod_is_there_to_answer(even, tmp_path, root):
    # The canary's one pod crashes after 20 s, again and again: at a tenth of the traffic, some of it meets nobody, and
    # nginx answers that with a 503; no pod ever does.
    folder = root / "examples" / "orders-api"
    metric = "nginx_ingress_controller_requests"
    query = f'sum(rate({metric}{{service="orders-api-canary",status="503"}}[5m])) / sum(rate({metric}[5m]))'
    template = (folder / "analysis-template.yaml").read_text(encoding="utf-8")
    head, rest = template.split("- name: error-rate", 1)
    error_rate = rest.split("query: |", 1)[0]
    file = tmp_path / "template.yaml"
    file.write_text(f"{head}- name: error-rate{error_rate}query: |\n            {query}\n", encoding="utf-8")
    policy = load([folder / "rollout.yaml", file]).policy()
    _, trace = play_run(policy, even(release=Release(crash_after_s=20.0)), seed=1)
    values = [one["value"][0] for one in measured(trace) if one["value"]]
    assert values
    assert 0.0 < max(values) < 0.3


def test_pods_that_take_turns_get_their_requests_in_turns():
    taken: list[tuple[str, float]] = []
    turns = Turns([lambda now_s: taken.append(("a", now_s)), lambda now_s: taken.append(("b", now_s))])
    for now_s in (1.0, 2.0, 3.0):
        turns(now_s)
    assert taken == [("a", 1.0), ("b", 2.0), ("a", 3.0)]


def test_a_router_that_takes_turns_sends_each_revision_its_share_all_the_same(guide, even):
    router = Router(delay_s=1.0, sigma=0.0, picks="in-turns")
    table, _ = play_run(guide, even(router=router), seed=1)
    # As above: 18,870 requests at the weights of the steps.
    assert abs(table.canary_requests[0] - 18_870) < 390


def test_an_answer_that_takes_its_time_is_judged_when_it_is_there(guide, even):
    slow = even(release=Release(errors=1.0), prometheus=Prometheus(answer_s=5.0))
    at_once = even(release=Release(errors=1.0))
    late, soon = (play_run(guide, scenario, seed=1)[0] for scenario in (slow, at_once))
    assert late.ended_s[0] == pytest.approx(soon.ended_s[0] + 5.0)

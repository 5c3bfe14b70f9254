"""Plans: which series a policy's queries need, when they are born, and the atoms they cut requests into."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadgen.traffic import Route, Traffic
from promql.storage.selecting import matching
from promql.syntax import parse, selectors
from sim.metrics_model import LabelError, NamelessSelectorError, UnknownMetricError
from sim.releases import Release
from sim.scenarios import Incident, Scenario, Service

Make = Callable[..., Any]
RATIO = 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))'
QUANTILE = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"


def test_the_examples_policy_reads_both_revisions(planned_policy: Make, root: Path) -> None:
    folder = root / "examples" / "orders-api"
    planned = planned_policy([folder / "rollout.yaml", folder / "analysis-template.yaml"])
    for side in ("stable", "release"):
        names = planned.labels(side, "__name__", "service", "status", "le")
        assert names[:2] == [
            ("http_requests_total", "orders-api", "200", ""),
            ("http_requests_total", "orders-api", "500", ""),
        ]
        # Eighteen bounds and +Inf.
        assert [name for name, *_ in names[2:]] == ["http_request_duration_seconds_bucket"] * 19
        assert (names[2][3], names[15][3], names[20][3]) == ("0.005", "0.75", "+Inf")
    # Whether a request failed, and the nineteen bins; slower than a second is a bound already.
    assert planned.plan.atoms == 38
    assert planned.plan.notes == ()


def test_a_policy_that_selects_the_canarys_pods_needs_nothing_of_stables(planned_policy: Make, root: Path) -> None:
    planned = planned_policy(sorted((root / "examples" / "orders-api" / "corrected").glob("*.yaml")))
    assert planned.series("stable") == ()
    assert set(planned.labels("release", "pod_template_hash")) == {("9f8d7c",)}


def test_requests_that_no_query_tells_apart_are_one_atom(planned: Make) -> None:
    # Failed or not, and slower than a second or not: a failed one is bad however slow it was.
    assert planned(RATIO).plan.atoms == 3
    assert planned(RATIO, slow_after_s=None).plan.atoms == 2
    # Three buckets, each with good and bad requests; in the last, failed ones and those over a second are one.
    assert planned(QUANTILE, service=Service(buckets_s=(0.1, 0.5))).plan.atoms == 6


def test_every_atom_is_bad_or_not(planned: Make) -> None:
    planned = planned(RATIO, QUANTILE)
    plan = planned.plan
    for ending in range(plan.space.shape[0]):
        for latency_bin in range(plan.space.shape[1]):
            is_slow = latency_bin > plan.space.edges_s.index(1.0)
            assert plan.bad[plan.atom_of[ending, latency_bin, 0]] == (ending > 0 or is_slow)


def test_a_series_counts_what_its_labels_say(planned: Make) -> None:
    planned = planned(RATIO, QUANTILE)
    total, failed = planned.series("release")[:2]
    assert set(total.atoms) & set(failed.atoms) == set()
    buckets = planned.series("release")[2:]
    for smaller, larger in itertools.pairwise(buckets):
        assert set(smaller.atoms) < set(larger.atoms)
    assert set(buckets[-1].atoms) == set(range(planned.plan.atoms))


def test_the_series_that_a_plan_makes_are_selected_by_the_queries(planned: Make) -> None:
    planned = planned(RATIO, QUANTILE)
    tests = [matching(selector.matchers) for query in (RATIO, QUANTILE) for selector in selectors(parse(query))]
    for series in planned.series("release"):
        assert any(test(series.labels) for test in tests)


def test_the_same_target_comes_back_for_the_same_pod(planned: Make) -> None:
    planned = planned(RATIO)
    assert planned.series("release") is planned.series("release")


# ---- when series are born


@pytest.mark.parametrize(("said", "born"), [("start", "start"), ("first-error", "first-event")])
def test_the_series_of_failures_is_born_as_the_release_says(planned: Make, said: str, born: str) -> None:
    planned = planned(RATIO, release=Release(errors=0.05, series_5xx=said))
    assert [one.born for one in planned.series("release")] == ["start", born]
    assert [one.born for one in planned.series("stable")] == ["start", "start"]


def test_a_status_that_nobody_foresaw_is_born_when_it_is_first_answered(planned: Make) -> None:
    planned = planned(RATIO, release=Release(errors=0.05, error_status=503))
    born = {dict(one.labels)["status"]: one.born for one in planned.series("release")}
    assert born == {"200": "start", "500": "start", "503": "first-event"}


def test_a_proxys_series_are_born_with_the_first_request(planned: Make) -> None:
    planned = planned('sum(rate(istio_requests_total{reporter="source"}[5m]))')
    assert {one.born for one in planned.series("proxy")} == {"first-event"}


# ---- routes and segments


def test_routes_that_a_query_names_are_series_of_their_own(planned: Make) -> None:
    traffic = Traffic(rps=20, routes=(Route(path="/orders", weight=3), Route(path="/pay", method="POST")))
    planned = planned('sum(rate(http_requests_total{route="/pay"}[5m]))', traffic=traffic)
    assert planned.labels("release", "route", "status") == [("/pay", "200"), ("/pay", "500")]


def test_a_route_that_the_traffic_does_not_have_is_an_error_that_lists_those_it_has(planned: Make) -> None:
    traffic = Traffic(rps=20, routes=(Route(path="/orders"), Route(path="/pay")))
    with pytest.raises(LabelError, match='handler="/nowhere"; handler is one of: /orders, /pay'):
        planned('sum(rate(http_requests_total{handler="/nowhere"}[5m]))', traffic=traffic)


def test_a_route_that_is_asked_for_is_all_traffic_where_there_is_one_kind_only(planned: Make) -> None:
    planned = planned('sum(rate(http_requests_total{handler="/orders"}[5m]))')
    assert planned.labels("release", "handler") == [("/orders",), ("/orders",)]
    assert "handler is taken to be '/orders' for all requests" in planned.plan.notes[0]


def test_a_segment_is_a_label_where_a_query_asks_for_it(planned: Make) -> None:
    service = Service(segments={"region": {"eu": 0.9, "ap": 0.1}})
    query = 'sum(rate(http_requests_total{region="ap",status=~"5.."}[5m]))'
    assert planned(query, service=service).labels("release", "region", "status") == [("ap", "500")]
    grouped = planned("sum by (region) (rate(http_requests_total[5m]))", service=service)
    assert sorted(grouped.labels("release", "region")) == [("ap",), ("ap",), ("eu",), ("eu",)]


# ---- other kinds of series


def test_cpu_is_an_amount_that_every_request_adds_to(planned: Make) -> None:
    query = 'sum(rate(container_cpu_usage_seconds_total{pod=~"orders-9f8d7c-.*"}[5m]))'
    planned = planned(query, release=Release(cpu_factor=3), service=Service(cpu_s_per_request=0.02))
    (series,) = planned.series("release")
    assert series.kind == "amount"
    assert series.weights is not None
    assert [weights.tolist() for weights in series.weights] == [[0.02] * 2, [pytest.approx(0.06)] * 2]
    pod = dict(series.labels)["pod"]
    assert re.fullmatch("orders-9f8d7c-[a-z0-9]{5}", pod)
    assert "pod_template_hash" not in dict(series.labels)  # the kubelet does not know it


def test_memory_restarts_and_up_are_levels(planned: Make) -> None:
    planned = planned(
        "max(container_memory_working_set_bytes)", "sum(kube_pod_container_status_restarts_total)", "min(up)"
    )
    assert [one.gauge for one in planned.series("release")] == ["memory_bytes", "restarts"]
    stable, release = (dict(planned.target(side).up) for side in ("stable", "release"))
    assert (stable["__name__"], release["__name__"]) == ("up", "up")
    assert (stable["pod_template_hash"], release["pod_template_hash"]) == ("55b6c7", "9f8d7c")


def test_up_is_there_of_the_pods_that_are_asked_for(planned: Make) -> None:
    planned = planned('min(up{pod_template_hash="9f8d7c"})')
    assert planned.target("stable").up is None
    assert planned.target("release").up is not None


def test_a_mean_latency_weighs_each_request_with_the_mean_of_its_bin(planned: Make) -> None:
    query = "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])"
    planned = planned(query, service=Service(buckets_s=(0.05, 0.1)), slow_after_s=None)
    total, count = planned.series("release")
    assert total.weights is not None
    # Good and failed, up to 50 ms, up to 100 ms, and the rest; a lognormal's mean over its bin lies inside of it.
    low, middle, high = sorted(set(total.weights[1].tolist()))
    assert [0 < low < 0.05, 0.05 < middle < 0.1, high > 0.1] == [True] * 3
    assert len(total.atoms) == 6
    assert set(count.atoms) == set(total.atoms)


def test_a_proxy_counts_what_pods_never_saw(planned: Make) -> None:
    query = "sum(rate(nginx_ingress_controller_requests[5m]))"
    incident = Incident(from_s=0, for_s=60, proxy_errors=0.1)
    planned = planned(query, RATIO, incidents=(incident,))
    statuses = {status for (status,) in planned.labels("proxy", "status")}
    assert statuses == {"200", "500", "503"}
    assert {status for (status,) in planned.labels("release", "status")} == {"200", "500"}


def test_a_proxys_histogram_holds_the_time_that_it_held_answers_back(planned: Make) -> None:
    query = "histogram_quantile(0.9, sum by (le) (rate(nginx_ingress_controller_request_duration_seconds_bucket[5m])))"
    held = Incident(from_s=0, for_s=60, proxy_slow_share=1, proxy_slow_by_s=0.4)
    planned = planned(query, incidents=(held,))
    # Answers that are held back 0.4 s are within 0.5 s if the pod took at most 0.1 s.
    space = planned.plan.space
    held_place = next(place for place, ending in enumerate(space.endings) if ending.held_s)
    within = next(one for one in planned.series("proxy") if dict(one.labels)["le"] == "0.5")
    bins = [place for place in range(space.shape[1]) if planned.plan.atom_of[held_place, place, 0] in within.atoms]
    assert space.edges_s[bins[-1]] == pytest.approx(0.1)


# ---- what cannot be planned


def test_a_metric_that_the_model_does_not_know_is_named_with_those_that_it_knows(planned: Make) -> None:
    with pytest.raises(
        UnknownMetricError, match=r"circuit_breaker_state is no metric .* http_requests_total.*--metrics-map"
    ):
        planned("circuit_breaker_state")


def test_a_recording_rule_is_refused_as_one(planned: Make) -> None:
    with pytest.raises(UnknownMetricError, match="job:errors:ratio is a recording rule's result"):
        planned("job:errors:ratio > 0.1")


def test_a_selector_without_a_metric_is_refused(planned: Make) -> None:
    with pytest.raises(NamelessSelectorError):
        planned('count({job="orders"})')


def test_metrics_named_by_a_pattern_are_all_made(planned: Make) -> None:
    planned = planned('sum(rate({__name__=~"http_requests_total|shop_requests_total"}[5m]))')
    assert {name for (name,) in planned.labels("release", "__name__")} == {"http_requests_total", "shop_requests_total"}


def test_a_scenario_without_queries_still_counts_bad_requests(planned: Make) -> None:
    plan = planned().plan
    assert (plan.atoms, plan.bad.tolist(), plan.patterns) == (2, [False, True], ())
    assert isinstance(Scenario(traffic=Traffic(rps=1)), Scenario)


# ---- series that are only ever summed

TWO_ROUTES = Traffic(rps=20, routes=(Route(path="/orders", weight=3), Route(path="/pay", method="POST")))


def test_routes_that_every_query_sums_are_one_series(planned: Make) -> None:
    planned = planned(RATIO, QUANTILE, traffic=TWO_ROUTES)
    assert planned.labels("release", "route", "method", "status")[:2] == [("", "", "200"), ("", "", "500")]
    assert planned.plan.atoms == 38


@pytest.mark.parametrize(
    "query",
    [
        "rate(http_requests_total[5m])",
        "max(rate(http_requests_total[5m]))",
        "count(http_requests_total)",
        "sum without (pod) (rate(http_requests_total[5m]))",
        "sum by (route) (rate(http_requests_total[5m]))",
        "sum(rate(http_requests_total[5m]) > 0.1)",
        "sum(max_over_time(rate(http_requests_total[5m])[10m:1m]))",
        "sum(rate(http_requests_total[5m])) / count(rate(http_requests_total[5m]))",
    ],
)
def test_routes_that_a_query_can_tell_apart_are_series_of_their_own(planned: Make, query: str) -> None:
    planned = planned(query, traffic=TWO_ROUTES)
    assert {route for (route,) in planned.labels("release", "route")} == {"/orders", "/pay"}


def test_series_that_are_born_one_by_one_stay_apart(planned: Make) -> None:
    # Each route's first failure is lost to rate(); one series for all would lose one only.
    planned = planned(RATIO, traffic=TWO_ROUTES, release=Release(errors=0.05, series_5xx="first-error"))
    assert {route for (route,) in planned.labels("release", "route")} == {"/orders", "/pay"}

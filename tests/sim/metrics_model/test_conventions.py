"""Names and labels that exporters, proxies and meshes give things: each is known without a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.metrics_model.conventions import Counts, Seen, recognise

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("metric", "counts", "seen"),
    [
        ("http_requests_total", Counts.REQUESTS, Seen.POD),
        ("demo_http_requests_total", Counts.REQUESTS, Seen.POD),
        ("http_server_requests_seconds_count", Counts.REQUESTS, Seen.POD),  # Spring Boot
        ("http_server_requests_seconds_bucket", Counts.BUCKET, Seen.POD),
        ("http_server_requests_seconds_sum", Counts.LATENCY_SUM, Seen.POD),
        ("http_request_duration_seconds_bucket", Counts.BUCKET, Seen.POD),
        ("http_server_request_duration_seconds_count", Counts.REQUESTS, Seen.POD),  # OpenTelemetry, .NET
        ("http_server_duration_milliseconds_bucket", Counts.BUCKET, Seen.POD),  # OpenTelemetry before 1.0
        ("request_duration_seconds_bucket", Counts.BUCKET, Seen.POD),
        ("flask_http_request_duration_seconds_count", Counts.REQUESTS, Seen.POD),
        ("flask_http_request_total", Counts.REQUESTS, Seen.POD),
        ("django_http_requests_total_by_method_total", Counts.REQUESTS, Seen.POD),
        ("django_http_requests_latency_seconds_by_view_method_bucket", Counts.BUCKET, Seen.POD),
        ("http_requests_received_total", Counts.REQUESTS, Seen.POD),  # prometheus-net
        ("promhttp_metric_handler_requests_total", Counts.REQUESTS, Seen.POD),
        ("grpc_server_handled_total", Counts.REQUESTS, Seen.POD),
        ("grpc_server_handling_seconds_bucket", Counts.BUCKET, Seen.POD),
        ("http_errors_total", Counts.REQUESTS, Seen.POD),
        ("istio_requests_total", Counts.REQUESTS, Seen.SIDECAR),
        ("istio_request_duration_milliseconds_bucket", Counts.BUCKET, Seen.SIDECAR),
        ("istio_request_duration_milliseconds_sum", Counts.LATENCY_SUM, Seen.SIDECAR),
        ("nginx_ingress_controller_requests", Counts.REQUESTS, Seen.PROXY),
        ("nginx_ingress_controller_request_duration_seconds_bucket", Counts.BUCKET, Seen.PROXY),
        ("envoy_cluster_upstream_rq", Counts.REQUESTS, Seen.PROXY),
        ("envoy_cluster_upstream_rq_total", Counts.REQUESTS, Seen.PROXY),
        ("envoy_cluster_upstream_rq_xx", Counts.REQUESTS, Seen.PROXY),
        ("envoy_cluster_upstream_rq_time_bucket", Counts.BUCKET, Seen.PROXY),
        ("envoy_http_downstream_rq_xx", Counts.REQUESTS, Seen.PROXY),
        ("traefik_service_requests_total", Counts.REQUESTS, Seen.PROXY),
        ("traefik_service_request_duration_seconds_bucket", Counts.BUCKET, Seen.PROXY),
        ("haproxy_backend_http_responses_total", Counts.REQUESTS, Seen.PROXY),
        ("response_total", Counts.REQUESTS, Seen.SIDECAR),  # Linkerd
        ("response_latency_ms_bucket", Counts.BUCKET, Seen.SIDECAR),
        ("container_cpu_usage_seconds_total", Counts.CPU, Seen.POD),
        ("process_cpu_seconds_total", Counts.CPU, Seen.POD),
        ("container_memory_working_set_bytes", Counts.MEMORY, Seen.POD),
        ("process_resident_memory_bytes", Counts.MEMORY, Seen.POD),
        ("kube_pod_container_status_restarts_total", Counts.RESTARTS, Seen.POD),
        ("up", Counts.UP, Seen.POD),
    ],
)
def test_a_metric_is_known_by_its_name(metric: str, counts: Counts, seen: Seen) -> None:
    family = recognise(metric)
    assert family is not None
    assert (family.counts, family.seen) == (counts, seen)


@pytest.mark.parametrize(
    "metric",
    [
        "circuit_breaker_state",
        "http_client_requests_total",  # what the service asks of others
        "db_queries_total",
        "redis_requests_total",
        "kafka_consumer_records_total",
        "go_goroutines",
        "orders_created_total",
        "http_requests_in_flight",
        "job:errors:ratio",
        "http_request_duration_seconds",  # a summary's quantiles
    ],
)
def test_a_metric_that_counts_something_else_is_not(metric: str) -> None:
    assert recognise(metric) is None


@pytest.mark.parametrize(
    ("query", "label", "values"),
    [
        ('x_requests_total{status=~"5.."}', "status", {"500"}),
        ('x_requests_total{code!~"5.*"}', "code", {"200"}),
        ('x_requests_total{code=~"5xx"}', "code", {"5xx"}),
        ('x_requests_total{code!="5xx"}', "code", {"2xx"}),
        ('x_requests_total{response_code=~"2.*"}', "response_code", {"200"}),
        ('x_requests_total{status="success"}', "status", {"success"}),
        ('x_requests_total{status!="ok"}', "status", {"error"}),
        ('x_requests_total{status="approved"}', "status", {"approved"}),
        ('x_requests_total{result=~"failure|timeout"}', "result", {"failure"}),
        ('grpc_server_handled_total{grpc_code!="OK"}', "grpc_code", {"error"}),
        ('grpc_server_handled_total{grpc_code=~"Unknown|Internal|Unavailable"}', "grpc_code", {"Unknown"}),
        ('x_requests_total{outcome="SERVER_ERROR"}', "outcome", {"SERVER_ERROR"}),
        ('x_requests_total{success="false"}', "success", {"false"}),
        ('x_requests_total{error="true"}', "error", {"true"}),
        ('response_total{classification="failure",status_code="500"}', "classification", {"failure"}),
        ('envoy_cluster_upstream_rq_xx{envoy_response_code_class="5"}', "envoy_response_code_class", {"5"}),
        ('haproxy_backend_http_responses_total{code="5xx"}', "code", {"5xx"}),
        (
            'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}',
            "http_response_status_code",
            {"500"},
        ),
    ],
)
def test_how_a_request_ended_has_the_form_that_is_asked_for(
    planned: Make, query: str, label: str, values: set[str]
) -> None:
    found = planned(f"sum(rate({query}[5m]))")
    seen = {value for side in ("release", "proxy") for (value,) in found.labels(side, label)}
    assert seen == values


@pytest.mark.parametrize(
    ("matcher", "sides"),
    [
        ('pod_template_hash="9f8d7c"', {"release"}),
        ('rollouts_pod_template_hash="9f8d7c"', {"release"}),
        ('rs_hash="55b6c7"', {"stable"}),
        ('version="9f8d7c"', {"release"}),
        ('version="v2"', {"release"}),
        ('role="canary"', {"release"}),
        ('track="stable"', {"stable"}),
        ('service="orders-canary"', {"release"}),
        ('service="orders-stable"', {"stable"}),
        ('service="orders"', {"stable", "release"}),
        ('service=~"orders-.*"', {"stable", "release"}),
        ('service=~"orders-canary|orders-stable"', {"stable", "release"}),
        ('destination_service=~"orders-canary.shop.svc.cluster.local"', {"release"}),
        ('pod=~"orders-9f8d7c-.*"', {"release"}),
        ('pod=~"orders-.*"', {"stable", "release"}),
        ('job="orders"', {"stable", "release"}),
        ('job="whatever"', {"stable", "release"}),
        ('job="shop-app-canary"', {"release"}),
        ('namespace="production",app="orders"', {"stable", "release"}),
        ('environment=~"prod|staging"', {"stable", "release"}),
    ],
)
def test_a_label_tells_revisions_apart_by_what_the_policy_calls_them(
    planned: Make, matcher: str, sides: set[str]
) -> None:
    from promql.storage.selecting import matching
    from promql.syntax import parse, selectors

    query = f"sum(rate(http_requests_total{{{matcher}}}[5m]))"
    found = planned(query)
    selected = matching(selectors(parse(query))[0].matchers)
    assert {side for side in ("stable", "release") if any(selected(one.labels) for one in found.series(side))} == sides


def test_a_service_that_is_scraped_as_one_target_stands_for_its_pods(planned: Make) -> None:
    found = planned('exceptions_total{instance="orders-canary:80"}')
    (series,) = found.series("proxy")
    assert (series.whose, dict(series.labels)["instance"]) == ("release", "orders-canary:80")


@pytest.mark.parametrize(
    ("query", "whose"),
    [
        ('nginx_ingress_controller_requests{service="orders-canary"}', {"release"}),
        ('nginx_ingress_controller_requests{ingress="orders-ingress"}', {"stable", "release"}),
        ('istio_requests_total{reporter="source",destination_service_name="orders-stable"}', {"stable"}),
        ('traefik_service_requests_total{service=~"shop-orders-canary.*"}', {"release"}),
        ('envoy_cluster_upstream_rq_xx{envoy_cluster_name="shop_orders-canary"}', {"release"}),
    ],
)
def test_a_proxy_counts_for_the_service_that_is_asked_for(planned: Make, query: str, whose: set[str]) -> None:
    found = planned(f"sum(rate({query}[5m]))")
    assert {one.whose for one in found.series("proxy")} == whose
    assert found.series("release") == ()


def test_a_mesh_reports_at_the_pods_unless_the_source_is_asked_for(planned: Make) -> None:
    assert planned("sum(rate(istio_requests_total[5m]))").series("release") != ()
    assert planned('sum(rate(istio_requests_total{reporter="source"}[5m]))').series("release") == ()


def test_a_histogram_in_milliseconds_has_the_bounds_of_its_own_unit(planned: Make) -> None:
    found = planned("histogram_quantile(0.9, sum by (le) (rate(istio_request_duration_milliseconds_bucket[5m])))")
    bounds = [le for (le,) in found.labels("release", "le")]
    assert bounds[:3] == ["0.5", "1.0", "5.0"]
    assert 0.25 in found.plan.space.edges_s


def test_of_two_versions_the_greater_is_the_release(planned: Make) -> None:
    queries = ('x_requests_total{version="v10"}', 'x_requests_total{version="v9"}')
    found = planned(f"sum(rate({queries[0]}[5m])) / sum(rate({queries[1]}[5m]))")
    assert {value for (value,) in found.labels("release", "version")} == {"v10"}
    assert {value for (value,) in found.labels("stable", "version")} == {"v9"}


def test_a_bucket_that_a_query_names_is_there_in_the_words_of_the_query(planned: Make) -> None:
    # A service objective on a bound that the service's own histogram need not have, and on one that it has as 1.0.
    found = planned('sum(rate(x_request_duration_seconds_bucket{le=~"0.8|1"}[5m]))')
    assert {le for (le,) in found.labels("release", "le")} == {"0.8", "1"}
    assert 0.8 in found.plan.space.edges_s


def test_what_is_taken_to_be_so_is_noted(planned: Make) -> None:
    notes = planned('sum(rate(http_requests_total{version="v2",tenant="acme"}[5m]))').plan.notes
    assert notes == (
        "http_requests_total: tenant is taken to be 'acme' for both revisions",
        "http_requests_total: version='v2' is taken to be the release under test",
    )

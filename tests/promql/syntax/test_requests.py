"""The number of requests behind a query: derived for every shape that canary metrics have, or refused with a reason."""

from __future__ import annotations

import pytest

from promql.syntax import RequestCount, Underivable, parse, requests_behind, to_text
from promql.syntax.metric_names import Holds, counts_failures, counts_requests, what_it_holds


def count_of(text: str) -> str:
    found = requests_behind(parse(text))
    assert isinstance(found, RequestCount), found
    assert parse(to_text(found.query)) is not None
    return to_text(found.query)


def notes_of(text: str) -> str:
    found = requests_behind(parse(text))
    assert isinstance(found, RequestCount), found
    return "; ".join(found.notes)


def refused(text: str) -> Underivable:
    found = requests_behind(parse(text))
    assert isinstance(found, Underivable), found
    return found


BAD = 'sum(rate(r_total{code=~"5.."}[5m]))'
ALL = "sum(rate(r_total[5m]))"
COUNT = "sum(increase(r_total[5m]))"
BUCKETS = "sum(rate(d_seconds_bucket[5m])) by (le)"
OBSERVED = 'sum(increase(d_seconds_bucket{le="+Inf"}[5m]))'


@pytest.mark.parametrize(
    "text",
    [
        f"{BAD} / {ALL}",
        f"{BAD} / {ALL} * 100",
        f"100 * {BAD} / {ALL}",
        f"1 - {BAD} / {ALL}",
        f"(1 - ({BAD} / {ALL})) * 100",
        f"({BAD} or vector(0)) / {ALL}",
        f"({BAD} or on() vector(0)) / clamp_min({ALL}, 1)",
        f"{BAD} / ({ALL} + 0.001)",
        f"{BAD} / ({ALL} > 0)",
        f"{BAD} / ({ALL} or vector(1))",
        f"{BAD} / ({ALL} * 60)",
        f"{BAD} / {ALL} or vector(1)",
        f"{BAD} / {ALL} > 0.05",
        f"{BAD} / {ALL} > bool 0.05",
        f"scalar({BAD} / {ALL})",
        f"round({BAD} / {ALL}, 0.01)",
        f"{BAD} / {ALL} and on() ({ALL} > 10)",
        f"{BAD} / {ALL} unless on() absent(up)",
        f"-({BAD} / {ALL})",
        f"label_replace({BAD} / {ALL}, 'a', 'b', '', '')",
        f"sum(rate(errors_total[5m])) / {ALL}",
        f"sum(rate(r_seconds_sum[5m])) / {ALL}",
        "avg(rate(errors_total[5m])) / avg(rate(r_total[5m]))",
    ],
)
def test_a_ratio_rests_on_its_denominator_whatever_is_put_around_it(text: str) -> None:
    assert count_of(text) == COUNT


@pytest.mark.parametrize(
    "text",
    [
        f"histogram_quantile(0.95, {BUCKETS})",
        f"histogram_quantile(0.95, {BUCKETS}) * 1000",
        f"histogram_quantile(0.95, {BUCKETS}) / 1000",
        f"histogram_quantile(0.95, {BUCKETS}) or on() vector(0)",
        f"histogram_quantile(0.95, {BUCKETS}) and on() ({ALL} > 0)",
        f"histogram_quantile(0.95, ({BUCKETS}) > 0)",
        "histogram_quantile(0.95, sum by (le) (increase(d_seconds_bucket[5m])))",
        "histogram_quantile(0.95, avg by (le) (rate(d_seconds_bucket{le=~'.+'}[5m])))",
    ],
)
def test_a_quantile_rests_on_all_observations_of_its_histogram(text: str) -> None:
    assert count_of(text) == OBSERVED


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # Grouped by a label, by no label at all, or by all but some: the smallest group is what is sure.
        (
            "sum by (route) (rate(r_total{code='500'}[5m])) / sum by (route) (rate(r_total[5m]))",
            "min(sum by (route) (increase(r_total[5m])))",
        ),
        ("rate(r_total{code='500'}[5m]) / rate(r_total[5m])", "min(increase(r_total[5m]))"),
        (
            "histogram_quantile(0.9, sum(rate(d_bucket[1m])) by (le, pod))",
            'min(sum by (pod) (increase(d_bucket{le="+Inf"}[1m])))',
        ),
        (
            "histogram_quantile(0.9, sum without (pod) (rate(d_bucket[1m])))",
            'min(sum without (pod, le) (increase(d_bucket{le="+Inf"}[1m])))',
        ),
        ("histogram_quantile(0.9, rate(d_bucket[1m]))", 'min(increase(d_bucket{le="+Inf"}[1m]))'),
        (
            "max(sum by (pod) (rate(r_total{code='500'}[5m])) / sum by (pod) (rate(r_total[5m])))",
            "min(sum by (pod) (increase(r_total[5m])))",
        ),
        # Offsets and times stay.
        (
            "sum(rate(r_total{code='500'}[5m] offset 1m)) / sum(rate(r_total[5m] offset 1m))",
            "sum(increase(r_total[5m] offset 1m))",
        ),
        # A filter inside the sum keeps its meaning: 2 a second over five minutes are 600.
        (f"{BAD} / sum(rate(r_total[5m]) > 2)", "sum(increase(r_total[5m]) > 600)"),
        (f"{BAD} / sum(rate(r_total[5m]) > 0)", "sum(increase(r_total[5m]) > 0)"),
        # Good and bad counted apart.
        (
            "sum(rate(good_total[5m])) / (sum(rate(good_total[5m])) + sum(rate(bad_total[5m])))",
            "sum(increase(good_total[5m])) + sum(increase(bad_total[5m]))",
        ),
        # Latency as a share, and a denominator that forgot that buckets are cumulative.
        (
            "sum(rate(d_bucket{le='0.3'}[5m])) / sum(rate(d_count[5m]))",
            "sum(increase(d_count[5m]))",
        ),
        (
            "sum(rate(d_bucket{le='0.3'}[5m])) / sum(rate(d_bucket[5m]))",
            'sum(increase(d_bucket{le="+Inf"}[5m]))',
        ),
        # Raw counters: all requests since they began.
        ("sum(errors_total) / sum(requests_total)", "sum(requests_total)"),
        ("histogram_quantile(0.9, sum(d_bucket) by (le))", 'sum(d_bucket{le="+Inf"})'),
        # The value is the number of requests, or their rate.
        ("sum(increase(http_requests_total[1m]))", "sum(increase(http_requests_total[1m]))"),
        ("sum(increase(http_requests_total[1m])) or vector(0)", "sum(increase(http_requests_total[1m]))"),
        (
            "sum(rate(istio_requests_total{role='canary'}[1m]))",
            'sum(increase(istio_requests_total{role="canary"}[1m]))',
        ),
        # A canary's ratio against stable's: the one with fewer requests is what is sure.
        (
            "(sum(rate(r_total{v='c',code='500'}[5m])) / sum(rate(r_total{v='c'}[5m])))"
            " / (sum(rate(r_total{v='s',code='500'}[5m])) / sum(rate(r_total{v='s'}[5m])))",
            'sum(increase(r_total{v="c"}[5m])) < sum(increase(r_total{v="s"}[5m]))'
            ' or sum(increase(r_total{v="s"}[5m]))',
        ),
    ],
)
def test_the_count_keeps_selectors_windows_and_groups(text: str, count: str) -> None:
    assert count_of(text) == count


def test_irate_is_counted_over_its_window_and_says_so() -> None:
    text = "sum(irate(r_total{code!~'5..'}[2m])) / sum(irate(r_total[2m]))"
    assert count_of(text) == "sum(increase(r_total[2m]))"
    assert "last two samples" in notes_of(text)


def test_a_count_says_where_it_comes_from() -> None:
    found = requests_behind(parse(f"{BAD} / {ALL}"))
    assert isinstance(found, RequestCount)
    assert found.how == "the denominator of the ratio, as an increase over the same window"
    found = requests_behind(parse("sum(errors_total) / sum(requests_total)"))
    assert isinstance(found, RequestCount)
    assert found.how == "the denominator of the ratio, all since the counters began"
    assert "fewest requests" in notes_of("rate(r_total{code='500'}[5m]) / rate(r_total[5m])")


@pytest.mark.parametrize(
    ("text", "reason", "blamed"),
    [
        ("sum(increase(http_errors_total[5m]))", "does not say of how many requests", "http_errors_total"),
        (
            "sum(rate(http_requests_total{code='500'}[5m]))",
            "counts some of the requests",
            "http_requests_total{code='500'}",
        ),
        ("irate(errors_total[1m]) > 5 or on() vector(0)", "does not say of how many", "errors_total"),
        ("sum(increase(kube_pod_container_status_restarts_total[5m]))", "does not say", None),
        ("max(queue_depth)", "gauge by its name", "queue_depth"),
        ("up{job='x'}", "gauge by its name", "up{job='x'}"),
        ("exceptions_total", "does not say of how many", "exceptions_total"),
        ("sum(rate(container_cpu_usage_seconds_total[2m]))", "counts seconds or bytes", None),
        (
            "sum(rate(container_cpu_usage_seconds_total[2m])) / sum(kube_pod_container_resource_limits)",
            "divides by what is no count of requests",
            "sum(kube_pod_container_resource_limits)",
        ),
        (
            "sum(container_memory_working_set_bytes) / sum(container_spec_memory_limit_bytes)",
            "a level, with no requests behind it",
            None,
        ),
        ("sum(rate(r_total{code='500'}[5m])) / sum(rate(memory_bytes[5m]))", "rate over a gauge counts nothing", None),
        ("sum(rate(r_total{code='500'}[5m])) / sum(irate(queue_depth[5m]))", "irate over a gauge counts nothing", None),
        ("sum(rate(r_total{code='500'}[5m])) / sum(rate(d_sum[5m]))", "adds up what was observed", None),
        ("sum(rate(r_total{code='500'}[5m])) / count(up)", "counts series, not requests", None),
        ("sum(rate(r_total{code='500'}[5m])) / max(rate(r_total[5m]))", "not added up", None),
        ("sum(rate(r_total{code='500'}[5m])) / sum(irate(r_total[5m]) > 3)", "cannot be carried over", None),
        ("sum(rate(r_total[5m])) / sum(rate(r_total{code='500'}[5m]))", "the whole by a part of it", None),
        ("sum(rate(r_total{v='c'}[5m])) / sum(rate(r_total{v='s'}[5m]))", "divides requests by others", None),
        ("sum(rate(r_total[5m])) / sum(rate(r_total[5m] offset 1d))", "different times or windows", None),
        ("sum(rate(r_total{code='500'}[5m])) / sum(rate(r_total[1h]))", "different times or windows", None),
        ("slo:api:burn_rate:5m", "recording rule", None),
        ("sum(rate(errors_total[5m])) / job:requests:rate5m", "recording rule", None),
        ("delta(http_requests_total[5m])", "delta is for gauges", None),
        ("sum(rate(d_bucket{le='0.5'}[5m]))", "counts requests up to a duration", None),
        ("histogram_quantile(0.9, sum(rate(d_seconds[5m])))", "not the buckets of a classic histogram", "d_seconds"),
        ("histogram_quantile(0.9, sum(rate(d_bucket[5m])))", "drops the label le", None),
        ("histogram_quantile(0.9, sum by (le) (rate(d_bucket{le!='+Inf'}[5m])))", "leaves out the +Inf bucket", None),
        (f"avg_over_time(({BAD} / {ALL})[10m:1m])", "their requests overlap", None),
        (f"count({BAD} / {ALL} > 0.05)", "counts series, not requests", None),
        ("absent(http_requests_total)", "gives no count of requests", None),
        ("time()", "reads no series", None),
        ("1", "reads no series", None),
        ("(" * 150 + f"{BAD} / {ALL}" + ")" * 150, "nested too deep", None),
    ],
)
def test_what_cannot_be_derived_is_refused_with_a_reason_and_its_place(
    text: str, reason: str, blamed: str | None
) -> None:
    found = refused(text)
    assert reason in found.reason
    if blamed is not None:
        assert text[found.span.start : found.span.end] == blamed


@pytest.mark.parametrize(
    ("metric", "holds", "all_requests", "failures"),
    [
        ("http_requests_total", Holds.EVENTS, True, False),
        ("istio_requests_total", Holds.EVENTS, True, False),
        ("nginx_ingress_controller_requests", Holds.UNKNOWN, True, False),
        ("envoy_cluster_upstream_rq", Holds.UNKNOWN, True, False),
        ("grpc_server_handled_total", Holds.EVENTS, True, False),
        ("http_server_duration_milliseconds_count", Holds.EVENTS, True, False),
        ("http_server_requests_seconds_count", Holds.EVENTS, True, False),
        ("http_request_duration_seconds_bucket", Holds.BUCKETS, False, False),
        ("http_request_duration_seconds_sum", Holds.SUM, False, False),
        ("http_request_errors_total", Holds.EVENTS, False, True),
        ("requests_failed_total", Holds.EVENTS, False, True),
        ("node_cpu_seconds_total", Holds.AMOUNT, False, False),
        ("go_gc_duration_seconds_count", Holds.EVENTS, False, False),
        ("process_resident_memory_bytes", Holds.LEVEL, False, False),
        ("http_requests_in_flight", Holds.LEVEL, False, False),
        ("up", Holds.LEVEL, False, False),
        ("job:requests:rate5m", Holds.RULE, False, False),
        ("orders_placed", Holds.UNKNOWN, False, False),
        (None, Holds.UNKNOWN, False, False),
    ],
)
def test_a_name_tells_what_a_metric_holds(metric: str | None, holds: Holds, all_requests: bool, failures: bool) -> None:
    assert what_it_holds(metric) is holds
    assert counts_requests(metric) is all_requests
    assert counts_failures(metric) is failures


# One query for each of the shapes that real canary metrics were counted to have.
SHAPES = {
    "good / total, rate": "sum(rate(r_total{c!~'5..'}[5m])) / sum(rate(r_total[5m]))",
    "quantile by (le)": "histogram_quantile(0.95, sum(rate(d_bucket[5m])) by (le))",
    "bad / total, rate": "sum(rate(r_total{c=~'5..'}[5m])) / sum(rate(r_total[5m]))",
    "good / total, irate": "sum(irate(r_total{c!~'5..'}[5m])) / sum(irate(r_total[5m]))",
    "percentile in another unit": "histogram_quantile(0.95, sum(rate(d_bucket[5m])) by (le)) / 1000",
    "gauge or raw counter": "max(queue_depth)",
    "bad or vector(0)": "(sum(rate(r_total{c='500'}[5m])) or vector(0)) / clamp_min(sum(rate(r_total[5m])), 1)",
    "CPU, over limit": "sum(rate(cpu_seconds_total[5m])) / sum(cpu_limit)",
    "memory, over limit": "sum(memory_bytes) / sum(memory_limit_bytes)",
    "kept off zero": "sum(rate(r_total{c='500'}[5m])) / (sum(rate(r_total[5m])) + 1e-9)",
    "pods ready": "count(kube_pod_status_ready == 1)",
    "no data passes": "sum(rate(r_total{c='200'}[5m])) / sum(rate(r_total[5m])) or vector(1)",
    "up, restarts": "sum(increase(kube_pod_container_status_restarts_total[5m]))",
    "percent": "sum(rate(r_total{c='500'}[5m])) / sum(rate(r_total[5m])) * 100",
    "complement": "1 - sum(rate(r_total{c='500'}[5m])) / sum(rate(r_total[5m]))",
    "scalar": "scalar(sum(rate(r_total{c='500'}[5m])) / sum(rate(r_total[5m])))",
    "percentile or zero": "histogram_quantile(0.95, sum(rate(d_bucket[5m])) by (le)) or on() vector(0)",
    "mean latency": "sum(rate(d_sum[5m])) / sum(rate(d_count[5m]))",
    "percentile with traffic": "histogram_quantile(0.9, sum(rate(d_bucket[5m])) by (le)) and on() (up > 0)",
    "errors counted": "sum(increase(errors_total[5m]))",
    "volume counted": "sum(increase(http_requests_total[5m]))",
    "errors per second": "sum(rate(http_requests_total{c='500',status='500'}[5m]))",
    "irate of errors over N": "irate(errors_total[1m]) > 5 or on() vector(0)",
    "rate without sum": "rate(http_requests_total{status='500'}[5m])",
    "grouped ratio": "sum by (r) (rate(r_total{c='500'}[5m])) / sum by (r) (rate(r_total[5m]))",
    "percentile without sum": "histogram_quantile(0.95, rate(d_bucket[5m]))",
}
DERIVED = 17


def test_every_shape_of_real_metrics_is_derived_or_refused_with_a_reason() -> None:
    answers = {name: requests_behind(parse(text)) for name, text in SHAPES.items()}
    for name, answer in answers.items():
        print(f"{name:26} {to_text(answer.query) if isinstance(answer, RequestCount) else answer.reason}")
    assert sum(isinstance(answer, RequestCount) for answer in answers.values()) == DERIVED
    assert all(answer.reason for answer in answers.values() if isinstance(answer, Underivable))


def test_every_query_of_the_real_manifests_is_derived_or_refused_with_a_reason(
    corpus_queries: list[tuple[str, str]],
) -> None:
    derived, refused_for = 0, dict[str, int]()
    for _, text in corpus_queries:
        answer = requests_behind(parse(text))
        if isinstance(answer, RequestCount):
            derived += 1
            assert parse(to_text(answer.query)) == answer.query
        else:
            refused_for[answer.reason] = refused_for.get(answer.reason, 0) + 1
    print(f"{len(corpus_queries)} queries: {derived} derived, {sum(refused_for.values())} refused:")
    for reason, times in sorted(refused_for.items(), key=lambda item: -item[1]):
        print(f"  {times} × {reason}")
    assert derived > 0.7 * len(corpus_queries)
    assert len(corpus_queries) > 40

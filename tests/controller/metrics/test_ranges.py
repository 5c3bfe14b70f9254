"""A range query, as Argo Rollouts asks it: from one expression to another, all samples in one list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from controller.core.measuring import measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.values import Metric, PrometheusProvider, RangeQuery
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient
from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore

END_S = 1_700_000_060.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two pods' counters, every 15 s for a minute: one grows by 15, the other by 30 each time."""
    store = MemoryStore()
    for step in range(5):
        for pod, growth in (("a", 15.0), ("b", 30.0)):
            labels = {"__name__": "http_requests_total", "pod": pod}
            store.append(labels, END_S - 60 + 15 * step, growth * step)
    with QueryServer(create_app(store, now_s=lambda: END_S)) as server:
        yield server.address


@pytest.fixture
def client() -> Iterator[PrometheusClient]:
    with PrometheusClient() as found:
        yield found


def metric(address: str, span: RangeQuery, query: str = "http_requests_total", condition: str = "") -> Metric:
    provider = PrometheusProvider(address=address, query=query, range_query=span)
    return Metric(name="m", provider=provider, success_condition=condition)


LAST_HALF = RangeQuery(start='now() - duration("30s")', end="now()", step="15s")


def test_the_samples_of_all_series_come_one_series_after_the_other(address, client) -> None:
    asked = metric(address, LAST_HALF, condition="len(result) == 6 && all(result, # >= 30)")
    answer = ask_metric(client, asked, lambda: END_S)
    # At 30, 45 and 60 s: pod a has counted 30, 45 and 60, pod b 60, 90 and 120.
    assert answer.value == (30.0, 45.0, 60.0, 60.0, 90.0, 120.0)
    assert measure_metric(asked, answer).phase is AnalysisPhase.SUCCESSFUL


def test_a_range_of_a_scalar_query_is_a_list_too(address, client) -> None:
    asked = metric(address, RangeQuery(start='now() - duration("1m")', end="now()", step="30s"), query="1 + 1")
    assert ask_metric(client, asked, lambda: END_S).value == (2.0, 2.0, 2.0)


def test_the_requests_behind_a_range_are_counted_at_its_end(address, client) -> None:
    query = "sum(rate(http_requests_total[1m]))"
    answer = ask_metric(client, metric(address, LAST_HALF, query=query), lambda: END_S)
    assert answer.requests == pytest.approx(180)  # 60 + 120 in the last minute
    assert answer.shape is None  # which of the values a count would be compared with is not said


def test_start_end_and_step_are_sent_as_seconds(serve, client) -> None:
    said = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    site = serve(lambda asked: (200, json.dumps(said).encode()))
    span = RangeQuery(start='date("2024-01-01T00:00:00Z")', end="now()", step="1m30s")
    assert ask_metric(client, metric(site.address, span), lambda: END_S + 0.25).value == ()
    assert site.asked[0].path == "/api/v1/query_range"
    form = {name: value for name, (value,) in parse_qs(site.asked[0].body).items()}
    assert (form["start"], form["end"], form["step"]) == ("1704067200", "1700000060.25", "90")


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (RangeQuery(start="1", end="now()", step="1m"), "rangeQuery.start as time: expected time.Time, but got int"),
        (RangeQuery(start="now()", end="now(", step="1m"), "rangeQuery.end as time: unexpected token EOF"),
        (RangeQuery(start="now()", end="now()", step="a while"), "failed to parse rangeQuery.step as duration"),
    ],
)
def test_what_is_no_range_is_an_error_that_names_the_field(client, span: RangeQuery, says: str) -> None:
    assert says in ask_metric(client, metric("http://127.0.0.1:9", span), lambda: END_S).error


def test_a_server_that_takes_no_form_is_asked_by_its_url(serve, client) -> None:
    said = b'{"status":"success","data":{"resultType":"scalar","result":[7,"1"]}}'
    site = serve(lambda asked: (405, b"") if asked.method == "POST" else (200, said))
    provider = PrometheusProvider(address=f"{site.address}/select/0?team=a", query="1")
    assert ask_metric(client, Metric(name="m", provider=provider), lambda: 7.0).value == 1.0
    assert site.asked[1].path == "/select/0/api/v1/query?team=a&query=1&time=7.000"

"""Below a floor the requests slower than a quantile's threshold are counted too, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from controller.core.measuring import measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.values import EvidenceRules, Metric, Parity, PrometheusProvider
from controller.metrics.asking import ask_metric
from controller.metrics.counting import slow_query
from controller.metrics.prometheus import PrometheusClient
from controller.metrics.transport import Reply, Transport
from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore

END_S = 1_700_000_300.0
P95 = "histogram_quantile(0.95, sum by (le) (rate(d_bucket[5m])))"
GUARDED = EvidenceRules(requests_min=100, odds=0.001)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Twenty requests in five minutes, evenly; 8 took up to 0.35 s and 2 of those up to 0.1 s."""
    store = MemoryStore()
    for step in range(21):
        for le, requests in (("0.1", 2.0), ("0.35", 8.0), ("+Inf", 20.0)):
            store.append({"__name__": "d_bucket", "le": le}, END_S - 300 + 15 * step, requests * step / 20)
    with QueryServer(create_app(store, now_s=lambda: END_S)) as server:
        yield server.address


class Recorder(Transport):
    """Carries questions, and keeps them."""

    def fetch(self, method: str, url: str, **options: Any) -> Reply:
        QUESTIONS.append({name: value for name, (value,) in parse_qs(options["body"].decode()).items()})
        return super().fetch(method, url, **options)


QUESTIONS: list[dict[str, str]] = []


@pytest.fixture
def client() -> Iterator[PrometheusClient]:
    QUESTIONS.clear()
    with PrometheusClient(transport=Recorder()) as found:
        yield found


def metric(
    address: str, rules: EvidenceRules, query: str = P95, condition: str = "result[0] < 0.35", failure: str = ""
) -> Metric:
    provider = PrometheusProvider(address=address, query=query)
    return Metric(name="p95", provider=provider, evidence=rules, success_condition=condition, failure_condition=failure)


# All 20 are counted over 300 s and so are the 8: the samples at 15..300 s grow by 19/20 of each, which is stretched
# over the window. Slow are 20 - 8 = 12. At the threshold 5 % would be slower: 12 or more of 20 are as good as
# impossible, while the 2 that a p95 above it implies come in a quarter of all such windows.
def test_twelve_slow_of_twenty_are_proof_below_a_floor_of_a_hundred(address, client) -> None:
    asked = metric(address, GUARDED)
    answer = ask_metric(client, asked, lambda: END_S)
    assert answer.requests == pytest.approx(20)
    assert answer.slow_requests == pytest.approx(12)
    measured = measure_metric(asked, answer)
    assert measured.phase is AnalysisPhase.FAILED
    assert measured.reason.startswith("conclusive below the floor: 20 requests")
    assert [question["time"] for question in QUESTIONS] == [f"{END_S:.3f}"] * 3


def test_without_a_bucket_that_ends_at_the_threshold_no_more_is_known_than_the_quantile_implies(
    address, client
) -> None:
    asked = metric(address, GUARDED, condition="result[0] < 0.3")
    answer = ask_metric(client, asked, lambda: END_S)
    assert answer.slow_requests is None
    assert measure_metric(asked, answer).phase is AnalysisPhase.MISSING


@pytest.mark.parametrize(
    "rules",
    [
        EvidenceRules(),
        EvidenceRules(parity=Parity.STRICT),
        EvidenceRules(parity=Parity.OFF),
        EvidenceRules(requests_min=10, odds=0.001),  # 20 requests are enough
        EvidenceRules(requests_min=100, odds=None),  # nothing below the floor is proof
    ],
)
def test_who_needs_no_proof_asks_two_questions_and_no_third(address, client, rules: EvidenceRules) -> None:
    answer = ask_metric(client, metric(address, rules), lambda: END_S)
    assert answer.requests == pytest.approx(20)
    assert answer.slow_requests is None
    assert len(QUESTIONS) == 2


@pytest.mark.parametrize(
    "asked",
    [
        metric("", GUARDED, query="sum(rate(r_total{code='500'}[5m])) / sum(rate(r_total[5m]))"),  # counts by itself
        metric("", GUARDED, condition="result[0] > 0.35"),  # fails when it is too fast
        metric("", GUARDED, condition="result[0] < 0.35 || len(result) == 0"),  # no one threshold
        metric("", GUARDED, query="histogram_quantile(0.95, sum by (le, pod) (rate(d_bucket[5m])))"),  # of which pod?
        metric("", GUARDED, query="not a query ("),
        # Named by the policy, and perhaps of other requests than those in the histogram.
        metric("", EvidenceRules(requests_min=100, odds=0.001, requests_query="sum(increase(r_total[5m]))")),
    ],
)
def test_a_metric_whose_slow_requests_say_nothing_has_no_query_for_them(asked: Metric) -> None:
    assert slow_query(asked) is None


def test_a_failure_condition_names_the_threshold_too() -> None:
    assert slow_query(metric("", GUARDED, condition="", failure="result[0] >= 0.35")) == (
        'sum(increase(d_bucket{le="+Inf"}[5m])) - sum(increase(d_bucket{le=~"0\\\\.350*"}[5m]))'
    )

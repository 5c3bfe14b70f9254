"""A service of known truth behind a real HTTP API of Prometheus' kind, learnt from its counters and its histogram."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.testbeds.local.prometheus import PrometheusServer
from experiments.testbeds.local.remote_write import RemoteWriter
from experiments.testbeds.local.samples import Sample
from loadgen.traffic import Constant, Trace
from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore
from sim.fit import AskError, FitError, Question, fit, observe_prometheus

NOW_S = 1_795_478_400.0
HOURS, SCRAPE_S, PODS = 2, 15, 3
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ROUTES = (("GET", "/orders/:id", 0.75), ("POST", "/checkout", 0.25))
ERRORS, MEDIAN_S, SIGMA, TAIL, TAIL_S = 0.004, 0.06, 0.5, 0.02, 0.8


CPU_S = 0.004  # of each request


def rate_rps(at_s: float) -> float:
    """60/s, and 180/s in the last half hour."""
    return 180.0 if at_s >= HOURS * 3_600 - 1_800 else 60.0


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Two hours of three pods, a scrape every 15 s, counters drawn from the truth; the first pod restarts once."""
    found: list[Sample] = []
    chance = np.random.default_rng(5)
    answers = MEDIAN_S * np.exp(SIGMA * chance.standard_normal(2_000_000))
    answers += np.where(chance.random(len(answers)) < TAIL, TAIL_S, 0.0)
    bucket_of = np.searchsorted(BOUNDS, answers, side="left")
    shares = np.bincount(bucket_of, minlength=len(BOUNDS) + 1) / len(answers)
    les = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    served: list[dict[tuple[str, str, str], int]] = [{} for _ in range(PODS)]
    buckets = np.zeros((PODS, len(les)), dtype=np.int64)
    for scrape in range(HOURS * 3_600 // SCRAPE_S + 1):
        at_s = scrape * SCRAPE_S
        for pod in range(PODS):
            fixed = {"job": "orders-api", "pod": f"orders-{pod}"}
            if pod == 0 and scrape == 200:
                served[pod], buckets[pod] = {}, 0
            for method, route, share in ROUTES:
                n = chance.poisson(rate_rps(at_s) / PODS * SCRAPE_S * share) if scrape else 0
                bad = chance.binomial(n, ERRORS)
                for status, count in (("200", n - bad), ("503", bad)):
                    key = (method, route, status)
                    served[pod][key] = served[pod].get(key, 0) + count
                buckets[pod] += chance.multinomial(n, shares)
            counters = [
                ({"__name__": "http_requests_total", "method": method, "route": route, "status": status}, total)
                for (method, route, status), total in served[pod].items()
            ]
            counters += [
                ({"__name__": "http_request_duration_seconds_bucket", "le": le}, total)
                for le, total in zip(les, np.cumsum(buckets[pod]).tolist(), strict=True)
            ]
            served_now = int(np.sum(buckets[pod]))
            counters.append(({"__name__": "process_cpu_seconds_total"}, CPU_S * served_now))
            counters.append(({"__name__": "process_resident_memory_bytes"}, 2e8 + 1e7 * pod))
            t_s = NOW_S - HOURS * 3_600 + at_s
            found += [Sample(labels={**labels, **fixed}, t_s=t_s, value=float(total)) for labels, total in counters]
    return found


@pytest.fixture(scope="module")
def url(samples: list[Sample]) -> Iterator[str]:
    """Our own server of Prometheus' API, with the samples."""
    store = MemoryStore()
    for sample in samples:
        store.append(sample.labels, sample.t_s, sample.value)
    with QueryServer(create_app(store, now_s=lambda: NOW_S)) as server:
        yield server.address


@pytest.fixture(scope="module")
def real_url(samples: list[Sample], prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus with the same samples."""
    server = PrometheusServer(prometheus_binary, tmp_path_factory.mktemp("prometheus"))
    try:
        writer = RemoteWriter(server.address)
        for at in range(0, len(samples), 5_000):
            writer.write(samples[at : at + 5_000])
        writer.close()
        yield server.address
    finally:
        server.stop()


def question(url: str, **more: object) -> Question:
    fields: dict[str, object] = {"url": url, "service": "orders-api", "window_s": 5_280.0, "end_s": NOW_S - 1_860}
    return Question(**{**fields, **more})  # type: ignore[arg-type]


def test_every_parameter_comes_back_from_a_prometheus(url: str) -> None:
    seen = observe_prometheus(question(url))
    found = fit(seen)
    # 317,000 requests in 88 minutes at 60/s; a restart costs what was served since the scrape before it
    assert found.traffic.rps == pytest.approx(60, rel=0.01)
    assert found.traffic.shape == Constant()
    assert found.failures is not None
    assert found.failures.low <= ERRORS <= found.failures.high
    assert found.stable.base_errors == pytest.approx(ERRORS, rel=0.1)
    latency = found.stable.latency
    assert latency.median_ms == pytest.approx(MEDIAN_S * 1000, rel=0.02)
    assert latency.sigma == pytest.approx(SIGMA, rel=0.03)
    assert latency.tail_share == pytest.approx(TAIL, rel=0.15)
    # the tail's answers lie in the bucket from 500 ms to 1 s and the one above: within 10 %
    assert latency.tail_ms == pytest.approx(TAIL_S * 1000, rel=0.1)
    assert found.service.buckets_s == BOUNDS
    assert found.service.cpu_s_per_request == pytest.approx(CPU_S, rel=0.01)
    assert found.service.memory_bytes == 2.1e8  # of 200, 210 and 220 MB
    assert found.scrapes.interval_s == SCRAPE_S
    weights = {route.name: route.weight for route in found.traffic.routes}
    assert list(weights) == ["GET /orders/1", "POST /checkout"]
    assert weights["POST /checkout"] / sum(weights.values()) == pytest.approx(0.25, abs=0.005)


@pytest.mark.e2e
@pytest.mark.needs_prometheus
def test_a_real_prometheus_tells_the_same(url: str, real_url: str) -> None:
    ours, theirs = (fit(observe_prometheus(question(each))) for each in (url, real_url))
    assert theirs.stable == ours.stable
    assert theirs.traffic == ours.traffic
    assert theirs.service == ours.service
    assert theirs.scrapes == ours.scrapes
    assert theirs.failures == ours.failures


def test_a_rate_that_moves_is_taken_as_recorded(url: str) -> None:
    found = fit(observe_prometheus(question(url, window_s=7_200.0, end_s=NOW_S)))
    shape = found.traffic.shape
    assert isinstance(shape, Trace)
    assert shape.bin_s == 60
    # minutes that straddle nothing: an hour after the beginning, and ten minutes before the end
    assert found.traffic.rate_at(3_600) == pytest.approx(60, rel=0.1)
    assert found.traffic.rate_at(6_600) == pytest.approx(180, rel=0.1)


def test_a_service_that_is_younger_than_the_window_is_known_for_as_long_as_it_is(url: str) -> None:
    seen = observe_prometheus(question(url, window_s=86_400.0, end_s=NOW_S))
    assert seen.duration_s == pytest.approx(HOURS * 3_600, abs=180)
    assert any(remark.startswith("the service is known for the last") for remark in seen.remarks)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"service": "payments"}, "knows no request counter with service, job, app.* = 'payments'.*--selector"),
        ({"requests_metric": "hits_total"}, "has no metric 'hits_total' of this service"),
        ({"selector": "namespace=shop"}, "the selector is 'namespace=shop'; it needs braces"),
        ({"end_s": NOW_S - 10 * 86_400}, "knows no request counter"),
    ],
)
def test_a_service_that_it_does_not_know_is_told_with_what_would_do(
    url: str, fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(FitError, match=complaint):
        observe_prometheus(question(url, **fields))


def test_a_prometheus_that_is_not_there_is_the_worlds_fault() -> None:
    with pytest.raises(AskError, match=r"http://127\.0\.0\.1:9/api/v1/label/__name__/values cannot be asked"):
        observe_prometheus(question("http://127.0.0.1:9"))


def test_what_is_no_prometheus_is_told_with_what_it_answered(url: str) -> None:
    with pytest.raises(AskError, match="answered 404: no JSON of Prometheus' API"):
        observe_prometheus(question(f"{url}/elsewhere"))

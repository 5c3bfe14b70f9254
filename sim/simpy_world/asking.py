"""Ask a metric in the SimPy world: the policy's own query against the scraped samples, judged by the core."""

from __future__ import annotations

from controller.core.measuring import Answer, measure_metric
from controller.core.runs import Measurement
from controller.manifests.values import Metric, PrometheusProvider
from controller.metrics.counting import count_query, shape_of, slow_query
from promql.engine import PromQLError, Result, ResultType, evaluate
from promql.storage import MemoryStore


def measure(metric: Metric, store: MemoryStore, at_s: float, *, is_out: bool) -> Measurement:
    """Return the measurement of one metric at an instant."""
    return measure_metric(metric, _answer(metric, store, at_s, is_out=is_out))


def _answer(metric: Metric, store: MemoryStore, at_s: float, *, is_out: bool) -> Answer:
    provider = metric.provider
    if not isinstance(provider, PrometheusProvider):
        return _error(f"Gamebird does not ask the provider of metric {metric.name}", at_s)
    if provider.range_query is not None:
        return _error(f"Gamebird does not ask a rangeQuery (metric {metric.name})", at_s)
    if is_out:
        return _error("the metrics server does not answer", at_s)
    try:
        result = evaluate(provider.query, at_s, store)
    except PromQLError as error:
        return _error(str(error), at_s)
    if result.type is ResultType.STRING:
        return _error("a result of type string holds no number to compare", at_s)
    requests, floor = _requests(count_query(metric).query, store, at_s), metric.evidence.requests_min
    below = requests is not None and floor is not None and requests < floor
    return Answer(
        started_s=at_s,
        finished_s=at_s,
        value=_value(result),
        requests=requests,
        shape=shape_of(metric),
        slow_requests=_requests(slow_query(metric), store, at_s) if below else None,
    )


def _error(why: str, at_s: float) -> Answer:
    return Answer(started_s=at_s, finished_s=at_s, error=why)


def _value(result: Result) -> float | tuple[float, ...]:
    if result.type is ResultType.SCALAR:
        return result.scalar()
    if result.type is ResultType.MATRIX:
        return tuple(float(value) for one in result.series for value in one.values[0][one.present[0]])
    return tuple(value for _, value in result.vector())


def _requests(query: str | None, store: MemoryStore, at_s: float) -> float | None:
    """Return how many requests a query counts; None where no number can be had."""
    if query is None:
        return None
    try:
        value = _value(evaluate(query, at_s, store))
    except PromQLError:
        return None
    samples = value if isinstance(value, tuple) else (value,)
    total = sum(samples)
    return total if samples and 0 <= total < float("inf") else None

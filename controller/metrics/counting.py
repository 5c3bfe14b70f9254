"""Find the queries that count the requests behind a metric: the one that the policy names, else one derived.

PromQL's own package derives it from the syntax tree; this module only says which of the two is asked, and why there
is none. Without a count the request guard treats evidence as too little, never as enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from controller.core.evidence import QuantileShape, RatioShape, Shape
from controller.core.measuring import failing_region
from controller.manifests.values import Metric, PrometheusProvider
from promql.syntax import PromQLSyntaxError, parse, shapes, to_text
from promql.syntax.requests import RequestCount, requests_behind


@dataclass(frozen=True, slots=True, kw_only=True)
class CountQuery:
    """The query that counts requests (None where there is none), and in words where it comes from or why not."""

    query: str | None
    how: str


def count_query(metric: Metric) -> CountQuery:
    """Return the query for the number of requests behind this metric."""
    if metric.evidence.requests_query is not None:
        return CountQuery(query=metric.evidence.requests_query, how="the policy names it")
    if not isinstance(metric.provider, PrometheusProvider):
        return CountQuery(query=None, how="only a Prometheus query says how many requests stand behind it")
    return _derived(metric.provider.query)


@lru_cache(maxsize=256)
def _derived(query: str) -> CountQuery:
    try:
        found = requests_behind(parse(query))
    except PromQLSyntaxError as error:
        return CountQuery(query=None, how=f"the query does not parse: {error}")
    if isinstance(found, RequestCount):
        return CountQuery(query=to_text(found.query), how=found.how)
    return CountQuery(query=None, how=found.reason)


def slow_query(metric: Metric) -> str | None:
    """Return the query for the requests slower than a quantile's threshold; None where nobody needs their number.

    Only below a floor that lets proof through it (`odds`), and only beside a count that is derived from the same
    histogram: a count that the policy names may be of other requests. The answer is empty unless one of the
    histogram's buckets ends at the threshold; then no more is known than what the quantile itself implies.
    """
    rules = metric.evidence
    if rules.requests_min is None or rules.odds is None or rules.requests_query is not None:
        return None
    if not isinstance(metric.provider, PrometheusProvider):
        return None
    region = failing_region(metric)
    if region is None or region.op not in (">", ">="):
        return None
    return _slower(metric.provider.query, region.constant)


@lru_cache(maxsize=256)
def _slower(query: str, threshold: float) -> str | None:
    try:
        found = shapes.ratio_shape(parse(query))
    except PromQLSyntaxError:
        return None
    return to_text(found.slower_than(threshold)) if isinstance(found, shapes.QuantileShape) else None


def shape_of(metric: Metric) -> Shape | None:
    """Return what the metric's value is of its requests, where that is certain: a ratio, or a quantile."""
    if not isinstance(metric.provider, PrometheusProvider):
        return None
    return _shape(metric.provider.query)


@lru_cache(maxsize=256)
def _shape(query: str) -> Shape | None:
    try:
        found = shapes.ratio_shape(parse(query))
    except PromQLSyntaxError:
        return None
    match found:
        case shapes.RatioShape(scale=scale):
            return RatioShape(scale=scale)
        case shapes.QuantileShape(q=q, scale=scale):
            return QuantileShape(q=q, scale=scale)
        case shapes.NoShape():
            return None

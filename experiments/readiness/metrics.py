"""The metrics that decide about a rollout, each with its parsed query and the places where query and condition stand.

A metric that is only watched (`dryRun`) decides nothing and is left out; so is one that no Prometheus answers, which
has no query that could be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.manifests.policies import LATEST_HASH, STABLE_HASH, Policy, PolicyAnalysis
from controller.manifests.values import Metric, PrometheusProvider
from promql.syntax import Expr, parse

OTHER_LATEST, OTHER_STABLE = "otherlatest", "otherstable"
"""Pod hashes of some other release: what a query has to change with, if it is to tell revisions apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidingMetric:
    """A metric of the policy.

    Attributes:
        query: with stand-ins for the pod hashes.
        of_another_release: the same query for another latest revision.
        of_another_stable: the same query for another stable revision.
        place: of the query: file:line:column: field.
    """

    metric: Metric
    query: Expr
    of_another_release: Expr
    of_another_stable: Expr
    place: str


def deciding_metrics(policy: Policy) -> tuple[DecidingMetric, ...]:
    """Return the metrics that decide, each query once, in the order of the policy."""
    found: dict[tuple[str, str], DecidingMetric] = {}
    for analysis in policy.analyses:
        for one in _of(policy, analysis):
            found.setdefault((one.metric.name, str(one.query)), one)
    return tuple(found.values())


def _of(policy: Policy, analysis: PolicyAnalysis) -> Iterator[DecidingMetric]:
    places = {text.metric: str(text.place) for text in policy.queries()}
    first = policy.resolve(analysis.analysis, latest_hash=LATEST_HASH, stable_hash=STABLE_HASH)
    newer = policy.resolve(analysis.analysis, latest_hash=OTHER_LATEST, stable_hash=STABLE_HASH)
    older = policy.resolve(analysis.analysis, latest_hash=LATEST_HASH, stable_hash=OTHER_STABLE)
    for metric, after, before in zip(first.metrics, newer.metrics, older.metrics, strict=True):
        if metric.name in first.dry_run or not isinstance(metric.provider, PrometheusProvider):
            continue
        assert isinstance(after.provider, PrometheusProvider)
        assert isinstance(before.provider, PrometheusProvider)
        yield DecidingMetric(
            metric=metric,
            query=parse(metric.provider.query),
            of_another_release=parse(after.provider.query),
            of_another_stable=parse(before.provider.query),
            place=places.get(metric.name, f"the metric {metric.name}"),
        )

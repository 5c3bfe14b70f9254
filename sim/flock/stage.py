"""A policy and a scenario made ready once for all cohorts of a process: the deployment, the metrics, the load."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from controller.manifests.policies import Policy
from controller.manifests.values import Metric, PrometheusProvider
from promql.engine.ranges import EDGE_FUNCTIONS
from promql.syntax import Expr, PromQLSyntaxError, parse
from promql.syntax.reading import readings
from promql.syntax.tree import Call, MatrixSelector, Paren, Subquery, children
from sim.driving import Deployment, prepare
from sim.flock.selections import Matchers, Selections
from sim.load.model import LoadModel
from sim.metrics_model import MetricsMap, MetricsPlan, naming_of, plan_metrics
from sim.scenarios import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRead:
    """One window of a query, relative to the instant that it is asked for.

    Attributes:
        only_edges: whether its first and last sample are all that is read, resets apart.
    """

    matchers: Matchers
    range_ms: int
    offset_ms: int
    only_edges: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """What is the same in all cohorts.

    Attributes:
        metrics: names of all metrics, in the order of the policy; tables point into them.
        windows: query -> what its windows read.
        horizon_s: how far back any query looks.
    """

    scenario: Scenario
    deployment: Deployment
    plan: MetricsPlan
    load: LoadModel
    metrics: tuple[str, ...]
    windows: dict[str, tuple[WindowRead, ...]]
    horizon_s: float
    selections: Selections


def set_stage(
    policy: Policy, scenario: Scenario, metrics_map: MetricsMap | None = None, deployment: Deployment | None = None
) -> Stage:
    """Return the policy and the scenario made ready.

    Args:
        metrics_map: metrics that the model does not know, as ones that it knows.
        deployment: of this policy, where it is prepared already.

    Raises:
        DrivingError: the core refuses the policy.
        PlanError: a query that the model cannot feed.
    """
    if deployment is None:
        deployment = prepare(policy, scenario)
    metrics = metrics_of(policy, deployment)
    naming = naming_of(deployment.release, stable_hash=deployment.stable_hash, release_hash=deployment.release_hash)
    plan = plan_metrics(metrics, scenario, naming, metrics_map)
    windows, horizon_s = {}, 0.0
    for metric in metrics:
        if isinstance(metric.provider, PrometheusProvider):
            query = metric.provider.query
            windows[query], reach_s = windows_of(query)
            horizon_s = max(horizon_s, reach_s)
    return Stage(
        scenario=scenario,
        deployment=deployment,
        plan=plan,
        load=LoadModel(scenario, plan),
        metrics=tuple(dict.fromkeys(metric.name for metric in metrics)),
        windows=windows,
        horizon_s=horizon_s,
        selections=Selections(plan.atoms),
    )


def metrics_of(policy: Policy, deployment: Deployment) -> list[Metric]:
    """Return every metric of every analysis as it will be asked, with the hashes of both revisions filled in."""
    return [
        metric
        for analysis in policy.analyses
        for metric in policy.resolve(
            analysis.analysis, latest_hash=deployment.release_hash, stable_hash=deployment.stable_hash
        ).metrics
    ]


@lru_cache(maxsize=256)
def windows_of(query: str) -> tuple[tuple[WindowRead, ...], float]:
    """Return what the query's windows read, and how far back it looks in all, s. Subqueries' windows are left out."""
    try:
        expr = parse(query)
    except PromQLSyntaxError:
        return (), 0.0
    found: list[WindowRead] = []
    waiting: list[tuple[Expr, str]] = [(expr, "")]
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, Subquery):
            continue
        if isinstance(node, MatrixSelector) and node.selector.at is None:
            found.append(
                WindowRead(
                    matchers=node.selector.matchers,
                    range_ms=round(node.range_s * 1000),
                    offset_ms=round(node.selector.offset_s * 1000),
                    only_edges=function in EDGE_FUNCTIONS,
                )
            )
        inner = node.function if isinstance(node, Call) else function if isinstance(node, Paren) else ""
        waiting.extend((part, inner) for part in children(node))
    return tuple(found), max((one.from_s for one in readings(expr)), default=0.0)

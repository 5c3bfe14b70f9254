"""A policy and a scenario made ready once for all cohorts of a process: the deployment, the metrics, the load."""

from __future__ import annotations

from dataclasses import dataclass

from controller.manifests.policies import Policy
from controller.manifests.values import Metric, PrometheusProvider
from promql.syntax import PromQLSyntaxError, parse
from promql.syntax.reading import readings
from sim.driving import Deployment, prepare
from sim.flock.selections import Selections
from sim.load.model import LoadModel
from sim.metrics_model import MetricsMap, MetricsPlan, naming_of, plan_metrics
from sim.scenarios import Scenario


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """What is the same in all cohorts.

    Attributes:
        metrics: names of all metrics, in the order of the policy; tables point into them.
        reaches_ms: query -> how long before an asking its windows begin.
        horizon_s: how far back any query looks.
    """

    scenario: Scenario
    deployment: Deployment
    plan: MetricsPlan
    load: LoadModel
    metrics: tuple[str, ...]
    reaches_ms: dict[str, tuple[int, ...]]
    horizon_s: float
    selections: Selections


def set_stage(policy: Policy, scenario: Scenario, metrics_map: MetricsMap | None = None) -> Stage:
    """Return the policy and the scenario made ready.

    Args:
        metrics_map: metrics that the model does not know, as ones that it knows.

    Raises:
        DrivingError: the core refuses the policy.
        PlanError: a query that the model cannot feed.
    """
    deployment = prepare(policy, scenario)
    metrics = metrics_of(policy, deployment)
    naming = naming_of(deployment.release, stable_hash=deployment.stable_hash, release_hash=deployment.release_hash)
    plan = plan_metrics(metrics, scenario, naming, metrics_map)
    reaches, horizon_s = {}, 0.0
    for metric in metrics:
        if isinstance(metric.provider, PrometheusProvider):
            query = metric.provider.query
            reaches[query], reach_s = _reaches(query)
            horizon_s = max(horizon_s, reach_s)
    return Stage(
        scenario=scenario,
        deployment=deployment,
        plan=plan,
        load=LoadModel(scenario, plan),
        metrics=tuple(dict.fromkeys(metric.name for metric in metrics)),
        reaches_ms=reaches,
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


def _reaches(query: str) -> tuple[tuple[int, ...], float]:
    """Return when the windows of the query begin, and how far back it looks in all, s."""
    try:
        found = readings(parse(query))
    except PromQLSyntaxError:
        return (), 0.0
    begins = {round(one.from_s * 1000) for one in found if one.window_s is not None and one.at is None}
    return tuple(sorted(begins)), max((one.from_s for one in found), default=0.0)

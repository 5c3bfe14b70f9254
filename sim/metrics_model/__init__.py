"""Which series a service has, by the habits of the tools that count for it, and what they count."""

from sim.metrics_model.errors import LabelError, NamelessSelectorError, PlanError, UnknownMetricError
from sim.metrics_model.mapping import Likeness, MetricsMap, metrics_map_of, read_metrics_map
from sim.metrics_model.naming import Naming, naming_of
from sim.metrics_model.plan import MetricsPlan, SeriesSpec, Target
from sim.metrics_model.planning import plan_metrics, plan_queries, queries_of

__all__ = [
    "LabelError",
    "Likeness",
    "MetricsMap",
    "MetricsPlan",
    "NamelessSelectorError",
    "Naming",
    "PlanError",
    "SeriesSpec",
    "Target",
    "UnknownMetricError",
    "metrics_map_of",
    "naming_of",
    "plan_metrics",
    "plan_queries",
    "queries_of",
    "read_metrics_map",
]

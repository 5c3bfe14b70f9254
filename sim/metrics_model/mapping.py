"""A team's own metrics, told in terms of those that the model knows: the file behind `--metrics-map`.

checkout_handled_total:
  like: http_requests_total
  status: {label: result, ok: done, failed: broken}
  labels: {tier: web}
checkout_time:                      # a histogram: stands for checkout_time_bucket, _count and _sum
  like: http_request_duration_seconds
  unit: milliseconds
checkout_broken_total: {like: http_requests_total, only: failed}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sim.metrics_model.conventions import Counts, Family, known_metrics, recognise
from sim.metrics_model.errors import PlanError, UnknownMetricError

FILE_MAX_BYTES = 200_000
_PARTS = ("_bucket", "_count", "_sum")

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class StatusWords(_Value):
    """The label that tells how a request ended, and its words for it."""

    label: LabelName
    ok: str
    failed: str


class Likeness(_Value):
    """What a metric of the team's own is.

    Attributes:
        like: a metric that the model knows, or the name of a histogram without _bucket, _count and _sum.
        status: how it says that a request failed; None: as the metric that it is like.
        labels: labels that all its series have, with their values.
        unit: of a histogram of latencies; None: as its name or the other's says.
        only: which requests it counts.
    """

    like: MetricName
    status: StatusWords | None = None
    labels: dict[LabelName, str] = Field(default_factory=dict)
    unit: Literal["seconds", "milliseconds"] | None = None
    only: Literal["all", "ok", "failed"] = "all"


MetricsMap = Mapping[str, Likeness]


@cache
def _map() -> TypeAdapter[dict[MetricName, Likeness]]:
    """Return what reads a map; made when there is one, because most people need none."""
    return TypeAdapter(dict[MetricName, Likeness])


def read_metrics_map(file: Path) -> MetricsMap:
    """Return the map that a YAML file holds.

    Raises:
        PlanError: it cannot be read, or it is none; every problem, one a line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = file.read_bytes()
        if len(data) > FILE_MAX_BYTES:
            raise PlanError(f"{file}: {len(data):,} bytes; a map of metrics has at most {FILE_MAX_BYTES:,}")
        return metrics_map_of(YAML(typ="safe", pure=True).load(data.decode("utf-8")), str(file))
    except OSError as error:
        raise PlanError(f"{file}: cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{file}: is no YAML: {error}") from error


def metrics_map_of(value: object, where: str = "the map of metrics") -> MetricsMap:
    """Return the map that plain values are."""
    try:
        return _map().validate_python(value or {})
    except ValidationError as error:
        problems = [
            f"{where}: {'.'.join(map(str, one['loc'])) or 'the document'}: {one['msg']}" for one in error.errors()
        ]
        raise PlanError("\n".join(problems)) from error


def family_of(metric: str, metrics_map: MetricsMap) -> Family:
    """Return how a metric behaves: by the map, else by its name.

    Raises:
        UnknownMetricError: neither says.
    """
    likeness, part = metrics_map.get(metric), ""
    for suffix in _PARTS:
        if likeness is None and metric.endswith(suffix) and metric.removesuffix(suffix) in metrics_map:
            likeness, part = metrics_map[metric.removesuffix(suffix)], suffix
    if likeness is None:
        found = recognise(metric)
        if found is None:
            raise UnknownMetricError(metric, known_metrics())
        return found
    like = recognise(likeness.like + part) or recognise(likeness.like)
    if like is None:
        raise UnknownMetricError(likeness.like, known_metrics())
    return _made_like(metric, like, likeness)


def _made_like(metric: str, like: Family, likeness: Likeness) -> Family:
    unit_s = like.unit_s
    if likeness.unit is not None:
        unit_s = 0.001 if likeness.unit == "milliseconds" else 1.0
        if like.counts not in (Counts.BUCKET, Counts.LATENCY_SUM, Counts.REQUESTS):
            raise PlanError(f"{metric}: a unit of time, but {likeness.like} holds no latencies")
    status = likeness.status
    return replace(
        like,
        metric=metric,
        unit_s=unit_s,
        only="" if likeness.only == "all" else likeness.only,
        fixed=tuple(sorted(likeness.labels.items())),
        status=None if status is None else (status.label, status.ok, status.failed),
    )

"""Analysis as manifests describe it: templates, metrics, providers, arguments, and who refers to them.

Pure values. Two forms of a metric live here: `MetricTemplate` holds the texts of the manifest, in
which `{{args.x}}` may stand almost anywhere, and `Metric` holds the numbers once `resolving` has
filled them in. Only `Metric` reaches the decision core's analysis runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from controller.manifests.values.amounts import FrozenMap
from controller.manifests.values.extensions import EvidenceRules, Extensions

# ---- who asks for an analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRef:
    name: str
    cluster_scope: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTemplateHash:
    """The pod hash of the newest or of the stable revision, known only while a rollout runs."""

    revision: Literal["Latest", "Stable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRef:
    """A field of the Rollout, such as metadata.namespace or metadata.labels['region']."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeyRef:
    """A key of a Secret. Its value is looked up where the query is asked and is never stored or shown."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutArg:
    """An argument that a rollout gives to an analysis: a value, or where it comes from."""

    name: str
    value: str | None = None
    value_from: PodTemplateHash | FieldRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateArg:
    """An argument that a template declares; with neither value nor source, the rollout must give it."""

    name: str
    value: str | None = None
    value_from: SecretKeyRef | FieldRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementRetention:
    metric: str  # a name, or a regular expression over names
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutAnalysis:
    """An analysis that a step (or the background) asks for."""

    templates: tuple[TemplateRef, ...]
    args: tuple[RolloutArg, ...] = ()
    dry_run: tuple[str, ...] = ()  # metric names, or regular expressions over them
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    run_labels: FrozenMap[str] = field(default_factory=FrozenMap)
    run_annotations: FrozenMap[str] = field(default_factory=FrozenMap)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundAnalysis:
    """An analysis beside the steps, from `starting_step` until the end."""

    analysis: RolloutAnalysis
    starting_step: int = 0


# ---- providers: texts until arguments are filled in
# Fields stand in the order of Argo's own types here and in MetricTemplate: arguments are filled in in this order,
# and of several that are missing the last one is named.


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """At most one kind is filled; values may hold arguments, and those may come from Secrets."""

    sigv4_region: str = ""
    sigv4_profile: str = ""
    sigv4_role_arn: str = ""
    oauth2_token_url: str = ""
    oauth2_client_id: str = ""
    oauth2_client_secret: str = field(default="", repr=False)
    oauth2_scopes: tuple[str, ...] = ()
    basic_username: str = ""
    basic_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeQuery:
    """A range instead of an instant; start and end are expressions of the condition language."""

    start: str
    end: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusProvider:
    address: str = ""  # "": what the controller is configured with
    query: str
    authentication: Authentication | None = None
    timeout_s: float | None = None  # None: 30 s
    insecure: bool = False
    headers: tuple[Header, ...] = ()
    range_query: RangeQuery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProvider:
    method: Literal["GET", "POST", "PUT"] = "GET"
    url: str
    headers: tuple[Header, ...] = ()
    body: str = ""
    timeout_s: float | None = None  # None: 10 s
    json_path: str = ""
    insecure: bool = False
    json_body: str = ""  # JSON, "" for none
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProvider:
    """A provider that Gamebird does not ask: job, datadog, newRelic, wavefront, kayenta, plugin, …"""

    kind: str
    settings: str = "{}"  # the provider's block as JSON


Provider = PrometheusProvider | WebProvider | OtherProvider


# ---- metrics and templates


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTemplate:
    """A metric as the manifest writes it. Texts may hold `{{args.x}}`; None and "" are absence."""

    name: str
    interval: str = ""
    initial_delay: str = ""
    count: int | str | None = None
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: int | str | None = None
    inconclusive_limit: int | str | None = None
    consecutive_error_limit: int | str | None = None
    provider: Provider
    consecutive_success_limit: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric with its arguments filled in: what an analysis run measures, and what it forgives.

    `count` is what the manifest says; `measurements_wanted` is what Argo makes of it.
    """

    name: str
    provider: Provider
    interval_s: float | None = None
    initial_delay_s: float = 0.0
    count: int | None = None  # None: absent
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: int = 0  # -1: failures alone never decide
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4
    consecutive_success_limit: int = 0  # 0: off
    evidence: EvidenceRules = field(default_factory=EvidenceRules)

    @property
    def measurements_wanted(self) -> int | None:
        """How many measurements end the metric: one without interval and count, None for endless."""
        if self.count:
            return self.count
        return 1 if self.interval_s is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisTemplate:
    """An AnalysisTemplate, or a ClusterAnalysisTemplate when `cluster_scope` is set."""

    name: str
    namespace: str = "default"  # "" for a cluster-scoped one
    cluster_scope: bool = False
    args: tuple[TemplateArg, ...] = ()
    metrics: tuple[MetricTemplate, ...] = ()
    templates: tuple[TemplateRef, ...] = ()  # templates whose metrics and arguments join these
    dry_run: tuple[str, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    extensions: Extensions = field(default_factory=Extensions)

    @property
    def ref(self) -> TemplateRef:
        return TemplateRef(name=self.name, cluster_scope=self.cluster_scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRunManifest:
    """An AnalysisRun as a file holds it: a spec that can be run, and the phase it had when it was saved."""

    name: str
    namespace: str = "default"
    args: tuple[TemplateArg, ...] = ()
    metrics: tuple[MetricTemplate, ...] = ()
    dry_run: tuple[str, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    terminate: bool = False
    phase: str = ""  # "": never ran
    extensions: Extensions = field(default_factory=Extensions)

"""Analysis in manifests: what a rollout asks for, templates, metrics and their arguments.

Numbers that may hold `{{args.x}}` stay texts here; everything that can be known without arguments
is checked. Providers are read by `providers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast

from controller.manifests.documents import fields_of
from controller.manifests.problems import shown
from controller.manifests.queries import check_query
from controller.manifests.reading.metadata import (
    PREFIX,
    annotation_place,
    named_metrics,
    read_extensions,
    read_metadata,
)
from controller.manifests.reading.providers import read_provider
from controller.manifests.reading.reader import Place, Reader, Report
from controller.manifests.values import (
    AnalysisRunManifest,
    AnalysisTemplate,
    BackgroundAnalysis,
    EvidenceRules,
    Extensions,
    FieldRef,
    FrozenMap,
    MeasurementRetention,
    MetricTemplate,
    OtherProvider,
    PodTemplateHash,
    PrometheusProvider,
    ResolutionError,
    RolloutAnalysis,
    RolloutArg,
    SecretKeyRef,
    TemplateArg,
    TemplateRef,
    placeholders,
    settle,
)

_METADATA_PATH = re.compile(r"metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^']+'\])")
# Providers that say themselves whether a measurement is good, so that no condition is needed.
_JUDGE_THEMSELVES = ("job", "kayenta", "plugin", "none")


# ---- in a Rollout


def read_rollout_analysis(reader: Reader) -> RolloutAnalysis:
    """Return an analysis that a step, or the background, asks for."""
    metadata = reader.child("analysisRunMetadata", "runMetadata")
    return RolloutAnalysis(
        templates=_template_refs(reader, required=True),
        args=tuple(_rollout_arg(arg) for arg in reader.children("args", "rolloutArg")),
        dry_run=_dry_run(reader),
        measurement_retention=_retention(reader),
        run_labels=FrozenMap() if metadata is None else metadata.text_map("labels"),
        run_annotations=FrozenMap() if metadata is None else metadata.text_map("annotations"),
    )


def read_background_analysis(reader: Reader, *, steps: int) -> BackgroundAnalysis:
    """Return the analysis beside the steps."""
    starting_step = reader.integer("startingStep", 0)
    if starting_step > steps > 0:
        reader.warn(f"there are {steps} steps, so this analysis never starts", "startingStep")
    return BackgroundAnalysis(analysis=read_rollout_analysis(reader), starting_step=starting_step)


def _template_refs(reader: Reader, *, required: bool = False) -> tuple[TemplateRef, ...]:
    return tuple(
        TemplateRef(name=ref.text("templateName", required=True), cluster_scope=ref.flag("clusterScope"))
        for ref in reader.children("templates", "templateRef", required=required)
    )


def _dry_run(reader: Reader) -> tuple[str, ...]:
    return tuple(rule.text("metricName", required=True) for rule in reader.children("dryRun", "dryRun"))


def _retention(reader: Reader) -> tuple[MeasurementRetention, ...]:
    rules = []
    for rule in reader.children("measurementRetention", "measurementRetention"):
        if not rule.has("limit"):
            rule.fail("missing", "a whole number, 0 or more", "limit")
        rules.append(
            MeasurementRetention(metric=rule.text("metricName", required=True), limit=rule.integer("limit", 10))
        )
    return tuple(rules)


def _rollout_arg(reader: Reader) -> RolloutArg:
    value_from: PodTemplateHash | FieldRef | None = None
    source = reader.child("valueFrom", "rolloutArgSource")
    if source is not None:
        value_from = _rollout_arg_source(source)
    return RolloutArg(
        name=reader.text("name", required=True),
        value=reader.text("value") if reader.has("value") else None,
        value_from=value_from,
    )


def _rollout_arg_source(source: Reader) -> PodTemplateHash | FieldRef | None:
    if source.has("podTemplateHashValue"):
        revision = source.choice("podTemplateHashValue", ("Latest", "Stable"), "Latest")
        return PodTemplateHash(revision=cast(Literal["Latest", "Stable"], revision))
    if source.has("fieldRef"):
        return _field_ref(source)
    if not source.value:
        source.fail("empty", "podTemplateHashValue or fieldRef")
    return None


def _field_ref(source: Reader) -> FieldRef | None:
    inner = source.child("fieldRef", "fieldRef", required=True)
    if inner is None:
        return None
    path = inner.text("fieldPath", required=True)
    if path.startswith("metadata") and not _METADATA_PATH.fullmatch(path):
        inner.fail(
            shown(path),
            "metadata.name, metadata.namespace, metadata.labels['KEY'] or metadata.annotations['KEY']",
            "fieldPath",
        )
    return FieldRef(path=path)


# ---- templates and runs


def read_analysis_template(reader: Reader, *, cluster_scope: bool) -> AnalysisTemplate:
    """Return the AnalysisTemplate or ClusterAnalysisTemplate that `reader` looks at."""
    metadata = read_metadata(reader)
    extensions = read_extensions(reader, metadata)
    spec = reader.child("spec", "analysisTemplate", required=True)
    namespace = "" if cluster_scope else metadata.namespace or "default"
    if spec is None:
        return AnalysisTemplate(name=metadata.name, namespace=namespace, cluster_scope=cluster_scope)
    refs = _template_refs(spec)
    metrics = _metrics(spec, required=not refs)
    args = _template_args(spec)
    _check_metrics(spec, metrics)
    _check_queries(reader, metrics, args, extensions)
    for metric in named_metrics(extensions) - {metric.name for metric in metrics}:
        if refs:
            break  # a named template may have it
        reader.report.problems.append(
            annotation_place(reader.place(), extensions, metric).problem(
                f"about a metric {metric!r} that this template does not have",
                "one of: " + ", ".join(metric.name for metric in metrics),
            )
        )
    return AnalysisTemplate(
        name=metadata.name,
        namespace=namespace,
        cluster_scope=cluster_scope,
        args=args,
        metrics=metrics,
        templates=refs,
        dry_run=_dry_run(spec),
        measurement_retention=_retention(spec),
        extensions=extensions,
    )


def read_analysis_run(reader: Reader) -> AnalysisRunManifest:
    """Return the AnalysisRun that `reader` looks at; of its status, only the phase."""
    metadata = read_metadata(reader, generated=True)
    spec = reader.child("spec", "analysisRun", required=True)
    status = reader.value.get("status")
    phase = status.get("phase") if isinstance(status, dict) else None
    if spec is None:
        return AnalysisRunManifest(name=metadata.name)
    extensions = read_extensions(reader, metadata)
    old = "analysisSpec" in spec.value
    metrics = () if old else _metrics(spec, required=True)
    args = _template_args(spec)
    _check_metrics(spec, metrics)
    _check_queries(reader, metrics, args, extensions)
    note_undeclared(spec.place(), {arg.name for arg in args}, spec.report)
    return AnalysisRunManifest(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        args=args,
        metrics=metrics,
        dry_run=_dry_run(spec),
        measurement_retention=_retention(spec),
        terminate=spec.flag("terminate"),
        phase=phase if isinstance(phase, str) else "",
        extensions=extensions,
    )


def _template_args(reader: Reader) -> tuple[TemplateArg, ...]:
    args: list[TemplateArg] = []
    names: set[str] = set()
    for arg in reader.children("args", "templateArg"):
        name = arg.text("name", required=True)
        if name in names:
            arg.fail("a second argument of this name", "a name of its own", "name")
        names.add(name)
        value_from: SecretKeyRef | FieldRef | None = None
        source = arg.child("valueFrom", "templateArgSource")
        if source is not None:
            value_from = _template_arg_source(source)
        value = arg.text("value") if arg.has("value") else None
        args.append(TemplateArg(name=name, value=value, value_from=value_from))
    return tuple(args)


def _template_arg_source(source: Reader) -> SecretKeyRef | FieldRef | None:
    if source.has("secretKeyRef"):
        secret = source.child("secretKeyRef", "secretKeyRef")
        if secret is None:
            return None
        return SecretKeyRef(name=secret.text("name", required=True), key=secret.text("key", required=True))
    if source.has("fieldRef"):
        return _field_ref(source)
    if not source.value:
        source.fail("empty", "secretKeyRef or fieldRef")
    return None


def _metrics(reader: Reader, *, required: bool) -> tuple[MetricTemplate, ...]:
    return tuple(_metric(metric) for metric in reader.children("metrics", "metric", required=required))


def _metric(reader: Reader) -> MetricTemplate:
    provider = read_provider(reader)
    return MetricTemplate(
        name=reader.text("name", required=True),
        provider=provider,
        interval=reader.duration_text("interval"),
        initial_delay=reader.duration_text("initialDelay"),
        count=reader.whole_or_text("count"),
        success_condition=reader.text("successCondition"),
        failure_condition=reader.text("failureCondition"),
        failure_limit=reader.whole_or_text("failureLimit", minimum=-1),
        inconclusive_limit=reader.whole_or_text("inconclusiveLimit"),
        consecutive_error_limit=reader.whole_or_text("consecutiveErrorLimit"),
        consecutive_success_limit=reader.whole_or_text("consecutiveSuccessLimit"),
    )


def _check_metrics(reader: Reader, metrics: tuple[MetricTemplate, ...]) -> None:
    """Note what is wrong with metrics as a whole, as far as it can be told without arguments."""
    names: set[str] = set()
    for index, metric in enumerate(metrics):
        if metric.name and metric.name in names:
            reader.fail("a second metric of this name", "a name of its own", "metrics", index, "name")
        names.add(metric.name)
        judged = isinstance(metric.provider, OtherProvider) and metric.provider.kind in _JUDGE_THEMSELVES
        if not metric.success_condition and not metric.failure_condition and not judged:
            reader.warn("without a condition every measurement that arrives is a success", "metrics", index)
        numbers = (metric.interval, metric.initial_delay, metric.count, metric.failure_limit)
        limits = (metric.inconclusive_limit, metric.consecutive_error_limit, metric.consecutive_success_limit)
        if any(placeholders(text) for text in numbers + limits if isinstance(text, str)):
            continue
        try:
            settle(metric, EvidenceRules(), index)
        except ResolutionError as error:
            # Argo takes the template and ends each run of it with an Error, so this is no refusal.
            reader.warn(f"every run of this ends in Error: Analysis spec invalid: {error}", "metrics", index)
    note_foreign_tags(reader.place(), reader.report)


def _check_queries(
    reader: Reader, metrics: tuple[MetricTemplate, ...], args: tuple[TemplateArg, ...], extensions: Extensions
) -> None:
    """Parse every query, with the values that arguments have by default."""
    values = {f"args.{arg.name}": arg.value for arg in args if arg.value is not None}
    for index, metric in enumerate(metrics):
        if isinstance(metric.provider, PrometheusProvider) and metric.provider.query:
            place = reader.place("spec", "metrics", index, "provider", "prometheus", "query")
            check_query(metric.provider.query, place, reader.report, values)
    for name, query in extensions.requests_queries.items():
        place = reader.place("metadata", "annotations", f"{PREFIX}requests.{name}")
        check_query(query, place, reader.report, values)


def note_undeclared(spec: Place, declared: set[str], report: Report) -> None:
    """Note each `{{args.x}}` in the metrics below `spec` that no argument declares."""
    for place, tag in _tags(spec):
        name = tag.removeprefix("args.")
        if tag.startswith("args.") and name not in declared:
            report.problems.append(
                place.problem(
                    f"about an argument that is not declared, {{{{{tag}}}}}",
                    f"{name} among spec.args (now: {', '.join(sorted(declared - {''})) or 'none'})",
                )
            )


def note_foreign_tags(spec: Place, report: Report) -> None:
    """Note each `{{…}}` in the metrics that is no argument: nothing would ever fill it in."""
    for place, tag in _tags(spec):
        if tag.startswith("args."):
            continue
        if re.match(r"[.$`\"'-]|(if|range|include|toYaml|default|printf|quote)\b", tag):
            found, need = "a Helm template", "to be rendered first, for example: helm template RELEASE CHART"
        else:
            found, need = f"{{{{{tag[:40]}}}}}, which nothing fills in", "{{args.name}} of a declared argument"
        report.problems.append(place.problem(found, need))


def _tags(spec: Place) -> Iterator[tuple[Place, str]]:
    """Yield each tag in the metrics with its place, each once per field."""
    value = spec.document.value
    for part in spec.path:
        value = value[part]
    metrics = value.get("metrics")
    for path, text in fields_of(metrics, ("metrics",)):
        if isinstance(text, str) and "{{" in text:
            for tag in dict.fromkeys(placeholders(text)):
                yield spec.below(*path), tag

"""One rollout with everything that it refers to: its references followed, its arguments given.

What a cluster would find out only while the rollout runs is found here: a template that is not
there, an argument that nobody gives, an analysis in a step that never ends, a Service that selects
other pods, a query that does not parse. Conditions are handed on as texts with their places,
because the decision core, which reads them, may not be imported from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from controller.manifests.objects import Loaded
from controller.manifests.problems import ManifestError
from controller.manifests.queries import check_query
from controller.manifests.reading.analyses import note_undeclared
from controller.manifests.reading.metadata import annotation_place, named_metrics
from controller.manifests.reading.reader import Notice, Place, Report
from controller.manifests.references import check_platform
from controller.manifests.template_references import TemplateFinder
from controller.manifests.values import (
    AnalysisSpec,
    AnalysisTemplate,
    Argument,
    FieldRef,
    FrozenMap,
    HorizontalPodAutoscaler,
    HttpRoute,
    Ingress,
    Metric,
    MetricTemplate,
    PrometheusProvider,
    ResolutionError,
    ResolvedAnalysis,
    Rollout,
    RolloutAnalysis,
    RolloutArg,
    Service,
    TemplateRef,
    Workload,
    combine,
    fill,
    find_templates,
    resolve,
    rollout_arguments,
    without_secrets,
)

# What stands for pod hashes before any pod exists; Argo validates with such stand-ins, too.
LATEST_HASH, STABLE_HASH = "latesthash", "stablehash"
_DUMMY = "dummy-value"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedText:
    """A text of the policy with its arguments filled in, and where it stands."""

    text: str
    place: Place
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAnalysis:
    """One analysis of the rollout, with arguments as far as they are known before it runs."""

    step_index: int | None  # None: the background analysis
    analysis: RolloutAnalysis
    templates: tuple[AnalysisTemplate, ...]
    resolved: ResolvedAnalysis
    place: Place = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rollout and all that it names; what was not among the files is None or left out."""

    rollout: Rollout
    templates: tuple[AnalysisTemplate, ...] = ()
    analyses: tuple[PolicyAnalysis, ...] = ()
    services: tuple[Service, ...] = ()
    ingresses: tuple[Ingress, ...] = ()
    http_routes: tuple[HttpRoute, ...] = ()
    autoscaler: HorizontalPodAutoscaler | None = None
    warnings: tuple[Notice, ...] = ()
    texts: tuple[tuple[str, PlacedText], ...] = field(default=(), repr=False)  # (field, text)

    def conditions(self) -> tuple[PlacedText, ...]:
        """Return every condition of every metric, for whoever can compile them."""
        return tuple(text for name, text in self.texts if name != "query")

    def queries(self) -> tuple[PlacedText, ...]:
        """Return every Prometheus query; pod hashes are stand-ins, and secrets are marked, not shown."""
        return tuple(text for name, text in self.texts if name == "query")

    def spec(self, analysis: RolloutAnalysis, *, latest_hash: str, stable_hash: str) -> AnalysisSpec:
        """Return what an analysis run is made of, now that the pod hashes are known."""
        return combine(
            find_templates(analysis.templates, self.templates),
            rollout_arguments(analysis.args, self.rollout, latest_hash=latest_hash, stable_hash=stable_hash),
            dry_run=analysis.dry_run,
            measurement_retention=analysis.measurement_retention,
            extensions=self.rollout.extensions,
        )

    def resolve(self, analysis: RolloutAnalysis, *, latest_hash: str, stable_hash: str) -> ResolvedAnalysis:
        """Return what an analysis run measures, now that the pod hashes are known."""
        return resolve(self.spec(analysis, latest_hash=latest_hash, stable_hash=stable_hash))


def build_policy(rollout: Loaded, objects: Sequence[Loaded]) -> Policy:
    """Return the policy of one loaded rollout.

    Raises:
        ManifestError: references or arguments that do not fit.
    """
    return _Builder(rollout, objects).build()


class _Builder:
    def __init__(self, loaded: Loaded, objects: Sequence[Loaded]) -> None:
        assert isinstance(loaded.value, Rollout)
        self.loaded = loaded
        self.report = Report()
        self.here = [item for item in objects if self._in_reach(item)]
        elsewhere = [item for item in objects if not self._in_reach(item)]
        self.finder = TemplateFinder(self.here, elsewhere, loaded.namespace, self.report)
        self.rollout = self._with_workload(loaded.value)
        self.used: dict[TemplateRef, AnalysisTemplate] = {}
        self.texts: list[tuple[str, PlacedText]] = []

    def _in_reach(self, item: Loaded) -> bool:
        """Tell whether an object is in the rollout's namespace, or may be."""
        cluster = isinstance(item.value, AnalysisTemplate) and item.value.cluster_scope
        return cluster or not item.namespace or not self.loaded.namespace or item.namespace == self.loaded.namespace

    def build(self) -> Policy:
        strategy = self.rollout.strategy
        analyses = []
        if strategy.analysis is not None:
            place = self.loaded.place.below("spec", "strategy", "canary", "analysis")
            analyses.append(self._analysis(strategy.analysis.analysis, place, None))
        for index, step in enumerate(strategy.steps):
            if step.analysis is not None:
                place = self.loaded.place.below("spec", "strategy", "canary", "steps", index, "analysis")
                analyses.append(self._analysis(step.analysis, place, index))
        self._check_annotations([item for item in analyses if item is not None])
        platform = check_platform(self.loaded, self.rollout, self.here, self.report)
        if self.report.problems:
            raise ManifestError(self.report.problems)
        return Policy(
            rollout=self.rollout,
            templates=tuple(self.used.values()),
            analyses=tuple(item for item in analyses if item is not None),
            services=platform.services,
            ingresses=platform.ingresses,
            http_routes=platform.http_routes,
            autoscaler=platform.autoscaler,
            warnings=tuple(dict.fromkeys(self.report.notices)),
            texts=tuple(dict.fromkeys(self.texts)),
        )

    def _with_workload(self, rollout: Rollout) -> Rollout:
        ref = rollout.workload_ref
        if ref is None:
            return rollout
        place = self.loaded.place.below("spec", "workloadRef")
        for item in self.here:
            workload = item.value
            if isinstance(workload, Workload) and (workload.kind, workload.name) == (ref.kind, ref.name):
                return replace(rollout, template=workload.template, selector=rollout.selector or workload.selector)
        self.report.notices.append(
            place.notice(f"the {ref.kind} {ref.name} is not among the files, so the pod template is unknown")
        )
        return rollout

    # ---- analyses

    def _analysis(self, analysis: RolloutAnalysis, place: Place, step_index: int | None) -> PolicyAnalysis | None:
        templates = self.finder.find(analysis.templates, place.below("templates"))
        if templates is None:
            return None
        self.used |= {template.ref: template for template in templates}
        found = find_templates(analysis.templates, templates)
        args = self._arguments(analysis, found, place)
        before = len(self.report.problems)
        if step_index is None:
            declared = {arg.name for template in found for arg in template.args}
            for template in found:
                note_undeclared(self.finder.place_of(template).below("spec"), declared, self.report)
        else:
            self._check_each_alone(found, place)
        if args is None or len(self.report.problems) > before:
            return None
        try:
            spec = combine(
                found,
                args,
                dry_run=analysis.dry_run,
                measurement_retention=analysis.measurement_retention,
                extensions=self.rollout.extensions,
            )
        except ResolutionError as error:
            self.report.problems.append(place.problem(f"contradictory ({error})", "templates that fit together"))
            return None
        resolved = self._resolve(spec, place, inline=step_index is not None)
        if resolved is None:
            return None
        self._collect(resolved, found)
        return PolicyAnalysis(step_index=step_index, analysis=analysis, templates=found, resolved=resolved, place=place)

    def _arguments(
        self, analysis: RolloutAnalysis, templates: Sequence[AnalysisTemplate], place: Place
    ) -> tuple[Argument, ...] | None:
        """Return the arguments that the rollout gives, after checking that all that are needed are given."""
        values: list[Argument] = []
        complete = True
        for index, arg in enumerate(analysis.args):
            try:
                values.extend(self._argument(arg))
            except ResolutionError as error:
                at = place.below("args", index, "valueFrom", "fieldRef", "fieldPath")
                need = "a field of this Rollout that holds a single value"
                self.report.problems.append(at.problem(f"no such field ({error})", need))
                complete = False
        given = {arg.name for arg in analysis.args}
        declared = {arg.name for template in templates for arg in template.args}
        for index, arg in enumerate(analysis.args):
            if arg.name and arg.name not in declared:
                listed = ", ".join(sorted(declared)) or "none"
                self.report.notices.append(
                    place.below("args", index).notice(
                        f"{arg.name} is declared by no template here, so it is dropped (declared: {listed})"
                    )
                )
        for template, name in self._needed(templates):
            if name not in given:
                self.report.problems.append(
                    place.below("args").problem(
                        f"without the argument {name!r}",
                        f"it, with a value, because {template.name} declares it without one",
                    )
                )
                complete = False
        return tuple(values) if complete else None

    def _argument(self, arg: RolloutArg) -> tuple[Argument, ...]:
        if isinstance(arg.value_from, FieldRef) and arg.value_from.path.startswith("status"):
            return (Argument(name=arg.name, value=_DUMMY),)  # known only while the rollout runs
        return rollout_arguments([arg], self.rollout, latest_hash=LATEST_HASH, stable_hash=STABLE_HASH)

    @staticmethod
    def _needed(templates: Sequence[AnalysisTemplate]) -> Iterator[tuple[AnalysisTemplate, str]]:
        """Yield each argument for which no template has a value."""
        with_value = {
            arg.name for t in templates for arg in t.args if arg.value is not None or arg.value_from is not None
        }
        seen = set()
        for template in templates:
            for arg in template.args:
                if arg.name not in with_value and arg.name not in seen:
                    seen.add(arg.name)
                    yield template, arg.name

    def _check_each_alone(self, templates: Sequence[AnalysisTemplate], place: Place) -> None:
        """Check templates of a step as Argo does: each for itself, with stand-ins for missing values.

        So a count or limit that comes from an argument without a default is refused there, although
        the run itself would have had the value.
        """
        for template in templates:
            own = self.finder.place_of(template)
            note_undeclared(own.below("spec"), {arg.name for arg in template.args}, self.report)
            values = {f"args.{arg.name}": _DUMMY if arg.value is None else arg.value for arg in template.args}
            for index, metric in enumerate(template.metrics):
                try:
                    filled = fill(metric, values)
                except ResolutionError:
                    continue  # told above, at the tag itself
                if self._is_endless(filled) and not self._has_faulty_count(own, index, metric):
                    found = "without end (interval without count)"
                    if isinstance(metric.count, str) and "{{" in metric.count:
                        found = "without end while its argument has no default: Argo checks templates of a step alone"
                    self.report.problems.append(
                        own.below("spec", "metrics", index).problem(
                            found, f"a count, because the analysis at {place} waits for the metric to end"
                        )
                    )

    @staticmethod
    def _has_faulty_count(template: Place, index: int, metric: MetricTemplate) -> bool:
        """Tell a count that is wrong, and was told as such, from one that is not there."""
        metrics = template.document.value["spec"]["metrics"]
        return metric.count is None and metrics[index].get("count") is not None

    @staticmethod
    def _is_endless(metric: MetricTemplate) -> bool:
        if metric.count is not None:
            try:
                return bool(metric.interval) and int(metric.count) == 0
            except ValueError:
                return bool(metric.interval)
        return bool(metric.interval)

    def _resolve(self, spec: AnalysisSpec, place: Place, *, inline: bool) -> ResolvedAnalysis | None:
        try:
            return resolve(spec)
        except ResolutionError as error:
            text = str(error)
        if text.startswith("Analysis spec invalid"):
            # Argo accepts the rollout and ends the run with this error. So does the core; say it now.
            self.report.notices.append(place.notice(f"every run of this ends in Error: {text}"))
            return ResolvedAnalysis(metrics=())
        self.report.problems.append(place.problem(f"not to be resolved ({text})", "arguments for all of its texts"))
        return None

    # ---- texts

    def _collect(self, resolved: ResolvedAnalysis, templates: Sequence[AnalysisTemplate]) -> None:
        """Keep queries and conditions with their places, and parse the queries."""
        places = {
            metric.name: self.finder.place_of(template).below("spec", "metrics", index)
            for template in templates
            for index, metric in enumerate(template.metrics)
        }
        for metric in resolved.metrics:
            place = places[metric.name]
            for name, text in (
                ("successCondition", metric.success_condition),
                ("failureCondition", metric.failure_condition),
            ):
                if text:
                    self.texts.append((name, PlacedText(text=text, place=place.below(name), metric=metric.name)))
            if isinstance(metric.provider, PrometheusProvider):
                at = place.below("provider", "prometheus", "query")
                query = without_secrets(metric.provider.query)
                self.texts.append(("query", PlacedText(text=query, place=at, metric=metric.name)))
                check_query(query, at, self.report)
            self._check_count_query(metric, place, templates)

    def _check_count_query(self, metric: Metric, place: Place, templates: Sequence[AnalysisTemplate]) -> None:
        query = metric.evidence.requests_query
        if query is None:
            return
        owner = next((t for t in templates if metric.name in t.extensions.requests_queries), None)
        whole = self.loaded.place if owner is None else self.finder.place_of(owner)
        extensions = self.rollout.extensions if owner is None else owner.extensions
        only_queries = replace(extensions, requests_min_by_metric=FrozenMap())
        check_query(query, annotation_place(whole, only_queries, metric.name), self.report)

    def _check_annotations(self, analyses: Iterable[PolicyAnalysis]) -> None:
        """Check that each metric that the rollout's annotations name exists."""
        extensions = self.rollout.extensions
        metrics = {metric.name for item in analyses for template in item.templates for metric in template.metrics}
        for name in named_metrics(extensions) - metrics:
            self.report.problems.append(
                annotation_place(self.loaded.place, extensions, name).problem(
                    f"about a metric {name!r} that none of the templates has",
                    "one of: " + (", ".join(sorted(metrics)) or "none, as there is no analysis"),
                )
            )

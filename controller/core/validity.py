"""What Argo Rollouts' controller finds wrong with a rollout before it does anything about it.

Loading refuses most of this with file and line. A rollout in a cluster is edited behind anybody's back, so the
core looks too, and says it in the words that a Rollout's InvalidSpec condition has. Worked out once per spec
and set of templates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from controller.manifests.values import (
    Amount,
    AnalysisTemplate,
    Argument,
    ResolutionError,
    Rollout,
    RolloutAnalysis,
    TemplateRef,
    combine,
    fill,
    find_templates,
    rollout_arguments,
    whole,
)

_KEPT = 256
_found: dict[int, tuple[Rollout, tuple[AnalysisTemplate, ...], str]] = {}


def fault_of(rollout: Rollout, templates: tuple[AnalysisTemplate, ...]) -> str:
    """Return what is wrong with the spec, as Argo words it; empty if nothing is."""
    known = _found.get(id(rollout))
    if known is not None and known[0] is rollout and known[1] == templates:  # equal by identity, item by item
        return known[2]
    fault = next(_faults(rollout, templates), "")
    if len(_found) >= _KEPT:
        _found.clear()
    _found[id(rollout)] = (rollout, templates, fault)  # holding the spec keeps its id from being used again
    return fault


def _invalid(field: str, value: bool | int | str | Amount, detail: str) -> str:
    """Return a fault as Kubernetes words it: the value as JSON has it."""
    if isinstance(value, Amount):
        value = str(value) if value.percent else value.number
    return f"{field}: Invalid value: {json.dumps(value, ensure_ascii=False)}: {detail}"


def _faults(rollout: Rollout, templates: tuple[AnalysisTemplate, ...]) -> Iterator[str]:
    if rollout.progress_deadline_s <= rollout.min_ready_s:
        deadline_s = int(rollout.progress_deadline_s)
        yield _invalid("spec.progressDeadlineSeconds", deadline_s, "must be greater than minReadySeconds")
    yield from _strategy_faults(rollout)
    asked = list(_analyses(rollout))
    known = {template.ref: template for template in templates}
    for analysis, field, _ in asked:
        yield from _missing_templates(analysis.templates, known, field)
    for analysis, field, inline in asked:
        yield from _analysis_faults(rollout, analysis, templates, field, inline=inline)


def _analyses(rollout: Rollout) -> Iterator[tuple[RolloutAnalysis, str, bool]]:
    """Yield each analysis, the path of its templates, and whether it is a step's, in Argo's order."""
    canary = "spec.strategy.canary"
    for index, step in enumerate(rollout.strategy.steps):
        if step.analysis is not None:
            yield step.analysis, f"{canary}.steps[{index}].analysis.templates", True
    background = rollout.strategy.analysis
    if background is not None:
        yield background.analysis, f"{canary}.analysis.templates", False


def _strategy_faults(rollout: Rollout) -> Iterator[str]:
    canary, field = rollout.strategy, "spec.strategy"  # Argo leaves canary out of these paths
    if canary.max_surge.number == 0 and canary.max_unavailable.number == 0:
        detail = "MaxSurge and MaxUnavailable both can not be zero"
        yield _invalid(f"{field}.maxSurge", canary.max_surge, detail)
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield _invalid(
            f"{field}.stableService",
            canary.stable_service,
            "This rollout uses the same service for the stable and canary services, "
            "but two different services are required.",
        )
    delay_s = canary.scale_down_delay_s
    if canary.traffic_routing is None:
        if delay_s is not None:
            detail = "Canary scaleDownDelaySeconds can only be used with traffic routing"
            yield _invalid(f"{field}.scaleDownDelaySeconds", int(delay_s), detail)
        if canary.dynamic_stable_scale:
            detail = "Canary dynamicStableScale can only be used with traffic routing"
            yield _invalid(f"{field}.dynamicStableScale", value=True, detail=detail)
    elif delay_s is not None and canary.dynamic_stable_scale:
        detail = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        yield _invalid(f"{field}.dynamicStableScale", value=True, detail=detail)


def _missing_templates(
    refs: Iterable[TemplateRef], known: Mapping[TemplateRef, AnalysisTemplate], field: str
) -> Iterator[str]:
    waiting = [(ref, field) for ref in refs]
    seen: set[TemplateRef] = set()
    while waiting:
        ref, named_in = waiting.pop(0)
        if ref not in known:
            kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
            yield _invalid(named_in, ref.name, f"{kind} '{ref.name}' not found")
        elif ref not in seen:
            seen.add(ref)
            waiting[:0] = [(inner, "spec.templates") for inner in known[ref].templates]


def _analysis_faults(
    rollout: Rollout,
    analysis: RolloutAnalysis,
    templates: tuple[AnalysisTemplate, ...],
    field: str,
    *,
    inline: bool,
) -> Iterator[str]:
    found = find_templates(analysis.templates, templates)
    args = list(_given(analysis, rollout))
    try:
        combine(found, args)
        for step in rollout.strategy.steps:
            if step.analysis is not None:  # Argo tries the rules of every step on the templates of each
                rules = step.analysis
                combine(found, args, dry_run=rules.dry_run, measurement_retention=rules.measurement_retention)
    except ResolutionError as error:
        names = " ".join(template.name for template in found)
        yield _invalid(field, f"templateNames: [{names}]", str(error))
        return
    for template in found:
        if inline:
            yield from _endless_metrics(template, field)
        else:
            yield from _arguments_never_given(template, analysis, field)


def _given(analysis: RolloutAnalysis, rollout: Rollout) -> Iterator[Argument]:
    """Yield the arguments that the rollout gives; a field that is not there is found out when a run begins."""
    for arg in analysis.args:
        try:
            yield from rollout_arguments([arg], rollout, latest_hash="dummy-new-hash", stable_hash="dummy-stable-hash")
        except ResolutionError:
            yield Argument(name=arg.name, value="")


def _arguments_never_given(template: AnalysisTemplate, analysis: RolloutAnalysis, field: str) -> Iterator[str]:
    """The background's templates are checked one by one, although another may have the value."""
    given = {arg.name for arg in analysis.args}
    for arg in template.args:
        if arg.value is None and arg.value_from is None and arg.name not in given:
            missing = arg.name if given else "missing analysis arguments in rollout spec"
            yield _invalid(field, template.name, missing)


def _endless_metrics(template: AnalysisTemplate, field: str) -> Iterator[str]:
    """A step never ends if one of its metrics has an interval and no count."""
    values: dict[str, str] = {}
    for arg in template.args:
        if arg.value is not None and arg.value_from is not None:
            detail = f"AnalysisTemplate {template.name}: arg '{arg.name}' has both Value and ValueFrom fields"
            yield _invalid(field, template.name, detail)
        values[f"args.{arg.name}"] = "dummy-value" if arg.value is None else arg.value
    for metric in template.metrics:
        try:
            filled = fill(metric, values)
        except ResolutionError as error:
            why = str(error).removeprefix("Unable to resolve metric arguments: ")
            yield _invalid(field, template.name, f"AnalysisTemplate {template.name}: {why}")
            return
        if whole(filled.count) == 0 and filled.interval:
            count = "<nil>" if filled.count is None else filled.count
            yield _invalid(
                field,
                template.name,
                f"AnalysisTemplate {template.name} has metric {metric.name} which runs indefinitely. "
                f"Invalid value for count: {count}",
            )

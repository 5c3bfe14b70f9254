"""What Argo Rollouts' controller finds wrong with a rollout before it does anything about it.

Loading refuses most of this with file and line. A rollout in a cluster is edited behind anybody's back, so the
core looks too, and says it in the words that a Rollout's InvalidSpec condition has. Worked out once per spec
and set of templates.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.manifests.values import (
    AnalysisTemplate,
    ResolutionError,
    Rollout,
    RolloutAnalysis,
    combine,
    fill,
    find_templates,
    rollout_arguments,
    whole,
)

_KEPT = 256
_FIELDS = "spec.strategy.canary"
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


def _invalid(field: str, value: object, detail: str) -> str:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{field}: Invalid value: {shown}: {detail}"


def _faults(rollout: Rollout, templates: tuple[AnalysisTemplate, ...]) -> Iterator[str]:
    if rollout.progress_deadline_s <= rollout.min_ready_s:
        yield _invalid(
            "spec.progressDeadlineSeconds",
            f"{rollout.progress_deadline_s:g}",
            "must be greater than minReadySeconds",
        ).replace('"', "")
    yield from _strategy_faults(rollout)
    for index, step in enumerate(rollout.strategy.steps):
        if step.analysis is not None:
            field = f"{_FIELDS}.steps[{index}].analysis.templates"
            yield from _analysis_faults(rollout, step.analysis, templates, field, inline=True)
    background = rollout.strategy.analysis
    if background is not None:
        field = f"{_FIELDS}.analysis.templates"
        yield from _analysis_faults(rollout, background.analysis, templates, field, inline=False)


def _strategy_faults(rollout: Rollout) -> Iterator[str]:
    canary = rollout.strategy
    if canary.max_surge.number == 0 and canary.max_unavailable.number == 0:
        yield _invalid(f"{_FIELDS}.maxSurge", 0, "MaxSurge and MaxUnavailable both can not be zero")
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield _invalid(
            f"{_FIELDS}.stableService",
            canary.stable_service,
            "This rollout uses the same service for the stable and canary services, "
            "but two different services are required.",
        )
    delay_s = canary.scale_down_delay_s
    if canary.traffic_routing is None:
        if delay_s is not None:
            detail = "Canary scaleDownDelaySeconds can only be used with traffic routing"
            yield _invalid(f"{_FIELDS}.scaleDownDelaySeconds", int(delay_s), detail)
        if canary.dynamic_stable_scale:
            detail = "Canary dynamicStableScale can only be used with traffic routing"
            yield _invalid(f"{_FIELDS}.dynamicStableScale", value=True, detail=detail)
    elif delay_s is not None and canary.dynamic_stable_scale:
        detail = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        yield _invalid(f"{_FIELDS}.dynamicStableScale", value=True, detail=detail)


def _analysis_faults(
    rollout: Rollout,
    analysis: RolloutAnalysis,
    templates: tuple[AnalysisTemplate, ...],
    field: str,
    *,
    inline: bool,
) -> Iterator[str]:
    known = {template.ref for template in templates}
    for ref in analysis.templates:
        if ref not in known:
            kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
            yield _invalid(field, ref.name, f"{kind} '{ref.name}' not found")
            return
    try:
        found = find_templates(analysis.templates, templates)
        args = rollout_arguments(analysis.args, rollout, latest_hash="dummy", stable_hash="dummy")
        combine(found, args, dry_run=analysis.dry_run, measurement_retention=analysis.measurement_retention)
    except ResolutionError as error:
        names = " ".join(ref.name for ref in analysis.templates)
        yield _invalid(field, f"templateNames: [{names}]", str(error))
        return
    if inline:
        for template in found:
            yield from _endless_metrics(template, field)


def _endless_metrics(template: AnalysisTemplate, field: str) -> Iterator[str]:
    """A step never ends if one of its metrics has an interval and no count."""
    values = {f"args.{arg.name}": "dummy-value" if arg.value is None else arg.value for arg in template.args}
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

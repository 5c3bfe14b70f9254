"""Try a minimum of requests on a policy without an edit of its files, as if the Rollout were annotated with it."""

from __future__ import annotations

from dataclasses import replace

from controller.manifests.policies import Policy, PolicyAnalysis
from controller.manifests.values import AnalysisTemplate, Extensions, FrozenMap, Metric


def with_floor(policy: Policy, requests_min: int) -> Policy:
    """Return the policy with this floor for every metric, whatever its annotations say; 0 takes floors away."""
    if requests_min < 0:
        raise ValueError(f"a floor of {requests_min} requests makes no sense; it needs 0 or more")
    templates = {id(one): _floored_template(one, requests_min) for one in policy.templates}
    return replace(
        policy,
        rollout=replace(policy.rollout, extensions=_floored(policy.rollout.extensions, requests_min)),
        templates=tuple(templates.values()),
        analyses=tuple(_floored_analysis(one, requests_min) for one in policy.analyses),
    )


def _floored(extensions: Extensions, requests_min: int) -> Extensions:
    return replace(extensions, requests_min=requests_min or None, requests_min_by_metric=FrozenMap())


def _floored_template(template: AnalysisTemplate, requests_min: int) -> AnalysisTemplate:
    # A template's own annotations win over the Rollout's, so theirs go.
    return replace(template, extensions=_floored(template.extensions, requests_min))


def _floored_analysis(analysis: PolicyAnalysis, requests_min: int) -> PolicyAnalysis:
    def floored(metric: Metric) -> Metric:
        return replace(metric, evidence=replace(metric.evidence, requests_min=requests_min or None))

    return replace(
        analysis,
        templates=tuple(_floored_template(one, requests_min) for one in analysis.templates),
        resolved=replace(analysis.resolved, metrics=tuple(floored(one) for one in analysis.resolved.metrics)),
    )

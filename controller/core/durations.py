"""The shortest time that a policy can take, when nothing is wrong and nobody waits: what a deadline must not be below.

Pure. Pods that start, routers and looks take time too, so a rollout takes a little longer than this; never less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from controller.manifests.values import (
    AnalysisTemplate,
    Metric,
    ResolutionError,
    Rollout,
    RolloutAnalysis,
    combine,
    find_templates,
    resolve,
    rollout_arguments,
)


def shortest_s(rollout: Rollout, templates: Iterable[AnalysisTemplate]) -> float:
    """Return the seconds from a new revision to its promotion, at least.

    A pause without a duration counts nothing, because a person may promote at once. Infinite where a step's analysis
    can never end by itself.
    """
    known = tuple(templates)
    total_s = rollout.min_ready_s
    for step in rollout.strategy.steps:
        if step.pause is not None:
            total_s += step.pause.duration_s or 0.0
        if step.analysis is not None:
            total_s += max((_metric_s(metric) for metric in _metrics(rollout, step.analysis, known)), default=0.0)
    return total_s


def _metrics(
    rollout: Rollout, analysis: RolloutAnalysis, templates: tuple[AnalysisTemplate, ...]
) -> tuple[Metric, ...]:
    """Return what a step measures; nothing where its templates are not known or do not fit together."""
    try:
        found = find_templates(analysis.templates, templates)
        given = rollout_arguments(analysis.args, rollout, latest_hash="", stable_hash="")
        return resolve(combine(found, given, dry_run=analysis.dry_run, extensions=rollout.extensions)).metrics
    except ResolutionError:
        return ()


def _metric_s(metric: Metric) -> float:
    """Return how long it takes until one metric has succeeded."""
    wanted = metric.measurements_wanted
    if metric.consecutive_success_limit:
        wanted = metric.consecutive_success_limit if wanted is None else min(wanted, metric.consecutive_success_limit)
    if wanted is None:
        return math.inf
    return metric.initial_delay_s + (wanted - 1) * (metric.interval_s or 0.0)

"""Make an analysis run from the templates that a step or the background names.

What Argo finds wrong only once a run exists (limits that contradict each other, an argument that nobody gave)
makes a run that ends as an Error with Argo's message. Templates that do not fit together make one too: a
rollout must not wait for ever for a run that cannot be made.
"""

from __future__ import annotations

from controller.core.look import Look
from controller.core.runs import AnalysisRun, RunKind
from controller.manifests.values import (
    Argument,
    ResolutionError,
    ResolvedAnalysis,
    RolloutAnalysis,
    combine,
    find_templates,
    resolve,
    rollout_arguments,
)


def new_run(look: Look, analysis: RolloutAnalysis, *, step_index: int | None) -> AnalysisRun:
    """Return the run to begin; an unfinished one of the same content if its name is taken by that."""
    pod_hash = look.snapshot.template_hash
    args: tuple[Argument, ...] = ()
    resolved, problem = ResolvedAnalysis(metrics=()), ""
    try:
        templates = find_templates(analysis.templates, look.snapshot.templates)
        given = rollout_arguments(
            analysis.args,
            look.plan.rollout,
            latest_hash=pod_hash,
            stable_hash=look.stable.pod_hash if look.stable is not None else "",
        )
        spec = combine(
            templates,
            given,
            dry_run=analysis.dry_run,
            measurement_retention=analysis.measurement_retention,
            extensions=look.plan.rollout.extensions,
        )
        args = spec.args
        resolved = resolve(spec)
    except ResolutionError as error:
        problem = str(error)
    suffix = "" if step_index is None else f"-{step_index}"
    base = f"{look.plan.rollout.name}-{pod_hash}-{look.revision}{suffix}"
    known = {run.name: run for run in look.snapshot.runs}
    name, collisions = base, 0
    while name in known:
        taken = known[name]
        same = (taken.metrics, taken.args) == (resolved.metrics, args)
        ruled_alike = (taken.dry_run, taken.retention) == (resolved.dry_run, resolved.retention)
        if not taken.status.phase.completed and same and ruled_alike:
            return taken  # begun by a decision whose status was lost
        collisions += 1
        name = f"{base}.{collisions}"
    return AnalysisRun(
        name=name,
        kind=RunKind.BACKGROUND if step_index is None else RunKind.STEP,
        pod_hash=pod_hash,
        created_s=look.now_s,
        step_index=step_index,
        metrics=resolved.metrics,
        dry_run=resolved.dry_run,
        retention=resolved.retention,
        args=args,
        problem=problem,
    )

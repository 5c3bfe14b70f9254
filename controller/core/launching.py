"""Make an analysis run from the templates that a step or the background names.

What Argo finds wrong only once a run exists (limits that contradict each other, an argument that nobody gave)
makes a run that ends as an Error with Argo's message. Templates that do not fit together make one too: a
rollout must not wait for ever for a run that cannot be made.
"""

from __future__ import annotations

from typing import NamedTuple

from controller.core.look import Look
from controller.core.runs import AnalysisRun, RunKind
from controller.manifests.values import (
    AnalysisTemplate,
    Argument,
    ResolutionError,
    ResolvedAnalysis,
    Rollout,
    RolloutAnalysis,
    combine,
    find_templates,
    resolve,
    rollout_arguments,
)

_KEPT = 256  # as many as controller.core.plan keeps specs


def new_run(look: Look, analysis: RolloutAnalysis, *, step_index: int | None) -> AnalysisRun:
    """Return the run to begin; an unfinished one of the same content if its name is taken by that."""
    pod_hash = look.snapshot.template_hash
    wanted = _Wanted(
        rollout=look.plan.rollout,
        analysis=analysis,
        templates=look.snapshot.templates,
        latest_hash=pod_hash,
        stable_hash=look.stable.pod_hash if look.stable is not None else "",
    )
    content = _content_of(wanted)
    resolved, args = content.resolved, content.args
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
        problem=content.problem,
    )


class _Wanted(NamedTuple):
    """All that the content of a run depends on."""

    rollout: Rollout
    analysis: RolloutAnalysis
    templates: tuple[AnalysisTemplate, ...]
    latest_hash: str
    stable_hash: str


class _Content(NamedTuple):
    """What is in a run: the same for every run that is begun of the same."""

    resolved: ResolvedAnalysis
    args: tuple[Argument, ...]
    problem: str


_contents: dict[tuple[int, int, int, str, str], tuple[_Wanted, _Content]] = {}


def _content_of(wanted: _Wanted) -> _Content:
    """Return the content, worked out once for the same objects: a simulation begins a run a thousand times."""
    rollout, analysis, templates, latest_hash, stable_hash = wanted
    key = (id(rollout), id(analysis), id(templates), latest_hash, stable_hash)
    known = _contents.get(key)
    if known is not None:
        return known[1]
    content = _work_out(wanted)
    if len(_contents) >= _KEPT:
        _contents.clear()
    _contents[key] = (wanted, content)  # holding the objects keeps their ids from being used again
    return content


def _work_out(wanted: _Wanted) -> _Content:
    args: tuple[Argument, ...] = ()
    analysis = wanted.analysis
    try:
        spec = combine(
            find_templates(analysis.templates, wanted.templates),
            rollout_arguments(
                analysis.args,
                wanted.rollout,
                latest_hash=wanted.latest_hash,
                stable_hash=wanted.stable_hash,
            ),
            dry_run=analysis.dry_run,
            measurement_retention=analysis.measurement_retention,
            extensions=wanted.rollout.extensions,
        )
        args = spec.args
        return _Content(resolve(spec), args, "")
    except ResolutionError as error:
        return _Content(ResolvedAnalysis(metrics=()), args, str(error))

"""The analysis runs of a rollout: begin them, stop them, and let their verdicts pause or abort.

A failed or erroneous run aborts the rollout, an inconclusive one pauses it until a person decides. Only the
phase of a run is read here. How a run comes to its phase is `controller.core.analysis`'s business.
"""

from __future__ import annotations

from controller.core.actions import DeleteAnalysis, StartAnalysis, StopAnalysis
from controller.core.launching import new_run
from controller.core.look import Look
from controller.core.promotion import is_fast_rollback
from controller.core.runs import COMPLETED, AnalysisPhase, AnalysisRun
from controller.core.status import RunReference

_UNKNOWN = AnalysisPhase.UNKNOWN
_INCONCLUSIVE = AnalysisPhase.INCONCLUSIVE
_BAD = (AnalysisPhase.FAILED, AnalysisPhase.ERROR)


def reconcile_analysis(look: Look) -> None:
    """Bring the runs of the rollout in line with its state; note pauses and aborts that follow from them."""
    status = look.status
    step_run: AnalysisRun | None = None
    background: AnalysisRun | None = None
    if (
        look.is_fully_promoted
        or look.is_aborted
        or status.promote_full
        or status.stable_hash == ""
        or is_fast_rollback(look)
    ):
        _stop(look, [run for run in (look.current_background, look.current_step_run) if run is not None])
    else:
        step_run = _step_run(look)
        background = _background_run(look)
    if step_run is not None:
        look.step_ref = _reference(step_run, status.step_run)
        look.step_run_phase = step_run.status.phase
    if background is not None:
        look.background_ref = _reference(background, status.background_run)
    if look.other_runs:
        # A run that was begun by a decision whose status was lost is taken up again, and then is no other.
        others = [run for run in look.other_runs if run is not step_run and run is not background]
        _stop(look, others)
        _delete_old(look, others)
    if step_run is not None:
        _tell(look, status.step_run, step_run, "Step")
    if background is not None:
        _tell(look, status.background_run, background, "Background")


def _reference(run: AnalysisRun, before: RunReference | None) -> RunReference:
    status = run.status
    if (
        before is not None
        and before.phase == status.phase
        and before.name == run.name
        and before.message == status.message
    ):
        return before
    return RunReference(name=run.name, phase=str(status.phase), message=status.message)


def _stop(look: Look, runs: list[AnalysisRun]) -> None:
    for run in runs:
        if run.status.phase not in COMPLETED and not run.terminate:
            look.actions.append(StopAnalysis(name=run.name))


def _step_run(look: Look) -> AnalysisRun | None:
    """Return the run of the current analysis step, begun if need be."""
    current, step, index = look.current_step_run, look.step, look.index
    if look.status.pauses or look.status.abort:
        return current
    analysis = step.analysis if step is not None else None
    of_another_step = current is not None and current.step_index != index
    if analysis is None or not analysis.templates or index is None or of_another_step:
        if current is not None:
            _stop(look, [current])
        return None
    if _needs_new(look, current):
        run = new_run(look, analysis, step_index=index)
        look.actions.append(StartAnalysis(run=run))
        return run
    _heed(look, current, "Step-based")
    return current


def _background_run(look: Look) -> AnalysisRun | None:
    """Return the run beside the steps, begun if need be."""
    current, status = look.current_background, look.status
    background = look.plan.canary.analysis
    if background is None or not background.analysis.templates:
        if current is not None:
            _stop(look, [current])
        return None
    before_start = look.index is not None and look.index < look.plan.background_from
    if status.current_hash == "" or before_start:
        return None
    if look.is_inconclusive:
        return current
    if _needs_new(look, current):
        run = new_run(look, background.analysis, step_index=None)
        look.actions.append(StartAnalysis(run=run))
        return run
    _heed(look, current, "Background")
    return current


def _needs_new(look: Look, current: AnalysisRun | None) -> bool:
    """Return whether a run has to be begun: there is none, or a person went on after an inconclusive one."""
    if current is None:
        return True
    if look.status.controller_pause and look.step_pause is None:
        return current.status.phase is _INCONCLUSIVE
    return look.status.aborted_s is not None


def _heed(look: Look, run: AnalysisRun | None, what: str) -> None:
    if run is None:
        return
    phase = run.status.phase
    if phase is _INCONCLUSIVE:
        look.pause_added += 1
        look.decided_by = run
        look.rule = f"{what.lower()} analysis inconclusive"
    elif phase in _BAD:
        message = f"{what} analysis phase error/failed"
        if run.status.message:
            message += f": {run.status.message}"
        look.abort(message)
        look.decided_by = run
        look.rule = f"{what.lower()} analysis {phase.lower()}"


def _delete_old(look: Look, others: list[AnalysisRun]) -> None:
    """Forget finished runs beyond the history limits, and those of revisions that are gone."""
    rollout = look.plan.rollout
    known = {replica_set.pod_hash for replica_set in look.all}
    left = {True: rollout.successful_run_history_limit, False: rollout.unsuccessful_run_history_limit}
    if len(others) <= min(left.values()) and known.issuperset([run.pod_hash for run in others]):
        return  # the common case: too few for any limit
    for run in sorted(others, key=lambda run: run.created_s, reverse=True):
        if run.pod_hash not in known:
            look.actions.append(DeleteAnalysis(name=run.name))
        elif run.status.phase in COMPLETED:
            good = run.status.phase is AnalysisPhase.SUCCESSFUL
            left[good] -= 1
            if left[good] < 0:
                look.actions.append(DeleteAnalysis(name=run.name))


def _tell(look: Look, before: RunReference | None, run: AnalysisRun, what: str) -> None:
    phase = run.status.phase
    if phase is _UNKNOWN:
        return
    if before is None or (before.name == run.name and before.phase != phase):
        previous = "NoPreviousStatus" if before is None else before.phase
        look.event(
            f"AnalysisRun{phase}",
            f"{what} Analysis Run '{run.name}' Status New: '{phase}' Previous: '{previous}'",
            warning=phase in _BAD,
        )

"""What must hold in every world, under every fault: the seven invariants, checked over what was decided.

A history is what a driver saw and decided, in order: (time, snapshot, decision). Tests, the simulator and game
days check the same list. Each breach says which invariant, when, and in a sentence what happened. Breaches
that Argo Rollouts itself commits and strict parity therefore repeats are marked `parity`; without strict
parity there must be none of either kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from controller.core.actions import CreateReplicaSet, ScaleReplicaSet, SetWeight, StartAnalysis
from controller.core.decisions import Decision
from controller.core.plan import Plan, plan_of
from controller.core.replicas import threshold_met
from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, MetricResult
from controller.core.snapshot import ReplicaSetSeen, Snapshot
from controller.core.status import RolloutStatus
from controller.manifests.values import EvidenceAction, Metric, Parity

History = Sequence[tuple[float, Snapshot, Decision]]

_BAD = (AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One invariant that did not hold."""

    invariant: int
    t_s: float
    sentence: str
    parity: bool = False  # Argo Rollouts does the same


def breaches(history: History) -> list[Breach]:
    """Return every breach in a history, in the order of time."""
    found: list[Breach] = []
    for now_s, snapshot, decision in history:
        found += _weight_within_step(now_s, snapshot, decision)
        found += _pods_within_step(now_s, snapshot, decision)
        found += _pods_before_traffic(now_s, snapshot, decision)
        found += _no_step_after_failure(now_s, snapshot, decision)
        found += _no_success_without_evidence(now_s, snapshot)
        found += _abort_only_falls(now_s, snapshot, decision)
        found += _once_only(now_s, snapshot, decision)
        found += _abort_comes_first(now_s, snapshot, decision)
    return found


def _asked(decision: Decision) -> SetWeight | None:
    """Return the last weight that a decision asks for: what is in force after it."""
    asked = [action for action in decision.actions if isinstance(action, SetWeight)]
    return asked[-1] if asked else None


def allowed_weight(plan: Plan, status: RolloutStatus) -> int:
    """Return the most traffic that a canary may get at a status.

    At a step that lowers the weight the higher one stands until the step's pods are as wanted.
    """
    if status.promote_full or status.is_fully_promoted or status.step_index is None:
        return plan.total_weight
    index = min(status.step_index, len(plan.steps))
    return max(plan.weight_at[index], plan.weight_before[index])


def _weight_within_step(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    asked = _asked(decision)
    if asked is None:
        return
    plan = plan_of(snapshot.rollout)
    rolls_back = snapshot.status.weights is not None and asked.canary <= snapshot.status.weights.canary
    most = allowed_weight(plan, snapshot.status)
    if asked.canary > most and not rolls_back:
        yield Breach(
            invariant=1,
            t_s=now_s,
            sentence=f"weight {asked.canary} at step {snapshot.status.step_index}, which allows {most}",
        )


def _pods_within_step(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    """Hold the ratio of pods to the step where there is no router: it is the ratio of traffic then.

    No decision may raise the canary's share above what the step allows. Counted are pods as wanted: a share that
    pods change by failing is not a decision's doing.
    """
    asked = {action.pod_hash: action.replicas for action in decision.actions if isinstance(action, ScaleReplicaSet)}
    plan, status = plan_of(snapshot.rollout), snapshot.status
    if not asked or plan.routed or status.stable_hash in ("", snapshot.template_hash):
        return
    before = {seen.pod_hash: seen.wanted for seen in snapshot.replica_sets}
    after = {**before, **asked}
    canary, pods = after.get(snapshot.template_hash, 0), sum(after.values())
    rises = canary * sum(before.values()) > before.get(snapshot.template_hash, 0) * pods
    most = allowed_weight(plan, status)
    if rises and canary * plan.total_weight > most * pods:
        yield Breach(
            invariant=1,
            t_s=now_s,
            sentence=f"the canary is to have {canary} of {pods} pods, {100 * canary / pods:.0f} % of the traffic, "
            f"at step {status.step_index}, which allows {100 * most / plan.total_weight:.0f} %",
            parity=plan.strict,
        )


def _find(snapshot: Snapshot, pod_hash: str) -> ReplicaSetSeen | None:
    for replica_set in snapshot.replica_sets:
        if replica_set.pod_hash == pod_hash:
            return replica_set
    return None


def _can_take(plan: Plan, replica_set: ReplicaSetSeen | None, weight: int) -> bool:
    wanted = weight * plan.replicas // plan.total_weight
    if replica_set is None:
        return wanted == 0
    threshold = plan.canary.replica_progress_threshold
    return replica_set.available >= wanted or (threshold is not None and threshold_met(threshold, replica_set, wanted))


def _pods_before_traffic(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    asked = _asked(decision)
    if asked is None:
        return
    plan = plan_of(snapshot.rollout)
    weights = snapshot.status.weights
    stable_share = asked.total - asked.canary
    if not _can_take(plan, _find(snapshot, asked.stable_hash), stable_share):
        yield Breach(
            invariant=2,
            t_s=now_s,
            sentence=f"stable gets {stable_share} of {asked.total} without the pods for it",
        )
    rises = asked.canary > (weights.canary if weights is not None else 0)
    index = min(snapshot.status.step_index or 0, len(plan.steps))
    canary = _find(snapshot, asked.canary_hash)
    if rises and plan.scale_at[index] is None and not _can_take(plan, canary, asked.canary):
        yield Breach(
            invariant=2,
            t_s=now_s,
            sentence=f"the canary gets {asked.canary} of {asked.total} without the pods for it",
            # Argo gives the last step's weight back to a canary that had lost its pods with the first that returns.
            parity=plan.strict and asked.canary <= plan.weight_before[index],
        )
    if rises and canary is not None and canary.available == 0:
        yield Breach(invariant=2, t_s=now_s, sentence="traffic is sent to a canary without a pod")


def _watched(snapshot: Snapshot) -> Iterator[AnalysisRun]:
    status = snapshot.status
    names = {ref.name for ref in (status.step_run, status.background_run) if ref is not None}
    return (run for run in snapshot.runs if run.name in names)


def _no_step_after_failure(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    before, after = snapshot.status, decision.status
    if before.promote_full or before.current_hash != after.current_hash or before.stable_hash == "":
        return
    if before.controller_pause and not before.pauses:
        return  # a person has just resumed it: the word is recorded by controller.core.operator
    stepped = (after.step_index or 0) > (before.step_index or 0)
    promoted = after.stable_hash != before.stable_hash
    if not stepped and not promoted:
        return
    strict = plan_of(snapshot.rollout).strict
    for run in _watched(snapshot):
        if run.status.phase in _BAD and not (run.step_index is not None and run.step_index < (before.step_index or 0)):
            reached = "promotion" if promoted else f"step {after.step_index}"
            yield Breach(
                invariant=3,
                t_s=now_s,
                sentence=f"{reached} was reached although {run.name} is {run.status.phase}",
                parity=strict and run.status.phase is AnalysisPhase.INCONCLUSIVE,
            )


def _no_success_without_evidence(now_s: float, snapshot: Snapshot) -> Iterator[Breach]:
    for run in snapshot.runs:
        if run.status.phase is not AnalysisPhase.SUCCESSFUL or run.status.completed_s is None:
            continue
        for metric in run.metrics:
            if metric.name not in run.dry_run:
                yield from _unproven(now_s, run, metric, run.status.result(metric.name))


def _unproven(now_s: float, run: AnalysisRun, metric: Metric, result: MetricResult | None) -> Iterator[Breach]:
    strict = metric.evidence.parity is Parity.STRICT
    if result is None or result.successful == 0:
        passes = metric.evidence.on_deadline is EvidenceAction.PASS
        if not passes:
            yield Breach(
                invariant=4,
                t_s=now_s,
                sentence=f"{run.name} is Successful without a successful measurement of {metric.name}",
                parity=strict,
            )
        return
    for measurement in result.measurements:
        if measurement.phase is AnalysisPhase.SUCCESSFUL and _is_missing(measurement):
            if EvidenceAction.PASS in metric.evidence.on_missing.values():
                continue
            yield Breach(
                invariant=4,
                t_s=now_s,
                sentence=f"{metric.name} of {run.name} succeeded on {measurement.value}",
                parity=strict,
            )


def _is_missing(measurement: Measurement) -> bool:
    value = measurement.value
    if value is None or value == ():
        return True
    if isinstance(value, tuple):
        return any(isnan(number) for number in value)
    return isinstance(value, float) and isnan(value)


def _abort_only_falls(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    before, after = snapshot.status, decision.status
    if not (before.abort and after.abort) or before.current_hash != snapshot.template_hash:
        return
    if before.weights is None or after.weights is None:
        return
    if after.weights.canary > before.weights.canary:
        yield Breach(
            invariant=5,
            t_s=now_s,
            sentence=f"the weight rose from {before.weights.canary} to {after.weights.canary} after an abort",
        )
    plan = plan_of(snapshot.rollout)
    asked = _asked(decision)
    falls = asked is not None and asked.canary == 0
    stable = _find(snapshot, before.stable_hash)
    if before.weights.canary > 0 and not falls and _can_take(plan, stable, plan.total_weight):
        yield Breach(
            invariant=5,
            t_s=now_s,
            sentence=f"stable can take all traffic and the aborted canary keeps {before.weights.canary}",
            parity=plan.strict and plan.dynamic,
        )


def _once_only(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    runs = {run.name for run in snapshot.runs}
    known = {replica_set.pod_hash for replica_set in snapshot.replica_sets}
    for action in decision.actions:
        if isinstance(action, StartAnalysis) and action.run.name in runs:
            yield Breach(invariant=6, t_s=now_s, sentence=f"{action.run.name} was started twice")
        if isinstance(action, CreateReplicaSet) and action.pod_hash in known:
            yield Breach(invariant=6, t_s=now_s, sentence=f"{action.pod_hash} was created twice")


def _abort_comes_first(now_s: float, snapshot: Snapshot, decision: Decision) -> Iterator[Breach]:
    before, after = snapshot.status, decision.status
    if not after.abort or before.weights is None or before.weights.canary == 0:
        return
    plan = plan_of(snapshot.rollout)
    if not _can_take(plan, _find(snapshot, before.stable_hash), plan.total_weight):
        return
    first = decision.actions[0] if decision.actions else None
    if not isinstance(first, SetWeight):
        yield Breach(
            invariant=7,
            t_s=now_s,
            sentence=f"an abort begins with {type(first).__name__} while the canary has {before.weights.canary}",
            parity=plan.strict and plan.dynamic,
        )


def at_rest(decision: Decision, now_s: float) -> bool:
    """Return whether nothing is left to do but to wait: invariant 6 asks that this comes once faults stop."""
    return (
        not decision.changed
        and not decision.actions
        and (decision.look_again_s is None or decision.look_again_s > now_s)
    )

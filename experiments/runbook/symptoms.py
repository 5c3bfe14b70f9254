"""From what is seen to what to do: only rows that can happen to this rollout."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.plan import Plan
from controller.manifests.policies import Policy
from experiments.runbook.commands import Target
from experiments.runbook.journey import StepLine, time_text
from experiments.runbook.markdown import code
from experiments.runbook.metrics import may_be_inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One row of the table; Markdown."""

    seen: str
    means: str
    do: str


def symptoms(policy: Policy, plan: Plan, target: Target, steps: tuple[StepLine, ...]) -> tuple[Symptom, ...]:
    """Return the rows, those that hurt users first."""
    abort, promote, retry = (code(target.gamebird(word)) for word in ("abort", "promote", "retry"))
    undo, full, resume = (
        code(target.gamebird("undo")),
        code(target.gamebird("promote", "--full")),
        code(target.gamebird("resume")),
    )
    rows = [
        Symptom(
            seen="Users see errors or slowness, and the canary has weight",
            means="the release, until something else is proven",
            do=f"{abort}; look afterwards",
        ),
        Symptom(
            seen="Users see errors or slowness, phase `Healthy`",
            means="the newest revision is promoted; an abort moves nothing",
            do=f"{undo}, then {full}",
        ),
    ]
    waiting = [str(step.number) for step in steps if step.waits_for_person]
    if waiting:
        rows.append(
            Symptom(
                seen=f"`Paused`, `CanaryPauseStep`, at step {' or '.join(waiting)}",
                means="it waits for a person, for ever",
                do=f"look, then {promote} or {abort}",
            )
        )
    rows.append(
        Symptom(
            seen="`Paused`, `manually paused`",
            means="somebody said `pause`; `describe` shows who, if it was by `gamebird rollout`",
            do=resume,
        )
    )
    rows += _of_analysis(policy, abort, promote, retry)
    rows += [
        _stuck(policy, plan, abort),
        Symptom(
            seen="`Degraded`, `InvalidSpec`",
            means="the spec, or what it names (a template, a Service, an Ingress), is wrong or missing; nothing moves",
            do="read the message; put right or revert the manifests",
        ),
    ]
    return tuple(rows)


def _of_analysis(policy: Policy, abort: str, promote: str, retry: str) -> list[Symptom]:
    if not policy.analyses:
        return []
    metrics = [metric for item in policy.analyses for metric in item.resolved.metrics]
    rows = [
        Symptom(
            seen="`Degraded`, `RolloutAborted`, the message says `failed (…) > failureLimit`",
            means="the analysis has measured a bad release; users are on stable, or on their way",
            do="leave it; find the cause in the canary's pods and series; a fixed release begins by itself with its "
            "apply",
        ),
        Symptom(
            seen="`Degraded`, `RolloutAborted`, the message says `consecutiveErrors`",
            means="its questions were not answered, or the answers were empty; the release may be good",
            do=f"mend what is asked, then {retry}",
        ),
    ]
    if may_be_inconclusive(policy):
        rows.append(
            Symptom(
                seen="`Paused`, `InconclusiveAnalysisRun`",
                means="the analysis could not tell good from bad, and waits for a person",
                do=f"look at the metrics, then {promote} or {abort}",
            )
        )
    if any(metric.evidence.requests_min for metric in metrics):
        rows.append(
            Symptom(
                seen="An analysis goes on longer than it should, its measurements say `too few`",
                means="fewer requests than the floor; it waits for more",
                do="let it wait, or send traffic; its deadline stands with the metric below",
            )
        )
    return rows


def _stuck(policy: Policy, plan: Plan, abort: str) -> Symptom:
    deadline = time_text(policy.rollout.progress_deadline_s)
    then = (
        "it aborts by itself"
        if policy.rollout.progress_deadline_abort
        else "it says so, and **does not abort by itself**"
    )
    return Symptom(
        seen="`Progressing` for long, or `Degraded` with `ProgressDeadlineExceeded`",
        means=f"pods do not become ready; after {deadline} without progress at a step that neither pauses nor "
        f"measures {then}",
        do=f"look at the pods' events; {abort} if the canary cannot start",
    )

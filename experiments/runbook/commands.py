"""What a person can say to the rollout: the commands, filled in, and what becomes of traffic, pods and the steps.

Both command lines make the same edits, so each word has both. Effects follow the decision core: `operator` in
`controller.core` for what a word edits; `pauses`, `weights`, `scaling` and `promotion` for what comes of it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from controller.core.plan import Plan
from controller.core.scaling import RESYNC_S
from controller.manifests.policies import Policy
from experiments.runbook.journey import StepLine
from experiments.runbook.metrics import may_be_inconclusive
from promql.syntax.printing import duration_text

_WHERE_USERS_ARE = {
    True: "although users are on stable: that is what an abort looks like",
    False: "and stays so when all users are back on stable: look at the weight and the pods, not at the phase",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that a person can do.

    Attributes:
        lines: the commands that do it, either of them; the first is Gamebird's.
        effects: what it does and what follows, one sentence or two each, Markdown.
    """

    title: str
    lines: tuple[str, ...]
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The rollout that commands name."""

    name: str
    namespace: str

    def gamebird(self, word: str, *options: str) -> str:
        return shlex.join(["gamebird", "rollout", word, self.name, "-n", self.namespace, *options])

    def argo(self, words: str, *options: str) -> str:
        return shlex.join(["kubectl", "argo", "rollouts", *words.split(), self.name, "-n", self.namespace, *options])

    def kubectl(self, words: str, *options: str) -> str:
        return shlex.join(["kubectl", *words.split(), self.name, "-n", self.namespace, *options])


def looking(target: Target) -> tuple[str, ...]:
    """Return the commands that show where the rollout stands."""
    return (
        target.gamebird("status", "--watch"),
        target.argo("get rollout", "--watch"),
        target.kubectl("describe rollouts.argoproj.io"),
        shlex.join(["kubectl", "get", "analysisruns.argoproj.io", "-n", target.namespace]) + f" | grep {target.name}-",
    )


def words(
    target: Target, policy: Policy, plan: Plan, steps: tuple[StepLine, ...], shortest: str
) -> tuple[Command, ...]:
    """Return what a person can do, the most urgent first."""
    return (
        _both(target, "Abort: everybody back to stable", "abort", abort_effects(plan)),
        _pause(target, plan),
        Command(
            title="Resume after such a pause",
            lines=(
                target.gamebird("resume"),
                target.kubectl("patch rollouts.argoproj.io", "--type", "merge", "-p", '{"spec":{"paused":false}}'),
            ),
            effects=(
                "The steps go on where they stood. A timed pause's clock has gone on meanwhile.",
                "`promote` would resume, too, and skip the pause or the step on top of it.",
            ),
        ),
        _both(target, "Promote: go on by one step", "promote", _promote_effects(policy, steps)),
        _both(target, "Promote fully: skip all that is left", "promote", _full_effects(plan), "--full"),
        _both(target, "Retry after an abort", "retry", _retry_effects(shortest), argo="retry rollout"),
        _both(target, "Undo: the pod template of the revision before", "undo", _undo_effects(plan)),
        _both(target, "Restart every pod of the same revisions", "restart", _restart_effects(plan)),
    )


def _both(
    target: Target, title: str, word: str, effects: tuple[str, ...], *options: str, argo: str | None = None
) -> Command:
    lines = (target.gamebird(word, *options), target.argo(argo or word, *options))
    return Command(title=title, lines=lines, effects=effects)


def _pause(target: Target, plan: Plan) -> Command:
    effects = ["No further step begins, and nothing is scaled. An analysis that runs goes on, and may still abort."]
    if plan.weighted and not plan.dynamic:
        effects.append("An abort still moves all traffic to stable; the canary's pods then stay until a resume.")
    else:
        why = "the ratio of pods makes the weight" if not plan.weighted else "stable has given up pods"
        effects.append(
            f"**Nothing is scaled while it is paused by hand, and {why} here: an abort then brings traffic back only "
            "after a resume**, whatever the phase says. To get users off the canary, abort and resume."
        )
    return _both(target, "Pause: let no further step begin", "pause", tuple(effects))


def abort_effects(plan: Plan) -> tuple[str, ...]:
    """Return what an abort does to traffic and pods, and what the next apply makes of it."""
    return (
        *_abort_traffic(plan),
        *_abort_pods(plan),
        f"The phase is `Degraded` (`RolloutAborted`) at once, {_WHERE_USERS_ARE[plan.weighted and not plan.dynamic]}.",
        "Applying the same manifests again does **not** retry it. Another pod template or other steps begin again "
        "with the first step; stable's own pod template takes no steps and makes it Healthy.",
        "Once the newest revision is promoted, an abort moves nothing any more: undo.",
        *(
            ("An abort does not stop a full promotion (`promote --full`) that is under way: undo instead.",)
            if plan.strict
            else ()
        ),
    )


def _abort_traffic(plan: Plan) -> tuple[str, ...]:
    if not plan.weighted:
        return (
            "There is no traffic router: traffic follows the pods. The canary's pods go and stable's come back a few "
            f"at a time (at most {plan.surge} more and {plan.unavailable} fewer than {plan.replicas}), so **some "
            "users stay on the canary until its last pod is gone**.",
        )
    if not plan.dynamic:
        return (
            f"The router gives the canary a weight of 0 at once. Stable has kept its {plan.replicas} pods all along "
            "and can take the traffic at once, as long as they are available.",
        )
    if plan.strict:
        return (
            "Stable has given up pods (`dynamicStableScale`), so **the weight goes down in the steps' weights as "
            "stable's pods come back**: it takes as long as they take to start.",
        )
    return (
        "Stable has given up pods (`dynamicStableScale`): the weight goes down as its pods come back, and to 0 as "
        "soon as they can take all traffic. It takes as long as they take to start.",
    )


def _abort_pods(plan: Plan) -> tuple[str, ...]:
    if not plan.routed:
        return ()
    if plan.abort_delay_s is None:
        first = plan.steps[0].set_canary_scale if plan.steps else None
        if first is not None and first.replicas is not None:
            return (
                f"`abortScaleDownDelaySeconds` is 0: the canary keeps the {first.replicas} pods of the first step's "
                "scale.",
            )
        return ("`abortScaleDownDelaySeconds` is 0: the canary's pods end with the weight; copy their logs before.",)
    if plan.dynamic and not plan.abort_delay_explicit:
        return ("The canary's pods end as its weight goes down.",)
    if plan.strict and plan.abort_delay_s >= RESYNC_S:
        return (
            f"The canary's pods end at once: a delay of {duration_text(plan.abort_delay_s)} is over the 15 minutes "
            "for which it is kept to.",
        )
    written = "" if plan.abort_delay_explicit else ", the default of `abortScaleDownDelaySeconds`"
    return (
        f"The canary's pods stay for {duration_text(plan.abort_delay_s)} after stable is whole (time for their "
        f"logs{written}), then they end.",
    )


def _promote_effects(policy: Policy, steps: tuple[StepLine, ...]) -> tuple[str, ...]:
    people = [str(step.number) for step in steps if step.waits_for_person]
    waits = f" (nothing else ends the one of step {', '.join(people)})" if people else ""
    said = [
        f"At a pause it ends the pause{waits}.",
        "**Outside a pause it skips the step that is running**, an analysis, too.",
    ]
    kinds = {item.step_index is None for item in policy.analyses}
    if may_be_inconclusive(policy) and False in kinds:
        said.append(
            "After a step's analysis that was Inconclusive it goes past that step: by then a person has looked."
        )
    if may_be_inconclusive(policy) and True in kinds:
        said.append("After an Inconclusive analysis beside the steps it goes on, and that analysis begins anew.")
    return (*said, "After an abort it does nothing: retry.")


def _full_effects(plan: Plan) -> tuple[str, ...]:
    traffic = (
        "The weight stays until all the canary's pods are available, then all traffic goes to the new revision."
        if plan.weighted and not plan.dynamic
        else "The canary grows to all pods, and traffic goes with them."
    )
    return (
        "**No further step, pause or analysis is waited for**; an analysis that runs is stopped. It lifts an abort.",
        traffic,
        *old_pods(plan),
    )


def old_pods(plan: Plan) -> tuple[str, ...]:
    """Return what becomes of the old stable's pods after a promotion."""
    if not plan.routed or plan.dynamic:
        return ()
    if plan.scale_down_delay_s > 0:
        delay = duration_text(plan.scale_down_delay_s)
        return (
            f"After a promotion the old revision's pods stay for {delay} (`scaleDownDelaySeconds`), then they end: "
            "until then going back is quickest.",
        )
    if plan.strict:
        return (
            "`scaleDownDelaySeconds` is 0: after a promotion the old revision's pods stay until somebody scales them "
            "down.",
        )
    return ("`scaleDownDelaySeconds` is 0: after a promotion the old revision's pods end at once.",)


def _retry_effects(shortest: str) -> tuple[str, ...]:
    return (
        f"The same revision begins again with its first step; it takes {shortest} at least.",
        "For when something other than the release was the cause (Prometheus, a dependency): a bad release fails "
        "again.",
    )


def _undo_effects(plan: Plan) -> tuple[str, ...]:
    window = plan.rollout.rollback_window_revisions
    return (
        "While the newest revision is not promoted (also after an abort), the one before it is usually stable: its "
        "template takes no steps and no analysis, and the rollout is Healthy again.",
        "**After the promotion the revision before is a new canary: it takes all steps"
        + (f", unless it is at most {window} revisions back (`rollbackWindow`)" if window else "")
        + "**. To be quicker, promote it fully after the undo.",
        "`--to-revision N` (both command lines) names another one.",
        "The manifests in the repository still hold the release: **the next apply of them begins it again.** Revert "
        "there, too.",
        *(
            (
                f"It changes the {plan.rollout.workload_ref.kind} `{plan.rollout.workload_ref.name}`, whose pod "
                "template this rollout follows.",
            )
            if plan.rollout.workload_ref is not None
            else ()
        ),
    )


def _restart_effects(plan: Plan) -> tuple[str, ...]:
    at_once = max(plan.unavailable, 1)
    return (
        f"Pods older than the command are ended, {at_once} at a time, stable's first, and come back with the same "
        "template.",
        "Neither weight nor step changes.",
    )

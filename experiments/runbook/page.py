"""The page itself: one rollout's policy in, Markdown out. Equal manifests give equal bytes.

What Argo Rollouts does not read (Gamebird's annotations) is taken out first where Argo is the controller, so that
every other module can ask the policy alone what is true.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from controller.core.plan import Plan, make_plan
from controller.manifests.policies import Policy, PolicyAnalysis
from controller.manifests.values import EvidenceRules, Extensions
from experiments.runbook import commands, journey, markdown, outages, switches
from experiments.runbook import symptoms as symptom_rows
from experiments.runbook.metrics import NEWEST, STABLE, metric_parts

ControllerName = Literal["gamebird", "argo"]
DASHBOARDS = "gamebird.dev/dashboards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, beside the manifests."""

    namespace: str
    controller: ControllerName
    files: Sequence[str]  # as they were typed, for the line that makes the page again


def page(policy: Policy, asked: Asked) -> str:
    """Return the page, without the marker of its end."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if asked.controller == "argo":
        policy = _as_argo_sees(policy)
    rollout = policy.rollout
    plan = make_plan(rollout)
    target = commands.Target(name=rollout.name, namespace=asked.namespace)
    steps = journey.step_lines(policy, plan)
    shortest = journey.shortest(policy)
    parts = metric_parts(policy)
    environment = Environment(
        loader=PackageLoader("experiments.runbook"),
        autoescape=False,  # Markdown, whose texts `markdown` has made harmless
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["md"] = markdown
    return environment.get_template("runbook.md.j2").render(
        target=target,
        plan=plan,
        rollout=rollout,
        promises=rollout.extensions.promises,
        dashboards=dashboards(policy),
        steps=steps,
        people=[step.number for step in steps if step.waits_for_person],
        shortest=shortest,
        background=_background(policy),
        traffic=_traffic(plan),
        has_autoscaler=policy.autoscaler is not None,
        metrics=parts,
        hashes=_hashes(target) if any(_holds_hash(part.query, *part.facts) for part in parts) else "",
        looking="\n".join(commands.looking(target)),
        words=commands.words(target, policy, plan, steps, shortest),
        old_pods=commands.old_pods(plan),
        switches=switches.switch_blocks(rollout, shortest),
        outages=outages.outage_lines(policy),
        symptoms=symptom_rows.symptoms(policy, plan, target, steps),
        argo=asked.controller == "argo",
        again=again(asked),
    )


def again(asked: Asked) -> str:
    """Return the command that makes the page again; where it is written to is the reader's to say."""
    words = ["gamebird", "runbook", *asked.files, "-n", asked.namespace, "--controller", asked.controller]
    return shlex.join(words) + " --to FILE"


def dashboards(policy: Policy) -> tuple[str, ...]:
    """Return what the annotation names: URLs or titles with commas or lines between them."""
    text = policy.rollout.annotations.get(DASHBOARDS, "")
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def _as_argo_sees(policy: Policy) -> Policy:
    rollout = policy.rollout
    plain = Extensions(promises=rollout.extensions.promises)
    return replace(
        policy,
        rollout=replace(rollout, extensions=plain),
        templates=tuple(replace(template, extensions=Extensions()) for template in policy.templates),
        analyses=tuple(_without_rules(item) for item in policy.analyses),
    )


def _without_rules(item: PolicyAnalysis) -> PolicyAnalysis:
    metrics = tuple(replace(metric, evidence=EvidenceRules()) for metric in item.resolved.metrics)
    return replace(item, resolved=replace(item.resolved, metrics=metrics))


def _background(policy: Policy) -> str:
    background = policy.rollout.strategy.analysis
    if background is None:
        return ""
    names = [
        markdown.code_outside_tables(metric.name)
        for item in policy.analyses
        if item.step_index is None
        for metric in item.resolved.metrics
    ]
    since = f"from step {background.starting_step + 1} on" if background.starting_step else "from the first step on"
    return f"Beside the steps, {since}, it measures {', '.join(names)}: a bad verdict aborts at any step."


def _traffic(plan: Plan) -> str:
    if not plan.weighted:
        return "There is no traffic router: the ratio of pods is the ratio of traffic."
    routing = plan.canary.traffic_routing
    routers = ", ".join(routing.routers) if routing is not None else ""
    stable = "gives up pods as the canary grows" if plan.dynamic else f"keeps its {plan.replicas} pods until the end"
    return f"Traffic is split by {markdown.code_outside_tables(routers)}; stable {stable}."


def _holds_hash(*texts: str) -> bool:
    return any(NEWEST in text or STABLE in text for text in texts)


def _hashes(target: commands.Target) -> str:
    return "\n".join(
        f"{target.kubectl('get rollouts.argoproj.io', '-o', f'jsonpath={{.status.{field}}}')}  # {name}"
        for field, name in (("currentPodHash", NEWEST), ("stableRS", STABLE))
    )

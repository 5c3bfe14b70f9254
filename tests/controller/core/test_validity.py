"""What is wrong with a spec, in the words of Argo Rollouts (main branch, August 2026)."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.validity import fault_of
from controller.manifests import values as v

UP = v.PrometheusProvider(address="http://p", query="up")
STEP = "spec.strategy.canary.steps[0].analysis.templates"
BACKGROUND = "spec.strategy.canary.analysis.templates"
NOT_BOTH_ZERO = "MaxSurge and MaxUnavailable both can not be zero"
ZERO, ZERO_PERCENT = v.Amount(number=0), v.Amount(number=0, percent=True)


def metric(name: str = "a", **fields: Any) -> v.MetricTemplate:
    return v.MetricTemplate(name=name, **{"provider": UP, **fields})


def template(name: str, *metrics: v.MetricTemplate, args: dict[str, str | None] | None = None, **fields: Any):
    given = tuple(v.TemplateArg(name=arg, value=value) for arg, value in (args or {}).items())
    return v.AnalysisTemplate(name=name, metrics=metrics or (metric(),), args=given, **fields)


def refs(*names: str) -> tuple[v.TemplateRef, ...]:
    return tuple(v.TemplateRef(name=name) for name in names)


def analysis(*names: str, **fields: Any) -> v.RolloutAnalysis:
    return v.RolloutAnalysis(templates=refs(*names), **fields)


def rollout(*steps: v.RolloutAnalysis, background: v.RolloutAnalysis | None = None) -> v.Rollout:
    canary = v.CanaryStrategy(
        steps=tuple(v.Step(analysis=step) for step in steps),
        analysis=None if background is None else v.BackgroundAnalysis(analysis=background),
    )
    return v.Rollout(name="shop", strategy=canary)


SMI = v.TrafficRouting(smi=v.SmiRouting())


@pytest.mark.parametrize(
    ("canary", "fault"),
    [
        ({"max_surge": ZERO, "max_unavailable": ZERO_PERCENT}, f"maxSurge: Invalid value: 0: {NOT_BOTH_ZERO}"),
        ({"max_surge": ZERO_PERCENT, "max_unavailable": ZERO}, f'maxSurge: Invalid value: "0%": {NOT_BOTH_ZERO}'),
        (
            {"canary_service": "canary", "stable_service": "canary"},
            'stableService: Invalid value: "canary": This rollout uses the same service for the stable and canary '
            "services, but two different services are required.",
        ),
        (
            {"scale_down_delay_s": 5.0},
            "scaleDownDelaySeconds: Invalid value: 5: Canary scaleDownDelaySeconds can only be used with "
            "traffic routing",
        ),
        (
            {"dynamic_stable_scale": True},
            "dynamicStableScale: Invalid value: true: Canary dynamicStableScale can only be used with traffic routing",
        ),
        (
            {"dynamic_stable_scale": True, "scale_down_delay_s": 5.0, "traffic_routing": SMI},
            "dynamicStableScale: Invalid value: true: Canary dynamicStableScale cannot be used with "
            "scaleDownDelaySeconds",
        ),
    ],
)
def test_a_fault_of_the_strategy_is_told_without_canary_in_its_path(canary: dict[str, Any], fault: str) -> None:
    assert fault_of(v.Rollout(name="shop", strategy=v.CanaryStrategy(**canary)), ()) == f"spec.strategy.{fault}"


def test_a_deadline_has_to_be_longer_than_pods_need_to_count_as_available() -> None:
    short = v.Rollout(name="shop", progress_deadline_s=5.0, min_ready_s=9.0)
    assert fault_of(short, ()) == (
        "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"
    )


ENDLESS = metric(interval="5s")
SAME_NAME = "two metrics have the same name 'a'"
RUNS_ON = "AnalysisTemplate t has metric a which runs indefinitely. Invalid value for count: "
BOTH = v.TemplateArg(name="n", value="1", value_from=v.SecretKeyRef(name="s", key="k"))


@pytest.mark.parametrize(
    ("asked", "templates", "fault"),
    [
        # Names come before what templates hold, also where a step before is at fault.
        (rollout(analysis("x"), background=analysis("y")), [], f"{STEP}: \"x\": AnalysisTemplate 'x' not found"),
        (
            rollout(analysis("t"), analysis("x")),
            [template("t", ENDLESS)],
            "spec.strategy.canary.steps[1].analysis.templates: \"x\": AnalysisTemplate 'x' not found",
        ),
        (
            rollout(analysis("t")),
            [template("t", templates=refs("n"))],
            "spec.templates: \"n\": AnalysisTemplate 'n' not found",
        ),
        (
            rollout(analysis("t", "u")),
            [template("t"), template("u")],
            f'{STEP}: "templateNames: [t u]": {SAME_NAME}',
        ),
        # A template that is only named by another stands among the names, too.
        (
            rollout(analysis("t")),
            [template("t", templates=refs("u")), template("u")],
            f'{STEP}: "templateNames: [t u]": {SAME_NAME}',
        ),
        (rollout(analysis("t")), [template("t", ENDLESS)], f'{STEP}: "t": {RUNS_ON}<nil>'),
        (rollout(analysis("t")), [template("t", metric(interval="5s", count=0))], f'{STEP}: "t": {RUNS_ON}0'),
        # Each template of a step is tried alone, with a stand-in for what the rollout would give.
        (
            rollout(analysis("t", args=(v.RolloutArg(name="n", value="3"),))),
            [template("t", metric(interval="5s", count="{{args.n}}"), args={"n": None})],
            f'{STEP}: "t": {RUNS_ON}dummy-value',
        ),
        (
            rollout(analysis("t")),
            [template("t", args={"n": None})],
            f'{STEP}: "templateNames: [t]": args.n was not resolved',
        ),
        (
            rollout(analysis("t", "u")),
            [template("t", args={"n": "1"}), template("u", metric("b"), args={"n": "2"})],
            f"{STEP}: \"templateNames: [t u]\": Argument `n` specified multiple times with different values: '1', '2'",
        ),
        (
            rollout(analysis("t")),
            [v.AnalysisTemplate(name="t", metrics=(metric(),), args=(BOTH,))],
            f"{STEP}: \"t\": AnalysisTemplate t: arg 'n' has both Value and ValueFrom fields",
        ),
        (
            rollout(analysis("t")),
            [template("t", metric(success_condition="{{args.q}}"))],
            f'{STEP}: "t": AnalysisTemplate t: failed to resolve {{{{args.q}}}}',
        ),
        # The background's templates are asked one by one for the arguments that they need.
        (
            rollout(background=analysis("t", "u")),
            [template("t", args={"n": None}), template("u", metric("b"), args={"n": "1"})],
            f'{BACKGROUND}: "t": missing analysis arguments in rollout spec',
        ),
        (
            rollout(background=analysis("t", "u", args=(v.RolloutArg(name="z", value="1"),))),
            [template("t", args={"n": None}), template("u", metric("b"), args={"n": "1"})],
            f'{BACKGROUND}: "t": n',
        ),
        # The rules of a step are tried on the background's templates as well.
        (
            rollout(analysis("t", dry_run=("a",)), background=analysis("u")),
            [template("t"), template("u", metric("b"), dry_run=("a",))],
            f"{BACKGROUND}: \"templateNames: [u]\": two Dry-Run metric rules have the same name 'a'",
        ),
    ],
)
def test_a_fault_of_an_analysis_is_told_as_argo_tells_it(asked: v.Rollout, templates: list[Any], fault: str) -> None:
    field, _, rest = fault.partition(": ")
    assert fault_of(asked, tuple(templates)) == f"{field}: Invalid value: {rest}"


def test_a_field_that_is_not_there_is_found_out_only_when_a_run_begins() -> None:
    arg = v.RolloutArg(name="n", value_from=v.FieldRef(path="spec.no"))
    assert fault_of(rollout(analysis("t", args=(arg,))), (template("t", args={"n": None}),)) == ""


def test_templates_that_name_each_other_in_a_circle_are_no_fault() -> None:
    circle = (template("t", templates=refs("u")), template("u", metric("b"), templates=refs("t")))
    assert fault_of(rollout(analysis("t")), circle) == ""

"""A HorizontalPodAutoscaler among the manifests becomes the model's, or is refused by the field that it lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.autoscalers import AutoscalerError, with_autoscaler
from sim.engines import Flock
from sim.releases import Release
from sim.scenarios import Autoscaler, Scenario
from sim.simulating import simulate

CPU = "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]"


@pytest.fixture
def policy_with(root: Path, tmp_path: Path) -> Callable[[str], Policy]:
    """Return the short policy with an autoscaler whose spec has these lines too."""

    def make(more: str) -> Policy:
        file = tmp_path / "autoscaler.yaml"
        file.write_text(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: short}\nspec:\n"
            "  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: short}\n"
            f"  minReplicas: 3\n  maxReplicas: 8\n  {more}\n"
        )
        folder = root / "examples" / "short-policy"
        return load([folder / "rollout.yaml", folder / "analysis-template.yaml", file]).policy()

    return make


def autoscaler(policy: Policy) -> Autoscaler | None:
    return with_autoscaler(policy, Scenario(traffic=Traffic(rps=10.0))).autoscaler


def test_bounds_and_target_are_the_manifests_and_the_rest_is_what_kubernetes_does(
    policy_with: Callable[[str], Policy],
) -> None:
    assert autoscaler(policy_with(CPU)) == Autoscaler(min_replicas=3, max_replicas=8, target_utilisation=0.6)
    assert autoscaler(policy_with("")) == Autoscaler(min_replicas=3, max_replicas=8, target_utilisation=0.8)


def test_windows_and_policies_are_the_manifests(policy_with: Callable[[str], Policy]) -> None:
    rules = (
        "behavior: {scaleUp: {stabilizationWindowSeconds: 30, policies: [{type: Pods, value: 2, periodSeconds: 60}]}, "
        "scaleDown: {stabilizationWindowSeconds: 120, policies: [{type: Percent, value: 25, periodSeconds: 60}]}}"
    )
    assert autoscaler(policy_with(rules)) == Autoscaler(
        min_replicas=3,
        max_replicas=8,
        target_utilisation=0.8,
        scale_up_window_s=30.0,
        scale_up_pods=2,
        scale_up_percent=1,  # the larger limit holds: never more than the one pod that any percentage allows
        scale_down_window_s=120.0,
        scale_down_percent=25,
        period_s=60.0,
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (CPU.replace("cpu", "memory"), "spec.metrics is on memory; the simulator needs the one resource metric cpu"),
        (
            "metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 500m}}}]",
            "spec.metrics[0].resource.target is an averageValue (500m)",
        ),
        ("behavior: {scaleDown: {selectPolicy: Disabled}}", "spec.behavior.scaleDown.selectPolicy is Disabled"),
        (
            "behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 15}]}}",
            "spec.behavior.scaleDown.policies is of type Pods",
        ),
        (
            "behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 15}, "
            "{type: Percent, value: 50, periodSeconds: 60}]}}",
            "spec.behavior is of policies of 15 and 60 seconds",
        ),
    ],
)
def test_what_the_model_cannot_follow_is_refused_by_its_field(
    policy_with: Callable[[str], Policy], more: str, words: str
) -> None:
    with pytest.raises(AutoscalerError) as caught:
        autoscaler(policy_with(more))
    assert f"HorizontalPodAutoscaler short: {words}" in str(caught.value)


def test_a_scenario_that_brings_an_autoscaler_keeps_it(policy_with: Callable[[str], Policy]) -> None:
    own = Scenario(traffic=Traffic(rps=10.0), autoscaler=Autoscaler(max_replicas=5))
    assert with_autoscaler(policy_with(CPU), own) is own


def test_a_simulation_of_the_files_scales_and_says_by_what(policy_with: Callable[[str], Policy]) -> None:
    """400 requests/s at 10 ms of CPU are 4 cores: 4 / 0.6 = 6.67, so seven pods where the Rollout says four."""
    scenario = Scenario(name="busy", kind="good", traffic=Traffic(rps=400.0), release=Release(), deploy_s=60.0)
    result = simulate(policy_with(CPU), [scenario], engine=Flock(workers=1, cohorts=2), runs=10, seed=1)
    assert result.releases[0].scenario.autoscaler is not None
    assert "the HorizontalPodAutoscaler short chooses the number of pods" in result.sentences[-1]

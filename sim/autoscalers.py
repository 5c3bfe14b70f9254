"""A team's own HorizontalPodAutoscaler, as the model's: what the manifest says, or an error that names what it lacks.

The model's autoscaler follows CPU utilisation by Kubernetes' algorithm. What a request costs in CPU is no manifest's to
say: it is the scenario's `service.cpu_s_per_request`, and reports say so.
"""

from __future__ import annotations

from controller.manifests.policies import Policy
from controller.manifests.values import HorizontalPodAutoscaler
from controller.manifests.values.platform import ScalingRules
from sim.scenarios import Autoscaler, Scenario

CPU_PERCENT = 80
"""What Kubernetes takes where an autoscaler names no metric."""


class AutoscalerError(ValueError):
    """An autoscaler that the model does not play: what was found, and what would do."""


def with_autoscaler(policy: Policy, scenario: Scenario) -> Scenario:
    """Return the scenario with the policy's own autoscaler; as it is if it has one, or if there is none.

    Raises:
        AutoscalerError: the manifest scales by something that the model does not know.
    """
    if policy.autoscaler is None or scenario.autoscaler is not None:
        return scenario
    return scenario.model_copy(update={"autoscaler": autoscaler_of(policy.autoscaler)})


def autoscaler_of(manifest: HorizontalPodAutoscaler) -> Autoscaler:
    """Return the model's autoscaler that behaves as this manifest says.

    Raises:
        AutoscalerError: as above.
    """
    up, down = _rules(manifest, manifest.scale_up, "scaleUp"), _rules(manifest, manifest.scale_down, "scaleDown")
    if any(not policy.percent for policy in down.policies):
        raise _error(manifest, "behavior.scaleDown.policies", "of type Pods", "type Percent")
    found: dict[str, float] = {
        "min_replicas": manifest.replicas_min,
        "max_replicas": manifest.replicas_max,
        "target_utilisation": _cpu_percent(manifest) / 100,
    }
    if up.policies:
        ups = {policy.percent: policy.value for policy in up.policies}
        # The larger limit holds, so that of the type which is not named is the least there is: one pod, which any
        # percentage allows too, because Kubernetes rounds it up.
        found |= {"scale_up_percent": ups.get(True, 1), "scale_up_pods": ups.get(False, 1)}
    if down.policies:
        found["scale_down_percent"] = down.policies[0].value
    if up.stabilization_s is not None:
        found["scale_up_window_s"] = up.stabilization_s
    if down.stabilization_s is not None:
        found["scale_down_window_s"] = down.stabilization_s
    return Autoscaler.model_validate({**found, **_period(manifest)})


def _period(manifest: HorizontalPodAutoscaler) -> dict[str, float]:
    policies = (*manifest.scale_up.policies, *manifest.scale_down.policies)
    periods = {policy.period_s for policy in policies}
    if len(periods) > 1:
        said = " and ".join(f"{period_s:g}" for period_s in sorted(periods))
        raise _error(manifest, "behavior", f"of policies of {said} seconds", "one periodSeconds for all policies")
    return {"period_s": periods.pop()} if periods else {}


def _cpu_percent(manifest: HorizontalPodAutoscaler) -> int:
    if not manifest.resources:
        return CPU_PERCENT
    if len(manifest.resources) > 1 or manifest.resources[0].resource != "cpu":
        said = " and ".join(one.resource for one in manifest.resources)
        raise _error(manifest, "metrics", f"on {said}", "the one resource metric cpu")
    percent = manifest.resources[0].utilization_percent
    if percent is None:
        said = f"an averageValue ({manifest.resources[0].average_value})"
        raise _error(manifest, "metrics[0].resource.target", said, "averageUtilization")
    return percent


def _rules(manifest: HorizontalPodAutoscaler, rules: ScalingRules, direction: str) -> ScalingRules:
    """Return the rules of one direction, if the model can follow them."""
    place = f"behavior.{direction}"
    if rules.select_policy == "Disabled":
        raise _error(manifest, f"{place}.selectPolicy", "Disabled", "Max")
    if rules.select_policy == "Min" and len(rules.policies) > 1:
        raise _error(manifest, f"{place}.selectPolicy", "Min of several policies", "Max, or one policy")
    if len({policy.percent for policy in rules.policies}) < len(rules.policies):
        raise _error(manifest, f"{place}.policies", "two of one type", "one of each type")
    return rules


def _error(manifest: HorizontalPodAutoscaler, field: str, found: str, need: str) -> AutoscalerError:
    return AutoscalerError(
        f"HorizontalPodAutoscaler {manifest.name}: spec.{field} is {found}; the simulator needs {need}. Leave the "
        "manifest out to simulate the Rollout's own replicas"
    )

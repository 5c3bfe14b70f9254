"""A policy made ready to be driven: the stable revision up and healthy, the release at hand, the bounds worked out.

Made once for a policy and a scenario and shared by all runs. The stable revision is brought up by the core itself, on
pods that are ready at once, so a run begins with the status that the policy's own rules have left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.core.decisions import decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.status import RolloutStatus
from controller.manifests.policies import Policy
from controller.manifests.values import Metric, PodTemplate, PrometheusProvider, Rollout
from promql.syntax import PromQLSyntaxError, longest_window_s, parse
from sim.platform.demands import Demands
from sim.platform.sizing import first_size
from sim.scenarios import Scenario

DEPLOY_MIN_S = 300.0
BOUND_MIN_S = 3_600.0
BOUND_FACTOR = 3.0
LOOKS_MAX = 200
_BEFORE_S = -86_400.0  # when stable was deployed: a day ago
_STABLE = PodTemplate(canonical='{"revision":"stable"}')
_RELEASE = PodTemplate(canonical='{"revision":"release"}')


class DrivingError(ValueError):
    """A policy that cannot be driven: what was found, and what would do."""


@dataclass(slots=True, kw_only=True, eq=False)
class Deployment:
    """One release of one policy, about to be deployed. Nothing here changes but the cache of sizes.

    Attributes:
        before: the spec of the stable revision.
        release: the spec to be deployed.
        status, ledger: of stable, healthy; a driver copies the ledger.
        deploy_s, bound_s: both count from the first request.
    """

    policy: Policy
    scenario: Scenario
    before: Rollout
    release: Rollout
    stable_hash: str
    release_hash: str
    status: RolloutStatus
    ledger: PlatformLedger
    generation: int
    deploy_s: float
    bound_s: float
    sizes: dict[tuple[object, ...], Rollout]

    def sized(self, rollout: Rollout, replicas: int) -> Rollout:
        """Return the spec with another number of pods; the same object each time, so that its plan is made once."""
        if rollout.replicas == replicas:
            return rollout
        key = (rollout.template is self.release.template, rollout.paused, rollout.restart_at_s, replicas)
        if key not in self.sizes:
            self.sizes[key] = replace(rollout, replicas=replicas)
        return self.sizes[key]


def prepare(policy: Policy, scenario: Scenario) -> Deployment:
    """Return the policy with its stable revision up.

    Raises:
        DrivingError: the core refuses the policy, or never comes to rest with it.
    """
    release = replace(policy.rollout, template=policy.rollout.template or _RELEASE, restart_at_s=None)
    release = replace(release, replicas=first_size(scenario, release.replicas, Demands(scenario).on_path({})))
    before = replace(release, template=_STABLE, paused=False)
    status, ledger, generation = _settled(before, policy)
    deploy_s = scenario.deploy_s
    if deploy_s is None:
        deploy_s = max(DEPLOY_MIN_S, release.min_ready_s, *(_window_s(metric) for metric in metrics_of(policy)), 0.0)
    bound_s = scenario.bound_s
    if bound_s is None:
        bound_s = max(BOUND_MIN_S, BOUND_FACTOR * longest_s(policy, scenario))
    assert release.template is not None
    return Deployment(
        policy=policy,
        scenario=scenario,
        before=before,
        release=release,
        stable_hash=_STABLE.pod_hash,
        release_hash=release.template.pod_hash,
        status=status,
        ledger=ledger,
        generation=generation,
        deploy_s=deploy_s,
        bound_s=deploy_s + bound_s,
        sizes={},
    )


def metrics_of(policy: Policy) -> Iterator[Metric]:
    """Yield every metric of every analysis of a policy."""
    for analysis in policy.analyses:
        yield from analysis.resolved.metrics


def longest_s(policy: Policy, scenario: Scenario) -> float:
    """Return how long a policy takes when nothing is wrong: its pauses, analyses and pods coming up."""
    total_s = 0.0
    resolved = {analysis.step_index: analysis.resolved.metrics for analysis in policy.analyses}
    start_s = scenario.pods.start_s + scenario.release.start_s + policy.rollout.min_ready_s
    for index, step in enumerate(policy.rollout.strategy.steps):
        if step.pause is not None:
            total_s += (scenario.promotes_after_s or 0.0) if step.pause.duration_s is None else step.pause.duration_s
        if step.set_weight is not None or step.set_canary_scale is not None:
            total_s += 2 * start_s
        if step.analysis is not None:
            total_s += max([_measured_s(metric) for metric in resolved.get(index, ())], default=0.0)
    return total_s + 2 * start_s


def _measured_s(metric: Metric) -> float:
    count = metric.measurements_wanted
    return metric.initial_delay_s + (metric.interval_s or 0.0) * max(0, (count or 1) - 1)


def _window_s(metric: Metric) -> float:
    if not isinstance(metric.provider, PrometheusProvider):
        return 0.0
    try:
        return longest_window_s(parse(metric.provider.query))
    except PromQLSyntaxError:
        return 0.0  # told when it is asked: the metrics server refuses it too


def _settled(rollout: Rollout, policy: Policy) -> tuple[RolloutStatus, PlatformLedger, int]:
    assert rollout.template is not None
    pod_hash = rollout.template.pod_hash
    status, ledger = RolloutStatus(), PlatformLedger.empty()
    for _ in range(LOOKS_MAX):
        pods = {
            name: PodCounts(created=seen.wanted, ready=seen.wanted, available=seen.wanted)
            for name, seen in ledger.replica_sets.items()
        }
        snapshot = ledger.snapshot(
            rollout=rollout,
            template_hash=pod_hash,
            generation=1,
            status=status,
            pods=pods,
            templates=policy.templates,
        )
        decision = decide(snapshot, _BEFORE_S)
        for action in decision.actions:
            ledger.apply(action, _BEFORE_S)
        status = decision.status
        if status.message.startswith("InvalidSpec"):
            raise DrivingError(f"{rollout.name}: {status.message}")
        if not decision.changed and not decision.actions:
            return status, ledger, 1
    raise DrivingError(f"{rollout.name}: its first deployment never comes to rest")

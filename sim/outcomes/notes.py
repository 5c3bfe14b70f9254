"""What a reader of a simulation must know of the model where this policy or release meets its limits.

Said after the sentences on top of every report, and only where it matters: whoever simulates a plain release reads
nothing of it. docs/model.md has the whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.manifests.policies import Policy
from sim.scenarios import Scenario

FLOCK = "flock"


def notes(policy: Policy, scenarios: Sequence[Scenario], *, engine: str) -> tuple[str, ...]:
    """Return a sentence for each thing that the model plays otherwise than it is written.

    Args:
        engine: which one played, by its name.
    """
    return (*_by_number(scenarios, engine), *_routes(policy), *_autoscaler(policy, scenarios))


def _by_number(scenarios: Sequence[Scenario], engine: str) -> Iterator[str]:
    found = [
        name
        for name in ("every_nth", "errors_at")
        if any(getattr(side, name) for one in scenarios for side in (one.release, one.stable))
    ]
    if found and engine == FLOCK:
        yield (
            f"Note: requests that fail by their number ({' and '.join(found)}) are drawn by chance here, as many on "
            "average; --engine simpy fails those very requests."
        )


def _routes(policy: Policy) -> Iterator[str]:
    steps = policy.rollout.strategy.steps
    found = [
        word
        for word, is_there in (
            ("setHeaderRoute", any(step.set_header_route is not None for step in steps)),
            ("setMirrorRoute", any(step.set_mirror_route is not None for step in steps)),
        )
        if is_there
    ]
    if found:
        yield (
            f"Note: no request moves by {' or '.join(found)} in the simulator: users send no such headers, nothing is "
            "mirrored. Only weights decide who meets the release here."
        )


def _autoscaler(policy: Policy, scenarios: Sequence[Scenario]) -> Iterator[str]:
    if policy.autoscaler is None or not scenarios:
        return
    services = {(one.service.cpu_s_per_request, one.service.cpu_request) for one in scenarios}
    said = " or ".join(f"{cost_s:g} s of CPU a request and {request:g} cores a pod" for cost_s, request in services)
    yield (
        f"Note: the HorizontalPodAutoscaler {policy.autoscaler.name} chooses the number of pods, from {said} (the "
        "scenario's service, not the manifests' resources)."
    )

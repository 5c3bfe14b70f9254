"""Simulate a policy under one or more scenarios: play the runs with an engine, keep what is known.

The one entry for the command line, for notebooks and for whoever predicts. Interrupting it is no failure: what was
finished until then is returned and says that it is not complete. Nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

from controller.manifests.policies import Policy
from sim.autoscalers import with_autoscaler
from sim.outcomes.result import SimulatedRelease, SimulationResult
from sim.outcomes.table import MeasurementTable, RunTable
from sim.scenarios import Scenario

RUNS = 1_000
"""How many runs of each release are played unless somebody says otherwise."""

RUNS_MAX = 10_000_000

Progress = Callable[[str, int], None]
"""Told the name of a scenario, and how many more of its runs are finished."""


class SimulateError(ValueError):
    """A simulation that cannot be made as it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """The runs of one scenario, perhaps fewer than were asked for.

    Attributes:
        assumed: what the model took to be so of labels and metrics, although nothing says it.
    """

    table: RunTable | None
    measurements: MeasurementTable | None = None
    assumed: tuple[str, ...] = ()


class Engine(Protocol):
    """What plays runs."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def play(
        self,
        policy: Policy,
        scenarios: Sequence[Scenario],
        *,
        runs: int,
        seed: int,
        measurements: bool,
        progress: Progress,
    ) -> Iterator[Played]:
        """Play so many runs of each scenario and yield what is finished of it, the last when it is interrupted."""


def simulate(
    policy: Policy,
    scenarios: Sequence[Scenario],
    *,
    engine: Engine,
    runs: int = RUNS,
    seed: int = 1,
    measurements: bool = False,
    progress: Progress | None = None,
) -> SimulationResult:
    """Return what this policy does to each of these releases.

    A HorizontalPodAutoscaler of the policy acts in every scenario that has none of its own.

    Args:
        runs: of each release.
        measurements: keep every measurement, for tables and for judging again.

    Raises:
        sim.autoscalers.AutoscalerError: the policy's autoscaler is one that the model does not play.
        SimulateError: no pods, no scenario, two of one name, a number of runs that makes no sense.
        KeyboardInterrupt: it was interrupted before a single run was finished.
    """
    _check(policy, scenarios, runs, seed)
    scenarios = [with_autoscaler(policy, scenario) for scenario in scenarios]
    finished: list[SimulatedRelease] = []
    played = engine.play(
        policy,
        scenarios,
        runs=runs,
        seed=seed,
        measurements=measurements,
        progress=progress or (lambda _name, _more: None),
    )
    try:
        for one, scenario in zip(played, scenarios, strict=False):  # fewer after an interruption
            if one.table is not None and len(one.table):
                finished.append(
                    SimulatedRelease(
                        scenario=scenario, table=one.table, measurements=one.measurements, assumed=one.assumed
                    )
                )
    except KeyboardInterrupt:
        if not finished:
            raise
    if not finished:
        raise KeyboardInterrupt
    return SimulationResult(
        policy=policy,
        releases=tuple(finished),
        runs=runs,
        wanted=len(scenarios),
        seed=seed,
        engine=engine.name,
        versions=versions(),
    )


def _check(policy: Policy, scenarios: Sequence[Scenario], runs: int, seed: int) -> None:
    if policy.rollout.replicas == 0:
        raise SimulateError(
            f"the Rollout {policy.rollout.name} has spec.replicas 0; it needs 1 or more, because a weight without pods "
            "sends nobody anywhere"
        )
    if not scenarios:
        raise SimulateError("there is no release to simulate; name one at least")
    names = [one.name for one in scenarios]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SimulateError(f"two releases are named {twice[0]}; give each a name of its own")
    if not 1 <= runs <= RUNS_MAX:
        raise SimulateError(f"runs is {runs:,}; it needs 1 to {RUNS_MAX:,}")
    if seed < 0:
        raise SimulateError(f"the seed is {seed}; it needs 0 or more")


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which the model refuses a policy or a scenario: the user's to repair, not bugs."""
    from promql.syntax import PromQLSyntaxError
    from sim.autoscalers import AutoscalerError
    from sim.driving.deployments import DrivingError
    from sim.metrics_model.errors import PlanError

    return (SimulateError, AutoscalerError, DrivingError, PlanError, PromQLSyntaxError)


def versions() -> dict[str, str]:
    """Return the versions of the packages whose numbers these are."""
    return {name: metadata.version(name) for name in ("gamebird", "numpy")}

"""`load`, `simulate` and `suite` as notebooks and scripts call them; the work is done in `sim`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from controller.manifests.loading import load as load_manifests
from controller.manifests.policies import Policy
from gamebird.api.engines import engine_of
from gamebird.api.floors import with_floor
from gamebird.api.specs import RPS, SpecError, default_scenarios, scenario_of
from loadgen.traffic import Traffic
from sim.outcomes.result import SimulationResult
from sim.releases import Release
from sim.scenarios import Scenario
from sim.simulating import RUNS
from sim.simulating import simulate as simulate_scenarios
from sim.suite.loading import pick
from sim.suite.loading import suite as whole_suite

Releases: TypeAlias = Release | Scenario | Sequence[Release | Scenario] | Mapping[str, Release] | None


def load(*files: str | Path, rollout: str | None = None) -> Policy:
    """Return the policy that manifests hold: a Rollout and the AnalysisTemplates that it names.

    Args:
        files: YAML or JSON files, or folders of them.
        rollout: its name, where the files hold several.

    Raises:
        ManifestError: every problem of every file, with its line.
    """
    return load_manifests(files).policy(rollout)


def suite(*names: str) -> tuple[Scenario, ...]:
    """Return the labelled scenarios that come with Gamebird: all of them, or those named."""
    return pick(names) if names else whole_suite()


def simulate(
    policy: Policy,
    release: Releases = None,
    traffic: Traffic | None = None,
    *,
    runs: int = RUNS,
    seed: int = 1,
    stable: Release | None = None,
    base_errors: float = 0.0,
    requests_min: int | None = None,
    measurements: bool = True,
    workers: int | None = None,
    engine: Literal["flock", "simpy"] = "flock",
    cohorts: int | None = None,
    dask: Any = None,
    metrics_map: Any = None,
) -> SimulationResult:
    """Return what this policy does to each of these releases.

    Args:
        release: one, several, or name -> release; scenarios are taken as they are. None: a good release, errors of
            every size and two of latency.
        traffic: 100 requests/s unless named; a Scenario has its own.
        runs: of each release.
        seed: same seed, same result, whatever the number of workers.
        stable: the revision before; a good one unless named.
        base_errors: share of requests that fail in both revisions alike.
        requests_min: a floor for every metric, in place of the policy's annotations.
        measurements: keep every measurement, for `measurements` and `rejudge`.
        workers: processes; None: one for each core.
        engine: `flock`, or `simpy`, which plays each request as an event and is some thousand times slower.
        cohorts: platform histories that the runs share; None: 40 to 100, by the number of runs.
        dask: a Dask client, or the address of a scheduler.
        metrics_map: metrics that the model does not know, as ones that it knows.

    Raises:
        SpecError: something that cannot be simulated as it was asked for.
    """
    scenarios = _scenarios(release, traffic, stable, base_errors)
    if requests_min is not None:
        policy = with_floor(policy, requests_min)
    with engine_of(engine, workers=workers, cohorts=cohorts, dask=dask, metrics_map=metrics_map) as playing:
        return simulate_scenarios(policy, scenarios, engine=playing, runs=runs, seed=seed, measurements=measurements)


def _scenarios(
    release: Releases, traffic: Traffic | None, stable: Release | None, base_errors: float
) -> tuple[Scenario, ...]:
    met = traffic or Traffic(rps=RPS)
    if release is None:
        return default_scenarios(traffic=met, base_errors=base_errors)
    named: Sequence[tuple[str, Release | Scenario]]
    if isinstance(release, Mapping):
        named = list(release.items())
    elif isinstance(release, Release | Scenario):
        named = [("", release)]
    else:
        named = [("", one) for one in release]
    found = []
    for name, one in named:
        if isinstance(one, Scenario):
            if traffic is not None or stable is not None or base_errors:
                raise SpecError(f"the scenario {one.name} has a traffic and a stable revision of its own; name neither")
            found.append(one)
        else:
            made = scenario_of(one, traffic=met, stable=stable, base_errors=base_errors, name=name)
            found.append(made)
    return tuple(found)

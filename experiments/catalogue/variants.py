"""The same game day with one thing changed: another policy, or nothing wrong.

A team plays the catalogue on its own manifests. And a score that never falls says nothing: each game day is played once
with its faults taken out and once under a policy that must fail it, and both times the score has to notice. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.manifests.loading import Policy, load
from experiments.catalogue.listing import POLICIES
from experiments.gameday_files import GameDay
from experiments.instants import Fault
from experiments.method import AwaitVerdict
from sim.driving.deployments import longest_s
from sim.scenarios import Scenario

GIVEN = "given"
"""What a policy is called whose manifests were named on the command line."""

_PATIENCE = 3.0


def with_manifests(game_day: GameDay, files: Sequence[Path]) -> GameDay:
    """Return the game day on a team's own manifests.

    Of its expectations the verdict stays. Limits of time, weight and bad requests were made for its own short policy.
    The steady state asks for as many pods as the team's Rollout has, and the verdict is waited for longer.

    Raises:
        ManifestError: a manifest is wrong, or there is not one Rollout.
    """
    return _under(game_day, GIVEN, tuple(files))


def under_failing_policy(game_day: GameDay) -> GameDay:
    """Return the game day under a policy that must fail it: one that stops everything, or nothing."""
    expected = next(iter(game_day.setup.expect.values())).verdict
    name = "timid" if expected == "promoted" else "careless"
    return _under(game_day, name, (POLICIES / f"{name}.yaml", POLICIES / "routing.yaml"))


def without_faults(game_day: GameDay) -> GameDay:
    """Return the game day with nothing wrong in it: the release is as stable is, and its faults are not put in force.

    What it plans to see stays as it was, so that its checks miss the faults.
    """
    experiment = copy.deepcopy(game_day.experiment)
    kept = [index for index, entry in enumerate(game_day.method) if not isinstance(entry.action, Fault)]
    experiment["method"] = [experiment["method"][index] for index in kept]
    setup = game_day.setup.model_copy(update={"release": game_day.setup.stable})
    method = tuple(game_day.method[index] for index in kept)
    return replace(game_day, setup=setup, method=method, experiment=experiment)


def has_faults(game_day: GameDay) -> bool:
    """Whether anything is wrong in it that could be taken out; how its counters begin is not wrong."""
    return bool(game_day.planned_faults) or game_day.setup.release.text != game_day.setup.stable.text


def _under(game_day: GameDay, name: str, files: tuple[Path, ...]) -> GameDay:
    policy = load(files).policy(None)
    own = next(iter(game_day.setup.expect.values()))
    expect = type(own)(verdict=own.verdict, steady_after=own.steady_after)
    setup = game_day.setup.model_copy(update={"policies": {name: tuple(map(str, files))}, "expect": {name: expect}})
    within_s = _within_s(game_day, policy)
    experiment = _fitted(copy.deepcopy(game_day.experiment), policy, within_s)
    method = tuple(
        replace(entry, action=entry.action.model_copy(update={"within_s": within_s}))
        if isinstance(entry.action, AwaitVerdict)
        else entry
        for entry in game_day.method
    )
    return replace(
        game_day, setup=setup, policies={name: policy}, given={name: files}, method=method, experiment=experiment
    )


def _within_s(game_day: GameDay, policy: Policy) -> float:
    own = next(entry.action.within_s for entry in game_day.method if isinstance(entry.action, AwaitVerdict))
    setup = game_day.setup
    scenario = Scenario(release=setup.release, stable=setup.stable, traffic=setup.traffic)
    return max(own, _PATIENCE * longest_s(policy, scenario))


def _fitted(experiment: dict[str, Any], policy: Policy, within_s: float) -> dict[str, Any]:
    """Let Chaos Toolkit's own data ask for the pods that there will be, and wait as long as the policy takes."""
    for probe in experiment["steady-state-hypothesis"].get("probes", []):
        if probe.get("provider", {}).get("func") == "serving_pods":
            probe["tolerance"] = policy.rollout.replicas
    for activity in experiment["method"]:
        provider = activity.get("provider", {})
        if provider.get("func") == AwaitVerdict.func:
            provider["arguments"]["within_s"] = within_s
    return experiment

"""Every scenario of the suite plays, and the traps that the example's policy is known for are sprung."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.manifests.loading import load
from sim.engines import Flock
from sim.outcomes.result import SimulationResult
from sim.simulating import simulate
from sim.suite.loading import suite


@pytest.fixture(scope="module")
def played(root: Path) -> SimulationResult:
    folder = root / "examples" / "orders-api"
    policy = load([folder / name for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml")]).policy()
    return simulate(policy, suite(), engine=Flock(workers=1, cohorts=1), runs=3)


def _mostly(result: SimulationResult, name: str) -> str:
    (one,) = (one for one in result.figures if one.name == name)
    return max(one.outcomes, key=lambda outcome: one.outcomes[outcome].value)


def test_every_scenario_plays_to_its_end(played: SimulationResult) -> None:
    assert played.complete
    assert len(played.releases) == len(suite())


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("good", "promoted"),
        ("errors-100pct", "aborted"),
        # 0.6 · 1 % is below the threshold of 1 % at every weight that is measured.
        ("errors-1pct", "promoted"),
        # No 5xx series: the ratio is empty, an error, and five errors in a row abort.
        ("good-no-5xx-yet", "aborted"),
        # 0/0 is no number, and no number is not below 0.01.
        ("good-no-traffic", "aborted"),
        # Half an hour without answers is more than five errors in a row.
        ("good-long-prometheus-outage", "aborted"),
        # The query counts 5xx and these are 404.
        ("errors-404", "promoted"),
        ("wrong-answers", "promoted"),
        # p95 stays below 350 ms: 126 ms doubled.
        ("latency-x2", "promoted"),
        # No pod ever takes traffic, so nothing is measured, and without progressDeadlineAbort nothing is aborted.
        ("never-ready", "stuck"),
    ],
)
def test_the_traps_of_the_policy_as_written_are_sprung(played: SimulationResult, name: str, outcome: str) -> None:
    assert _mostly(played, name) == outcome


def test_the_score_is_between_promoting_everything_and_knowing_everything(played: SimulationResult) -> None:
    score = played.score().score
    assert score is not None
    assert 50 < score < 100

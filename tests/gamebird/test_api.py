"""The public Python API: what stands in it, what it costs to import, and the floor that it tries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gamebird as gb
from gamebird.api.floors import with_floor
from sim.simulating import SimulateError, simulate


@pytest.fixture(scope="module")
def policy(root: Path) -> gb.Policy:
    folder = root / "examples" / "orders-api"
    return gb.load(folder / "rollout.yaml", folder / "analysis-template.yaml")


def test_every_public_name_is_there() -> None:
    assert all(getattr(gb, name) is not None for name in gb.__all__)
    with pytest.raises(AttributeError):
        gb.nothing_of_that_name  # noqa: B018


def test_importing_gamebird_imports_nothing_heavy() -> None:
    script = "import sys, gamebird\nprint([m for m in ('numpy', 'pydantic', 'pandas', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_no_release_can_have_is_refused_in_words(policy: gb.Policy) -> None:
    with pytest.raises(gb.SpecError, match="named 'never failed'; it needs small letters"):
        gb.simulate(policy, {"never failed": gb.Release()}, runs=1)


def test_a_floor_is_tried_on_every_metric_without_an_edit(policy: gb.Policy) -> None:
    floored = with_floor(policy, 300)
    metrics = [metric for one in floored.analyses for metric in one.resolved.metrics]
    assert {metric.evidence.requests_min for metric in metrics} == {300}
    spec = floored.rollout.strategy.steps[2].analysis
    assert spec is not None
    resolved = floored.resolve(spec, latest_hash="a", stable_hash="b")
    assert {metric.evidence.requests_min for metric in resolved.metrics} == {300}
    assert {m.evidence.requests_min for one in policy.analyses for m in one.resolved.metrics} == {None}


def test_a_floor_of_zero_takes_floors_away(policy: gb.Policy) -> None:
    bare = with_floor(with_floor(policy, 300), 0)
    assert {m.evidence.requests_min for one in bare.analyses for m in one.resolved.metrics} == {None}


def test_the_suite_can_be_had_by_name() -> None:
    assert [one.name for one in gb.suite("never-ready")] == ["never-ready"]
    assert len(gb.suite()) >= 40


def test_a_result_has_tables_and_sentences(policy: gb.Policy, law_engine: Any) -> None:
    scenarios = gb.suite("good", "errors-20pct")
    result = simulate(policy, scenarios, engine=law_engine(), runs=100, measurements=True)
    assert result.complete
    assert result.summary().index.tolist() == ["good", "errors-20pct"]
    assert len(result.runs_table) == 200
    assert set(result.measurements["phase"]) == {"Successful", "Failed"}
    assert result.sentences


def test_an_interrupted_simulation_keeps_what_was_finished(policy: gb.Policy, law_engine: Any) -> None:
    result = simulate(policy, gb.suite("good", "errors-20pct"), engine=law_engine(stop_after=40), runs=100)
    assert not result.complete
    assert [len(one.table) for one in result.releases] == [40]


def test_an_interruption_before_the_first_run_leaves_nothing_to_keep(policy: gb.Policy, law_engine: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        simulate(policy, gb.suite("good"), engine=law_engine(stop_after=0), runs=100)


@pytest.mark.parametrize(
    ("scenarios", "runs", "said"),
    [((), 10, "no release"), (("good",), 0, "runs is 0"), (("good", "good"), 10, "two releases are named good")],
)
def test_what_cannot_be_simulated_is_refused(
    policy: gb.Policy, law_engine: Any, scenarios: tuple[str, ...], runs: int, said: str
) -> None:
    asked = [one for name in scenarios for one in gb.suite(name)]
    with pytest.raises(SimulateError, match=said):
        simulate(policy, asked, engine=law_engine(), runs=runs)

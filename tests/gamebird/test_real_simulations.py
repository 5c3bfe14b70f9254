"""The Python API on the example with the real engines: small simulations whose outcome can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

import gamebird as gb
from gamebird.api.engines import engine_of
from sim.outcomes.table import Outcome


@pytest.fixture(scope="module")
def policy(root: Path) -> gb.Policy:
    folder = root / "examples" / "orders-api"
    return gb.load(folder / "rollout.yaml", folder / "analysis-template.yaml", folder / "routing.yaml")


@pytest.fixture(scope="module")
def result(policy: gb.Policy) -> gb.SimulationResult:
    releases = {"good": gb.Release(), "half": gb.Release(errors=0.5)}
    return gb.simulate(policy, releases, gb.Traffic(rps=50), runs=20, seed=3, workers=1, cohorts=4)


def test_what_fails_half_of_its_requests_is_caught_at_the_first_look(result: gb.SimulationResult) -> None:
    good, half = result.figures
    assert good.outcomes["promoted"].value == 1.0
    assert half.caught.value == 1.0
    # Weight 10 of 50 requests/s for three minutes are about 900 requests, and half of them fail.
    assert half.bad_requests.mean.value == pytest.approx(450, rel=0.2)
    assert list(half.by_step) == [2]


def test_measurements_are_those_that_the_policy_takes(result: gb.SimulationResult) -> None:
    frame = result.measurements
    mine = frame[(frame["release"] == "good") & (frame["run"] == 0)]
    # Three analyses, two metrics, three measurements each.
    assert len(mine) == 18
    assert set(mine["phase"]) == {"Successful"}
    assert (mine["requests"] > 1_000).all()


def test_judging_again_with_the_same_condition_changes_nothing(result: gb.SimulationResult) -> None:
    again = result.rejudge(metric="error-rate", success="result[0] < 0.01")
    assert again.exact
    for one in again.releases:
        assert (one.outcome == one.before.outcome).all()


def test_judging_again_agrees_with_simulating_the_changed_policy(policy: gb.Policy, root: Path, tmp_path: Path) -> None:
    # A canary that fails 3 %: 0.3 % of all at the first weight. A threshold of 0.2 % aborts there, one of 1 % later.
    release, traffic = gb.Release(errors=0.03), gb.Traffic(rps=50)
    text = (root / "examples" / "orders-api" / "analysis-template.yaml").read_text(encoding="utf-8")
    assert "result[0] < 0.01" in text
    (tmp_path / "template.yaml").write_text(text.replace("result[0] < 0.01", "result[0] < 0.002"), encoding="utf-8")
    stricter = gb.load(root / "examples" / "orders-api" / "rollout.yaml", tmp_path / "template.yaml")
    before = gb.simulate(policy, release, traffic, runs=40, seed=3, workers=1, cohorts=4)
    simulated = gb.simulate(stricter, release, traffic, runs=40, seed=3, workers=1, cohorts=4)
    again = before.rejudge(metric="error-rate", success="result[0] < 0.002")
    assert again.exact
    assert (again.releases[0].outcome == simulated.releases[0].table.outcome).all()
    assert (again.releases[0].outcome == Outcome.ABORTED).all()


def test_the_reference_engine_returns_the_same_tables(policy: gb.Policy) -> None:
    release, traffic = gb.Release(errors=0.5), gb.Traffic(rps=5)
    result = gb.simulate(policy, release, traffic, runs=2, engine="simpy", workers=1, measurements=False)
    assert result.engine == "simpy"
    assert result.figures[0].caught.value == 1.0
    assert result.figures[0].cohorts == 2


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("flight", {}, "there are flock and simpy"),
        ("flock", {"workers": 0}, "workers is 0"),
        ("simpy", {"dask": "tcp://127.0.0.1:1"}, "takes neither dask"),
        ("flock", {"dask": "nonsense://"}, "it needs for example tcp://host:8786"),
    ],
)
def test_an_engine_that_cannot_be_had_is_refused(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(gb.SpecError, match=said), engine_of(name, **options):  # type: ignore[arg-type]
        pass

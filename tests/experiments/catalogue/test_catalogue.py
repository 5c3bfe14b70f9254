"""The catalogue is complete, written down, valid for Chaos Toolkit, and believed by the simulator.

Each game day that the simulator can play is played as it is, with nothing wrong in it, and under a policy that must
fail it: the first has to come out as expected, the other two must not.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from chaoslib.experiment import ensure_experiment_is_valid

from controller.manifests.problems import ManifestError
from experiments.catalogue.listing import AS_EXPECTED_MIN, FOLDER, Entry, entries, find, names
from experiments.catalogue.variants import has_faults, under_failing_policy, with_manifests, without_faults
from experiments.checks import Facts, Plan, checks_of, score_of
from experiments.faults import MACHINERY
from experiments.gameday_files import GameDay, load_game_day
from experiments.instants import Fault
from experiments.prediction.playing import RUNS, RUNS_ONE_BY_ONE, needs_every_request, predict
from experiments.prediction.predicting import Prediction
from experiments.prediction.scenarios import scenario_of
from experiments.refusals import refuse_faults
from experiments.story import FaultLine
from experiments.verdicts import Verdict

ENTRIES = {entry.name: entry for entry in entries()}
PLAYABLE = [name for name, entry in ENTRIES.items() if "sim" in entry.worlds]
TELLING = [name for name in PLAYABLE if ENTRIES[name].expected == "aborted"]
SPEED = 20.0
FEW = 60
"""Runs of a variant that must fail: if it held as often as one time in twenty, sixty runs would hardly all miss it."""


def game_day(name: str) -> GameDay:
    file = find(name)
    assert file is not None
    return load_game_day(file)


def played(drill: GameDay, runs: int | None = None) -> Prediction:
    if runs is None:
        runs = RUNS_ONE_BY_ONE if needs_every_request(scenario_of(drill, speed=SPEED)) else RUNS
    return predict(drill, next(iter(drill.policies)), speed=SPEED, seed=1, runs=runs)


def score_where_all_else_held(drill: GameDay) -> int:
    """Return what the score would be if everything came out as expected, but for what was not put in force."""
    expect = next(iter(drill.setup.expect.values()))
    assert drill.planned_release is not None
    plan = Plan(expect=expect, faults=drill.planned_faults, release=drill.planned_release.text, rps=1.0)
    there = [entry.action.func for entry in drill.method if isinstance(entry.action, Fault)]
    lines = [FaultLine(name=kind, kind=kind, detail="", began_s=0.0, ended_s=1.0, why="lease") for kind in there]
    facts = Facts(
        verdict=Verdict(expect.verdict),
        verdict_s=0.0,
        detection_s=0.0,
        recovery_s=0.0,
        weight_max=0.0,
        bad=0,
        counts="valid",
        faults=lines,
        release=drill.setup.release.text,
    )
    return score_of(checks_of(plan, facts))


def test_there_are_at_least_sixteen_that_the_simulator_vouches_for_the_guards_and_good_releases_among_them() -> None:
    assert len(PLAYABLE) >= 16
    assert {"guard-unlucky-error", "guard-below-floor", "guard-total-failure"} <= set(PLAYABLE)
    assert sum("good" in ENTRIES[name].tags for name in PLAYABLE) >= 4
    assert set(ENTRIES) == set(names())


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_each_says_what_it_is_for_what_should_happen_who_is_hurt_and_when_it_counts_as_passed(entry: Entry) -> None:
    for text in (entry.title, entry.purpose, entry.hypothesis, entry.blast_radius, entry.pass_rule):
        assert text.strip()
    assert entry.expected in ("promoted", "aborted", "paused", "degraded")
    assert "local" in entry.worlds
    assert bool(entry.not_in_sim) is ("sim" not in entry.worlds)


def test_each_is_a_valid_experiment_of_chaos_toolkit() -> None:
    for name in names():
        file = find(name)
        assert file is not None
        ensure_experiment_is_valid(yaml.safe_load(file.read_text(encoding="utf-8")))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PLAYABLE)
def test_the_simulator_gives_each_what_it_expects_in_999_of_1000_runs(name: str) -> None:
    said = played(game_day(name))
    assert said.as_expected >= AS_EXPECTED_MIN, dict(said.verdicts)


@pytest.mark.parametrize("name", ENTRIES)
def test_with_its_fault_taken_out_a_score_never_reaches_a_hundred_whatever_comes_out(name: str) -> None:
    drill = game_day(name)
    assert score_where_all_else_held(drill) == 100
    if has_faults(drill):
        assert score_where_all_else_held(without_faults(drill)) < 100


@pytest.mark.parametrize("name", TELLING)
def test_where_the_release_is_what_is_wrong_another_verdict_tells_that_nothing_was(name: str) -> None:
    assert played(without_faults(game_day(name)), FEW).as_expected == 0


@pytest.mark.parametrize("name", PLAYABLE)
def test_a_policy_that_must_fail_it_fails_it(name: str) -> None:
    assert played(under_failing_policy(game_day(name)), FEW).as_expected == 0


def test_each_can_be_played_on_a_teams_own_manifests(root: Path) -> None:
    example = root / "examples" / "orders-api"
    files = [example / "corrected" / "rollout.yaml", example / "corrected" / "analysis-template.yaml"]
    for name in names():
        drill = with_manifests(game_day(name), [*files, example / "routing.yaml"])
        [(policy, expect)] = drill.setup.expect.items()
        assert expect.verdict == ENTRIES[name].expected
        assert expect.weight_max is None
        assert drill.policies[policy].rollout.name == "orders-api"
        [pods] = [
            probe["tolerance"]
            for probe in drill.experiment["steady-state-hypothesis"]["probes"]
            if probe["provider"]["func"] == "serving_pods"
        ]
        assert pods == 6  # the replicas of that Rollout
        assert [path for _, path in drill.files_of(policy)] == [*files, example / "routing.yaml"]


def test_a_fault_that_only_a_cluster_can_have_is_refused_elsewhere_by_its_line(tmp_path: Path) -> None:
    text = (
        (FOLDER / "prometheus-gone.yaml")
        .read_text(encoding="utf-8")
        .replace("../policies", f"{FOLDER.parent}/policies")
    )
    for fault in (model for model in MACHINERY if model.worlds == {"cluster"}):
        needs = {"api_conflicts": "share: 0.5, ", "hpa_flapping": "low: 2, high: 6, "}.get(fault.func, "")
        file = tmp_path / f"{fault.func}.yaml"
        changed = text.replace("func: prometheus_gone", f"func: {fault.func}")
        file.write_text(changed.replace("arguments: {when:", f"arguments: {{{needs}when:"), encoding="utf-8")
        drill = load_game_day(file)
        with pytest.raises(ManifestError, match=rf"{fault.func} in the local world; it needs --world cluster"):
            refuse_faults(drill, "local")
        with pytest.raises(ManifestError, match=rf"{fault.func} in the simulator; it needs another world"):
            scenario_of(drill, speed=SPEED)
        refuse_faults(drill, "cluster")

"""Complaints of users of Argo Rollouts, Flagger and their neighbours, each a scenario file in `complaints/`.

A file says in a sentence what must come out and why, worked out by hand. `issue` is the complaint's number,
`scenario` what differs from BASE, `how` how the world behaves, and each entry of `expect` what is seen at the
end, in both parities or in one. An expectation that this file does not know is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.core.actions import SelectService, SetWeight, StartAnalysis
from controller.core.explaining import measurement_record
from controller.core.invariants import breaches

FILES = sorted((Path(__file__).parent / "complaints").glob("*.yaml"))
BASE: dict[str, Any] = {
    "name": "complaint",
    "replicas": 6,
    "steps": [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "slo"}]}}, {"setWeight": 60}],
    "canary": {},
    "spec": {},
    "templates": {
        "slo": [{"name": "error-rate", "interval": "2s", "count": 3, "successCondition": "result[0] < 0.01"}]
    },
    "script": {"error-rate": [0.001], "latency": [0.001]},
    "operator": [],
    "traffic_routing": "nginx",
    "never_ready": [],
}
LASTS_S = 60.0


def cases() -> list[Any]:
    found = []
    for file in FILES:
        told = yaml.safe_load(file.read_text())
        assert told["sentence"], file.name
        for expected in told["expect"]:
            for parity in [expected["parity"]] if "parity" in expected else ["strict", "off"]:
                found.append(pytest.param(told, parity, expected, id=f"{file.stem}-{parity}"))
    return found


def asked(world: Any, kind: type) -> list[Any]:
    return [action for _, _, decision in world.history for action in decision.actions if isinstance(action, kind)]


def without_repeats(items: list[Any]) -> list[Any]:
    return [item for i, item in enumerate(items) if i == 0 or items[i - 1] != item]


class Seen:
    """What a played scenario shows, by the words that the files use."""

    def __init__(self, world: Any, version_of: Callable[[str], str]) -> None:
        self.world = world
        self.version_of = version_of
        self.status = world.status
        self.runs = list(world.ledger.runs.values())

    def check(self, word: str, told: Any) -> None:
        getattr(self, word)(told)

    def phase(self, told: str) -> None:
        assert self.status.phase == told, self.status.message

    def message_holds(self, told: str) -> None:
        assert told in self.status.message

    def step(self, told: int) -> None:
        assert self.status.step_index == told

    def weight(self, told: int) -> None:
        assert self.status.weights.canary == told

    def abort(self, told: bool) -> None:
        assert self.status.abort is told

    def promoted(self, told: bool) -> None:
        current = self.world.rollout.template.pod_hash
        assert (self.status.stable_hash == current) is told

    def sizes(self, told: dict[str, int]) -> None:
        sets = self.world.ledger.replica_sets
        assert {self.version_of(pod_hash): seen.wanted for pod_hash, seen in sets.items()} == told

    def least_wanted(self, told: dict[str, int]) -> None:
        """The fewest pods that a version was ever to have since the new one came."""
        for version, least in told.items():
            wanted = [
                seen.wanted
                for now_s, snapshot, _ in self.world.history
                for seen in snapshot.replica_sets
                if now_s >= self.world.start_s and self.version_of(seen.pod_hash) == version
            ]
            assert min(wanted) == least

    def weights(self, told: list[int]) -> None:
        """What the router was asked for since the new version came, one after the other."""
        since_s = self.world.start_s
        weights = [
            action.canary
            for now_s, _, decision in self.world.history
            for action in decision.actions
            if isinstance(action, SetWeight) and now_s >= since_s
        ]
        moved = without_repeats(weights)
        assert (moved[1:] if moved[:1] == [0] else moved) == told

    def highest_weight(self, told: int) -> None:
        assert max(action.canary for action in asked(self.world, SetWeight)) == told

    def canary_service(self, told: list[str]) -> None:
        moves = [action.pod_hash for action in asked(self.world, SelectService) if action.role == "canary"]
        assert [self.version_of(pod_hash) for pod_hash in moves] == told

    def last_look_before_s(self, told: float) -> None:
        assert self.world.history[-1][0] < told

    def begun(self, told: int) -> None:
        """How many analysis runs were begun, told apart by when: a name may be given again once its run is gone."""
        begun = {(action.run.name, action.run.created_s) for action in asked(self.world, StartAnalysis)}
        assert len(begun) == told

    def counts_nothing_after(self, told: int) -> None:
        assert [result.count for result in self.runs[0].status.results] == [told]

    def breach(self, told: str) -> None:
        found = breaches(self.world.history)
        assert {(breach.invariant, breach.parity) for breach in found} == {(1, True)}
        assert told in found[0].sentence

    def breaks_nothing(self, told: bool) -> None:
        assert [breach for breach in breaches(self.world.history) if not breach.parity] == []

    def runs_are(self, told: list[dict[str, Any]]) -> None:
        assert len(self.runs) == len(told), [run.status for run in self.runs]
        for run, expected in zip(self.runs, told, strict=True):
            for word, value in expected.items():
                assert self.of_run(run, word) == value, (word, run.status)

    def of_run(self, run: Any, word: str) -> Any:
        match word:
            case "phase":
                return run.status.phase.value
            case "message":
                return run.status.message
            case "of":
                return self.version_of(run.pod_hash)
            case "stopped":
                return run.terminate
            case "counts":
                return {result.name: result.count for result in run.status.results}
            case "asked":
                return {result.name: result.count + result.error + result.missing for result in run.status.results}
            case "last_s":
                last_s = max(m.finished_s for result in run.status.results for m in result.measurements)
                return round(last_s - run.status.started_s, 6)
            case "begun_at_weight":
                return next(
                    snapshot.status.weights.canary
                    for _, snapshot, decision in self.world.history
                    for action in decision.actions
                    if isinstance(action, StartAnalysis) and action.run.name == run.name
                )
            case "query":
                result = run.status.results[0]
                return measurement_record(run, result.name, result.measurements[-1], result).query
        raise ValueError(word)


def test_there_are_at_least_twenty_complaints():
    named = [told for file in FILES if (told := yaml.safe_load(file.read_text()))["issue"]]
    assert len(named) >= 20
    assert len({told["issue"] for told in named}) == len(named)


@pytest.mark.parametrize(("told", "parity", "expected"), cases())
def test_a_complaint_comes_out_as_its_sentence_says(free_player, version_of, told, parity, expected):
    scenario = {**BASE, **told["scenario"], "parity": parity}
    scenario["script"] = {**BASE["script"], **scenario["script"]}
    world = free_player(scenario, float(told.get("lasts_s", LASTS_S)), **told.get("how", {}))
    seen = Seen(world, version_of)
    for word, value in expected.items():
        if word != "parity":
            seen.check("runs_are" if word == "runs" else word, value)

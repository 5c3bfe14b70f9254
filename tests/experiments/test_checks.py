"""The list of checks is fixed before anything runs, and a score is a share of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis.strategies import booleans, floats, integers, lists, none, one_of, sampled_from

from experiments.checks import Check, Facts, Plan, checks_of, score_of
from experiments.gameday_files import Expectation
from experiments.story import FaultLine
from experiments.verdicts import Verdict


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "verdict": Verdict.ABORTED,
        "verdict_s": 60.0,
        "detection_s": 30.0,
        "recovery_s": 1.0,
        "weight_max": 25.0,
        "bad": 12,
        "counts": "valid",
        "faults": (fault("prometheus_gone"),),
        "steady_before": True,
        "steady_after": True,
        "left": (),
    }
    return Facts(**(values | changes))


def fault(kind: str, *, ended_s: float | None = 50.0) -> FaultLine:
    return FaultLine(name=kind, kind=kind, detail="", began_s=10.0, ended_s=ended_s, why="lease")


PLAN = Plan(
    expect=Expectation(verdict="aborted", detected_within_s=90, weight_max=25, bad_requests_max=20),
    faults=("prometheus_gone",),
    rps=10.0,
    steady_before=True,
    steady_after=True,
    clean_end=True,
)


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [check.what for check in checks if not check.held]


def test_every_check_that_was_planned_and_seen_to_hold_makes_a_hundred() -> None:
    checks = checks_of(PLAN, facts())
    # verdict, three limits, load, one fault in force, restored, steady before and after, nothing left
    assert len(checks) == 10
    assert score_of(checks) == 100


def test_a_fault_that_never_was_in_force_costs_its_own_check_and_that_of_its_end() -> None:
    checks = checks_of(PLAN, facts(faults=()))
    assert failed(checks) == ["prometheus_gone in force", "faults restored"]
    assert score_of(checks) == 80  # eight of ten


def test_a_fault_that_was_planned_twice_and_came_once_did_not_hold() -> None:
    twice = Plan(expect=Expectation(verdict="aborted"), faults=("kill_pods", "kill_pods"), rps=0.0)
    assert failed(checks_of(twice, facts(faults=(fault("kill_pods"),)))) == ["kill_pods in force"]


def test_a_fault_that_was_not_seen_to_end_is_named() -> None:
    [check] = [one for one in checks_of(PLAN, facts(faults=(fault("prometheus_gone", ended_s=None),))) if not one.held]
    assert (check.what, check.actual) == ("faults restored", "not prometheus_gone")


def test_what_nobody_saw_did_not_hold() -> None:
    unseen = facts(detection_s=None, bad=None, weight_max=None, steady_before=None, steady_after=None, left=None)
    assert failed(checks_of(PLAN, unseen)) == [
        "detection time",
        "largest weight",
        "bad requests",
        "steady state before",
        "steady state after restoring",
        "left behind",
    ]


def test_a_process_that_still_runs_is_left_behind() -> None:
    [check] = [one for one in checks_of(PLAN, facts(left=("envoy (17)",))) if not one.held]
    assert (check.what, check.actual) == ("left behind", "envoy (17)")


def test_eleven_of_twelve_are_never_rounded_up_to_a_hundred() -> None:
    checks = [Check(what="", expected="", actual="", held=held) for held in [True] * 199 + [False]]
    assert score_of(checks) == 99  # 99.5


@given(
    verdict=sampled_from(Verdict),
    detection_s=one_of(none(), floats(0, 1e4)),
    bad=one_of(none(), integers(0, 10_000)),
    counts=sampled_from(["valid", "invalid", "no evidence"]),
    kinds=lists(sampled_from(["prometheus_gone", "kill_pods"]), max_size=4),
    steady=one_of(none(), booleans()),
    left=one_of(none(), sampled_from([(), ("envoy (17)",)])),
)
def test_a_score_lies_between_0_and_100_over_a_list_that_what_happened_does_not_change(
    verdict: Verdict,
    detection_s: float | None,
    bad: int | None,
    counts: str,
    kinds: list[str],
    steady: bool | None,
    left: tuple[str, ...] | None,
) -> None:
    seen = facts(
        verdict=verdict,
        detection_s=detection_s,
        bad=bad,
        counts=counts,
        faults=tuple(map(fault, kinds)),
        steady_after=steady,
        left=left,
    )
    checks = checks_of(PLAN, seen)
    assert 0 <= score_of(checks) <= 100
    assert [check.what for check in checks] == [check.what for check in checks_of(PLAN, facts())]

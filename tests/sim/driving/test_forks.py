"""Forks and keys: what is shared, what parts, and when runs may go on as one."""

from __future__ import annotations

import pytest

from controller.core.runs import AnalysisPhase
from loadgen.traffic import Traffic
from sim.driving import VirtualDriver, prepare
from sim.outcomes.table import Outcome
from sim.scenarios import Scenario

GOOD, BAD = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED


@pytest.fixture
def begun(guide):
    """Return a driver that waits for its first measurements, with chance in everything, and what it asks."""
    driver = VirtualDriver(prepare(guide, Scenario(traffic=Traffic(rps=50.0))), seed=7, cohort=3)
    return driver, driver.play()


def test_a_fork_goes_its_own_way_and_leaves_the_other_alone(begun, answers):
    driver, asking = begun
    twin = driver.fork()
    twin.answer(answers(asking, BAD))
    assert twin.play() is None
    assert twin.verdict.outcome is Outcome.ABORTED
    driver.answer(answers(asking, GOOD))
    while (asked := driver.play()) is not None:
        driver.answer(answers(asked, GOOD))
    assert driver.verdict.outcome is Outcome.PROMOTED
    shared = len(twin.platform.timeline) - 1
    assert shared > 0
    assert driver.platform.timeline[:shared] == twin.platform.timeline[:shared]


def test_a_fork_that_gets_the_same_answers_has_the_same_fate(begun, answers):
    driver, asking = begun
    twin = driver.fork()
    for one in (driver, twin):
        one.answer(answers(asking, GOOD))
        while (asked := one.play()) is not None:
            one.answer(answers(asked, GOOD))
    assert driver.verdict == twin.verdict
    assert driver.platform.timeline == twin.platform.timeline
    assert driver.key() == twin.key()


def test_keys_part_at_a_forgiven_failure_and_meet_again_when_its_analysis_is_over(policy_of, even, answers):
    steps = (
        "[{setWeight: 25}, {analysis: {templates: [{templateName: errors}]}}, {pause: {duration: 60}},"
        " {analysis: {templates: [{templateName: errors}]}}]"
    )
    policy = policy_of(steps, more="count: 2\n      failureLimit: 1")
    driver = VirtualDriver(prepare(policy, even()), seed=1, cohort=0)
    first = driver.play()
    twin = driver.fork()
    driver.answer(answers(first, GOOD))
    twin.answer(answers(first, BAD))
    second, other = driver.play(), twin.play()
    assert (second.at_s, second.questions[0].key) == (other.at_s, other.questions[0].key)
    assert driver.key() != twin.key()
    driver.answer(answers(second, GOOD))
    twin.answer(answers(other, GOOD))
    assert driver.play().questions[0].analysis == 1
    twin.play()
    assert driver.key() == twin.key()


def test_the_same_cohort_of_the_same_seed_has_the_same_fate_and_another_has_another(guide, play):
    scenario = Scenario(traffic=Traffic(rps=50.0))
    ends = [
        play(guide, scenario, seed=seed, cohort=cohort).verdict.at_s
        for seed, cohort in [(1, 0), (1, 0), (1, 1), (2, 0)]
    ]
    assert ends[0] == ends[1]
    assert len(set(ends)) == 3


def test_fates_agree_between_policies_as_long_as_they_are_lived_together(policy_of, guide, even, play):
    scenario = Scenario(traffic=Traffic(rps=50.0), deploy_s=400.0)
    short = play(policy_of("[{setWeight: 10}, {pause: {duration: 30}}]", replicas=6), scenario).platform
    long = play(guide, scenario).platform
    for ours, theirs in zip(short.timeline[:2], long.timeline[:2], strict=True):
        assert ours.from_s == theirs.from_s
    assert [life.ready_s - life.created_s for life in short.lives if life.is_release][:6] == pytest.approx(
        [life.ready_s - life.created_s for life in long.lives if life.is_release][:6]
    )

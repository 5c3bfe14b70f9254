"""The guide's policy in a world without chance: every instant is worked out by hand."""

from __future__ import annotations

import math

import pytest

from controller.core.invariants import breaches
from controller.core.runs import AnalysisPhase
from sim.outcomes.table import Outcome
from sim.scenarios import TrafficChange, Trigger

GOOD, BAD = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED

# Deployed at 300 (the queries' window). The controller looks 0.1 s after every cause, pods are ready 5 s after they
# were created, a weight holds 1 s after it was asked for. With six replicas, weights of 10, 30, 60 and 100 % need
# 1, 2, 4 and 6 canary pods.
#   300.1 the first pod is created, ready at 305.1, seen at 305.2: weight 10 is asked for and holds from 306.2
#   305.2 the pause of 180 s begins; over at 485.2, seen at 485.3: the first measurement
#   485.3, then each a minute and a look later: 545.4, 605.5; the third ends the analysis
#   605.5 the second pod, ready at 610.5, seen at 610.6; weight 30 from 611.6; the pause ends at 790.6
#   790.7, 850.8, 910.9 measurements; two more pods, ready at 915.9; weight 60 from 917.0; the pause of 300 s
#   1216.1, 1276.2, 1336.3 measurements; two more pods, ready at 1341.3, seen at 1341.4: weight 100 and promotion
ASKED = [485.3, 545.4, 605.5, 790.7, 850.8, 910.9, 1216.1, 1276.2, 1336.3]
TIMELINE = [  # from, until, share of the release, pods that share
    (0.0, 306.2, 0.0, 6),
    (306.2, 611.6, 0.1, 7),
    (611.6, 917.0, 0.3, 8),
    (917.0, 1342.4, 0.6, 10),
]


def test_a_good_release_is_promoted_at_the_instants_worked_out_by_hand(guide, even, play):
    asked: list[float] = []
    driver = play(guide, even(), GOOD, asked=asked)
    verdict = driver.verdict
    assert asked == pytest.approx(ASKED)
    assert verdict.outcome is Outcome.PROMOTED
    assert verdict.at_s == pytest.approx(1341.4)
    assert verdict.ended_s == pytest.approx(1041.4)
    assert verdict.first_canary_s == pytest.approx(306.2)
    assert verdict.weight_max == 100.0
    assert math.isnan(verdict.detected_after(310.0))
    assert verdict.metric is None


def test_the_traffic_follows_the_weights_and_the_pods(guide, even, play):
    platform = play(guide, even(), GOOD).platform
    found: list[tuple[float, float, float, int]] = []
    for stretch in platform.timeline:
        assert sum(share for _, share in stretch.shares) == pytest.approx(1.0)
        if found and found[-1][2] == pytest.approx(stretch.release_share):
            # A new pod shares the canary's weight before the weight itself rises.
            found[-1] = (found[-1][0], stretch.until_s, found[-1][2], found[-1][3])
        else:
            found.append((stretch.from_s, stretch.until_s, stretch.release_share, len(stretch.shares)))
    assert [entry[:3] for entry in found] == [pytest.approx(entry[:3]) for entry in TIMELINE]
    assert platform.current.release_share == 1.0
    assert len(platform.current.shares) == 6


def test_pods_are_six_plus_those_that_the_weight_needs(guide, even, play):
    lives = play(guide, even(), GOOD).platform.lives
    assert [life.created_s for life in lives if life.is_release] == pytest.approx(
        [300.1, 605.5, 910.9, 910.9, 1336.3, 1336.3]
    )
    assert sum(not life.is_release for life in lives) == 6


def test_a_failure_aborts_at_once_and_the_users_are_back_when_the_weight_holds(guide, even, play):
    driver = play(guide, even(), BAD)
    verdict = driver.verdict
    assert verdict.outcome is Outcome.ABORTED
    assert verdict.at_s == pytest.approx(485.3)
    assert verdict.detected_after(307.0) == pytest.approx(485.3 - 307.0)
    assert math.isnan(verdict.detected_after(485.4))
    assert verdict.recovered_s == pytest.approx(1.0)
    assert verdict.until_s == pytest.approx(486.3)
    assert (verdict.step, verdict.metric, verdict.weight_max) == (2, "error-rate", 10.0)
    assert driver.platform.release_share == 0.0


def test_the_metric_that_failed_is_named_and_not_the_first(guide, even, play):
    verdict = play(guide, even(), GOOD, metrics={"latency-p95": BAD}).verdict
    assert (verdict.outcome, verdict.metric) == (Outcome.ABORTED, "latency-p95")


def test_a_failure_at_the_last_analysis_is_at_step_eight(guide, even, play):
    verdict = play(guide, even(), *[GOOD] * 6, BAD).verdict
    assert (verdict.outcome, verdict.step, verdict.weight_max) == (Outcome.ABORTED, 8, 60.0)
    assert verdict.at_s == pytest.approx(1216.1)


@pytest.mark.parametrize("phases", [(GOOD,), (BAD,), (GOOD, GOOD, GOOD, BAD), (AnalysisPhase.INCONCLUSIVE,)])
def test_the_invariants_hold_over_what_was_decided(guide, even, play, phases):
    for cohort in range(5):
        history = play(guide, even(pods={"start_s": 20.0, "sigma": 1.0}), *phases, cohort=cohort).history
        assert breaches(history) == []


def test_a_window_that_waits_for_a_step_begins_when_the_rollout_is_there(guide, even, play):
    change = TrafficChange(when=Trigger(step_at_least=3, after_s=10.0), for_s=60.0, rps=5.0)
    platform = play(guide, even(traffic_changes=(change,)), GOOD).platform
    # The first analysis, step 2, ends at 605.5.
    assert platform.instants == {change.when: pytest.approx(615.5)}

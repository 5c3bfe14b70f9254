"""Rollouts with and without routers, steps, people and deadlines: outcomes and instants by hand, invariants held."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from controller.core.invariants import breaches
from controller.core.operator import Word
from controller.core.runs import AnalysisPhase
from sim.driving import DrivingError, VirtualDriver, prepare
from sim.outcomes.table import Outcome
from sim.releases import Release
from sim.scenarios import Autoscaler, ControllerModel, Outage, Prometheus, Service

GOOD, BAD = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED
ANALYSIS = "{analysis: {templates: [{templateName: errors}]}}"
BACKGROUND = "      analysis: {templates: [{templateName: errors}]}"


def release_shares(driver):
    """Return the release's share of the traffic over time, each value once."""
    shares: list[float] = []
    for stretch in (*driver.platform.timeline, driver.platform.current):
        if not shares or shares[-1] != pytest.approx(stretch.release_share):
            shares.append(stretch.release_share)
    return shares


def test_without_a_router_the_share_is_that_of_the_ready_pods(policy_of, even, play):
    # Four replicas, maxSurge 1, maxUnavailable 0, 50 %: one pod more, one old pod less, and so on up to 2 of 4.
    policy = policy_of(
        "[{setWeight: 50}, {pause: {duration: 60}}]",
        routed=False,
        canary="      maxSurge: 1\n      maxUnavailable: 0",
    )
    driver = play(policy, even())
    shares = release_shares(driver)
    # 0 of 4; 1 of 5, then 1 of 4; 2 of 5, then 2 of 4 = the step; after the pause 3 of 5 and so on up to all.
    assert shares[:5] == pytest.approx([0, 1 / 5, 1 / 4, 2 / 5, 1 / 2])
    assert shares[-1] == 1.0
    assert driver.verdict.outcome is Outcome.PROMOTED
    assert [breach for breach in breaches(driver.history) if not breach.parity] == []


def test_without_a_router_an_abort_is_over_when_the_last_canary_pod_is_gone(policy_of, even, play):
    policy = policy_of(
        f"[{{setWeight: 50}}, {ANALYSIS}, {{pause: {{duration: 60}}}}]",
        routed=False,
        canary="      maxSurge: 1\n      maxUnavailable: 0",
    )
    verdict = play(policy, even(), BAD).verdict
    assert verdict.outcome is Outcome.ABORTED
    # One new old pod (5 s, and 0.1 s until it is seen), one canary pod less, and the same again for the second.
    assert verdict.recovered_s == pytest.approx(10.2, abs=0.3)
    assert verdict.weight_max == pytest.approx(50.0)


def test_a_pause_without_a_duration_waits_for_a_person_and_goes_on_at_a_word(policy_of, even, answers):
    policy = policy_of("[{setWeight: 25}, {pause: {}}, {setWeight: 50}]")
    driver = VirtualDriver(prepare(policy, even()), seed=1, cohort=0)
    assert driver.play() is None
    # The pod is created at 300.1, ready at 305.1 and seen at 305.2: the pause begins there.
    assert (driver.verdict.outcome, driver.verdict.step) == (Outcome.PAUSED, 1)
    assert driver.verdict.at_s == pytest.approx(305.2)
    record = driver.say(Word.PROMOTE)
    assert record.word == "promote"
    assert driver.play() is None
    assert driver.verdict.outcome is Outcome.PROMOTED


def test_an_inconclusive_analysis_waits_for_a_person_and_names_its_metric(policy_of, even, play):
    policy = policy_of(f"[{{setWeight: 25}}, {ANALYSIS}]")
    verdict = play(policy, even(), AnalysisPhase.INCONCLUSIVE).verdict
    assert (verdict.outcome, verdict.metric, verdict.step) == (Outcome.PAUSED, "errors", 1)


def test_while_an_analysis_runs_beside_a_pause_it_may_still_abort(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {}}]", canary=BACKGROUND, more="initialDelay: 5m")
    verdict = play(policy, even(), GOOD, GOOD, BAD).verdict
    assert (verdict.outcome, verdict.metric) == (Outcome.ABORTED, "errors")


def test_a_paused_rollout_is_not_watched_for_ever(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {}}]", canary=BACKGROUND, more="initialDelay: 5m")
    verdict = play(policy, even(), GOOD).verdict
    assert verdict.outcome is Outcome.PAUSED
    assert verdict.until_s == pytest.approx(305.2 + 600.0, abs=1.0)
    assert verdict.at_s == pytest.approx(305.2)


def test_a_spec_that_is_paused_waits_from_the_start(policy_of, even, play):
    verdict = play(policy_of("[{setWeight: 25}]", spec="  paused: true"), even()).verdict
    assert (verdict.outcome, verdict.weight_max, verdict.first_canary_s) == (Outcome.PAUSED, 0.0, math.inf)


def test_without_steps_the_pods_are_replaced_and_the_release_promoted(policy_of, even, play):
    for routed in (True, False):
        driver = play(policy_of("[]", routed=routed), even())
        assert driver.verdict.outcome is Outcome.PROMOTED
        assert driver.platform.release_share == 1.0


def test_pods_that_never_become_ready_leave_the_rollout_stuck(policy_of, even, play):
    verdict = play(policy_of("[{setWeight: 25}]"), even(release=Release(never_ready=True))).verdict
    assert (verdict.outcome, verdict.weight_max) == (Outcome.STUCK, 0.0)
    assert verdict.ended_s == pytest.approx(3_600.0)


def test_or_abort_it_at_the_progress_deadline_where_the_policy_says_so(policy_of, even, play):
    spec = "  progressDeadlineSeconds: 120\n  progressDeadlineAbort: true"
    verdict = play(policy_of("[{setWeight: 25}]", spec=spec), even(release=Release(never_ready=True))).verdict
    assert verdict.outcome is Outcome.ABORTED
    assert verdict.ended_s == pytest.approx(120.0, abs=2.0)
    assert verdict.recovered_s == 0.0
    assert math.isnan(verdict.detected_after(math.inf))


def test_a_crash_loop_never_gets_past_its_step_but_is_sent_users_again_and_again(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {duration: 60}}, {setWeight: 100}]")
    driver = play(policy, even(release=Release(crash_after_s=20.0)))
    assert driver.verdict.outcome is not Outcome.ABORTED
    assert sum(life.is_release for life in driver.platform.lives) > 3
    assert any(stretch.unserved > 0 for stretch in driver.platform.timeline)


def test_with_a_shrinking_stable_an_abort_waits_until_stable_has_grown_again(policy_of, even, play):
    policy = policy_of(
        f"[{{setWeight: 50}}, {ANALYSIS}, {{pause: {{duration: 60}}}}]", canary="      dynamicStableScale: true"
    )
    driver = play(policy, even(), BAD)
    stable = [life for life in driver.platform.lives if not life.is_release]
    assert len(stable) > 4  # some were ended on the way up, and others made on the way back
    assert driver.verdict.outcome is Outcome.ABORTED
    # A new stable pod takes 5 s until it is ready; the weight cannot be back before that.
    assert driver.verdict.recovered_s > 5.0
    # The canary's pods go with the weight, not after it, so for the router's delay of 1 s half the users find nobody.
    lost = sum(stretch.unserved * (stretch.until_s - stretch.from_s) for stretch in driver.platform.timeline)
    assert lost == pytest.approx(0.5)
    assert [breach for breach in breaches(driver.history) if not breach.parity] == []


def test_a_controller_that_is_away_looks_when_it_is_back(guide, even, play):
    asked: list[float] = []
    model = ControllerModel(delay_s=0.1, sigma=0.0, restarts=(Outage(from_s=480.0, for_s=45.0),))
    play(guide, even(controller=model), GOOD, asked=asked)
    # The pause ends at 485.2, the controller is back at 525; then a minute, and a look later, each.
    assert asked[:3] == pytest.approx([525.0, 585.1, 645.2])


def test_an_abort_that_a_restart_holds_up_takes_hold_after_it(guide, even, answers):
    model = ControllerModel(delay_s=0.1, sigma=0.0, restarts=(Outage(from_s=485.0, for_s=45.0),))
    driver = VirtualDriver(prepare(guide, even(controller=model)), seed=1, cohort=0)
    asking = driver.play()
    driver.answer(answers(asking, BAD))
    driver.play()
    assert driver.verdict.at_s == pytest.approx(530.0)


def test_an_answer_that_comes_late_is_judged_when_it_comes(guide, even, answers):
    driver = VirtualDriver(prepare(guide, even()), seed=1, cohort=0)
    asking = driver.play()
    driver.answer(answers(asking, BAD), finished_s=asking.at_s + 8.0)
    driver.play()
    assert driver.verdict.at_s == pytest.approx(493.3)


def test_a_metrics_server_that_takes_two_seconds_moves_each_later_look_by_as_much(guide, even, answers):
    """The guide asks three times, a minute apart from the end of the answer before: 60, then 2 + 60."""
    driver = VirtualDriver(prepare(guide, even(prometheus=Prometheus(answer_s=2.0))), seed=1, cohort=0)
    asked = []
    for _ in range(3):
        asking = driver.play()
        asked.append(asking.at_s)
        assert asking.answered_s == pytest.approx(asking.at_s + 2.0)
        late = {key: replace(one, finished_s=asking.answered_s) for key, one in answers(asking, GOOD).items()}
        driver.answer(late)
    assert [later - before for before, later in pairwise(asked)] == pytest.approx([62.1, 62.1])


def test_an_autoscaler_in_mid_rollout_changes_the_size_and_the_rollout_follows(guide, even, play):
    from loadgen.traffic import Spike, Traffic

    scenario = even(
        traffic=Traffic(rps=100.0, shape=Spike(to_rps=200.0, at_s=700.0, for_s=10_000.0)),
        service=Service(cpu_s_per_request=0.048),  # 4.8 cores on 6 pods: 80 %
        autoscaler=Autoscaler(min_replicas=2, max_replicas=20),
    )
    driver = play(guide, scenario, GOOD)
    assert driver.verdict.outcome is Outcome.PROMOTED
    assert driver.platform.size == 12
    assert [breach for breach in breaches(driver.history) if not breach.parity] == []


def test_a_template_whose_metric_never_ends_with_no_way_out_is_cut_at_the_bound(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {duration: 60}}]", canary=BACKGROUND, more="initialDelay: 5m")
    verdict = play(policy, even(bound_s=30.0), GOOD).verdict
    assert verdict.outcome is Outcome.STUCK
    assert verdict.ended_s == pytest.approx(30.0)


def test_a_policy_that_the_core_refuses_is_refused_with_its_reason(policy_of, even):
    policy = replace(policy_of(f"[{{setWeight: 25}}, {ANALYSIS}]"), templates=())
    with pytest.raises(DrivingError, match=r"orders: InvalidSpec.*errors"):
        prepare(policy, even())


SUBSETS = """      trafficRouting:
        istio:
          virtualService: {name: orders}
          destinationRule: {name: orders, canarySubsetName: canary, stableSubsetName: stable}
"""
PING_PONG = """      pingPong: {pingService: orders-ping, pongService: orders-pong}
      trafficRouting:
        alb: {ingress: orders, servicePort: 80, rootService: orders}
"""


@pytest.mark.parametrize("routing", [SUBSETS, PING_PONG], ids=["subsets", "ping-pong"])
def test_routers_that_select_pods_themselves_send_them_their_share(policy_of, even, play, routing):
    steps = f"[{{setWeight: 25}}, {ANALYSIS}, {{setWeight: 50}}, {{pause: {{duration: 60}}}}]"
    policy = policy_of(steps, routed=False, canary=routing)
    driver = play(policy, even(), GOOD)
    assert driver.verdict.outcome is Outcome.PROMOTED
    assert release_shares(driver) == pytest.approx([0.0, 0.25, 0.5, 1.0])
    aborted = play(policy, even(), BAD)
    assert (aborted.verdict.outcome, aborted.platform.release_share) == (Outcome.ABORTED, 0.0)


def test_a_person_promotes_what_waits_at_a_pause_so_long_after(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]")
    driver = play(policy, even(promotes_after_s=120.0))
    assert driver.verdict.outcome is Outcome.PROMOTED
    # Paused at 305.2; promoted at 425.2, seen 0.1 s later; the second pod is ready at 430.3 and seen at 430.4; the
    # second pause is over at 550.4, seen at 550.5; two more pods are ready at 555.5, and seen at 555.6.
    assert driver.verdict.at_s == pytest.approx(555.6)
    assert release_shares(driver) == pytest.approx([0.0, 0.25, 0.5, 1.0])


def test_while_a_person_waits_an_analysis_beside_may_abort(policy_of, even, play):
    policy = policy_of("[{setWeight: 25}, {pause: {}}]", canary=BACKGROUND, more="initialDelay: 1m")
    verdict = play(policy, even(promotes_after_s=300.0), GOOD, BAD).verdict
    assert (verdict.outcome, verdict.metric) == (Outcome.ABORTED, "errors")


def test_nobody_promotes_past_an_inconclusive_analysis_or_a_paused_spec(policy_of, even, play):
    scenario = even(promotes_after_s=60.0)
    inconclusive = play(policy_of(f"[{{setWeight: 25}}, {ANALYSIS}]"), scenario, AnalysisPhase.INCONCLUSIVE)
    paused = play(policy_of("[{setWeight: 25}]", spec="  paused: true"), scenario)
    assert {inconclusive.verdict.outcome, paused.verdict.outcome} == {Outcome.PAUSED}

"""The scorecard's arithmetic, against a rehearsal that was worked out by hand (see conftest)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from experiments.events import Event, FaultEnded, StatusChanged, WeightSet
from experiments.gameday_files import Expectation
from experiments.report.words import headline
from experiments.scorecard import Evidence, score
from experiments.verdicts import Verdict

Make = Callable[..., Evidence]


def test_detection_runs_from_the_canarys_first_request_to_the_decision_to_abort(evidence_of: Make) -> None:
    # The first request to the canary is sent at 1100 s, the decision falls at 1200 s.
    assert score(evidence_of()).detection_s == pytest.approx(100.0)


def test_recovery_runs_from_the_decision_to_the_last_request_that_met_the_canary(evidence_of: Make) -> None:
    card = score(evidence_of())
    # Decided at 1200 s, last met at 1201 s; at speed 20 that second took 50 ms of the wall.
    assert card.recovery_s == pytest.approx(1.0)
    assert card.recovery_wall_s == pytest.approx(0.05)


def test_recovery_waits_for_the_router_where_no_user_happened_to_ask_meanwhile(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    quiet = requests[(requests["revision"] == "aaa111") | (requests["sent_s"] < 1190.0)]
    # Nobody met the canary after 1190 s, but until the router acknowledged at 1200.5 s somebody could have.
    assert score(evidence_of(requests=quiet)).recovery_s == pytest.approx(0.5)


def test_a_router_that_was_not_seen_to_let_go_of_the_canary_has_not_recovered(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    still_open = aborted_events[:-1]  # without the weight of 0 at 1200.5 s
    card = score(evidence_of(events=still_open, expect=Expectation(verdict="aborted", recovered_within_s=60)))
    assert card.recovery_s is None
    assert [check.held for check in card.checks if check.what == "recovery time"] == [False]


def test_a_router_that_let_go_before_the_word_was_written_had_let_go_at_the_abort(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    before = WeightSet(t_s=1199.9, canary=0, total=100, canary_hash="bbb222", stable_hash="aaa111")
    events = (*aborted_events[:-2], before, aborted_events[-2])
    assert score(evidence_of(events=events)).recovery_s == pytest.approx(1.0)  # the last user, at 1201 s


def test_a_canary_that_users_met_only_after_the_abort_was_not_detected_by_what_they_saw(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    late = requests[(requests["revision"] == "aaa111") | (requests["sent_s"] > 1200.0)]
    card = score(evidence_of(requests=late, expect=Expectation(verdict="aborted", detected_within_s=60)))
    assert card.detection_s is None
    assert [check.held for check in card.checks if check.what == "detection time"] == [False]


def test_a_release_that_was_never_deployed_did_not_keep_a_limit_of_bad_requests(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    expect = Expectation(verdict="aborted", bad_requests_max=20)
    card = score(evidence_of(events=aborted_events[:2], expect=expect, rps=0.0))
    assert [check.held for check in card.checks if check.what == "bad requests"] == [False]


def test_bad_requests_are_counted_by_revision_and_as_a_share_of_all_since_the_deployment(evidence_of: Make) -> None:
    card = score(evidence_of())
    # The canary gets one request at each whole second from 1100 to 1201: 102. Those at an even number of seconds
    # after 1050 fail: 1100, 1102, …, 1200, which are 51. From 1060.0 to 1209.9 there are 1,500 requests.
    canary = next(one for one in card.revisions if one.role == "under test")
    stable = next(one for one in card.revisions if one.role == "stable")
    assert (canary.requests, canary.bad, canary.error_answers) == (102, 51, 51)
    assert (stable.requests, stable.bad) == (1500 - 102, 0)
    assert (card.requests, card.bad, card.bad_by_release) == (1500, 51, 51)
    assert card.bad_share == pytest.approx(51 / 1500)


def test_a_request_that_a_late_generator_sends_to_the_release_counts_however_early_it_was_meant(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    late = requests.copy()
    row = late.index[99]  # meant for 1059.9 s, before the deployment at 1060 s; of the 1,500 it is none
    late.loc[row, ["sent_s", "finished_s", "revision", "status"]] = [1100.5, 1100.6, "bbb222", 500]
    card = score(evidence_of(requests=late))
    canary = next(one for one in card.revisions if one.role == "under test")
    assert (card.requests, canary.requests, canary.bad) == (1501, 103, 52)


def test_an_answer_that_is_too_slow_is_bad_only_where_the_game_day_says_what_too_slow_is(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    slow = requests.copy()
    slow.loc[slow.index[-5:], "latency_s"] = 2.0
    assert score(evidence_of(requests=slow)).bad == 51 + 5
    assert score(evidence_of(requests=slow, slow_after_s=None)).bad == 51


def test_requests_that_were_never_sent_or_cut_off_at_the_end_are_nobodys(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    unknown = requests.copy()
    unknown.loc[unknown.index[-3:], "failure"] = ["dropped", "cut off", "timed out"]
    card = score(evidence_of(requests=unknown))
    assert (card.requests, card.bad) == (1498, 52)


def test_the_largest_weight_is_what_the_release_had_before_its_verdict(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    assert score(evidence_of()).weight_max == 10
    late = WeightSet(t_s=1230.0, canary=60, total=100, canary_hash="bbb222", stable_hash="aaa111")
    assert score(evidence_of(events=(*aborted_events, late))).weight_max == 10


def test_the_decision_to_abort_names_the_limit_that_fired_and_the_measurement_behind_it(evidence_of: Make) -> None:
    [line] = [line for line in score(evidence_of()).decisions if line.limit]
    assert line.what.startswith("aborted")
    assert "failed (1) > failureLimit (0)" in line.limit
    [measured] = line.measurements
    assert (measured.metric, measured.value, measured.requests) == ("error-rate", "[0.05]", 100.0)
    assert measured.flip == "a value below 0.01"
    assert measured.t_s == pytest.approx(140.0)  # 1200 s, counted from the deployment at 1060 s


def test_a_release_that_no_user_met_has_no_detection_time(evidence_of: Make, requests: pd.DataFrame) -> None:
    nobody = requests[requests["revision"] == "aaa111"]
    card = score(evidence_of(requests=nobody))
    assert card.verdict is Verdict.ABORTED
    assert card.detection_s is None


def test_a_limit_on_something_that_was_not_seen_does_not_hold(evidence_of: Make, requests: pd.DataFrame) -> None:
    nobody = requests[requests["revision"] == "aaa111"]
    card = score(evidence_of(requests=nobody, expect=Expectation(verdict="aborted", detected_within_s=1000.0)))
    assert [check.held for check in card.checks if check.what == "detection time"] == [False]
    assert not card.holds


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        (Expectation(verdict="aborted"), True),
        (Expectation(verdict="promoted"), False),
        (Expectation(verdict="aborted", weight_max=10), True),
        (Expectation(verdict="aborted", weight_max=9), False),
        (Expectation(verdict="aborted", detected_within_s=100.5), True),
        (Expectation(verdict="aborted", detected_within_s=99.5), False),
        (Expectation(verdict="aborted", recovered_within_s=0.5), False),
        (Expectation(verdict="aborted", bad_requests_max=51), True),
        (Expectation(verdict="aborted", bad_requests_max=50), False),
    ],
)
def test_all_that_is_expected_must_hold(evidence_of: Make, expect: Expectation, holds: bool) -> None:
    assert score(evidence_of(expect=expect)).holds is holds


def test_expectations_do_not_hold_on_a_load_whose_counts_may_not_be_believed(evidence_of: Make) -> None:
    said = {"counts": {"outcome": "invalid", "reasons": ["it was late"]}, "latency": {"outcome": "valid"}}
    card = score(evidence_of(validity=said))
    assert not card.holds
    assert card.void
    assert card.void_because == card.load.reasons == ("it was late",)
    assert headline(card) == "No evidence, because the load was not as planned: it was late."


@pytest.mark.parametrize(
    ("lag_ms", "slow_after_s", "void"),
    [
        (49, 1.0, False),  # 5 % of the second after which an answer is too slow are 50 ms
        (51, 1.0, True),
        (51, 2.0, False),
        (51, None, False),  # no answer is too slow, so nothing rests on latencies
    ],
)
def test_latencies_void_a_rehearsal_only_where_they_decide_which_answers_are_too_slow(
    evidence_of: Make, lag_ms: int, slow_after_s: float | None, void: bool
) -> None:
    said = {"counts": {"outcome": "valid"}, "latency": {"outcome": "invalid"}, "lag_p99_s": lag_ms / 1e3}
    card = score(evidence_of(validity=said, slow_after_s=slow_after_s))
    assert card.void is void


def test_a_rehearsal_without_a_verdict_on_its_load_is_void_unless_it_was_to_have_none(evidence_of: Make) -> None:
    assert score(evidence_of(validity={})).void_because == ("the load generator left no verdict on its run",)
    assert not score(evidence_of(validity={}, rps=0.0)).void


def test_a_fault_that_was_never_seen_to_end_breaks_the_expectations(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    left = tuple(event for event in aborted_events if not isinstance(event, FaultEnded))
    assert not score(evidence_of(events=left)).holds
    assert score(evidence_of()).holds


def test_a_rollout_that_did_not_converge_is_unfinished_and_says_so(
    evidence_of: Make, aborted_events: tuple[Event, ...]
) -> None:
    cut = tuple(event for event in aborted_events if not (isinstance(event, StatusChanged) and event.aborted))
    card = score(evidence_of(events=cut))
    assert card.verdict is Verdict.UNFINISHED
    assert any("before the rollout had converged" in note for note in card.notes)


def test_a_promoted_release_ends_at_a_weight_of_a_hundred(evidence_of: Make, aborted_events: tuple[Event, ...]) -> None:
    before = tuple(event for event in aborted_events if event.t_s < 1200.0)
    healthy = next(event for event in aborted_events if isinstance(event, StatusChanged) and event.t_s == 1061.0)
    promoted = (
        WeightSet(t_s=1219.0, canary=0, total=100, canary_hash="bbb222", stable_hash="bbb222"),
        replace(healthy, t_s=1220.0, phase="Healthy", stable_hash="bbb222"),
    )
    card = score(evidence_of(events=before + promoted, expect=Expectation(verdict="promoted")))
    assert (card.verdict, card.weight_max, card.verdict_s) == (Verdict.PROMOTED, 100.0, 160.0)


def test_the_card_says_what_a_service_of_the_users_size_would_see(evidence_of: Make) -> None:
    # Ten requests/s of policy time at speed 20 are two hundred real ones.
    assert any("200 requests/s were sent for real" in note for note in score(evidence_of()).notes)


def test_the_route_that_the_release_breaks_is_named_and_others_are_not(
    evidence_of: Make, requests: pd.DataFrame
) -> None:
    # Of the canary's 102 requests the 51 at even seconds fail; those asked for one order's payment each.
    routed = requests.copy()
    whole = routed["intended_s"].round(1)
    routed["path"] = [f"/orders/{int(at_s)}/pay?try=1" if at_s % 2 == 0 else "/orders" for at_s in whole]
    card = score(evidence_of(requests=routed))
    assert card.failed_route is not None
    worst = card.routes[0]
    # From 1060 s to 1209.9 s there are 75 even seconds; from 1100 s to 1201 s the canary got them, 51, and failed all.
    assert (worst.name, worst.requests, worst.bad) == ("GET /orders/{id}/pay", 75, 51)
    assert (worst.release_requests, worst.release_bad) == (51, 51)
    assert (card.routes[1].name, card.routes[1].release_requests, card.routes[1].release_bad) == ("GET /orders", 51, 0)
    assert "51 of them the release's on GET /orders/{id}/pay" in headline(card)


def test_no_route_is_named_where_all_fail_alike_or_there_is_one_only(evidence_of: Make, requests: pd.DataFrame) -> None:
    assert score(evidence_of()).failed_route is None
    routed = requests.copy()
    routed["path"] = [f"/{'ab'[int(at_s) // 2 % 2]}" for at_s in routed["intended_s"].round(1)]
    # Even seconds fall to both routes in turn, so each has half of the failures.
    assert score(evidence_of(requests=routed)).failed_route is None

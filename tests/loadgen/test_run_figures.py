"""Figures and the verdict on validity, from rows written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loadgen.openloop import Failure, Outcome, by_revision, by_route, judge
from loadgen.openloop.records import ROW, Rows

REVISIONS = ["", "stable", "canary"]
NAN = math.nan


def rows(*fates: tuple[float, float, float, int, int, Failure]) -> Rows:
    """Rows from (intended, sent, finished, status, revision, failure)."""
    found = np.zeros(len(fates), dtype=ROW)
    for number, (intended_s, sent_s, finished_s, status, revision, failure) in enumerate(fates):
        found[number] = (intended_s, sent_s, finished_s, number, status, revision, 0, 0, failure, b"")
    return found


def quick(count: int, *, service_s: float = 0.1, lag_s: float = 0.0) -> Rows:
    """`count` requests of the stable revision, a tenth of a second apart, all alike."""
    return rows(*((i / 10, i / 10 + lag_s, i / 10 + lag_s + service_s, 200, 1, Failure.NONE) for i in range(count)))


def test_each_revision_has_its_own_figures_and_bad_requests_add_up() -> None:
    found = by_revision(
        rows(
            (0.0, 0.0, 0.1, 200, 1, Failure.NONE),
            (1.0, 1.0, 1.1, 503, 2, Failure.NONE),
            (2.0, 2.0, 2.9, 200, 2, Failure.NONE),  # 0.9 s: too slow
            (3.0, 3.0, 3.9, 500, 2, Failure.NONE),  # bad and slow: one bad request, not two
            (4.0, 4.0, 14.0, 0, 0, Failure.TIMED_OUT),
            (5.0, 5.0, 5.1, 404, 1, Failure.NONE),  # an answer that nobody wanted is still one
        ),
        REVISIONS,
        slow_after_s=0.5,
    )
    by_name = {figures.name: figures for figures in found}
    assert [(name, figures.requests, figures.bad) for name, figures in by_name.items()] == [
        ("", 1, 1),
        ("canary", 3, 3),
        ("stable", 2, 0),
    ]
    assert (by_name["canary"].bad_status, by_name["canary"].too_slow) == (2, 1)
    assert by_name[""].failed == {"timed out": 1}
    assert math.isnan(by_name[""].latency.p50_s)


def test_two_routes_to_one_path_are_one_route_to_users() -> None:
    found = quick(4)
    found["route"] = [0, 1, 2, 2]
    assert [(seen.name, seen.requests) for seen in by_route(found, ["GET /a", "GET /b", "GET /a"])] == [
        ("GET /a", 3),
        ("GET /b", 1),
    ]


def test_requests_that_nobody_sent_or_that_were_cut_off_are_nobodys_bad_requests() -> None:
    found = rows(
        (0.0, NAN, NAN, 0, 0, Failure.DROPPED),
        (1.0, 1.0, NAN, 0, 0, Failure.CUT_OFF),
        (2.0, 2.0, 2.1, 200, 1, Failure.NONE),
    )
    (stable,) = by_revision(found, REVISIONS)
    assert (stable.name, stable.requests, stable.bad) == ("stable", 1, 0)


def test_quantiles_are_latencies_that_were_measured_from_both_instants() -> None:
    # 100 requests sent 1 s late that took 0.01 s, 0.02 s, … 1 s: half took up to 0.5 s, 99 of them up to 0.99 s.
    (stable,) = by_revision(rows(*((0.0, 1.0, 1.0 + i / 100, 200, 1, Failure.NONE) for i in range(1, 101))), REVISIONS)
    assert (stable.service.p50_s, stable.service.p95_s, stable.service.p99_s) == pytest.approx((0.5, 0.95, 0.99))
    assert (stable.latency.p50_s, stable.latency.p99_s, stable.latency.max_s) == pytest.approx((1.5, 1.99, 2.0))


def test_a_run_that_did_what_it_was_told_is_valid() -> None:
    validity = judge(quick(100, lag_s=0.004), due=100, speed=20, cpu_shares=[0.2, 0.3])
    assert (validity.counts.outcome, validity.latency.outcome) == (Outcome.VALID, Outcome.VALID)
    assert validity.holds
    assert validity.lag_p99_s == pytest.approx(0.004)
    assert validity.lag_p99_policy_s == pytest.approx(0.08)


def test_a_single_drop_voids_the_counts() -> None:
    found = np.concatenate([quick(999), rows((99.9, NAN, NAN, 0, 0, Failure.DROPPED))])
    validity = judge(found, due=1000, speed=1, cpu_shares=[])
    assert validity.counts.outcome is Outcome.INVALID
    assert validity.counts.reasons == ("1 requests were dropped: too many were waiting for an answer",)
    assert not validity.holds


@pytest.mark.parametrize(("sent", "outcome"), [(990, Outcome.VALID), (989, Outcome.INVALID)])
def test_the_rate_must_hold_within_one_percent(sent: int, outcome: Outcome) -> None:
    assert judge(quick(sent), due=1000, speed=1, cpu_shares=[]).counts.outcome is outcome


@pytest.mark.parametrize(("late", "outcome"), [(10, Outcome.VALID), (11, Outcome.INVALID)])
def test_requests_in_another_second_of_policy_time_spoil_the_rate(late: int, outcome: Outcome) -> None:
    # 60 ms of the wall are 1.2 s of policy time at speed 20, and 0.6 s at speed 10.
    found = np.concatenate([quick(1000 - late), quick(late, lag_s=0.06)])
    assert judge(found, due=1000, speed=20, cpu_shares=[]).counts.outcome is outcome
    assert judge(found, due=1000, speed=10, cpu_shares=[]).counts.outcome is Outcome.VALID


def test_requests_without_a_known_end_void_the_counts_when_they_are_many() -> None:
    waiting = rows(*((0.0, 0.0, NAN, 0, 0, Failure.CUT_OFF) for _ in range(11)))
    validity = judge(np.concatenate([quick(989), waiting]), due=1000, speed=1, cpu_shares=[])
    assert validity.counts.outcome is Outcome.INVALID
    assert "11 of 1,000 requests were still waiting" in validity.counts.reasons[0]


@pytest.mark.parametrize(("lag_s", "outcome"), [(0.0049, Outcome.VALID), (0.0051, Outcome.INVALID)])
def test_lag_may_be_a_twentieth_of_what_the_service_took(lag_s: float, outcome: Outcome) -> None:
    validity = judge(quick(1000, service_s=0.1, lag_s=lag_s), due=1000, speed=1, cpu_shares=[])
    assert validity.latency.outcome is outcome
    assert validity.counts.outcome is Outcome.VALID  # late by milliseconds is no matter for counts


def test_a_generator_without_cpu_to_spare_voids_its_latencies() -> None:
    validity = judge(quick(100), due=100, speed=1, cpu_shares=[0.5] * 18 + [0.95] * 2)
    assert validity.latency.outcome is Outcome.INVALID
    assert validity.latency.reasons == ("the generator's CPU was saturated in 10% of the run",)
    assert judge(quick(100), due=100, speed=1, cpu_shares=[0.5] * 19 + [0.95]).latency.outcome is Outcome.VALID


def test_a_late_generator_on_a_busy_machine_says_that_the_machine_was_busy() -> None:
    late = quick(100, lag_s=0.01)
    (alone,) = judge(late, due=100, speed=1, cpu_shares=[0.1], machine_shares=[0.4]).latency.reasons
    lag, machine = judge(late, due=100, speed=1, cpu_shares=[0.1], machine_shares=[0.9, 0.96]).latency.reasons
    assert lag == alone
    assert machine == "the whole machine was 93% busy: close other programs, or lower the speed or the rate"


def test_silence_is_no_evidence_and_not_an_invalid_run() -> None:
    validity = judge(rows(), due=0, speed=1, cpu_shares=[])
    assert (validity.counts.outcome, validity.latency.outcome) == (Outcome.NO_EVIDENCE, Outcome.NO_EVIDENCE)
    assert validity.holds
    assert validity.as_json()["service_p95_s"] is None


def test_a_service_that_never_answers_leaves_counts_but_no_latency() -> None:
    found = rows(*((i / 10, i / 10, i / 10, 0, 0, Failure.REFUSED) for i in range(10)))
    validity = judge(found, due=10, speed=1, cpu_shares=[])
    assert (validity.counts.outcome, validity.latency.outcome) == (Outcome.VALID, Outcome.NO_EVIDENCE)

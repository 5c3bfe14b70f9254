"""One analysis run: when metrics are asked, and what their measurements make of the run. Times in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.analysis import advance, due
from controller.core.runs import AnalysisPhase, AnalysisRun, Measurement, RunKind
from controller.manifests.values import EvidenceAction, EvidenceRules, Metric, Parity, PrometheusProvider

GOOD, BAD, ERROR, UNCLEAR, FEW = (
    AnalysisPhase.SUCCESSFUL,
    AnalysisPhase.FAILED,
    AnalysisPhase.ERROR,
    AnalysisPhase.INCONCLUSIVE,
    AnalysisPhase.MISSING,
)


def metric(name="errors", **changes):
    settings = {"interval_s": 60.0, "count": 3, **changes}
    return Metric(name=name, provider=PrometheusProvider(query="rate(x[5m])"), **settings)


def run_of(*metrics, **changes):
    return AnalysisRun(name="run", kind=RunKind.STEP, pod_hash="h", created_s=0.0, metrics=metrics, **changes)


def told(phase, at_s, message=""):
    return Measurement(phase=phase, started_s=at_s, finished_s=at_s, message=message)


def play(run, answers, until_s=10_000.0):
    """Advance a run by scripts of phases per metric (the last repeats); return the run and when each was asked."""
    now_s, asked = 0.0, []
    scripts = {name: list(script) for name, script in answers.items()}
    while now_s <= until_s:
        names, look_s = due(run, now_s)
        if look_s is None:
            break
        if look_s > now_s:
            now_s = look_s
            continue
        measured = {}
        for name in names:
            script = scripts[name]
            measured[name] = told(script.pop(0) if len(script) > 1 else script[0], now_s)
            asked.append((name, now_s))
        before, run = run.status, replace(run, status=advance(run, measured, now_s))
        if run.status == before:
            break
    return run, asked


def test_a_metric_is_asked_at_once_and_then_once_an_interval_until_its_count():
    run, asked = play(run_of(metric()), {"errors": [GOOD]})
    assert asked == [("errors", 0.0), ("errors", 60.0), ("errors", 120.0)]
    assert run.status.phase is GOOD
    assert run.status.completed_s == 120.0


def test_a_metric_without_interval_and_count_is_asked_once():
    run, asked = play(run_of(metric(interval_s=None, count=None)), {"errors": [GOOD]})
    assert (run.status.phase, asked) == (GOOD, [("errors", 0.0)])


def test_a_metric_with_an_interval_and_no_count_goes_on_until_the_run_is_stopped():
    run, asked = play(run_of(metric(count=None)), {"errors": [GOOD]}, until_s=600.0)
    assert run.status.phase is AnalysisPhase.RUNNING
    assert len(asked) == 11  # at 0, 60, …, 600
    stopped = replace(run, terminate=True)
    assert due(stopped, 601.0) == ((), 601.0)
    status = advance(stopped, {}, 601.0)
    assert (status.phase, status.message) == (GOOD, "Run Terminated")


def test_one_failure_beyond_the_limit_ends_the_run_in_two_looks():
    run = run_of(metric("errors"), metric("latency"))
    first = replace(run, status=advance(run, {"errors": told(BAD, 0.0), "latency": told(GOOD, 0.0)}, 0.0))
    assert first.status.phase is AnalysisPhase.RUNNING
    assert first.status.result("errors").phase is BAD
    assert due(first, 0.0) == ((), 0.0)
    last = advance(first, {}, 0.0)
    assert last.phase is BAD
    assert last.message == 'Metric "errors" assessed Failed due to failed (1) > failureLimit (0)'
    assert last.result("latency").phase is GOOD


def test_a_limit_of_one_forgives_one_failure():
    run, _ = play(run_of(metric(failure_limit=1)), {"errors": [BAD, GOOD]})
    assert (run.status.phase, run.status.result("errors").failed) == (GOOD, 1)


def test_errors_are_asked_again_after_ten_seconds_and_do_not_count():
    run, asked = play(run_of(metric(count=2)), {"errors": [ERROR, ERROR, GOOD]})
    assert [at_s for _, at_s in asked] == [0.0, 10.0, 20.0, 80.0]
    assert (run.status.phase, run.status.result("errors").count) == (GOOD, 2)


def test_the_fifth_error_in_a_row_is_one_too_many():
    run, asked = play(run_of(metric()), {"errors": [ERROR]})
    assert [at_s for _, at_s in asked] == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert run.status.phase is ERROR
    assert "consecutiveErrors (5) > consecutiveErrorLimit (4)" in run.status.message


def test_an_initial_delay_counts_from_the_first_look():
    _, asked = play(run_of(metric(initial_delay_s=30.0, count=1)), {"errors": [GOOD]})
    assert asked == [("errors", 30.0)]


def test_the_worst_metric_is_the_run():
    run, _ = play(run_of(metric("a", count=1), metric("b", count=1)), {"a": [UNCLEAR], "b": [GOOD]})
    assert run.status.phase is UNCLEAR


def test_a_dry_run_metric_decides_nothing_and_is_not_asked_after_it_failed():
    run, asked = play(run_of(metric("a"), metric("b"), dry_run=frozenset({"a"})), {"a": [BAD], "b": [GOOD]})
    assert run.status.phase is GOOD
    assert [name for name, _ in asked].count("a") == 1
    assert run.status.result("a").message == "Metric assessed Failed due to failed (1) > failureLimit (0)"


def test_a_run_whose_metrics_are_unfit_ends_as_an_error_without_a_question():
    run, asked = play(run_of(problem="Analysis spec invalid: no metrics specified"), {})
    assert (run.status.phase, run.status.message, asked) == (
        ERROR,
        "Analysis spec invalid: no metrics specified",
        [],
    )


@pytest.mark.parametrize(("limit", "verdict"), [(0, UNCLEAR), (-1, BAD)])
def test_a_streak_that_is_not_reached_is_inconclusive_or_failed(limit, verdict):
    streak = metric(count=3, consecutive_success_limit=3, failure_limit=limit)
    answers = [GOOD, UNCLEAR, GOOD] if limit == 0 else [GOOD, BAD, GOOD]
    run, _ = play(run_of(replace(streak, inconclusive_limit=3)), {"errors": answers})
    assert run.status.phase is verdict


# ---- the request guard


def guarded(**rules):
    return metric(evidence=EvidenceRules(requests_min=300, **rules))


def test_too_few_requests_count_towards_nothing_and_are_asked_again_after_the_interval():
    run, asked = play(run_of(guarded()), {"errors": [FEW, FEW, GOOD]})
    assert [at_s for _, at_s in asked] == [0.0, 60.0, 120.0, 180.0, 240.0]
    result = run.status.result("errors")
    assert (run.status.phase, result.count, result.missing) == (GOOD, 3, 2)


def test_evidence_that_stays_missing_pauses_at_the_deadline():
    # The window is 5 minutes, so twice of it is the ten minutes that every deadline has at least.
    run, asked = play(run_of(guarded()), {"errors": [FEW]})
    assert asked[-1] == ("errors", 600.0)
    assert run.status.phase is UNCLEAR
    assert run.status.message.endswith("due to evidence missing for 600s")


@pytest.mark.parametrize(("action", "verdict"), [(EvidenceAction.FAIL, BAD), (EvidenceAction.PASS, GOOD)])
def test_the_policy_names_what_happens_at_the_deadline(action, verdict):
    run, _ = play(run_of(guarded(deadline_s=90.0, on_deadline=action)), {"errors": [FEW]})
    assert (run.status.phase, run.status.completed_s) == (verdict, 90.0)


def test_a_sufficient_measurement_clears_the_deadline():
    # Missing at 0 and 60, enough at 120; missing again from 180, so that the deadline is 180 + 150 = 330.
    run, _ = play(run_of(guarded(deadline_s=150.0)), {"errors": [FEW, FEW, GOOD, FEW]})
    assert (run.status.phase, run.status.completed_s) == (UNCLEAR, 330.0)


def test_a_metric_that_is_done_is_still_asked_while_another_waits_and_may_fail():
    run, asked = play(
        run_of(metric("done", count=1), replace(guarded(), name="waits")),
        {
            "done": [GOOD, GOOD, BAD],
            "waits": [FEW],
        },
    )
    assert [at_s for name, at_s in asked if name == "done"] == [0.0, 60.0, 120.0]
    assert run.status.phase is BAD


def test_a_run_that_is_stopped_below_its_floor_is_no_success():
    run = run_of(guarded())
    run = replace(run, status=advance(run, {"errors": told(FEW, 0.0)}, 0.0), terminate=True)
    assert advance(run, {}, 1.0).phase is UNCLEAR


def test_an_analysis_without_a_measurement_is_a_success_in_parity_only():
    strict = run_of(metric(), terminate=True)
    free = run_of(metric(evidence=EvidenceRules(parity=Parity.OFF)), terminate=True)
    assert advance(strict, {}, 0.0).phase is GOOD
    assert advance(free, {}, 0.0).phase is UNCLEAR


def test_limits_can_be_in_a_row():
    in_a_row = metric(count=5, failure_limit=1, evidence=EvidenceRules(consecutive_limits=True, parity=Parity.OFF))
    apart, _ = play(run_of(in_a_row), {"errors": [BAD, GOOD, BAD, GOOD, BAD]})
    together, _ = play(run_of(in_a_row), {"errors": [GOOD, BAD, BAD]})
    assert (apart.status.phase, together.status.phase) == (GOOD, BAD)


# ---- laws

OUTCOMES = st.lists(st.sampled_from([GOOD, BAD, ERROR, UNCLEAR, FEW]), min_size=1, max_size=12)


@given(answers=OUTCOMES, failures=st.integers(0, 4), more=st.integers(1, 4), count=st.integers(1, 6))
def test_a_higher_failure_limit_never_fails_a_run_earlier(answers, failures, more, count):
    strict, asked = play(run_of(metric(count=count, failure_limit=failures)), {"errors": answers})
    lenient, asked_by_lenient = play(run_of(metric(count=count, failure_limit=failures + more)), {"errors": answers})
    if lenient.status.phase is BAD:
        assert strict.status.completed_s is not None
        assert len(asked) <= len(asked_by_lenient)
        assert strict.status.phase is not GOOD


@given(answers=OUTCOMES, count=st.integers(1, 6), limit=st.integers(0, 3))
def test_advancing_without_news_changes_nothing(answers, count, limit):
    run, _ = play(run_of(metric(count=count, failure_limit=limit)), {"errors": answers})
    assert advance(run, {}, 20_000.0) == run.status or run.status.phase is AnalysisPhase.RUNNING


@given(answers=OUTCOMES, count=st.integers(1, 6))
def test_missing_evidence_alone_is_never_a_success(answers, count):
    only_missing = [FEW if answer is GOOD else answer for answer in answers]
    run, _ = play(run_of(guarded(deadline_s=300.0)), {"errors": [*only_missing, FEW]})
    assert run.status.phase is not GOOD

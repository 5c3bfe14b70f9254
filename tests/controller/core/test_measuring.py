"""How an answer becomes a measurement: the conditions' phase, the floor, and what would have flipped it."""

from __future__ import annotations

import pytest

from controller.core.evidence import RatioShape
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.values import EvidenceAction, EvidenceRules, FrozenMap, Metric, Parity, PrometheusProvider

NAN = float("nan")


def metric(success="result[0] < 0.01", failure="", **rules):
    return Metric(
        name="errors",
        provider=PrometheusProvider(query="q"),
        success_condition=success,
        failure_condition=failure,
        evidence=EvidenceRules(**rules),
    )


def told(value=None, requests=None, error="", shape=None):
    return Answer(started_s=1.0, finished_s=2.0, value=value, requests=requests, error=error, shape=shape)


@pytest.mark.parametrize(
    ("value", "phase"),
    [
        ((0.002,), AnalysisPhase.SUCCESSFUL),
        ((0.2,), AnalysisPhase.FAILED),
        ((NAN,), AnalysisPhase.FAILED),  # in parity: NaN < 0.01 is false
        ((), AnalysisPhase.ERROR),
    ],
)
def test_in_parity_the_conditions_alone_decide(value, phase):
    assert measure_metric(metric(), told(value)).phase is phase


def test_a_measurement_says_which_rule_fired_and_what_would_have_flipped_it():
    measurement = measure_metric(metric(), told((0.02,), requests=412.0))
    assert measurement.reason == "successCondition is false"
    assert measurement.flip == "a value below 0.01: Successful"
    assert (measurement.value, measurement.requests, measurement.finished_s) == ((0.02,), 412.0, 2.0)


def test_without_parity_missing_evidence_waits_unless_the_policy_names_something_else():
    for value in ((NAN,), (), None):
        assert measure_metric(metric(parity=Parity.OFF), told(value)).phase is AnalysisPhase.MISSING
    down = metric(parity=Parity.OFF, on_missing=FrozenMap({"error": EvidenceAction.FAIL}))
    assert measure_metric(down, told(error="connection refused")).phase is AnalysisPhase.FAILED


def test_good_news_below_the_floor_is_too_few():
    measurement = measure_metric(metric(requests_min=300), told((0.0,), requests=120.0))
    assert measurement.phase is AnalysisPhase.MISSING
    assert measurement.reason == "too few: 120 requests, floor 300"
    assert measurement.flip == "300 requests or more"


def test_an_unknown_count_never_meets_a_floor():
    assert measure_metric(metric(requests_min=300), told((0.0,))).phase is AnalysisPhase.MISSING


def test_one_unlucky_error_below_the_floor_is_no_failure():
    # One bad request of 40 at a threshold of 1 %: 1 - 0.99^40 = 0.33, far above the odds of 0.001.
    answer = told((1 / 40,), requests=40.0, shape=RatioShape())
    assert measure_metric(metric(requests_min=300), answer).phase is AnalysisPhase.MISSING


def test_a_total_failure_below_the_floor_is_a_failure():
    # Ten bad of ten: 0.01^10, far below the odds.
    measurement = measure_metric(metric(requests_min=300), told((1.0,), requests=10.0, shape=RatioShape()))
    assert measurement.phase is AnalysisPhase.FAILED
    assert measurement.reason.startswith("conclusive below the floor: 10 requests")


def test_without_a_floor_a_count_that_is_unknown_changes_nothing():
    assert measure_metric(metric(), told((0.0,))).phase is AnalysisPhase.SUCCESSFUL

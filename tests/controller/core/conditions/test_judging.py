"""The two conditions of a metric, as Argo Rollouts combines them."""

from __future__ import annotations

import math

import pytest

from controller.core.conditions import judge
from controller.core.runs import AnalysisPhase as Phase

NAN = math.nan
OK, BAD = "result[0] < 0.01", "result[0] > 0.05"


@pytest.mark.parametrize(
    ("success", "failure", "result", "phase"),
    [
        (None, None, [0.5], Phase.SUCCESSFUL),
        ("", "", None, Phase.SUCCESSFUL),  # no condition asks nothing, not even for data
        (OK, None, [0.001], Phase.SUCCESSFUL),
        (OK, None, [0.5], Phase.FAILED),
        (OK, None, [NAN], Phase.FAILED),
        (None, BAD, [0.5], Phase.FAILED),
        (None, BAD, [0.03], Phase.SUCCESSFUL),
        (None, BAD, [NAN], Phase.SUCCESSFUL),  # a breach of "no evidence is no success" that Argo commits
        (OK, BAD, [0.001], Phase.SUCCESSFUL),
        (OK, BAD, [0.03], Phase.INCONCLUSIVE),
        (OK, BAD, [NAN], Phase.INCONCLUSIVE),
        (OK, BAD, [0.5], Phase.FAILED),
        ("true", "true", [0.5], Phase.FAILED),
        (OK, BAD, [], Phase.ERROR),
        (OK, None, None, Phase.ERROR),
        ("result < 0.01", None, [0.001], Phase.ERROR),
        (OK, "result[", [0.001], Phase.ERROR),
        ("len(result) == 0 || result[0] < 0.01", None, [], Phase.SUCCESSFUL),
    ],
)
def test_two_conditions_make_one_phase(success: str | None, failure: str | None, result: object, phase: Phase) -> None:
    assert judge(success, failure, result).phase is phase


def test_an_error_names_the_condition_and_says_when_there_was_no_data() -> None:
    assert judge(OK, None, []).message == (
        'could not evaluate successCondition "result[0] < 0.01": '
        "metric result is nil or empty: no data returned from the metric provider"
    )
    assert judge(OK, "result[1] > 5", [0.001]).message == (
        'could not evaluate failureCondition "result[1] > 5": index out of range: 1 (array length is 1)'
    )


def test_the_rule_that_gave_the_phase_is_named() -> None:
    assert judge(OK, BAD, [0.03]).reason == "neither condition is true"
    assert judge(OK, None, [0.5]).reason == "successCondition is false"
    assert judge(OK, BAD, [0.5]).reason == "failureCondition is true"

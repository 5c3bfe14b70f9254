"""What would have flipped it, and the one constant that a simple condition compares with."""

from __future__ import annotations

import math

import pytest

from controller.core.conditions import Threshold, compile_condition, fails_when, flip_phase, flip_value, threshold_of


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("result[0] < 0.01", Threshold(index=0, op="<", constant=0.01)),
        ("0.95 <= result[0]", Threshold(index=0, op=">=", constant=0.95)),
        ("(result[-1] > 5)", Threshold(index=-1, op=">", constant=5.0)),
        ("!(result[0] > 0.05)", Threshold(index=0, op="<=", constant=0.05)),
        ("result[0] < -1 * -2", Threshold(index=0, op="<", constant=2.0)),  # constants are folded first
        ("result <= 0.5", Threshold(index=None, op="<=", constant=0.5)),
        ("result[0] * 100 < 1", None),
        ("len(result) == 0 || result[0] < 0.01", None),
        ("result[0] < result[1]", None),
        ("all(result, # < 0.01)", None),
        ("true", None),
    ],
)
def test_a_simple_condition_is_known_as_one_comparison_with_a_constant(
    condition: str, expected: Threshold | None
) -> None:
    assert threshold_of(compile_condition(condition)) == expected


def test_a_measurement_fails_where_its_failure_condition_holds_else_where_its_success_condition_does_not() -> None:
    success, failure = compile_condition("result[0] < 0.01"), compile_condition("result[0] > 0.05")
    assert fails_when(success, None) == Threshold(index=0, op=">=", constant=0.01)
    assert fails_when(success, failure) == Threshold(index=0, op=">", constant=0.05)
    assert fails_when(None, failure) == Threshold(index=0, op=">", constant=0.05)
    assert fails_when(None, None) is None


@pytest.mark.parametrize(
    ("condition", "result", "flip"),
    [
        ("result[0] < 0.01", [0.2], "a value below 0.01"),
        ("result[0] < 0.01", [0.001], "a value of 0.01 or more"),
        ("result[0] <= 0.01", [0.001], "a value above 0.01"),
        ("result[0] >= 0.99", [0.5], "a value of 0.99 or more"),
        ("result[0] == 3", [1.0], "a value of 3"),
        ("result < 0.5", 0.7, "a value below 0.5"),
        ("result[0] >= 0 && result[0] <= 0.01", [-1.0], "a value from 0 to 0.01"),
        ("result[0] >= 0 && result[0] <= 0.01", [0.005], "a value below 0"),  # as far as above 0.01: 0.005
        ("len(result) == 0 || result[0] < 0.01", [0.5], "a value below 0.01"),
        ("!isNaN(result[0]) && result[0] < 0.5", [math.nan], "a value below 0.5"),
        ("result[1] < 0.5", [0.1, 0.7], "a value below 0.5"),
        ("result[0] < 0.01", [], None),  # no value to change
        ("all(result, # < 0.01)", [0.2], None),
        ("result[0] < 0 && false", [0.2], None),  # nothing flips it
    ],
)
def test_the_nearest_value_that_flips_a_condition_is_told_in_words(
    condition: str, result: object, flip: str | None
) -> None:
    assert flip_value(compile_condition(condition), result) == flip


def test_with_both_conditions_the_nearest_other_phase_is_told() -> None:
    assert flip_phase("result[0] < 0.01", "result[0] > 0.05", [0.02]) == "a value below 0.01: Successful"
    assert flip_phase("result[0] < 0.01", "result[0] > 0.05", [0.045]) == "a value above 0.05: Failed"
    assert flip_phase("result[0] < 0.01", None, [0.02]) == "a value below 0.01: Successful"
    assert flip_phase("result[0] <", None, [0.02]) == ""

"""The condition language: what one would not guess, what is an error and when, and what it refuses."""

from __future__ import annotations

import math
import time

import pytest

from controller.core.conditions import (
    ConditionError,
    Json,
    ResultKind,
    UnsupportedCondition,
    compile_condition,
    evaluate,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("condition", "result", "expected"),
    [
        ("result[0] < 0.01", [0.001], True),
        ("result[0] < 0.01", [0.01], False),
        ("result[0] < 0.01", [-math.inf], True),  # minus infinity passes
        ("result[0] < 0.01", [NAN], False),
        ("!(result[0] > 0.05)", [NAN], True),  # so does NaN, past a denied comparison
        ("result[-1] < 0.01", [0.5, 0.001], True),
        ("isNil(result)", [], False),  # an empty vector is not nil
        ("-2 ** 2 == -4", [], True),  # the power binds tighter than the sign
        ("not 1 == 2", [], None),  # not binds tighter than ==: not 1 is an error
        ("1 < 2 < 3", [], True),  # 1 < 2 and 2 < 3
        ("3 > 2 > 2", [], False),
        ("7 / 2 == 3.5", [], True),
        ("1 / 0 > 1", [], True),  # +Inf
        ("result[9] < 1 && false", [0.1], False),  # constants are folded before anything runs
        ("result[9] < 1 || true", [0.1], True),
        ("false && result[9] < 1", [0.1], False),
        ("false && 7 % 0 == 1", [0.1], None),  # and a constant division by zero is an error before that
        ("count(result, # > 0.1) > 0", [0.2], True),
        ("findIndex(result, # > 0.1) == 0", [0.01], None),  # nil is compared as an integer by type
        ("find(result, # > 0.1) == nil", [0.01], True),
        ("first(result) == nil", [], True),
        ("sum(result) == 0", [], True),
        ("max(result) == nil", [], True),
        ('"a" in ["a", "b"]', [], True),
        ("result[0] in [0.001, 1]", [1.0], True),
        ("result[0] in 0..3", [2.0], True),
        ("result[0] not in [1]", [2.0], True),
        ('"abc" matches "^a.c$"', [], True),
        ('"abc" not contains "x"', [], True),
        ("result | all(# < 0.5) ", [0.1], True),
        ("let x = result[0] * 100; x < 5", [0.04], True),
        ("if result[0] < 1 { true } else { false }", [0.5], True),
        ("(result[0] < 1 ? 1 : 2) == 1", [0.5], True),
        ("nil ?? true", [], True),
        ("{a: {b: nil}}?.a?.b?.c == nil", [], True),
        ("len(filter(result, {# > 0.1})) == 1", [0.2, 0.1], True),
        ("map(result, # * 100)[0] < 1", [0.001], True),
        ("reduce(result, #acc + #, 0) < 0.3", [0.1, 0.1], True),
        ('type(result) == "array"', [0.1], True),
        ('string(result[0]) == "1e+06"', [1e6], True),
        ('duration("1h30m").Minutes() == 90', [], True),
    ],
)
def test_a_condition_says_of_a_vector_what_argo_says(
    condition: str, result: list[float], expected: bool | None
) -> None:
    if expected is None:
        with pytest.raises(ConditionError):
            evaluate(condition, result)
    else:
        assert evaluate(condition, result) is expected


@pytest.mark.parametrize(
    ("condition", "result", "message"),
    [
        ("result < 0.01", [0.1], "invalid operation: < (mismatched types []float64 and float64)"),
        ("result[0] < 0.01", 0.1, "type float64[int] is undefined"),
        ("result[0] < 0.01", None, "type unknown[int] is undefined"),
        ("default(result[0], 0) < 0.01", [0.1], "invalid operation: []float64 < float64"),
        ("result[1] < 0.01", [0.1], "index out of range: 1 (array length is 1)"),
        ("result[0]", [0.1], "expected bool, but got float64"),
        ("errors < 1", [0.1], "unknown name errors"),
        ("result.value < 1", [0.1], "array elements can only be selected using an integer (got string)"),
        ("result[0].value < 1", [0.1], "type float64 has no field value"),
        ('result[0] < "1"', [0.1], "invalid operation: < (mismatched types float64 and string)"),
        ("isNaN(result)", [0.1], "cannot use []float64 as argument (type float64) to call isNaN "),
        ("result[0] <", [0.1], "unexpected token EOF"),
        ("result[0] < 0.01 & true", [0.1], 'unexpected token Operator("&")'),
    ],
)
def test_an_error_is_worded_as_argo_words_it_because_tools_parse_it(
    condition: str, result: object, message: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        evaluate(condition, result)
    assert caught.value.message == message


def test_a_type_error_is_known_before_any_value_is_seen() -> None:
    condition = compile_condition("result < 0.05")
    assert condition.error_by_type(ResultKind.VECTOR) is not None
    assert condition.error_by_type(ResultKind.SCALAR) is None


def test_a_web_answer_is_typed_by_what_it_is() -> None:
    answer = {"status": "ok", "errors": 3, "parts": [{"name": "a", "ok": True}]}
    assert evaluate('result.status == "ok" && result.errors < 5', answer) is True
    assert evaluate("all(result.parts, .ok)", answer) is True
    assert evaluate("result.missing == nil", answer) is True
    assert evaluate('result == "success"', "success") is True
    assert evaluate("result", True) is True
    assert evaluate('result[1] == "b"', Json(["a", "b"])) is True
    with pytest.raises(ConditionError):
        evaluate("result.errors.today > 1", answer)


def test_a_list_of_a_web_provider_is_not_a_vector_of_floats() -> None:
    # By type its items may be anything, so that comparing one with a string is no error before it is seen.
    assert evaluate('result[0] == "0.5"', Json([0.5])) is False
    with pytest.raises(ConditionError):
        evaluate('result[0] == "0.5"', [0.5])


@pytest.mark.parametrize(
    "condition",
    [
        'date("2024-02-29").YearDay() == 60',
        'date("2024-02-29T10:00:00+02:00").Hour() == 10',  # told in the text's own zone
        'date("2024-02-29T10:00:00+02:00") == date("2024-02-29 08:00:00")',
        'date("2024-03-01") - date("2024-02-28") == duration("48h")',
        'date("2024-02-29") + duration("24h") == date("2024-03-01")',
        'toJSON([1.0, 1e21, 0.000001]) == "[\\n  1,\\n  1e+21,\\n  0.000001\\n]"',
        'fromJSON("{\\"a\\": [1, 2]}").a[1] == 2',
    ],
)
def test_dates_durations_and_json_are_read_and_written(condition: str) -> None:
    assert evaluate(condition, []) is True


def test_now_is_the_time_that_the_caller_gives_because_the_core_has_no_clock() -> None:
    assert evaluate("now().Year() == 2024 && now().Month() != nil", [], now_s=1_709_164_800.0)  # 29 February 2024
    assert evaluate("now().Day() == 29 && now().YearDay() == 60", [], now_s=1_709_164_800.0)
    with pytest.raises(UnsupportedCondition):
        evaluate("now().Year() > 2000", [])


@pytest.mark.parametrize(
    "condition",
    [
        "b'bytes' == b'bytes'",
        "$env == nil",
        'date("1 January 2026") < now()',
        'timezone("UTC") == nil',
        "1 == findLast(result, # > 0)",
        "let f = isNaN; f(1.0)",
        "sortBy(1..20, 1)[0] == 1",
    ],
)
def test_what_is_not_evaluated_says_so_and_never_answers(condition: str) -> None:
    with pytest.raises(UnsupportedCondition, match="Gamebird does not evaluate it"):
        evaluate(condition, [1.0], now_s=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "true" + ")" * 10_000,
        "!" * 10_000 + "true",
        "[" * 10_000,
        "-" * 10_000 + "1 < 0",
        "true ? " * 5_000,
        "if true {" * 3_000,
        "all(" * 5_000,
        "result" + "[0]" * 10_000,
        "result" + ".a" * 10_000,
        "1" + " + 1" * 10_000 + " > 0",
        "1 < " * 10_000 + "1",
        " || ".join(["result[0] < 1"] * 60_000),
        "true" + " " * 1_000_000,
        '"' + "a" * 1_000_000 + '" == ""',
        "9" * 1_000_000 + " > 1",
        "/*" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_bomb_ends_in_an_error_within_a_second(text: str) -> None:
    start_s = time.process_time()
    with pytest.raises(ConditionError):
        evaluate(text, [0.1])
    assert time.process_time() - start_s < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "len(1..999999999) > 0",
        "all(1..900, all(1..900, all(1..900, true)))",
        "let r = 1..900000; all(r, all(r, true))",
        'len(repeat("a", 999999)) + len(repeat("a", 999999)) > 0',
        "len(map(1..1000, 1..1000)) > 0",
    ],
)
def test_a_condition_that_would_run_for_hours_ends_in_an_error(text: str) -> None:
    start_s = time.process_time()
    with pytest.raises(ConditionError):
        evaluate(text, [0.1])
    assert time.process_time() - start_s < 5.0


def test_nesting_as_deep_as_people_write_is_no_bomb() -> None:
    assert evaluate("(" * 90 + "result[0] < 1" + ")" * 90, [0.1]) is True
    assert evaluate(" || ".join(["result[0] > 1"] * 150 + ["true == true"]), [0.1]) is True


def test_the_positions_that_a_condition_looks_at_are_known() -> None:
    assert compile_condition("result[0] < 1 && result[-1] > 0 && len(result) > 1").reads == (-1, 0)
    assert compile_condition("all(result, # < 1)").reads is None
    assert compile_condition("len(result) == 0").reads == ()


def test_deeply_nested_values_are_an_error_and_not_a_crash() -> None:
    nested: object = 1.0
    for _ in range(100_000):
        nested = [nested]
    for result in (Json(nested), [0.1]):
        with pytest.raises(ConditionError):
            evaluate("max(reduce(1..90000, [#acc], result)) == 1", result)

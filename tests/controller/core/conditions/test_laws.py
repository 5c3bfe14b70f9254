"""Laws of evaluation, over random conditions and results."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.conditions import PHASES, ConditionError, compile_condition, judge, judge_runs
from controller.core.runs import AnalysisPhase

NUMBERS = st.sampled_from(["0", "1", "0.01", "0.5", "2", "-1", "100"])
SAMPLES = st.sampled_from(["result[0]", "result[1]", "result[-1]", "len(result)", "mean(result)", "max(result)", "#"])
VALUES = st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.0, -1.0, 100.0, 0.3, math.nan, math.inf, -math.inf])
RESULTS = st.lists(VALUES, max_size=4)


def joined(parts: st.SearchStrategy[str], *operators: str) -> st.SearchStrategy[str]:
    return st.builds(lambda a, op, b: f"({a} {op} {b})", parts, st.sampled_from(operators), parts)


TERMS = st.recursive(NUMBERS | SAMPLES, lambda inner: joined(inner, "+", "-", "*", "/"), max_leaves=3)
COMPARISONS = joined(TERMS, "<", ">", "<=", ">=", "==", "!=")
CLOSURES = st.builds(
    lambda name, body: f"{name}(result, {body})", st.sampled_from(["all", "any", "none", "one"]), COMPARISONS
)
SPECIAL = st.sampled_from(
    ["isNaN(result[0])", "isInf(result[0])", "isNil(result)", "true", "false", "count(result, # > 0.1) > 1"]
)
CONDITIONS = st.recursive(
    COMPARISONS | CLOSURES | SPECIAL,
    lambda inner: (
        joined(inner, "&&", "||", "and", "or")
        | inner.map(lambda c: f"!({c})")
        | st.builds(lambda a, b, c: f"({a} ? {b} : {c})", inner, inner, inner)
    ),
    max_leaves=5,
)


def outcome(condition: str, result: list[float]) -> int:
    try:
        return int(compile_condition(condition).evaluate(result))
    except ConditionError:
        return -1


@settings(deadline=None)
@given(condition=CONDITIONS, results=st.lists(RESULTS, min_size=1, max_size=8))
def test_all_runs_at_once_say_what_each_says_alone(condition: str, results: list[list[float]]) -> None:
    try:
        compiled = compile_condition(condition)
    except ConditionError:
        return
    lengths = np.array([len(result) for result in results])
    values = np.full((len(results), int(lengths.max())), 0.3)
    for row, result in zip(values, results, strict=True):
        row[: len(result)] = result
    found = compiled.evaluate_runs(values, lengths=lengths).tolist()
    assert found == [outcome(condition, result) for result in results]


@settings(deadline=None)
@given(condition=CONDITIONS, values=st.lists(VALUES, min_size=1, max_size=8))
def test_all_scalars_at_once_say_what_each_says_alone(condition: str, values: list[float]) -> None:
    text = condition.replace("result[0]", "result").replace("result[1]", "result").replace("result[-1]", "result")
    try:
        compiled = compile_condition(text)
    except ConditionError:
        return
    alone = []
    for value in values:
        try:
            alone.append(int(compiled.evaluate(value)))
        except ConditionError:
            alone.append(-1)
    assert compiled.evaluate_runs(np.array(values)).tolist() == alone


@settings(deadline=None)
@given(condition=CONDITIONS, result=RESULTS)
def test_to_deny_a_condition_is_to_turn_its_outcome_and_keep_its_errors(condition: str, result: list[float]) -> None:
    there = outcome(condition, result)
    assert outcome(f"!({condition})", result) == (-1 if there == -1 else 1 - there)


@settings(deadline=None)
@given(condition=CONDITIONS, result=RESULTS)
def test_equal_inputs_give_equal_outcomes(condition: str, result: list[float]) -> None:
    assert outcome(condition, result) == outcome(condition, list(result))


@settings(deadline=None)
@given(condition=CONDITIONS, result=RESULTS)
def test_one_condition_is_never_inconclusive_and_as_success_or_as_failure_gives_opposite_phases(
    condition: str, result: list[float]
) -> None:
    good, bad = judge(condition, None, result).phase, judge(None, condition, result).phase
    if AnalysisPhase.ERROR in (good, bad):
        assert good is bad is AnalysisPhase.ERROR
    else:
        assert {good, bad} == {AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED}


@settings(deadline=None)
@given(text=st.text(max_size=40), result=RESULTS)
def test_any_text_is_an_outcome_or_a_condition_error_and_nothing_else(text: str, result: list[float]) -> None:
    assert outcome(text, result) in (-1, 0, 1)


@settings(deadline=None)
@given(text=st.text(alphabet="result[0]<>=!&|()#.,:?;{}\"'+-*/%^ aeilnost19_\\`$", max_size=60), result=RESULTS)
def test_any_text_of_the_language_s_characters_is_an_outcome_or_a_condition_error(
    text: str, result: list[float]
) -> None:
    assert outcome(text, result) in (-1, 0, 1)


@settings(deadline=None)
@given(
    success=CONDITIONS | st.none(), failure=CONDITIONS | st.none(), results=st.lists(RESULTS, min_size=1, max_size=8)
)
def test_a_flock_is_judged_as_its_runs_are_one_by_one(
    success: str | None, failure: str | None, results: list[list[float]]
) -> None:
    try:
        compiled = [None if text is None else compile_condition(text) for text in (success, failure)]
    except ConditionError:
        return
    lengths = np.array([len(result) for result in results])
    values = np.full((len(results), int(lengths.max())), 0.3)
    for row, result in zip(values, results, strict=True):
        row[: len(result)] = result
    phases = [PHASES[code] for code in judge_runs(*compiled, values, lengths=lengths)]
    assert phases == [judge(success, failure, result).phase for result in results]

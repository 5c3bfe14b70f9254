"""What a measurement's phase is by its two conditions, as Argo Rollouts combines them.

success  failure   phase
-        -         Successful
given    -         Successful if success holds, else Failed
-        given     Failed if failure holds, else Successful (a NaN makes no comparison true: it passes)
given    given     Failed if failure holds, else Successful if success holds, else Inconclusive

Either condition that cannot be evaluated makes an Error; success is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controller.core.conditions.condition import Condition, Json, compile_condition
from controller.core.conditions.errors import ConditionError
from controller.core.conditions.vectors import ERROR, FALSE, TRUE
from controller.core.runs import AnalysisPhase


@dataclass(frozen=True, slots=True)
class Judgement:
    """A phase, the rule that gave it, and for an Error the message as Argo Rollouts words it."""

    phase: AnalysisPhase
    reason: str  # "successCondition is true", "failureCondition is true", "no condition", …
    message: str = ""


def judge(
    success: Condition | str | None, failure: Condition | str | None, result: object, *, now_s: float | None = None
) -> Judgement:
    """Return the phase of a measurement and the rule that gave it.

    Conditions may be texts, so that one that cannot even be read is an Error of the measurement, as in Argo;
    "" and None are the same: no condition.
    """
    verdicts: list[bool | None] = []
    for name, condition in (("successCondition", success), ("failureCondition", failure)):
        if not condition:
            verdicts.append(None)
            continue
        try:
            compiled = compile_condition(condition) if isinstance(condition, str) else condition
            verdicts.append(compiled.evaluate(result, now_s=now_s))
        except ConditionError as error:
            text = condition if isinstance(condition, str) else condition.text
            return Judgement(AnalysisPhase.ERROR, f"{name} is an error", _message(name, text, result, error))
    return _combined(*verdicts)


def judge_runs(
    success: Condition | None,
    failure: Condition | None,
    values: npt.ArrayLike,
    *,
    lengths: npt.ArrayLike | None = None,
    now_s: float | None = None,
) -> npt.NDArray[np.int8]:
    """Return the phase of one measurement in each of many runs, as `judge` would one by one.

    Args:
        values: (runs, samples) floats for vectors, or (runs,) floats for scalars.
        lengths: (runs,) how many samples each run's vector has; all of them unless given.
    Returns:
        (runs,) int8, positions in `PHASES`.
    """
    runs = len(np.asarray(values))
    phases = np.full(runs, _CODE[AnalysisPhase.SUCCESSFUL], dtype=np.int8)
    outcomes = [
        None if condition is None else condition.evaluate_runs(values, lengths=lengths, now_s=now_s)
        for condition in (success, failure)
    ]
    succeeds, fails = outcomes
    if succeeds is not None:
        otherwise = AnalysisPhase.FAILED if fails is None else AnalysisPhase.INCONCLUSIVE
        phases[succeeds == FALSE] = _CODE[otherwise]
    if fails is not None:
        phases[fails == TRUE] = _CODE[AnalysisPhase.FAILED]
    for outcome in outcomes:
        if outcome is not None:
            phases[outcome == ERROR] = _CODE[AnalysisPhase.ERROR]
    return phases


PHASES = (AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED, AnalysisPhase.INCONCLUSIVE, AnalysisPhase.ERROR)
_CODE = {phase: code for code, phase in enumerate(PHASES)}


def _combined(succeeds: bool | None, fails: bool | None) -> Judgement:
    match succeeds, fails:
        case None, None:
            return _NO_CONDITION
        case _, True:
            return _FAILURE_TRUE
        case True, _:
            return _SUCCESS_TRUE
        case None, _:
            return _FAILURE_FALSE
        case _, None:
            return _SUCCESS_FALSE
    return _NEITHER


_NO_CONDITION = Judgement(AnalysisPhase.SUCCESSFUL, "no condition")
_FAILURE_TRUE = Judgement(AnalysisPhase.FAILED, "failureCondition is true")
_SUCCESS_TRUE = Judgement(AnalysisPhase.SUCCESSFUL, "successCondition is true")
_FAILURE_FALSE = Judgement(AnalysisPhase.SUCCESSFUL, "failureCondition is false")
_SUCCESS_FALSE = Judgement(AnalysisPhase.FAILED, "successCondition is false")
_NEITHER = Judgement(AnalysisPhase.INCONCLUSIVE, "neither condition is true")


def _message(name: str, text: str, result: object, error: ConditionError) -> str:
    value = result.value if isinstance(result, Json) else result
    empty = value is None or (not isinstance(value, (str, bytes, dict)) and _is_empty(value))
    why = "metric result is nil or empty: no data returned from the metric provider" if empty else error.message
    return f'could not evaluate {name} "{text}": {why}'


def _is_empty(value: object) -> bool:
    return hasattr(value, "__len__") and len(value) == 0

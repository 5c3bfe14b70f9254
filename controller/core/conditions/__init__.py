"""The condition language: what a successCondition or a failureCondition says of a metric's result.

The language is that of the expression engine that Argo Rollouts embeds (expr-lang 1.17), with Argo's functions
isNaN, isInf, isNil, default, asInt and asFloat, and typed as Argo has it typed: the result of a vector query is
a list of floats when the condition is compiled, so that some conditions are errors before any value is seen.

    condition = compile_condition("result[0] < 0.01")
    condition.evaluate([0.2])               # False; ConditionError where Argo would have an error
    condition.evaluate_runs(values)         # (runs, n) at once
    judge(success, failure, result)         # phase and reason, as Argo combines the two conditions
    flip_value(condition, [0.2])            # "a value below 0.01"

No `eval`: text becomes tokens, tokens a tree, the tree is typed and becomes closures. What the language has and
is not evaluated here raises `UnsupportedCondition`, never a wrong answer. Relied on by the decision core's
measuring, by the model's flock and by the command line.
"""

from controller.core.conditions.condition import (
    Condition,
    Json,
    ResultKind,
    compile_condition,
    evaluate,
    result_from_json,
)
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.flips import flip_phase, flip_value
from controller.core.conditions.judging import PHASES, Judgement, judge, judge_runs
from controller.core.conditions.thresholds import Threshold, fails_when, threshold_of

__all__ = [
    "PHASES",
    "Condition",
    "ConditionError",
    "Json",
    "Judgement",
    "ResultKind",
    "Threshold",
    "UnsupportedCondition",
    "compile_condition",
    "evaluate",
    "fails_when",
    "flip_phase",
    "flip_value",
    "judge",
    "judge_runs",
    "result_from_json",
    "threshold_of",
]

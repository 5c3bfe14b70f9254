"""What the expression engine that Argo Rollouts embeds answered, played against ours.

The recordings are data (README.md beside this file). More of the same kind can be laid beside them as
`*.jsonl` or `*.jsonl.gz`, and are played too.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.core.conditions import (
    ConditionError,
    Json,
    UnsupportedCondition,
    compile_condition,
    evaluate,
    result_from_json,
)

HERE = Path(__file__).parent
RECORDINGS = sorted((*HERE.glob("*.jsonl.gz"), *HERE.glob("*.jsonl")))
NOVEMBER_2026_S = 1_795_500_000.0  # some recorded conditions ask what year it is

# What is refused although the original answers it, and why; nothing else may be.
REFUSED = {
    "findLast after another value": "the original takes a leftover of its own stack for the other value",
    "findLastIndex after another value": "the same",
    "a closure over a string": "the original loops over bytes",
    "a closure over a map[string]interface {}": "the original loops as long as the closure does not look at #",
    "a builtin as a value": "the original takes it for nil when it runs",
    "a function as a value": "let f = isNaN; no manifest seen does it",
}


def cases(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def result_of(case: dict[str, Any]) -> object:
    return Json(case["result"]) if case.get("provider") == "web" else result_from_json(case["result"])


def outcome(case: dict[str, Any]) -> tuple[str, ConditionError | None]:
    try:
        return ("true" if evaluate(case["condition"], result_of(case), now_s=NOVEMBER_2026_S) else "false"), None
    except ConditionError as error:
        return "error", error


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_recorded_condition_has_the_outcome_that_argo_gave_it(path: Path) -> None:
    recorded = cases(path)
    wrong, refused, worded, errors = [], [], 0, 0
    for case in recorded:
        ours, error = outcome(case)
        if ours == case["outcome"]:
            if "message" in case and error is not None:
                errors += 1
                worded += error.message == case["message"]
        elif isinstance(error, UnsupportedCondition):
            refused.append(error.message.partition(":")[0])
        else:
            wrong.append(f"{case['condition']} on {case['result']}: {ours} ({error}), recorded {case['outcome']}")
    same = len(recorded) - len(wrong) - len(refused)
    print(f"\n{path.name}: {same} of {len(recorded)} conditions with the recorded outcome, {len(refused)} refused")
    if errors:
        print(f"{path.name}: {worded} of {errors} errors in the original's words")
    assert not wrong, "\n".join(wrong[:20])
    assert set(refused) <= set(REFUSED)
    assert worded >= 0.98 * errors


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_recorded_vector_has_the_same_outcome_when_all_runs_are_evaluated_at_once(path: Path) -> None:
    wrong: list[str] = []
    at_once, compared = 0, 0
    vectors = by_condition(cases(path))
    for text, played in vectors.items():
        condition = compile_condition(text)
        at_once += condition.runs_at_once
        values, lengths = table([result_of(case) for case in played])
        found = condition.evaluate_runs(values, lengths=lengths, now_s=NOVEMBER_2026_S)
        for case, number in zip(played, found, strict=True):
            compared += 1
            ours, error = outcome(case)
            if {1: "true", 0: "false", -1: "error"}[int(number)] != ours:
                wrong.append(f"{text} on {case['result']}: {number}, one by one {ours} ({error})")
    print(
        f"\n{path.name}: {compared - len(wrong)} of {compared} outcomes over a run axis, "
        f"{at_once} of {len(vectors)} conditions in one pass"
    )
    assert not wrong, "\n".join(wrong[:20])


def by_condition(recorded: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the cases with vectors, by condition, without the conditions that cannot be read."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in recorded:
        if not isinstance(case["result"], list) or case.get("provider") == "web":
            continue
        try:
            compile_condition(case["condition"])
        except ConditionError:
            continue
        found.setdefault(case["condition"], []).append(case)
    return found


def table(results: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return (runs, samples) values, short rows filled up with 7, and (runs,) lengths."""
    lengths = np.array([len(result) for result in results])
    values = np.full((len(results), int(lengths.max(initial=0))), 7.0)
    for row, result in zip(values, results, strict=True):
        row[: len(result)] = result
    return values, lengths

"""`gamebird condition`: what a successCondition or failureCondition says of a result, and how it came about.

Prints for people by default; `--output json` and `--file` print lines for programs. The language itself lives
in `controller.core.conditions`; nothing is decided here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.core.conditions import (
    ConditionError,
    Json,
    UnsupportedCondition,
    compile_condition,
    flip_value,
    result_from_json,
    threshold_of,
)
from gamebird.cli.exits import Exit, exits

_LINE_MAX = 10_000_000  # characters; a longer line is no case


class CaseError(Exception):
    """An input that is not what the command reads."""


def condition(
    expression: Annotated[
        str, typer.Argument(help="the condition, as a manifest has it: 'result[0] < 0.01'", show_default=False)
    ] = "",
    result: Annotated[
        str,
        typer.Option(
            help='what the metric gave, as JSON: [0.2] for a vector, 0.2 for a scalar, null; "NaN", "+Inf" and '
            '"-Inf" stand for the numbers'
        ),
    ] = "",
    file: Annotated[str, typer.Option(help='lines of {"condition": …, "result": …}; "-" reads standard input')] = "",
    web: Annotated[
        bool, typer.Option("--web", help="take results as a web provider's JSON: a list is not a vector of floats")
    ] = False,
    output: Annotated[str, typer.Option(help="table or json")] = "table",
) -> None:
    """Evaluate a condition on a result, exactly as Argo Rollouts does.

    Exits with 0 when the condition is true, 1 when it is false or an error for this result, 2 when it is no
    condition or the input is wrong. With --file every line is printed with its "outcome" added ("true", "false"
    or "error") and the exit code is 0.

    Example: gamebird condition 'result[0] < 0.01' --result '[0.2]'
    """
    with exits(wrong_input=(CaseError,)):
        if output not in ("table", "json"):
            raise CaseError(f"--output is {output!r}; it needs table or json")
        if file:
            if expression or result:
                raise CaseError("--file holds conditions and results of its own; leave out the condition and --result")
            _print_cases(file, web=web)
            return
        if not expression or not result:
            raise CaseError("a condition and --result are needed, or --file; gamebird condition --help has an example")
        answer = _answer(expression, _decoded(result, "--result"), web=web)
    print(json.dumps(answer) if output == "json" else _explained(answer))
    if answer.get("error_kind") == "syntax":
        raise SystemExit(Exit.INPUT)
    raise SystemExit(Exit.GOOD if answer["outcome"] == "true" else Exit.NO)


def _decoded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{where} is not JSON ({error}); it needs for example [0.2], 0.2 or null") from None


def _answer(expression: str, value: Any, *, web: bool) -> dict[str, Any]:
    """Return outcome and explanation of one case."""
    found: dict[str, Any] = {"condition": expression, "result": value}
    result = Json(value) if web else result_from_json(value)
    kind = "syntax"
    try:
        compiled = compile_condition(expression)
        kind = "evaluation"
        found["outcome"] = "true" if compiled.evaluate(result, now_s=time.time()) else "false"
    except ConditionError as error:
        if isinstance(error, UnsupportedCondition):
            kind = "unsupported"
        found |= {"outcome": "error", "error": error.message, "error_kind": kind}
        if error.column is not None:
            found["column"] = error.column + 1
        return found
    found["typed_as"] = _typed_as(value, web=web)
    threshold = threshold_of(compiled)
    compared = None if threshold is None else threshold.value_in(result)
    if threshold is not None and compared is not None:
        found["compared"] = f"{compared:.12g} {threshold.op} {threshold.constant:.12g}"
    flip = flip_value(compiled, result)
    if flip is not None:
        found["flip"] = flip
    return found


def _typed_as(value: Any, *, web: bool) -> str:
    if isinstance(value, list):
        return "a list of anything (web)" if web else "a vector: a list of floats"
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "a bool"
        case int() | float() | "NaN" | "+Inf" | "-Inf":
            return "a scalar: a float"
        case str():
            return "a string"
    return "a map"


def _explained(answer: dict[str, Any]) -> str:
    lines = [f"outcome    {answer['outcome']}", f"condition  {answer['condition']}"]
    lines.append(
        f"result     {json.dumps(answer['result'])}" + (f", {answer['typed_as']}" if "typed_as" in answer else "")
    )
    if "compared" in answer:
        lines.append(f"because    {answer['compared']} is {answer['outcome']}")
    if "error" in answer:
        if "column" in answer and "\n" not in answer["condition"]:
            lines.insert(2, " " * (10 + answer["column"]) + "^")
        lines.append(f"because    {answer['error']}")
        lines.append(f"in Argo    {_error_consequence(answer)}")
    if "flip" in answer:
        lines.append(f"flips at   {answer['flip']}")
    return "\n".join(lines)


def _error_consequence(answer: dict[str, Any]) -> str:
    if answer["error_kind"] == "unsupported":
        return "unknown: Gamebird does not evaluate this and so does not guess"
    return (
        "the measurement is an Error: asked again after 10 s, and five in a row abort unless the limit says otherwise"
    )


def _print_cases(file: str, *, web: bool) -> None:
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        where = f"{'standard input' if file == '-' else file}:{number}"
        case = _decoded(line, where)
        if not isinstance(case, dict) or not isinstance(case.get("condition"), str) or "result" not in case:
            raise CaseError(f'{where} is no case; it needs {{"condition": "…", "result": …}}')
        answer = _answer(case["condition"], case["result"], web=web)
        print(json.dumps({**case, "outcome": answer["outcome"]}))


def _lines(file: str) -> Iterator[str]:
    try:
        with nullcontext(sys.stdin) if file == "-" else Path(file).open(encoding="utf-8") as stream:
            number = 0
            while line := stream.readline(_LINE_MAX):
                number += 1
                if len(line) == _LINE_MAX:
                    raise CaseError(f"{file}:{number} is longer than {_LINE_MAX} characters")
                yield line
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{file} cannot be read: {error}") from None

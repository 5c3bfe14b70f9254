"""`gamebird condition`, run as people run it: a process, its output and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gamebird", "condition", *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_false_condition_says_why_and_what_would_flip_it_and_exits_with_1() -> None:
    done = run("result[0] < 0.01", "--result", "[0.2]")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "outcome    false",
        "condition  result[0] < 0.01",
        "result     [0.2], a vector: a list of floats",
        "because    0.2 < 0.01 is false",
        "flips at   a value below 0.01",
    ]


@pytest.mark.parametrize(
    ("condition", "result", "code", "outcome"),
    [
        ("result[0] < 0.01", "[0.001]", 0, "true"),
        ("result[0] < 0.01", "[]", 1, "error"),
        ("result < 0.01", "0.001", 0, "true"),
        ("isNaN(result)", '"NaN"', 0, "true"),
        ('result.status == "ok"', '{"status": "ok"}', 0, "true"),
        ("foo < 1", "[1]", 1, "error"),
        ("result[0] <", "[1]", 2, "error"),  # no condition at all
    ],
)
def test_the_exit_code_is_0_for_true_1_for_anything_else_and_2_for_what_is_no_condition(
    condition: str, result: str, code: int, outcome: str
) -> None:
    done = run(condition, "--result", result, "--output", "json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (code, outcome)


def test_a_place_in_the_condition_is_pointed_at() -> None:
    lines = run("result[0] < foo", "--result", "[1]").stdout.splitlines()
    assert lines[1:3] == ["condition  result[0] < foo", "                       ^"]


def test_a_file_of_cases_comes_back_with_outcomes_added() -> None:
    cases = '{"condition": "result[0] < 1", "result": [0.5], "id": 7}\n\n{"condition": "x", "result": null}\n'
    done = run("--file", "-", given=cases)
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"condition": "result[0] < 1", "result": [0.5], "id": 7, "outcome": "true"},
        {"condition": "x", "result": None, "outcome": "error"},
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a condition and --result are needed"),
        (("true",), "a condition and --result are needed"),
        (("true", "--result", "{"), "--result is not JSON"),
        (("--file", "/nowhere/cases.jsonl"), "cannot be read"),
        (("--file", "-"), "standard input:1 is no case"),
        (("true", "--result", "1", "--file", "-"), "leave out the condition"),
        (("true", "--result", "1", "--output", "xml"), "it needs table or json"),
        (("true", "--result", "[" * 100_000), "--result is not JSON"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, given="[]\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr

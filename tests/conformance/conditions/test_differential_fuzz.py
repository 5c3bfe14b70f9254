"""Random conditions, answered by the original and by ours: `make fuzz`. Needs Go, to build `recorder/`.

Sentences of a small grammar, broken now and then, over results of every kind. What we refuse is counted; what
we answer must be the original's answer.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from controller.core.conditions import ConditionError, Json, UnsupportedCondition, evaluate, result_from_json

RECORDER = Path(__file__).parent / "recorder"
CASES = int(os.environ.get("GAMEBIRD_FUZZ_CASES", "30000"))

# Words in angle brackets are expanded; a word without any is a leaf.
GRAMMAR: dict[str, tuple[str, ...]] = {
    "bool": (
        *("true", "false", "result[0] < 0.01", "# > 0.1", "result == nil", "isNil(result)", "isNaN(result[0])"),
        *("<num> <order> <num>", "<num> <order> <num>", "<num> == <num>", "<num> != <num>"),
        *("<bool> && <bool>", "<bool> || <bool>", "<bool> and <bool>", "<bool> or <bool>"),
        *("!<bool>", "not <bool>", "(<bool>)", "<num> < <num> <= <num>", "<value> == <value>", "<value> != nil"),
        *("<value> in <array>", "<value> not in <array>", "<text> in <map>", "<num> in 1..3", '<text> in ["a", "b"]'),
        *("isNaN(<num>)", "isInf(<num>)", "isNil(<value>)", "<text> <compare> <text>"),
        *("<closure>(<array>, <bool>)", "<array> | <closure>({<bool>})"),
        *("<closure>(result, <bool>) && <closure>(result, <bool>)", "count(<array>, <bool>) <order> 1"),
        *("<bool> ? <bool> : <bool>", "if <bool> {<bool>} else {<bool>}", "let x = <value>; <bool>", "<value>; <bool>"),
    ),
    "num": (
        *(
            "0",
            "1",
            "2",
            "0.5",
            "0.01",
            "-1",
            "1e3",
            "result[0]",
            "result[1]",
            "result[-1]",
            "result",
            "#",
            "#index",
            "x",
        ),
        *("<num> + <num>", "<num> - <num>", "<num> * <num>", "<num> / <num>", "<num> % <num>", "<num> ** <num>"),
        *("-<num>", "(<num>)", "len(<value>)", "asInt(<value>)", "asFloat(<value>)", "int(<value>)", "float(<value>)"),
        *(
            "abs(<num>)",
            "ceil(<num>)",
            "floor(<num>)",
            "round(<num>)",
            "default(<value>, <num>)",
            "get(<array>, <num>)",
        ),
        *("max(<array>)", "min(<array>)", "mean(<array>)", "median(<array>)", "sum(<array>)", "sum(<array>, <num>)"),
        *("count(<array>, <bool>)", "<array>[<num>]", "find(<array>, <bool>)", "findIndex(<array>, <bool>)"),
        *("findLast(<array>, <bool>)", "reduce(<array>, #acc + #)", "reduce(<array>, #acc * #, <num>)"),
        *("(<bool> ? <num> : <num>)", "(<value> ?? <num>)", "first(<array>)", "last(<array>)", "bitand(<num>, <num>)"),
        *("<map>.a", "<map>?.b", '<map>["a"]', "<map>?.c?.d", "indexOf(<text>, <text>)", "let x = <num>; <num>"),
    ),
    "text": (
        *('"a"', '"abc"', '"1.5"', '""', "'x y'", "`raw`", "result"),
        *("<text> + <text>", "string(<value>)", "upper(<text>)", "trim(<text>)", "type(<value>)", "toJSON(<value>)"),
        *("join(<array>, <text>)", "replace(<text>, <text>, <text>)", "<text>[1:]", "<text>[:1]", "(<text> ?? <text>)"),
    ),
    "array": (
        *("result", "[]", "[1, 2, 3]", "1..3", "[0.1, 0.2]", '["a", "b"]', '[1, "a", nil]', "[result]"),
        *("filter(<array>, <bool>)", "map(<array>, <value>)", "<array>[1:]", "<array>[:-1]", "[<value>, <value>]"),
        *("sort(<array>)", 'sort(<array>, "desc")', "sortBy(<array>, <num>)", "reverse(<array>)", "uniq(<array>)"),
        *(
            "flatten(<array>)",
            "concat(<array>, <array>)",
            "take(<array>, <num>)",
            "(<num>..<num>)",
            "split(<text>, <text>)",
        ),
    ),
    "map": ("{}", '{"a": 1}', "{a: 1, b: nil}", '{"c": {"d": 2}}', "result", "{a: <value>, b: <value>}"),
    "value": ("<num>", "<num>", "<text>", "<array>", "<bool>", "<map>", "nil", "result", "#"),
    "order": ("<", ">", "<=", ">="),
    "compare": ("contains", "startsWith", "endsWith", "matches", "not contains"),
    "closure": ("all", "any", "none", "one"),
}
BREAKS = ("(", ")", "[", "]", ".", "?", "!", "#", " ", "1", '"', "|", "&", "=", "<", "-", "{", "}", ",", ";", "not ")
VECTORS: list[Any] = [[], [0.001], [0.2], ["NaN"], ["+Inf"], [0.001, 0.2], [0.2, 0.001, 0.005], [1], [0], [-1.5]]
OTHERS: list[Any] = [None, 0.5, "NaN", 3, 0, [100, 250]]
WEB: list[Any] = [{"a": 1, "b": "x", "c": {"d": [1, 2]}}, [1, "a", None], [0.5, 2], [], "text", True, 3.5, {}, None]


def sentence(chance: random.Random, symbol: str, depth: int) -> str:
    choices = GRAMMAR[symbol]
    if depth <= 0:
        choices = tuple(choice for choice in choices if "<" not in choice or len(choice) < 3) or choices
    words = chance.choice(choices)
    for name in GRAMMAR:
        while f"<{name}>" in words:
            words = words.replace(f"<{name}>", sentence(chance, name, depth - 1), 1)
    return words


def broken(chance: random.Random, text: str) -> str:
    if chance.random() < 0.85:
        return text
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(BREAKS) + text[at + chance.randrange(2) :]


def case(chance: random.Random) -> dict[str, Any]:
    condition = broken(chance, sentence(chance, "bool", chance.choice((1, 1, 2, 2, 3))))
    if chance.random() < 0.25:
        return {"condition": condition, "result": chance.choice(WEB), "provider": "web"}
    return {"condition": condition, "result": chance.choice(VECTORS * 2 + OTHERS)}


@pytest.fixture(scope="module")
def recorder(go: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("recorder") / "recorder"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=RECORDER, check=True, timeout=280)
    return program


@pytest.mark.fuzz
@pytest.mark.skipif("GAMEBIRD_FUZZ" not in os.environ, reason="a longer search: make fuzz")
def test_random_conditions_are_answered_as_the_original_answers_them(recorder: Path) -> None:
    seed = int(os.environ.get("GAMEBIRD_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    chance = random.Random(seed)
    cases = [case(chance) for _ in range(CASES)]
    lines = "\n".join(map(json.dumps, cases))
    done = subprocess.run([str(recorder)], input=lines, capture_output=True, text=True, check=True, timeout=250)
    refused, answered, wrong = 0, 0, []
    for recorded in map(json.loads, done.stdout.splitlines()):
        web = recorded.get("provider") == "web"
        result = Json(recorded["result"]) if web else result_from_json(recorded["result"])
        try:
            ours = "true" if evaluate(recorded["condition"], result) else "false"
        except UnsupportedCondition:
            refused += 1
            continue
        except ConditionError:
            ours = "error"
        answered += 1
        if ours != recorded["outcome"]:
            wrong.append(f"{recorded['condition']} on {recorded['result']}: {ours}, original {recorded['outcome']}")
    print(f"\nseed {seed}: {answered} of {len(cases)} answered, {refused} refused, {len(wrong)} wrong")
    assert not wrong, f"seed {seed}\n" + "\n".join(wrong[:20])

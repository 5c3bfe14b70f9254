"""Random queries over random series: our answers beside those of Prometheus' own engine.

A query on which they differ prints itself as an entry of a conformance file. `make fuzz` looks longer; a seed is in
every message, so that a find can be looked for again.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from promql.engine import PromQLError, evaluate, evaluate_range
from promql.storage import MemoryStore, load_json_series
from promql.wire import data_of

T0 = 1_700_000_000
WORLDS = 25
QUERIES_PER_WORLD = 40
Json = dict[str, Any]


def _evaluation(chance: random.Random, query: str) -> Json:
    start = T0 + chance.choice((chance.randint(-100, 4_200), 15 * chance.randint(0, 240), chance.uniform(0, 3_600)))
    if chance.random() < 0.7:
        return {"query": query, "time": round(start, 3)}
    step = chance.choice((15, 30, 60, 7.5))
    return {
        "query": query,
        "start": round(start, 3),
        "end": round(start + step * chance.randint(0, 12), 3),
        "step": step,
    }


def _answer(evaluation: Json, store: MemoryStore) -> Json:
    query = evaluation["query"]
    try:
        if "time" in evaluation:
            result: Any = evaluate(query, evaluation["time"], store)
        else:
            result = evaluate_range(query, evaluation["start"], evaluation["end"], evaluation["step"], store)
    except PromQLError as error:
        return {"error": str(error.kind), "message": str(error)}
    data, _ = data_of(result)
    remarks = result.annotations
    return {
        "type": data["resultType"],
        "result": data["result"],
        "warnings": remarks.warnings,
        "infos": remarks.infos,
    }


def _number(text: str) -> float:
    return float(text)


def _close(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or abs(ours - theirs) <= 1e-9 * max(abs(ours), abs(theirs))


def _rows(answer: Json) -> list[tuple[Any, list[tuple[float, float]]]]:
    result = answer["result"]
    if answer["type"] == "string":
        return [(result[1], [])]
    if answer["type"] == "scalar":
        return [((), [(result[0], _number(result[1]))])]
    rows = []
    for row in result:
        points = row["values"] if "values" in row else [row["value"]]
        rows.append((tuple(sorted(row["metric"].items())), [(t, _number(v)) for t, v in points]))
    return rows


def _difference(query: str, ours: Json, theirs: Json) -> str | None:
    """Return what differs, or None. Where the query sorts, the order of values must be the same; ties are free."""
    if "error" in ours or "error" in theirs:
        if ours.get("error") == theirs.get("error"):
            return None
        return (
            f"error {ours.get('error')} ({ours.get('message')}), theirs {theirs.get('error')} ({theirs.get('message')})"
        )
    if ours["type"] != theirs["type"]:
        return f"type {ours['type']}, theirs {theirs['type']}"
    if _remarks(ours) != _remarks(theirs):
        return f"remarks {_remarks(ours)}, theirs {_remarks(theirs)}"
    return _rows_difference(query, ours, theirs)


def _remarks(answer: Json) -> set[str]:
    """Return what is remarked, without numbers and places: Prometheus counts some samples more than once.

    That a sort does nothing is left out: whether it is said hangs on what Prometheus evaluates only once.
    """
    texts = (*answer.get("warnings", ()), *answer.get("infos", ()))
    short = {re.split(r", from buckets| got | \(\d", text)[0] for text in texts}
    return {text for text in short if "sort is ineffective" not in text}


def _rows_difference(query: str, ours: Json, theirs: Json) -> str | None:
    mine, other = _rows(ours), _rows(theirs)
    if query.startswith("sort") and ours["type"] == "vector":
        in_order = zip(mine, other, strict=False)
        if not all(_close(row[1][0][1], other_row[1][0][1]) for row, other_row in in_order):
            return f"order {mine}, theirs {other}"
    mine, other = sorted(mine, key=lambda row: row[0]), sorted(other, key=lambda row: row[0])
    if [row[0] for row in mine] != [row[0] for row in other]:
        return f"series {[row[0] for row in mine]}, theirs {[row[0] for row in other]}"
    for (labels, points), (_, other_points) in zip(mine, other, strict=True):
        if [t for t, _ in points] != [t for t, _ in other_points]:
            return f"times of {labels}: {points}, theirs {other_points}"
        for (t, value), (_, other_value) in zip(points, other_points, strict=True):
            if not _close(value, other_value):
                return f"value of {labels} at {t}: {value!r}, theirs {other_value!r}"
    return None


def _differences(document: Json, evaluations: list[Json], oracle: Any) -> list[str]:
    """Return what differs between our answers and theirs, each with its entry for a conformance file."""
    store = MemoryStore()
    load_json_series(document, store)
    found = []
    for evaluation, theirs in zip(evaluations, oracle({**document, "evals": evaluations}), strict=True):
        difference = _difference(evaluation["query"], _answer(evaluation, store), theirs)
        if difference is not None and not _is_undecided(document, evaluation, oracle):
            found.append(f"{difference}\n    {json.dumps({**evaluation, **theirs})[:2000]}")
    return found


def _is_undecided(document: Json, evaluation: Json, oracle: Any) -> bool:
    """Whether Prometheus answers the same question in several ways: it breaks some ties by the order of a Go map."""
    answers = oracle({**document, "evals": [evaluation] * 20})
    return len({json.dumps(sorted(_rows(each))) if "result" in each else each["error"] for each in answers}) > 1


def _searched(seed: int, worlds: int, oracle: Any, series_of: Any, query_of: Any) -> list[str]:
    chance = random.Random(seed)
    found = []
    for _ in range(worlds):
        document = {"series": series_of(chance)}
        evaluations = [_evaluation(chance, query_of(chance)) for _ in range(QUERIES_PER_WORLD)]
        found += _differences(document, evaluations, oracle)
    return found


@pytest.mark.parametrize(("name", "worlds"), [("corners.promql", 3), ("oddities.promql", 2)])
def test_every_construct_and_its_corners_have_the_answers_of_prometheus(oracle, series_of, name, worlds):
    queries = (Path(__file__).parent / name).read_text().splitlines()
    chance = random.Random(7)
    for _ in range(worlds):
        evaluations = []
        for query in queries:
            at = T0 + chance.randint(0, 3_600)
            evaluations.append({"query": query, "time": at})
            evaluations.append({"query": query, "start": at, "end": at + 120, "step": 30})
        assert _differences({"series": series_of(chance)}, evaluations, oracle) == []


def test_a_thousand_random_queries_have_the_answers_of_prometheus(oracle, series_of, query_of):
    found = _searched(1, WORLDS, oracle, series_of, query_of)
    print(f"{WORLDS * QUERIES_PER_WORLD - len(found)} of {WORLDS * QUERIES_PER_WORLD} random queries agree (seed 1)")
    assert found == []


@pytest.mark.fuzz
@pytest.mark.skipif("GAMEBIRD_FUZZ" not in os.environ, reason="a longer search, run by `make fuzz`")
@pytest.mark.timeout(3_000)
def test_many_more_random_queries_have_the_answers_of_prometheus(oracle, series_of, query_of):
    seed = int(os.environ.get("GAMEBIRD_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    found = _searched(seed, 20 * WORLDS, oracle, series_of, query_of)
    assert found == [], f"seed {seed}"

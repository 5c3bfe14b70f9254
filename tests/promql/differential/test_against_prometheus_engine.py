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


def _odd_series() -> list[Json]:
    """Return series that are hard to read right: histograms with holes, counters that reset, names of every kind."""
    buckets: dict[str, tuple[tuple[str, ...], Any]] = {
        "noinf": (("0.1", "1", "10"), lambda i, k: (k + 1) * i * 2),
        "onlyinf": (("+Inf",), lambda i, k: i),
        "two": (("1", "+Inf"), lambda i, k: (k + 1) * i),
        "neg": (("-5", "-1", "0", "2", "+Inf"), lambda i, k: (k + 1) * i * 2),
        "zero": (("0", "1", "+Inf"), lambda i, k: (k + 1) * i),
        "dup": (("1", "1.0", "2", "+Inf"), lambda i, k: (k + 1) * i),
        "allneg": (("-3", "-2", "-1", "+Inf"), lambda i, k: (k + 1) * i),
        "big": (("1e300", "1e308", "+Inf"), lambda i, k: (k + 1) * i * 2),
        "falls": (("0.1", "0.5", "1", "+Inf"), lambda i, k: (5, 3, 8, 7)[k] * i),
        "nearly": (("0.1", "0.5", "1", "+Inf"), lambda i, k: (5, 5 - 1e-13, 5 + 1e-14, 5)[k] * (i + 1)),
        "nans": (("0.1", "0.5", "1", "+Inf"), lambda i, k: "NaN" if (i + k) % 7 == 0 else (k + 1) * i),
        "infs": (("0.1", "0.5", "1", "+Inf"), lambda i, k: "+Inf" if k > 1 and i % 5 == 0 else (k + 1) * i),
        "zeros": (("0.1", "0.5", "1", "+Inf"), lambda i, k: 0),
        "stale": (("0.1", "0.5", "1", "+Inf"), lambda i, k: "stale" if i > 30 + k else (k + 1) * i),
        "mixed": (("1", "x", "+Inf"), lambda i, k: (k + 1) * i),
        "badle": (("abc",), lambda i, k: i),
        "nole": (("",), lambda i, k: i),
    }
    series = [
        _line({"__name__": "h_bucket", "h": name, "le": bound}, lambda i, k=k, value=value: value(i, k))
        for name, (bounds, value) in buckets.items()
        for k, bound in enumerate(bounds)
    ]
    for k, bound in enumerate(("0.1", "0.5", "1", "+Inf")):  # each bucket is sampled at times of its own
        labels = {"__name__": "h_bucket", "h": "shifted", "le": bound}
        series.append(_line(labels, lambda i, k=k: (k + 1) * i, start=k * 3.137))
    series.append(_line({"__name__": "h_count", "h": "noinf"}, lambda i: i * 6))
    series.append(_line({"__name__": "h_sum", "h": "noinf"}, lambda i: i * 6.5))
    counters: dict[str, Any] = {
        "resets": lambda i: i % 7,
        "down": lambda i: 100 - i,
        "flat": lambda i: 5,
        "big": lambda i: 1e300 * i,
        "huge": lambda i: 9.007199254740993e15 + i,
        "nan": lambda i: "NaN" if i % 4 == 2 else i,
        "inf": lambda i: "+Inf" if i > 50 else i,
        "neg": lambda i: -i,
        "stale": lambda i: "stale" if i % 6 == 5 else i,
        "stalefirst": lambda i: "stale" if i < 2 else i,
        "tiny": lambda i: 1e-320 * i,
    }
    gauges: dict[str, Any] = {
        "mix": lambda i: (1e100, 1, -1e100, 2)[i % 4],
        "tenths": lambda i: 0.1,
        "negzero": lambda i: -0.0 if i % 2 else 0.0,
        "infs": lambda i: ("+Inf", "-Inf", 1, "NaN")[i % 4],
        "alternating": lambda i: (-1) ** i,
        "max": lambda i: 1.7e308,
    }
    series += [_line({"__name__": "c_total", "k": name}, value) for name, value in counters.items()]
    series += [_line({"__name__": "g", "k": name}, value) for name, value in gauges.items()]
    series.append(_line({"__name__": "c_total", "k": "ms"}, lambda i: i, count=600, step=0.1))
    series.append(_line({"__name__": "c_total", "k": "onems"}, lambda i: i * i, count=500, step=0.001, start=300))
    series.append(_line({"__name__": "c_total", "k": "slow"}, lambda i: i * 100, count=5, step=240))
    series.append({"labels": {"__name__": "c_total", "k": "once"}, "samples": [[T0 + 100, 7]]})
    series.append({"labels": {"__name__": "c_total", "k": "twice"}, "samples": [[T0 + 100, 7], [T0 + 399, 9]]})
    gap = [_line({"__name__": "c_total", "k": "gap"}, lambda i: i, count=10, start=at) for at in (0, 600)]
    series.append({"labels": gap[0]["labels"], "samples": gap[0]["samples"] + gap[1]["samples"]})
    names = [
        {"__name__": "metric.name", "label.name": "a b", "é": "ü", "_": "x", "__private": "y"},
        {"__name__": "metric:rule", "A": "1", "a": "2"},
        {"k": "nameless"},
        {"__name__": "typed_total", "__type__": "counter", "__unit__": "seconds", "k": "a"},
        {"__name__": "quoted", "v": 'a"b\\c\nd\te{}'},
        {"__name__": "日本", "k": "a"},
        {"__name__": "info_target", "job": "j", "instance": "i", "version": "1"},
    ]
    series += [_line(labels, lambda i: i) for labels in names]
    for place, pod in enumerate("abc"):
        for zone in ("x", "y", ""):
            labels = {"__name__": "m", "p": pod, "q": zone}
            series.append(_line(labels, lambda i, place=place, zone=zone: place + len(zone) * 10 + i % 3))
    return series


def _line(labels: Json, value: Any, *, count: int = 60, step: float = 15, start: float = 0) -> Json:
    """Return a series that is sampled in steps; a label without a value is no label."""
    samples = [[round(T0 + start + i * step, 3), value(i)] for i in range(count)]
    return {"labels": {name: text for name, text in labels.items() if text}, "samples": samples}


def test_odd_series_have_the_answers_of_prometheus(oracle):
    queries = (Path(__file__).parent / "odd_series.promql").read_text().splitlines()
    chance = random.Random(3)
    evaluations = []
    for query in queries:
        at = T0 + chance.choice((chance.randint(0, 1_000), 300.25, 600))
        evaluations.append({"query": query, "time": at})
        evaluations.append({"query": query, "start": at, "end": at + 120, "step": 30})
    assert _differences({"series": _odd_series()}, evaluations, oracle) == []


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

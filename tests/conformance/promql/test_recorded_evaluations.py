"""Every evaluation that was recorded from Prometheus 3 is answered alike: type, labels, times, and values to 1e-9."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from promql.engine import PromQLError, ResultType, evaluate, evaluate_range
from promql.storage import MemoryStore, load_json_series

HERE = Path(__file__).parent
RECORDINGS = sorted(HERE.glob("*.json.gz"))
TOLERANCE = 1e-9  # How exactly the recordings are meant to be met; they print every digit of a float.
SHOWN_MAX = 5
EVALUATIONS = 700  # in each file


def equal(found: float, wanted: float) -> bool:
    if math.isnan(found) or math.isnan(wanted):
        return math.isnan(found) and math.isnan(wanted)
    return found == wanted or abs(found - wanted) <= TOLERANCE * max(abs(found), abs(wanted))


def answer(entry: dict[str, Any], store: MemoryStore) -> Any:
    """Return ('error', kind), ('scalar', value) or (type, [(labels, [(t_s, value)])])."""
    try:
        if "step" in entry:
            return range_answer(entry, store)
        result = evaluate(entry["query"], entry["time"], store)
    except PromQLError as error:
        return "error", error.kind.value
    if result.type is ResultType.SCALAR:
        return "scalar", result.scalar()
    if result.type is ResultType.VECTOR:
        return "vector", [(dict(labels), [(entry["time"], value)]) for labels, value in result.vector()]
    return "matrix", [
        (dict(s.labels), [(t / 1000, v) for t, v in zip(s.times_ms.tolist(), s.values[0].tolist(), strict=True)])
        for s in result.series
    ]


def range_answer(entry: dict[str, Any], store: MemoryStore) -> Any:
    result = evaluate_range(entry["query"], entry["start"], entry["end"], entry["step"], store)
    times_s = [t_ms / 1000 for t_ms in result.times_ms.tolist()]
    series = []
    for index, labels in enumerate(result.labels):
        there = result.present[0, index].tolist()
        points = zip(times_s, result.values[0, index].tolist(), there, strict=True)
        series.append((dict(labels), [(t_s, value) for t_s, value, present in points if present]))
    return "matrix", series


def recorded(entry: dict[str, Any]) -> Any:
    if "error" in entry:
        return "error", entry["error"]
    if entry["type"] == "scalar":
        return "scalar", float(entry["result"][1])
    series = []
    for each in entry["result"]:
        points = each["values"] if "values" in each else [each["value"]]
        series.append((each["metric"], [(t_s, float(value)) for t_s, value in points]))
    return entry["type"], series


def alike(found: Any, wanted: Any, *, in_order: bool) -> bool:
    if found[0] != wanted[0]:
        return False
    if found[0] == "error":
        return bool(found == wanted)
    if found[0] == "scalar":
        return equal(found[1], wanted[1])
    ours, theirs = found[1], wanted[1]
    if not in_order:
        ours, theirs = (sorted(side, key=lambda each: sorted(each[0].items())) for side in (ours, theirs))
    return len(ours) == len(theirs) and all(alike_series(a, b) for a, b in zip(ours, theirs, strict=True))


def alike_series(ours: Any, theirs: Any) -> bool:
    if ours[0] != theirs[0] or len(ours[1]) != len(theirs[1]):
        return False
    points = zip(ours[1], theirs[1], strict=True)
    return all(round(a[0] * 1000) == round(b[0] * 1000) and equal(a[1], b[1]) for a, b in points)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_recorded_evaluation_is_answered_as_prometheus_answered_it(path: Path) -> None:
    document = json.loads(gzip.decompress(path.read_bytes()))
    store = MemoryStore()
    load_json_series(document, store)
    wrong = []
    for entry in document["evals"]:
        # Only these promise an order; of the rest Prometheus' own order differs from run to run.
        in_order = entry["query"].startswith(("sort", "topk", "bottomk"))
        found, wanted = answer(entry, store), recorded(entry)
        if not alike(found, wanted, in_order=in_order):
            wrong.append(f"{entry['query']}\n  found  {found}\n  wanted {wanted}"[:1000])
    total = len(document["evals"])
    print(f"{path.name}: {total - len(wrong)} of {total} evaluations equal")
    assert total == EVALUATIONS
    assert not wrong, "\n".join(wrong[:SHOWN_MAX])

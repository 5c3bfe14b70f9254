"""Recorded evaluations asked over HTTP: the same JSON but for a number's last digits and the order of rows.

The engine's own test plays all recordings; this one plays every fifth, and every form of request.
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore, load_file


def _close(ours: str, theirs: str) -> bool:
    left, right = float(ours), float(theirs)
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= 1e-9 * max(abs(left), abs(right))


def _rows(result: list[Any]) -> list[tuple[Any, list[Any]]]:
    if result and not isinstance(result[0], dict):  # a scalar: a time and a value
        return [((), [result])]
    return sorted((sorted(row["metric"].items()), row.get("values") or [row["value"]]) for row in result)


def _is_same(answer: dict[str, Any], recorded: dict[str, Any]) -> bool:
    if "error" in recorded:
        return answer.get("errorType") == recorded["error"]
    if answer["status"] != "success" or answer["data"]["resultType"] != recorded["type"]:
        return False
    ours, theirs = _rows(answer["data"]["result"]), _rows(recorded["result"])
    if [labels for labels, _ in ours] != [labels for labels, _ in theirs]:
        return False
    return all(
        [t for t, _ in points] == [t for t, _ in others]
        and all(_close(value, other) for (_, value), (_, other) in zip(points, others, strict=True))
        for (_, points), (_, others) in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("name", ["promql-1.json.gz", "promql-2.json.gz"])
def test_the_api_answers_as_recorded(recordings: Path, name: str):
    file = recordings / "promql" / name
    store = MemoryStore()
    load_file(file, store)
    evaluations = json.loads(gzip.decompress(file.read_bytes()))["evals"][::5]
    wrong = []
    with QueryServer(create_app(store)) as server, httpx.Client(base_url=server.address, timeout=60) as client:
        for number, recorded in enumerate(evaluations):
            fields = {key: str(recorded[key]) for key in ("query", "time", "start", "end", "step") if key in recorded}
            path = "/api/v1/query_range" if "start" in fields else "/api/v1/query"
            answer = client.post(path, data=fields) if number % 2 else client.get(path, params=fields)
            if not _is_same(answer.json(), recorded):
                wrong.append(recorded["query"])
    assert wrong == []

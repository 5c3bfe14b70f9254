"""Paths of web metrics: as Kubernetes' own reader reads them, and the words for those that point nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.metrics.jsonpath import JsonPathError, read_path
from controller.metrics.jsonpath_search import first_value

RECORDED = Path(__file__).with_name("jsonpath.jsonl")


def floats(value: object) -> Any:
    """Return JSON as the original decodes it, with every number a float."""
    return json.loads(json.dumps(value), parse_int=float)


def test_a_thousand_paths_give_what_client_go_gave() -> None:
    # Answers of k8s.io/client-go 0.34.5, the version that Argo Rollouts is built with, to paths written by hand and at
    # random. Left out are those whose answer there hangs on the order of a map, or on the bytes of a text.
    first, *rows = map(json.loads, RECORDED.read_text().splitlines())
    documents = [floats(document) for document in first["documents"]]
    wrong = []
    for row in rows:
        try:
            found = {"value": floats(first_value(row["path"], documents[row["document"]]))}
        except JsonPathError:
            found = {"error": ""}
        wanted = {"value": floats(row["value"])} if "value" in row else {"error": ""}
        if found != wanted:
            wrong.append((row, found))
    assert len(rows) > 1_000
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("{.data.nope}", "nope is not found"),
        ("{.data.list[7]}", "array index out of bounds: index 7, length 2"),
        ("{.data.list[?(@.n==1)]}", "incompatible types for comparison"),  # 1 is an integer, the document's a float
        ("{.data.empty[*]}", "result of web metric produced no value"),
        ("{.data", "unclosed action"),
        ("{range .data.list[*]}{.n}{end}", "range is not supported here"),
        ("{" + ".a" * 2_001 + "}", "more than 4000 characters"),
    ],
)
def test_a_path_that_points_nowhere_says_why(path: str, says: str) -> None:
    document = {"data": {"list": [{"n": 1.0}, {"n": 2.0}], "empty": []}}
    with pytest.raises(JsonPathError, match=says):
        first_value(path, document)


def test_a_document_that_is_nested_without_end_is_an_error_and_no_crash() -> None:
    document: object = 1.0
    for _ in range(100_000):
        document = [document]
    with pytest.raises(JsonPathError, match="nested too deep"):
        first_value("{..x}", document)


def test_what_stands_outside_of_braces_is_text() -> None:
    assert first_value("$.data.ok", {"data": {"ok": True}}) == "$.data.ok"


def test_a_path_is_read_once() -> None:
    assert read_path("{.a}") is read_path("{.a}")

"""Prometheus' own word: its parser accepts and refuses the same texts, and reads the same trees.

`prometheus_verdicts.jsonl.gz` holds 2,813 texts of ours, half of them broken, that the parser of the Go module
github.com/prometheus/prometheus v0.316.0 was given, without feature flags. Recorded is whether it accepted the
text, the value's type, and how it prints its tree.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promql.syntax import Expr, PromQLSyntaxError, parse, rewrite, to_text, value_type
from promql.syntax.functions import ValueType
from promql.syntax.tree import PLAIN_MATCHING, Binary, VectorSelector


@pytest.fixture(scope="module")
def verdicts() -> list[dict[str, Any]]:
    file = Path(__file__).parent / "prometheus_verdicts.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def accepts(text: str) -> bool:
    try:
        parse(text)
    except PromQLSyntaxError:
        return False
    return True


def as_prometheus_prints(node: Expr) -> Expr:
    """Forget what its printed form forgets: the order of matchers, and on () where one side is a scalar."""
    if isinstance(node, VectorSelector):
        return replace(node, matchers=tuple(sorted(node.matchers, key=lambda m: (m.name, m.op, m.value))))
    if isinstance(node, Binary) and ValueType.SCALAR in (value_type(node.left), value_type(node.right)):
        return replace(node, matching=PLAIN_MATCHING)
    return node


def test_the_same_texts_are_accepted_and_refused(verdicts: list[dict[str, Any]]) -> None:
    wrong = [entry["text"] for entry in verdicts if accepts(entry["text"]) is not entry["ok"]]
    print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} verdicts agree")
    assert wrong == []


def test_accepted_texts_have_the_same_type_and_the_same_tree(verdicts: list[dict[str, Any]]) -> None:
    for entry in verdicts:
        if entry["ok"]:
            ours, theirs = parse(entry["text"]), parse(entry["printed"])
            assert value_type(ours) == entry["type"], entry["text"]
            assert rewrite(ours, as_prometheus_prints) == rewrite(theirs, as_prometheus_prints), entry["text"]
            assert parse(to_text(ours)) == ours, entry["text"]


def test_every_recorded_query_that_prometheus_could_evaluate_is_read_and_printed(recorded_queries: list[str]) -> None:
    # Those that are refused were recorded with an error by Prometheus; the evaluations' own test compares them.
    read = [query for query in recorded_queries if accepts(query)]
    assert len(read) > 0.95 * len(recorded_queries)
    for query in read:
        assert parse(to_text(parse(query))) == parse(query)

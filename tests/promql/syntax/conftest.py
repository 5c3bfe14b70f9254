"""Texts to read: random queries, sound and broken, and the queries of real manifests where they are at hand."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ruamel.yaml import YAML, YAMLError

_METRICS = "up http_requests_total a:b sum by without offset and or start end step range fill inf NaN on group_left"
_LABELS = 'status code "foo.bar" le by without on inf sum bool __name__ "" a:b'
_NUMBERS = (
    "0 1 1.5 .5 1e3 1e-3 0x1F 017 09 1_000 1__0 0x1e 5m 1h30m 30s 1y 5ms 1d2h inf NaN +Inf 1e400"
    " 9223372036854775808 0b1 1.5m 5 1. 0x 1e 08.5 30m1h 0s"
)
_STRINGS = (
    '"a"',
    "'a'",
    "`a`",
    '"a\\n"',
    '"\\u00e9"',
    '"5.."',
    '".*"',
    '"("',
    '""',
    "'\\''",
    '"\\\'"',
    '"\\400"',
    '"a|b"',
    '"é"',
    '"\\d+"',
    '"(?i)x"',
)
_FUNCTIONS = (
    "rate irate increase abs histogram_quantile label_replace label_join clamp round vector scalar time pi hour"
    " sum_over_time quantile_over_time absent foo RATE predict_linear timestamp last_over_time"
)
_RANGED = ("rate", "irate", "increase", "sum_over_time", "last_over_time")
_AGGREGATES = "sum avg count min max group topk quantile count_values SUM"
_OPERATORS = "+ - * / % ^ == != > < >= <= and or unless atan2 AND ="
_DURATIONS = "5m 1h30m 30s 5 0.5 -5m +5m 1h:5m 5m: 5m:1m 0s 1ms 5m:0s 1.5 1e3 --5m :5m 5m::1m 0x10 100y 300y"
_NOISE = [*"()[]{},:@+-*/%^=!<>~\"'`#\\ \n\t0123456789.eExXabmshdwy|é\x00", "offset", "by", "on", "bool", "5m", "sum("]


class QueryTexts:
    """Random query texts from a seed: most of them nearly sound, some of them mutated."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self) -> str:
        text = self.expression(self.random.randrange(4))
        return self.mutated(text) if self.random.random() < 0.4 else text

    def of(self, words: str) -> str:
        return self.random.choice(words.split())

    def often(self, share: float) -> bool:
        return self.random.random() < share

    def blank(self) -> str:
        return self.random.choice(["", "", " ", "  ", "\n", " # c\n", "\t"])

    def selector(self) -> str:
        name = self.of(_METRICS) if self.often(0.8) else ""
        if name and self.often(0.5):
            return name
        matchers = []
        for _ in range(self.random.randrange(4)):
            op = self.random.choice(["=", "!=", "=~", "!~"])
            matcher = self.blank().join([self.of(_LABELS), op, self.random.choice(_STRINGS)])
            matchers.append(self.random.choice(_STRINGS) if self.often(0.1) else matcher)
        comma = "," if self.often(0.15) else ""
        return f"{name}{self.blank()}{{{(',' + self.blank()).join(matchers)}{comma}}}"

    def postfix(self) -> str:
        kinds = [
            f"[{self.of(_DURATIONS)}]",
            f" offset {self.of(_DURATIONS)}",
            f" @ {self.of(_NUMBERS + ' start() end() -5')}",
        ]
        return self.blank() + self.random.choice(kinds)

    def labels(self) -> str:
        labels = ", ".join(self.of(_LABELS) for _ in range(self.random.randrange(3)))
        return f"({labels}{',' if self.often(0.1) else ''})"

    def call(self, depth: int) -> str:
        name = self.of(_FUNCTIONS)
        if name in _RANGED and self.often(0.8):
            return f"{name}({self.selector()}[{self.of(_DURATIONS)}])"
        args = [self.expression(depth - 1) for _ in range(self.random.choice([0, 1, 1, 1, 2, 2, 3, 4]))]
        return f"{name}{self.blank()}({', '.join(args)}{',' if self.often(0.05) else ''})"

    def aggregation(self, depth: int) -> str:
        name = self.of(_AGGREGATES)
        args = [self.expression(depth - 1)]
        if name in ("topk", "quantile", "count_values") and self.often(0.9):
            args.insert(0, self.random.choice(["5", '"x"']))
        body = f"({', '.join(args)})"
        grouping = self.random.choice([" by ", " without ", " BY "]) + self.labels()
        return name + self.random.choice([body, grouping + body, body + grouping])

    def modifiers(self) -> str:
        text = " bool" if self.often(0.15) else ""
        if self.often(0.25):
            text += self.random.choice([" on ", " ignoring "]) + self.labels()
            if self.often(0.4):
                text += self.random.choice([" group_left ", " group_right ()", " group_left " + self.labels()])
        return text

    def expression(self, depth: int) -> str:
        kind = self.random.random() if depth > 0 else 0.0
        if kind < 0.2:
            return self.selector() + (self.postfix() if self.often(0.4) else "")
        if kind < 0.33:
            return self.of(_NUMBERS) if kind < 0.3 else self.random.choice(_STRINGS)
        if kind < 0.43:
            return f"({self.expression(depth - 1)}{self.blank()}){self.postfix() if self.often(0.2) else ''}"
        if kind < 0.5:
            return self.random.choice("+-") + self.blank() + self.expression(depth - 1)
        if kind < 0.65:
            return self.call(depth)
        if kind < 0.78:
            return self.aggregation(depth) + (self.postfix() if self.often(0.1) else "")
        left, right = self.expression(depth - 1), self.expression(depth - 1)
        return f"{left} {self.of(_OPERATORS)}{self.modifiers()} {right}"

    def mutated(self, text: str) -> str:
        for _ in range(self.random.randrange(1, 4)):
            start, end = sorted((self.random.randrange(len(text) + 1), self.random.randrange(len(text) + 1)))
            match self.random.randrange(5):
                case 0:
                    text = text[:start] + text[start + 1 :]
                case 1:
                    text = text[:start] + self.random.choice(_NOISE) + text[start:]
                case 2:
                    text = text[:start] + self.random.choice(_NOISE) + text[start + 1 :]
                case 3:
                    text = text[:start] + text[end:]
                case _:
                    text = text[:end] + text[start:]
        return text[:2000]


@pytest.fixture
def query_texts() -> Callable[[int, int], Iterator[str]]:
    """Return a maker of random texts: (seed, how many)."""

    def make(seed: int, count: int) -> Iterator[str]:
        texts = QueryTexts(seed)
        return (texts.one() for _ in range(count))

    return make


@pytest.fixture(scope="session")
def recorded_queries(recordings: Path) -> list[str]:
    """Every query of the recorded evaluations."""
    files = sorted((recordings / "promql").glob("*.json.gz"))
    if not files:
        pytest.skip("the recorded evaluations are not here (tests/conformance/promql)")
    return [query for file in files for query in _values_of(json.loads(gzip.decompress(file.read_bytes())), "query")]


@pytest.fixture(scope="session")
def corpus_queries(corpus: Path) -> list[tuple[str, str]]:
    """(file, query) of every Prometheus metric in the real manifests, arguments replaced by a word."""
    found: list[tuple[str, str]] = []
    for file in sorted(corpus.glob("*.yaml")):
        try:
            documents = list(YAML(typ="safe").load_all(file.read_text()))
        except YAMLError:
            continue  # bad input on purpose
        for provider in _values_of(documents, "prometheus"):
            if isinstance(provider, dict) and isinstance(provider.get("query"), str):
                found.append((file.name, _with_arguments(provider["query"])))
    return found


def _with_arguments(query: str) -> str:
    """Put a word for every `{{args.x}}`, also for those that Helm would have unquoted first."""
    return re.sub(r"\{\{`?\s*(?:\{\{)?\s*[\w.-]+\s*(?:\}\})?`?\s*\}\}", "word", query)


def _values_of(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from _values_of(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values_of(inner, key)

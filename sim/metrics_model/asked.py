"""What a policy's queries ask of each metric: its selectors, and the labels that they or groupings name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from promql.syntax import parse, selectors, walk
from promql.syntax.reading import passes
from promql.syntax.regexes import alternatives, full_match
from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AggregateOp,
    Binary,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    Paren,
    StringLiteral,
    VectorSelector,
    children,
)
from sim.metrics_model.errors import NamelessSelectorError

LabelsAsked = tuple[tuple[Matcher, ...], ...]
"""Of each selector, its matchers on one label; an empty tuple for a selector that does not name it."""


@dataclass(slots=True)
class MetricAsked:
    """One metric, as all queries together ask for it.

    Attributes:
        is_summed: whether its counters are always summed as they are, or by their rates, before anything else is done
            with them. Series that differ in nothing that a query names might then be one as well.
    """

    metric: str
    selectors: list[VectorSelector] = field(default_factory=list)
    grouped_by: set[str] = field(default_factory=set)
    is_summed: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that somebody names, in order."""
        named = {matcher.name for one in self.selectors for matcher in one.matchers} - {METRIC_NAME}
        return tuple(sorted(named | self.grouped_by))

    def of(self, label: str) -> LabelsAsked:
        return tuple(tuple(one for one in each.matchers if one.name == label) for each in self.selectors)


_parsed = lru_cache(maxsize=256)(parse)  # a suite asks for the same queries in every scenario


def asked_of(queries: Iterable[str]) -> dict[str, MetricAsked]:
    """Return what the queries ask of each metric, in the order of the text."""
    found: dict[str, MetricAsked] = {}
    for query in dict.fromkeys(queries):
        expr = _parsed(query)
        groupings = _groupings(expr)
        summed = _summed(expr)
        for place, selector in enumerate(selectors(expr)):
            for metric in metrics_of(selector):
                one = found.setdefault(metric, MetricAsked(metric))
                one.selectors.append(selector)
                one.grouped_by |= groupings
                one.is_summed &= summed[place]
    return found


_RATES = frozenset(("rate", "irate", "increase"))


def _summed(expr: Expr) -> list[bool]:
    """Return, of each selector in the order of the text, whether a sum by named labels is what first meets it."""
    found: list[bool] = []
    waiting: list[tuple[Expr, bool]] = [(expr, False)]
    while waiting:
        node, summed = waiting.pop()
        match node:
            case VectorSelector():
                found.append(summed)
            case Aggregate():
                summed = node.op is AggregateOp.SUM and not node.without
            case Call():
                summed &= node.function in _RATES
            case MatrixSelector() | Paren():
                pass
            case _:
                summed = False
        waiting.extend((part, summed) for part in reversed(children(node)))
    return found


def metrics_of(selector: VectorSelector) -> tuple[str, ...]:
    """Return the metrics that a selector can select: one by its name, or a short list by a pattern over names."""
    if selector.metric is not None:
        return (selector.metric,)
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.MATCHES:
            names = alternatives(matcher.value)
            if names is not None and all(names):
                return names
    raise NamelessSelectorError("a selector that names no metric; the model makes series by the names of their metrics")


def _groupings(expr: Expr) -> set[str]:
    """Return the labels that groupings, joins and relabellings of the query name."""
    named: set[str] = set()
    for node in walk(expr):
        match node:
            case Aggregate():
                named |= set(node.grouping) if not node.without else set()
            case Binary():
                named |= set(node.matching.include) | (set(node.matching.labels) if node.matching.on else set())
            case Call(function="label_replace" | "label_join"):
                sources = node.args[3:4] if node.function == "label_replace" else node.args[3:]
                named |= {one.value for one in sources if isinstance(one, StringLiteral) and one.value}
            case _:
                pass
    return named - {METRIC_NAME, "le"}


def passes_all(matchers: Sequence[Matcher], value: str) -> bool:
    return all(passes(matcher, value) for matcher in matchers)


def wants_something(matchers: Sequence[Matcher]) -> bool:
    """Return whether a series without the label is not selected."""
    return not passes_all(matchers, "")


def simplest(matchers: Sequence[Matcher]) -> str | None:
    """Return a value that passes all matchers: the asked one, or the shortest that is easily found; None: none is."""
    candidates: list[str] = []
    for matcher in matchers:
        if matcher.op is MatchOp.EQUAL:
            candidates.append(matcher.value)
        elif matcher.op is MatchOp.MATCHES:
            candidates += alternatives(matcher.value) or ()
            made = example_of(matcher.value)
            candidates += [] if made is None else [made]
    candidates += ["", "x"]
    return next((value for value in candidates if value and passes_all(matchers, value)), None)


@lru_cache(maxsize=1024)
def example_of(pattern: str) -> str | None:
    """Return a short text that the pattern matches, if Python reads it as RE2 does; None otherwise."""
    import re._parser as reading  # type: ignore[import-not-found]  # the tree of a pattern; sre_parse by its new name

    try:
        text = "".join(_example(step) for step in reading.parse(pattern))
    except (re.error, ValueError, RecursionError):
        return None
    return text if full_match(pattern, text) else None


def _example(step: tuple[Any, Any]) -> str:
    """Return the shortest text for one step of a parsed pattern."""
    kind, value = str(step[0]), step[1]
    match kind:
        case "LITERAL":
            return chr(int(value))
        case "ANY" | "NOT_LITERAL" | "CATEGORY":
            return "x"
        case "IN":
            return _one_of(value)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, _, inner = value
            return "".join(_example(one) for one in inner) * int(least)
        case "SUBPATTERN":
            return "".join(_example(one) for one in value[-1])
        case "BRANCH":
            return "".join(_example(one) for one in value[1][0])
        case "AT":
            return ""
        case _:
            raise ValueError(f"no example of {kind}")


def _one_of(choices: Sequence[tuple[Any, Any]]) -> str:
    first = choices[0]
    match str(first[0]):
        case "RANGE":
            return chr(int(first[1][0]))
        case "LITERAL":
            return chr(int(first[1]))
        case "CATEGORY":
            return "0" if "DIGIT" in str(first[1]) else "x"
        case _:
            return "x"

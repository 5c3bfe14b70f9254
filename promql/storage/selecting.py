"""Does a label set satisfy a selector's matchers? Shared by every store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from promql.storage.labels import Labels, value_of
from promql.syntax.regexes import compile_regex
from promql.syntax.tree import Matcher, MatchOp

Predicate = Callable[[str], bool]


@lru_cache(maxsize=4096)
def _predicate(op: MatchOp, wanted: str) -> Predicate:
    if op is MatchOp.EQUAL:
        return lambda value: value == wanted
    if op is MatchOp.NOT_EQUAL:
        return lambda value: value != wanted
    regex = compile_regex(wanted)
    # One pattern meets the same few values again and again, query after query.
    seen = lru_cache(maxsize=10_000)(lambda value: regex.fullmatch(value) is not None)
    if op is MatchOp.MATCHES:
        return seen
    return lambda value: not seen(value)


def matching(matchers: Sequence[Matcher]) -> Callable[[Labels], bool]:
    """Return a test for label sets; a missing label has the value ''."""
    tests = [(matcher.name, _predicate(matcher.op, matcher.value)) for matcher in matchers]

    def matches(labels: Labels) -> bool:
        return all(test(value_of(labels, name)) for name, test in tests)

    return matches

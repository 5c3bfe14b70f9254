"""promql-parser, another reader of PromQL in Rust, as the oracle: it accepts and refuses the same random texts.

Where the two differ, Prometheus' own verdict is on our side (its recorded word is in the test beside); what it
does differently is stated here, and nothing else may differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import promql_parser

from promql.syntax import PromQLSyntaxError, parse

_DIFFERENCES = {
    "it refuses the duration 0s": r"\b0+(?:y|w|d|h|m|s|ms)\b",
    "it lets durations be longer than 292 years": r"\d{3,}[yw]",
    "it knows no underscores in numbers": r"\d_\d",
    "it reads hexadecimal numbers that end in e": r"0[xX][0-9a-fA-F]*e",
    "it reads numbers beyond the largest float as infinite": r"\de\d{3,}",
    "it knows no signs in durations behind [ and :": r"[\[:]\s*(?:\#[^\n]*\n)?\s*[+-]",
    "it knows no doubled signs behind offset": r"(?i)offset\s+[+-]{2}",
    "it accepts a sign before a string or a range": r"""[+-][^\["'`]*[\["'`]""",
    "it accepts empty label names in lists": r'""',
    "it knows no colons in labels of lists": r"a:b",
    "it accepts times beyond 2^63 seconds": r"@\s*(?:\d{19}|\d+e\d\d)",
    "it knows the experimental start() and end()": r"(?i)\b(?:start|end)\b\s*\(",
}
_STATED = re.compile(
    "|".join(f"(?:{pattern.removeprefix('(?i)')})" for pattern in _DIFFERENCES.values()), re.IGNORECASE
)


def _accepted_by_the_oracle(text: str) -> bool:
    try:
        promql_parser.parse(text)
    except ValueError:
        return False
    return True


def _accepted(text: str) -> bool:
    try:
        parse(text)
    except PromQLSyntaxError:
        return False
    return True


def test_both_accept_and_refuse_the_same_texts(query_texts: Callable[[int, int], Iterator[str]]) -> None:
    count = compared = accepted = 0
    unstated = []
    for text in query_texts(20, 20_000):
        count += 1
        ours, theirs = _accepted(text), _accepted_by_the_oracle(text)
        accepted += ours
        if not _STATED.search(text):
            compared += 1
            if ours is not theirs:
                unstated.append(text)
    print(f"{count} texts, {accepted} accepted, {compared} compared without a stated difference in them")
    assert unstated == []
    assert compared > count / 3

"""Broken texts by the hundred thousand: an answer or a clean error for each, in bounded time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from promql.syntax import PromQLSyntaxError, parse, requests_behind, to_text
from promql.syntax.requests import RequestCount
from promql.syntax.shapes import ratio_shape

TextMaker = Callable[[int, int], Iterator[str]]


def read(text: str) -> bool:
    """Read one text and everything that is known of it; return whether it was accepted."""
    refusal = None
    try:
        expr = parse(text)
    except PromQLSyntaxError as error:
        refusal = error
    if refusal is not None:
        assert 0 <= refusal.position <= len(text)
        assert str(refusal)
        return False
    assert parse(to_text(expr)) == expr, text
    count = requests_behind(expr)
    if isinstance(count, RequestCount):
        assert to_text(parse(to_text(count.query))), text
    ratio_shape(expr)
    return True


def test_a_hundred_thousand_mutated_texts_neither_crash_nor_hang(query_texts: TextMaker) -> None:
    accepted, slowest_s = 0, 0.0
    for text in query_texts(30, 100_000):
        started = time.thread_time()  # the wall would tell of what else the machine does
        accepted += read(text)
        slowest_s = max(slowest_s, time.thread_time() - started)
    print(f"{accepted} of 100000 accepted, the slowest took {slowest_s * 1000:.1f} ms of CPU time")
    assert accepted > 10_000
    assert slowest_s < 2


@pytest.mark.fuzz
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="a longer search, run by make fuzz")
def test_two_million_mutated_texts_neither_crash_nor_hang(query_texts: TextMaker) -> None:
    for text in query_texts(int.from_bytes(os.urandom(4), "big"), 2_000_000):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "{a=~'" + "(a+)+" * 20 + "$'}",
        "{a=~'" + "(" * 5000 + "'}",
        "{a=~'((a{1000}){1000}){1000}'}",
        "a" * 90_000,
        "a{" + "b='c'," * 15_000 + "}",
        "a" + "[5m:]" * 10_000,
        "a" + " offset 5m" * 9_000,
        "sum by (" + "a," * 30_000 + ") (b)",
        "-" * 90_000 + "1",
        "1" + "+1" * 40_000,
        "'" * 90_000,
        "#" * 90_000,
        "9" * 90_000,
        "5m" * 40_000,
        "\ud800" * 50_000,
    ],
)
def test_a_hostile_text_is_answered_within_two_seconds(text: str) -> None:
    started = time.process_time()  # not the clock: others may be busy on this machine
    read(text)
    assert time.process_time() - started < 2

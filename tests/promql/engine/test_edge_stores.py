"""A store that tells the edges of windows itself gives the answers that its blocks give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from promql.engine import evaluate, evaluate_range
from promql.storage import ArrayBlock, BlockStore, Labels, labels_of
from promql.storage.edges import Edges
from promql.syntax.tree import Matcher

RUNS = 3


def blocks() -> list[ArrayBlock]:
    """Two targets, each scraped every 15 s at a phase of its own; the second one's counter begins anew at 150 s."""
    found = []
    for place, phase_ms in enumerate((2_000, 9_000)):
        times_ms = np.arange(phase_ms, 301_000, 15_000, dtype=np.int64)
        grown = np.arange(len(times_ms)) * (10.0 + 7.0 * place)
        reset = int(np.searchsorted(times_ms, 150_000))
        if place == 1:
            grown[reset:] -= grown[reset] - 3.0
        found.append(
            ArrayBlock(
                labels=[labels_of({"__name__": "c_total", "pod": f"p{place}"})],
                times_ms=times_ms,
                array=grown * np.arange(1.0, RUNS + 1)[None, :, None],
                reset_columns=np.array([reset] if place == 1 else [], dtype=np.int64),
            )
        )
    return found


class Telling(BlockStore):
    """Blocks whose edges are told; counts how often it was asked for them, and can refuse."""

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__(blocks(), runs=RUNS)
        self.tells = tells
        self.asked = 0

    def edges(
        self, matchers: Sequence[Matcher], starts_ms: np.ndarray, ends_ms: np.ndarray, *, is_counter: bool
    ) -> tuple[Sequence[Labels], Edges] | None:
        self.asked += 1
        if not self.tells:
            return None
        found = self.select(matchers, int(starts_ms.min()), int(ends_ms.max()))
        shape = (len(found), RUNS, len(ends_ms))
        values, times, lost = np.zeros((2, *shape)), np.zeros((2, *shape), dtype=np.int64), np.zeros(shape)
        counts = np.zeros(shape, dtype=np.int64)
        for row, block in enumerate(found):
            for step in range(len(ends_ms)):
                inside = np.flatnonzero((block.times_ms > starts_ms[step]) & (block.times_ms <= ends_ms[step]))
                counts[row, :, step] = len(inside)
                if not len(inside):
                    continue
                samples = block.values(inside.astype(np.int64))[0]
                values[0, row, :, step], values[1, row, :, step] = samples[:, 0], samples[:, -1]
                times[0, row, :, step], times[1, row, :, step] = block.times_ms[inside[[0, -1]]]
                falls = np.maximum(samples[:, :-1] - samples[:, 1:], 0.0) > 0
                lost[row, :, step] = (samples[:, :-1] * falls).sum(axis=1)
        edges = Edges(
            first=values[0],
            last=values[1],
            first_ms=times[0],
            last_ms=times[1],
            counts=counts,
            lost=lost if is_counter else None,
        )
        return [block.labels[0] for block in found], edges


@pytest.mark.parametrize("query", ["rate(c_total[1m])", "sum(increase(c_total[2m]))", "delta(c_total{pod='p1'}[3m])"])
@pytest.mark.parametrize("tells", [True, False])
def test_answers_are_the_same_from_edges_and_from_blocks(query: str, tells: bool) -> None:
    telling, plain = Telling(tells=tells), BlockStore(blocks(), runs=RUNS)
    one, other = (evaluate(query, 240.0, store) for store in (telling, plain))
    assert one.labels == other.labels
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
    assert telling.asked == 1
    steps, wanted = (evaluate_range(query, 0.0, 300.0, 30.0, store) for store in (telling, plain))
    assert np.array_equal(steps.present, wanted.present)
    np.testing.assert_allclose(steps.values[steps.present], wanted.values[wanted.present], rtol=1e-12)


@pytest.mark.parametrize(
    "query", ["irate(c_total[1m])", "c_total", "rate(c_total[1m:15s])", "max_over_time(c_total[1m])"]
)
def test_whatever_needs_more_than_edges_is_asked_as_blocks(query: str) -> None:
    telling = Telling()
    one, other = (evaluate(query, 240.0, store) for store in (telling, BlockStore(blocks(), runs=RUNS)))
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
    assert telling.asked == 0


def test_no_matching_series_is_an_empty_answer() -> None:
    assert evaluate("rate(nothing_total[1m])", 240.0, Telling()).labels == ()

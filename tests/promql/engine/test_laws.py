"""Laws that hold for every query: runs are independent, time has no origin, sums may be taken in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promql.engine import PromQLError, Result, evaluate, evaluate_range
from promql.storage import STALE_NAN, ArrayBlock, BlockStore, MemoryStore, labels_of

STEP_MS = 15_000
SAMPLES = 24
START_S = 1_700_000_000.0
END_S = START_S + SAMPLES * STEP_MS / 1000

QUERIES = [
    "x_total",
    "rate(x_total[1m])",
    "increase(x_total[2m] offset 15s)",
    "delta(x_total[1m])",
    "irate(x_total[1m])",
    "idelta(x_total[1m])",
    "sum by (pod) (rate(x_total[1m]))",
    "sum(rate(x_total{status='500'}[2m])) / sum(rate(x_total[2m]))",
    "avg without (status) (x_total)",
    "stddev(x_total)",
    "stdvar by (status) (x_total)",
    "quantile by (pod) (0.3, x_total)",
    "topk(2, x_total)",
    "bottomk by (pod) (1, x_total)",
    "count_values('v', x_total % 3)",
    "max(x_total) - min(x_total)",
    "sum_over_time(x_total[1m])",
    "avg_over_time(x_total[1m])",
    "stddev_over_time(x_total[1m])",
    "quantile_over_time(0.7, x_total[1m])",
    "min_over_time(x_total[1m]) + max_over_time(x_total[1m])",
    "changes(x_total[2m]) + resets(x_total[2m])",
    "count_over_time(x_total[1m])",
    "last_over_time(x_total[1m])",
    "deriv(x_total[2m])",
    "predict_linear(x_total[2m], 60)",
    "absent(x_total{pod='b'})",
    "absent_over_time(x_total{pod='b'}[1m])",
    "scalar(x_total{pod='a',status='500'}) + vector(1)",
    "x_total > 50 or x_total < 20",
    "x_total{status='200'} and on (pod) x_total{status='500'}",
    "x_total{status='200'} unless on (pod) x_total{status='500'}",
    "x_total{status='200'} / ignoring (status) x_total{status='500'}",
    "x_total / on (pod) group_left sum by (pod) (x_total)",
    "max_over_time(rate(x_total[1m])[2m:30s])",
    "sum_over_time(x_total[2m:])",
    "sort_desc(x_total)",
    "timestamp(x_total)",
    "clamp_max(x_total, scalar(x_total{pod='a',status='200'}))",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[1m])))",
    "histogram_quantile(0.5, h_bucket)",
    "histogram_fraction(0, 1, h_bucket)",
]

X_LABELS = [labels_of({"__name__": "x_total", "pod": pod, "status": s}) for pod in "ab" for s in ("200", "500")]
H_LABELS = [labels_of({"__name__": "h_bucket", "pod": "a", "le": le}) for le in ("0.5", "1", "2.5", "+Inf")]


@dataclass(frozen=True)
class Histories:
    """Values and presence of all series in all runs: (series, runs, samples)."""

    values: Any
    present: Any
    times_ms: Any


def histories(seed: int, runs: int, *, gaps: bool, stale: bool) -> Histories:
    rng = np.random.default_rng(seed)
    series = len(X_LABELS) + len(H_LABELS)
    shape = (series, runs, SAMPLES)
    values = np.cumsum(rng.poisson(3.0, shape), axis=-1).astype(float)
    resets = rng.random(shape) < 0.05
    values = np.where(np.cumsum(resets, axis=-1) > 0, values % 17, values)
    # Buckets hold what the ones below them hold.
    values[len(X_LABELS) :] = np.cumsum(values[len(X_LABELS) :], axis=0)
    if stale:
        values = np.where(rng.random(shape) < 0.05, STALE_NAN, values)
    present = np.ones(shape, dtype=bool)
    if gaps:
        born = rng.integers(0, SAMPLES, (series, runs, 1))
        present = (np.arange(SAMPLES) >= born) & (rng.random(shape) < 0.9)
    times_ms = round(START_S * 1000) + np.arange(SAMPLES) * STEP_MS + rng.integers(0, 5000)
    return Histories(values=values, present=present, times_ms=times_ms)


def store_of_runs(history: Histories, *, gaps: bool, stale: bool, known_resets: bool) -> BlockStore:
    blocks = []
    for labels, rows in ((X_LABELS, slice(0, len(X_LABELS))), (H_LABELS, slice(len(X_LABELS), None))):
        values = history.values[rows]
        # Where a marker hides the sample before, only the samples themselves tell of a reset.
        dropped = (values[..., 1:] < values[..., :-1]).any(axis=(0, 1))
        resets = np.flatnonzero(dropped) + 1 if known_resets else None
        blocks.append(
            ArrayBlock(
                labels=labels,
                times_ms=history.times_ms,
                array=values,
                present=history.present[rows] if gaps else None,
                reset_columns=resets,
                has_stale=stale,
            )
        )
    return BlockStore(blocks, runs=history.values.shape[1])


def store_of_run(history: Histories, run: int) -> MemoryStore:
    store = MemoryStore()
    for row, labels in enumerate([*X_LABELS, *H_LABELS]):
        for column, t_ms in enumerate(history.times_ms.tolist()):
            if history.present[row, run, column]:
                store.append_ms(labels, t_ms, float(history.values[row, run, column]))
    return store


def assert_same(ours: Sequence[tuple[Any, float]], alone: Sequence[tuple[Any, float]], query: str) -> None:
    assert [labels for labels, _ in ours] == [labels for labels, _ in alone], query
    np.testing.assert_array_equal([value for _, value in ours], [value for _, value in alone], err_msg=query)


def one_run(query: str, at_s: float, store: MemoryStore) -> Result | None:
    try:
        return evaluate(query, at_s, store)
    except PromQLError:
        return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    query=st.sampled_from(QUERIES),
    seed=st.integers(0, 10_000),
    gaps=st.booleans(),
    stale=st.booleans(),
    known_resets=st.booleans(),
    at_s=st.floats(START_S, END_S + 400),
)
def test_many_runs_at_once_answer_to_the_last_bit_as_each_does_alone(
    query: str, seed: int, gaps: bool, stale: bool, known_resets: bool, at_s: float
) -> None:
    runs = 5
    history = histories(seed, runs, gaps=gaps, stale=stale)
    together = store_of_runs(history, gaps=gaps, stale=stale, known_resets=known_resets)
    alone = [one_run(query, at_s, store_of_run(history, run)) for run in range(runs)]
    if all(each is None for each in alone):
        with pytest.raises(PromQLError):
            evaluate(query, at_s, together)
        return
    result = evaluate(query, at_s, together)
    assert result.failed.tolist() == [each is None for each in alone]
    for run, each in enumerate(alone):
        if each is not None:
            ours = result.vector(run)
            if "sort" not in query and "topk" not in query and "bottomk" not in query:
                ours, theirs = sorted(ours, key=lambda pair: pair[0]), sorted(each.vector(), key=lambda pair: pair[0])
            else:
                theirs = each.vector()
            assert_same(ours, theirs, query)


@settings(max_examples=25, deadline=None)
@given(query=st.sampled_from(QUERIES), seed=st.integers(0, 10_000), gaps=st.booleans())
def test_a_run_does_not_depend_on_its_company(query: str, seed: int, gaps: bool) -> None:
    history = histories(seed, 6, gaps=gaps, stale=False)
    few = Histories(values=history.values[:, :2], present=history.present[:, :2], times_ms=history.times_ms)
    answers = []
    for each in (history, few):
        try:
            answers.append(evaluate(query, END_S, store_of_runs(each, gaps=gaps, stale=False, known_resets=False)))
        except PromQLError:
            return
    for run in range(2):
        ours, theirs = (sorted(answer.vector(run), key=lambda pair: pair[0]) for answer in answers)
        assert_same(ours, theirs, query)


@settings(max_examples=40, deadline=None)
@given(query=st.sampled_from(QUERIES), seed=st.integers(0, 10_000), gaps=st.booleans(), stale=st.booleans())
def test_a_range_query_answers_each_step_as_an_instant_query_does(
    query: str, seed: int, gaps: bool, stale: bool
) -> None:
    store = store_of_run(histories(seed, 1, gaps=gaps, stale=stale), 0)
    try:
        whole = evaluate_range(query, START_S, END_S, 37.0, store)
    except PromQLError:
        return
    for step, t_ms in enumerate(whole.times_ms.tolist()):
        instant = dict(evaluate(query, t_ms / 1000, store).vector())
        there = np.flatnonzero(whole.present[0, :, step]).tolist()
        found = {whole.labels[index]: float(whole.values[0, index, step]) for index in there}
        assert found.keys() == instant.keys()
        for labels, value in found.items():
            np.testing.assert_array_equal(value, instant[labels], err_msg=query)


@settings(max_examples=30, deadline=None)
@given(query=st.sampled_from(QUERIES), seed=st.integers(0, 10_000), minutes=st.integers(-10_000, 10_000))
def test_moving_all_samples_moves_the_answer(query: str, seed: int, minutes: int) -> None:
    """Whole minutes, so that subqueries stay aligned; times are values in these two."""
    if "timestamp" in query:
        return
    history = histories(seed, 1, gaps=True, stale=False)
    moved = Histories(values=history.values, present=history.present, times_ms=history.times_ms + minutes * 60_000)
    at_s = END_S - 20
    before = one_run(query, at_s, store_of_run(history, 0))
    after = one_run(query, at_s + minutes * 60, store_of_run(moved, 0))
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        pairs = zip(before.vector(), after.vector(), strict=True)
        for (labels, value), (other_labels, other) in pairs:
            assert labels == other_labels
            # A regression's times are taken from the evaluation's instant, so rounding is the same to 1e-9 only.
            np.testing.assert_allclose(value, other, rtol=1e-9, atol=1e-9, err_msg=query)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), gaps=st.booleans())
def test_a_sum_is_the_sum_of_its_parts(seed: int, gaps: bool) -> None:
    store = store_of_runs(histories(seed, 4, gaps=gaps, stale=False), gaps=gaps, stale=False, known_resets=False)
    whole = evaluate("sum(rate(x_total[2m]))", END_S, store)
    for part in ("sum by (pod)", "sum without (status)", "sum by (status, pod)"):
        parts = evaluate(f"sum({part} (rate(x_total[2m])))", END_S, store)
        assert parts.present.tolist() == whole.present.tolist()
        np.testing.assert_allclose(parts.values[whole.present], whole.values[whole.present], rtol=1e-13)


def test_a_store_that_knows_its_resets_is_read_at_edges_and_resets_only() -> None:
    """The block counts what is asked of it: two columns for the edges, two for the one reset inside."""
    asked: list[int] = []

    class Watched(ArrayBlock):
        def values(self, columns: Any) -> Any:
            asked.append(len(columns) if not isinstance(columns, slice) else SAMPLES)
            return ArrayBlock.values(self, columns)

    values = np.arange(SAMPLES, dtype=float)[None, None, :].repeat(7, axis=1)
    values[..., 20:] -= 15.0
    times_ms = round(START_S * 1000) + np.arange(SAMPLES) * STEP_MS
    block = Watched(
        labels=[labels_of({"__name__": "x_total"})],
        times_ms=times_ms,
        array=values,
        reset_columns=np.array([3, 20], dtype=np.int64),
    )
    result = evaluate("increase(x_total[2m])", float(times_ms[-1]) / 1000, BlockStore([block], runs=7))
    assert sum(asked) == 4
    # Columns 16 … 23 are 16 … 19, then 5 … 8: 8 - 16 + 19 = 11 in 105 s, stretched over two minutes.
    np.testing.assert_allclose(result.values, 11 * 120 / 105)


def test_a_series_born_in_some_runs_is_read_at_the_edges_of_each_run_only() -> None:
    """Columns 16 … 23 are in the window; runs were born at 0, 18 and never, so 16, 18 and 23 are all that is read."""
    asked: list[int] = []

    class Watched(ArrayBlock):
        def values(self, columns: Any) -> Any:
            asked.extend(columns.tolist() if not isinstance(columns, slice) else range(SAMPLES))
            return ArrayBlock.values(self, columns)

    born = np.array([0, 18, SAMPLES])
    block = Watched(
        labels=[labels_of({"__name__": "x_total"})],
        times_ms=round(START_S * 1000) + np.arange(SAMPLES) * STEP_MS,
        array=np.arange(SAMPLES, dtype=float)[None, None, :].repeat(3, axis=1),
        present=(np.arange(SAMPLES) >= born[:, None])[None],
        reset_columns=np.array([], dtype=np.int64),
    )
    result = evaluate("delta(x_total[2m])", START_S + (SAMPLES - 1) * 15, BlockStore([block], runs=3))
    assert sorted(set(asked)) in ([16, 18, 23], [0, 16, 18, 23])
    assert result.present[:, 0].tolist() == [True, True, False]
    # 7 in 105 s over two minutes; 5 in 75 s with 45 s missing before, of which half an interval of 15 s counts.
    np.testing.assert_allclose(result.values[:2, 0], [7 * 120 / 105, 5 * 82.5 / 75])

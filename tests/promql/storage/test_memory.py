"""The plain store keeps, ignores and refuses samples by Prometheus' rules, and can be read while it grows."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from promql.engine import evaluate
from promql.storage import STALE_NAN, Appended, MemoryStore, is_stale, labels_of
from promql.syntax.tree import Matcher, MatchOp

REQUESTS = {"__name__": "http_requests_total", "pod": "a"}


def matchers(*conditions: tuple[str, MatchOp, str]) -> list[Matcher]:
    return [Matcher(name, op, value) for name, op, value in conditions]


def test_an_older_sample_is_refused_and_counted() -> None:
    store = MemoryStore()
    assert store.append(REQUESTS, 100.0, 1.0) is Appended.STORED
    assert store.append(REQUESTS, 85.0, 2.0) is Appended.OUT_OF_ORDER
    assert store.outcomes == {Appended.STORED: 1, Appended.OUT_OF_ORDER: 1}
    assert evaluate("http_requests_total", 100.0, store).vector()[0][1] == 1.0


def test_the_same_value_again_is_ignored_and_another_value_for_that_instant_is_refused() -> None:
    store = MemoryStore()
    store.append(REQUESTS, 100.0, 1.0)
    assert store.append(REQUESTS, 100.0, 1.0) is Appended.SAME
    assert store.append(REQUESTS, 100.0, 2.0) is Appended.DUPLICATE
    assert evaluate("count_over_time(http_requests_total[5m])", 100.0, store).vector()[0][1] == 1.0


def test_a_second_nan_is_the_same_value_but_a_staleness_marker_is_not() -> None:
    store = MemoryStore()
    store.append(REQUESTS, 100.0, math.nan)
    assert store.append(REQUESTS, 100.0, math.nan) is Appended.SAME
    assert store.append(REQUESTS, 100.0, STALE_NAN) is Appended.DUPLICATE


def test_times_are_kept_in_whole_milliseconds() -> None:
    store = MemoryStore()
    store.append(REQUESTS, 100.0004, 1.0)
    assert store.append(REQUESTS, 100.0, 1.0) is Appended.SAME


def test_labels_without_a_value_are_no_labels() -> None:
    store = MemoryStore()
    store.append({**REQUESTS, "zone": ""}, 100.0, 1.0)
    store.append(REQUESTS, 115.0, 2.0)
    assert store.label_sets() == [labels_of(REQUESTS)]


@pytest.mark.parametrize(
    ("condition", "pods"),
    [
        (("pod", MatchOp.EQUAL, "a"), ["a"]),
        (("pod", MatchOp.NOT_EQUAL, "a"), ["", "b"]),
        (("pod", MatchOp.MATCHES, "a|b"), ["a", "b"]),
        (("pod", MatchOp.NOT_MATCHES, "a"), ["", "b"]),
        # A label that is missing has the value '', and patterns are anchored.
        (("pod", MatchOp.EQUAL, ""), [""]),
        (("pod", MatchOp.MATCHES, ""), [""]),
        (("pod", MatchOp.MATCHES, ".*"), ["", "a", "b"]),
    ],
)
def test_all_four_matchers_choose_series(condition: tuple[str, MatchOp, str], pods: list[str]) -> None:
    store = MemoryStore()
    for pod in ("a", "b", ""):
        store.append({"__name__": "up", "pod": pod}, 100.0, 1.0)
    found = store.label_sets(matchers(("__name__", MatchOp.EQUAL, "up"), condition))
    assert sorted(dict(labels).get("pod", "") for labels in found) == pods


def test_a_marker_ends_a_series_at_once_and_a_later_sample_brings_it_back() -> None:
    store = MemoryStore()
    store.append(REQUESTS, 100.0, 7.0)
    store.append(REQUESTS, 115.0, STALE_NAN)
    store.append(REQUESTS, 145.0, 9.0)
    assert evaluate("http_requests_total", 114.0, store).vector()[0][1] == 7.0
    assert evaluate("http_requests_total", 115.0, store).vector() == []
    assert evaluate("http_requests_total", 144.0, store).vector() == []
    assert evaluate("http_requests_total", 145.0, store).vector()[0][1] == 9.0
    # Ranges skip markers: 7 and 9 are there, so the increase between them is 2.
    assert evaluate("idelta(http_requests_total[5m])", 145.0, store).vector()[0][1] == 2.0
    assert evaluate("count_over_time(http_requests_total[5m])", 145.0, store).vector()[0][1] == 2.0


def test_the_marker_is_told_from_other_nans_by_its_bits() -> None:
    assert is_stale(np.array([STALE_NAN, math.nan, 1.0])).tolist() == [True, False, False]


def test_what_is_older_than_the_retention_is_neither_taken_nor_shown() -> None:
    store = MemoryStore(retention_s=600)
    store.append({"__name__": "old"}, 1000.0, 1.0)
    store.append({"__name__": "new"}, 2000.0, 1.0)
    assert store.append({"__name__": "old"}, 1399.9, 1.0) is Appended.TOO_OLD
    assert [dict(labels)["__name__"] for labels in store.label_sets()] == ["new"]
    assert store.forget_old() == 1


def test_a_long_series_with_retention_keeps_its_memory_bounded() -> None:
    store = MemoryStore(retention_s=60)
    for second in range(5000):
        store.append({"__name__": "up"}, float(second), float(second))
    (block,) = store.select(matchers(("__name__", MatchOp.EQUAL, "up")), 0, 10_000_000)
    assert block.times_ms.tolist() == [second * 1000 for second in range(4939, 5000)]
    assert block.values(slice(0, 61))[0, 0].tolist() == [float(second) for second in range(4939, 5000)]


def test_series_that_have_ended_give_way_to_new_ones() -> None:
    """A thousand pods, one after the other, 10 s each; only those of the last minute and a half are still held."""
    store = MemoryStore(retention_s=60)
    for pod in range(1000):
        store.append({"__name__": "up", "pod": str(pod)}, pod * 10.0, 1.0)
    assert len(store.label_sets()) == 7
    assert len(store._series) <= 10


def test_resets_are_remembered_across_growth() -> None:
    # 0 1 … 99, 0 1 … 99, 0 1 … 99: resets at the columns 100 and 200.
    store = MemoryStore()
    for at in range(300):
        store.append(REQUESTS, float(at), float(at % 100))
    (block,) = store.select(matchers(("__name__", MatchOp.EQUAL, "http_requests_total")), 0, 10_000_000)
    assert block.reset_columns is not None
    assert block.reset_columns.tolist() == [100, 200]
    # Each reset hides a rise from 99: 99 - 0 at the edges, and 2 × 99 lost, is 297 over 299 s that were sampled.
    result = evaluate("increase(http_requests_total[299s1ms])", 299.0, store).vector()[0][1]
    assert result == pytest.approx(297.0, rel=1e-5)


def test_series_that_were_scraped_together_are_read_together() -> None:
    store = MemoryStore()
    for t_s in (100.0, 115.0):
        for pod in ("a", "b"):
            store.append({"__name__": "up", "pod": pod}, t_s, 1.0)
    store.append({"__name__": "up", "pod": "c"}, 101.0, 1.0)
    blocks = store.select(matchers(("__name__", MatchOp.EQUAL, "up")), 0, 1_000_000)
    assert sorted(len(block.labels) for block in blocks) == [1, 2]


def test_readers_see_whole_samples_while_a_writer_appends() -> None:
    """Every reader meets a prefix of 0, 1, 2, …: no gap, no value without its time."""
    store = MemoryStore()
    done = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not done.is_set():
            for block in store.select(matchers(("__name__", MatchOp.EQUAL, "up")), 0, 10**9):
                values = block.values(slice(None))[0, 0]
                if not np.array_equal(values * 1000, block.times_ms):
                    wrong.append("torn read")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for second in range(3000):
        store.append({"__name__": "up"}, float(second), float(second))
    done.set()
    for reader in readers:
        reader.join(timeout=10)
    assert not wrong
    assert evaluate("up", 2999.0, store).vector()[0][1] == 2999.0

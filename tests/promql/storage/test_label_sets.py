"""Label sets are met again, and what was worked out from them is not worked out twice."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from promql.engine import evaluate
from promql.storage import ArrayBlock, BlockStore, labels_of
from promql.storage.label_sets import LabelSets, label_sets_of

A, B, C = (labels_of({"__name__": "c_total", "pod": pod}) for pod in "abc")


def test_the_same_object_and_an_equal_one_are_the_same_label_sets():
    labels = [A, B]
    known = label_sets_of(labels)
    assert label_sets_of(labels) is known
    assert label_sets_of((A, B)) is known
    assert label_sets_of(known) is known
    assert label_sets_of([B, A]) is not known


def test_a_list_that_was_changed_is_not_taken_for_what_it_was():
    labels = [A, B]
    label_sets_of(labels)
    labels[1] = C
    assert label_sets_of(labels) == (A, C)
    labels.append(B)
    assert label_sets_of(labels) == (A, C, B)


def test_an_answer_is_worked_out_once_for_each_key():
    known, asked = LabelSets([A, B]), []
    for key in ("x", "y", "x"):
        assert known.derived(key, lambda key=key: asked.append(key) or key) == key
    assert asked == ["x", "y"]


def test_what_is_known_outlives_the_objects_that_it_was_asked_of():
    known = label_sets_of([A, B])
    for _ in range(1_000):
        assert label_sets_of([A, B]) is known


def test_what_was_worked_out_is_not_sent_to_other_processes():
    known = LabelSets([A, B])
    known.derived("x", lambda: np.zeros(100_000))
    sent = pickle.dumps(known)
    assert len(sent) < 1_000
    assert pickle.loads(sent) == known


def test_what_is_remembered_is_bounded():
    known = LabelSets([A])
    for number in range(1_000):
        known.derived(number, lambda number=number: number + 1)
        label_sets_of([labels_of({"n": str(number)})])
    assert known.derived(999, lambda: 0) == 1_000
    assert label_sets_of([A]) == (A,)


def _store(values: list[list[float]], labels: tuple) -> BlockStore:
    array = np.array(values)[:, None, :]
    times_ms = np.arange(array.shape[-1], dtype=np.int64) * 15_000
    return BlockStore([ArrayBlock(labels=labels, times_ms=times_ms, array=array)], runs=1)


@pytest.mark.parametrize("query", ['c_total{pod!="b"}', 'sum by (pod) (c_total{pod!="b"})', 'c_total{pod="c"} - 0'])
def test_another_store_with_the_same_series_is_answered_with_its_own_samples(query):
    labels = (C, A, B)
    for shift in (0.0, 10.0):
        store = _store([[1.0, 2.0 + shift], [3.0, 4.0 + shift], [5.0, 6.0 + shift]], labels)
        found = {dict(each)["pod"]: value for each, value in evaluate(query, 15.0, store).vector()}
        # The newest samples: c has 2, a has 4, b has 6, all higher by the shift.
        expected = {"a": 4.0 + shift, "c": 2.0 + shift}
        assert found == (expected if "!=" in query else {"c": 2.0 + shift})


def test_a_store_with_other_series_under_the_same_query_is_another_question():
    query = "sum by (pod) (c_total)"
    assert len(evaluate(query, 15.0, _store([[1.0, 1.0]], (A,))).vector()) == 1
    assert len(evaluate(query, 15.0, _store([[1.0, 1.0], [2.0, 2.0]], (A, B))).vector()) == 2


def test_rows_that_do_not_lie_together_are_read_in_every_way():
    labels = (A, B, C)
    store = _store([[0.0, 15.0, 30.0], [0.0, 1.0, 2.0], [0.0, 30.0, 60.0]], labels)
    # In (15 s, 45 s] lie the samples at 30 s only; in (-15 s, 30 s] all three, 15 s apart: a grows by 1 a second.
    assert evaluate('sum(count_over_time(c_total{pod=~"a|c"}[30s]))', 45.0, store).vector() == [((), 2.0)]
    assert evaluate('sum(max_over_time(c_total{pod=~"a|c"}[45s]))', 30.0, store).vector() == [((), 90.0)]
    assert evaluate('sum(rate(c_total{pod=~"a|c"}[30s]))', 30.0, store).vector() == [((), 3.0)]
    assert evaluate('sum(c_total{pod=~"a|c"} offset 15s)', 30.0, store).vector() == [((), 45.0)]

"""Many runs judged at once get the phases that the core would give each of them alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from controller.core.conditions import PHASES
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.values import Metric, PrometheusProvider
from controller.manifests.values.amounts import FrozenMap
from controller.manifests.values.extensions import EvidenceAction, EvidenceRules, Parity
from controller.metrics.counting import shape_of
from promql.storage import ArrayBlock, BlockStore, labels_of
from sim.flock.judging import MISSING_CODE, code_of, judge_metric

AT_S = 100.0
RATIO = 'sum(increase(http_requests_total{status=~"5.."}[1m])) / sum(increase(http_requests_total[1m]))'
NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Case:
    """What each run's series hold now; None where a series is not there."""

    values: Sequence[tuple[float | None, float | None]]

    def store(self) -> BlockStore:
        table = np.array([[0.0 if one is None else one for one in row] for row in self.values]).T
        present = np.array([[one is not None for one in row] for row in self.values]).T
        labels = [labels_of({"__name__": "x", "place": place}) for place in ("a", "b")]
        times_ms = np.array([95_000], dtype=np.int64)
        block = ArrayBlock(labels=labels, times_ms=times_ms, array=table[..., None], present=present[..., None])
        return BlockStore([block], runs=len(self.values))


CASE = Case([(0.5, 2.0), (3.0, 0.1), (None, 7.0), (NAN, 1.0), (None, None), (INF, None), (2.0, NAN), (0.5, 2.0)])
CONDITIONS = [
    ("result[0] < 1", ""),
    ("", "result[0] > 1"),
    ("result[0] < 1", "result[1] > 1.5"),
    ("result[1] < 1", ""),
    ("len(result) == 0 || result[0] < 1", ""),
    ("isNaN(result[0]) || result[0] < 1", ""),
    ("all(result, # < 2.5)", ""),
    ("result < 1", ""),
    ("result[0] <", ""),
    ("string(result[0]) == '0.5'", ""),
]


def metric(query: str, success: str, failure: str, rules: EvidenceRules) -> Metric:
    return Metric(
        name="m",
        provider=PrometheusProvider(query=query),
        success_condition=success,
        failure_condition=failure,
        evidence=rules,
    )


@pytest.mark.parametrize(("success", "failure"), CONDITIONS)
@pytest.mark.parametrize("parity", Parity)
def test_vectors_are_judged_as_one_by_one(success: str, failure: str, parity: Parity) -> None:
    rules = EvidenceRules(parity=parity, on_missing=FrozenMap({"nan": EvidenceAction.FAIL}))
    asked = metric("x", success, failure, rules)
    judged = judge_metric(asked, CASE.store(), AT_S, slice(None), is_out=False, counts=False)
    for run, row in enumerate(CASE.values):
        value = tuple(one for one in row if one is not None)
        alone = measure_metric(asked, Answer(started_s=AT_S, finished_s=AT_S, value=value))
        assert judged.codes[run] == code_of(alone), (run, value)
        assert math.isnan(judged.values[run]) if not value else judged.values[run] == value[0] or math.isnan(value[0])


@pytest.mark.parametrize("parity", Parity)
def test_scalars_are_judged_as_one_by_one(parity: Parity) -> None:
    asked = metric('scalar(x{place="a"})', "result < 1", "", EvidenceRules(parity=parity))
    judged = judge_metric(asked, CASE.store(), AT_S, slice(None), is_out=False, counts=False)
    for run, (first, _) in enumerate(CASE.values):
        value = NAN if first is None else first
        assert judged.codes[run] == code_of(measure_metric(asked, Answer(started_s=AT_S, finished_s=AT_S, value=value)))


def counters(bad: Sequence[float], good: Sequence[float]) -> BlockStore:
    """Return counters that went from 0 to these numbers over exactly the minute that is looked at."""
    ends = np.array([bad, good], dtype=np.float64)
    labels = [labels_of({"__name__": "http_requests_total", "status": status}) for status in ("500", "200")]
    times_ms = np.arange(40_000, 100_001, 15_000, dtype=np.int64)
    shares = (times_ms - 40_000) / 60_000
    block = ArrayBlock(
        labels=labels, times_ms=times_ms, array=ends[..., None] * shares, reset_columns=np.empty(0, dtype=np.int64)
    )
    return BlockStore([block], runs=len(bad))


@pytest.mark.parametrize("odds", [None, 0.001, 0.2])
@pytest.mark.parametrize("minimum", [0, 40, 1_000_000])
def test_floors_are_weighed_as_one_by_one(odds: float | None, minimum: int) -> None:
    """Ten bad ones of twelve are proof below a floor, one of three is none; enough requests need no proof."""
    bad, good = [10.0, 1.0, 0.0, 30.0, 0.0, 5.0], [2.0, 2.0, 30.0, 300.0, 0.0, 95.0]
    asked = metric(RATIO, "result[0] < 0.05", "", EvidenceRules(requests_min=minimum, odds=odds))
    store = counters(bad, good)
    judged = judge_metric(asked, store, AT_S, slice(None), is_out=False, counts=True)
    shape = shape_of(asked)
    assert shape is not None
    for run in range(len(bad)):
        requests = float(judged.requests[run])
        # NaN < 0.05 fails too, where nothing was asked for.
        value = (float(judged.values[run]),)
        answer = Answer(started_s=AT_S, finished_s=AT_S, value=value, requests=requests, shape=shape)
        assert judged.codes[run] == code_of(measure_metric(asked, answer)), (run, value, requests)


def test_what_is_no_answer_is_an_error_in_every_run() -> None:
    for query, is_out in (("x", True), ('"text"', False), ("x + on(nothing) x", False)):
        asked = metric(query, "result[0] < 1", "", EvidenceRules())
        judged = judge_metric(asked, CASE.store(), AT_S, slice(None), is_out=is_out, counts=True)
        there = [run for run, row in enumerate(CASE.values) if None not in row]
        assert (judged.codes[there] == 3).all(), query


def test_only_the_runs_that_are_meant_are_judged() -> None:
    asked = metric("x", "result[0] < 1", "", EvidenceRules())
    everybody = judge_metric(asked, CASE.store(), AT_S, slice(None), is_out=False, counts=False)
    few = judge_metric(asked, CASE.store(), AT_S, np.array([1, 4]), is_out=False, counts=False)
    assert few.codes.tolist() == everybody.codes[[1, 4]].tolist()


# Twenty requests in a minute in each run, from samples at the window's ends: of them 12 and 2 took longer than 0.35 s.
# The p95 lies above it in both. At the threshold 5 % would be slower, one of twenty: twelve are proof, two are not.
def test_below_a_floor_the_slow_requests_of_each_run_say_whether_a_quantile_is_proof() -> None:
    counted = {"0.1": (2.0, 2.0), "0.35": (8.0, 18.0), "+Inf": (20.0, 20.0)}
    labels = [labels_of({"__name__": "d_bucket", "le": le}) for le in counted]
    times_ms = np.array([40_001, 100_000], dtype=np.int64)
    ends = np.array(list(counted.values()))  # (series, runs)
    table = np.stack([np.zeros_like(ends), ends], axis=2)  # (series, runs, times)
    block = ArrayBlock(labels=labels, times_ms=times_ms, array=table, present=np.ones(table.shape, dtype=np.bool_))
    query = "histogram_quantile(0.95, sum by (le) (increase(d_bucket[1m])))"
    rules = EvidenceRules(requests_min=100, odds=0.001)
    store = BlockStore([block], runs=2)
    judged = judge_metric(
        metric(query, "result[0] < 0.35", "", rules), store, AT_S, slice(None), is_out=False, counts=True
    )
    assert judged.requests == pytest.approx([20, 20], rel=0.01)
    assert (judged.values > 0.1).all()
    alone = metric(query, "result[0] < 0.3", "", rules)  # no bucket ends there: nothing is known of the slow ones
    unknown = judge_metric(alone, store, AT_S, slice(None), is_out=False, counts=True)
    assert [PHASES[code] if code < len(PHASES) else None for code in judged.codes] == [AnalysisPhase.FAILED, None]
    assert (unknown.codes == MISSING_CODE).all()

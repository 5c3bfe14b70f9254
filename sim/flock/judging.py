"""One metric of many runs at once: query and conditions in one pass each, and the core's word for each kind of answer.

Runs whose answers the core cannot tell apart are one class (what the conditions make of the value, whether a floor
lets it pass, what evidence is missing); `measure_metric` then judges one run of each class, so reasons, floors and
evidence rules are the core's own. What it keeps out: decisions, and who is asked when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.core.conditions import Condition, ConditionError, Threshold, compile_condition, fails_when
from controller.core.conditions.judging import PHASES, judge_runs
from controller.core.evidence import Floor, weigh_runs
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase, Measurement
from controller.manifests.values import Metric, PrometheusProvider
from controller.manifests.values.extensions import Parity
from controller.metrics.counting import count_query, shape_of, slow_query
from promql.engine import PromQLError, Result, ResultType, evaluate
from promql.storage.blocks import Store
from sim.flock.quantiles import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FAILED = PHASES.index(AnalysisPhase.FAILED)
MISSING_CODE = len(PHASES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What a query gave: (runs, samples) values, the first `lengths` of each run's being there.

    Attributes:
        scalar: whether the answer is a number and no vector.
        errors: (runs,) where there was no answer.
        error: what the provider said there.
    """

    values: Floats
    lengths: Ints
    scalar: bool
    errors: Bools
    error: str

    def answer_of(self, run: int) -> float | tuple[float, ...]:
        row = self.values[run]
        return float(row[0]) if self.scalar else tuple(row[: self.lengths[run]].tolist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One metric's measurements.

    Attributes:
        codes: (runs,) position of the run's phase in `PHASES`, or `MISSING_CODE`.
        values: (runs,) the first sample; NaN for none.
        requests: (runs,) behind it; NaN where unknown or not asked.
    """

    codes: Ints
    values: Floats
    requests: Floats


def judge_metric(
    metric: Metric, store: Store, at_s: float, rows: NDArray[np.intp] | slice, *, is_out: bool, counts: bool
) -> Judged:
    """Return what one metric shows at an instant.

    Args:
        rows: which of the store's runs are meant.
        is_out: the metrics server does not answer.
        counts: whether the number of requests is wanted although no floor asks for it.
    """
    told = _ask(metric, store, at_s, rows, is_out=is_out)
    runs = len(told.errors)
    requests = np.full(runs, np.nan)
    if (metric.evidence.requests_min is not None or counts) and not told.errors.all():
        requests = _requests(count_query(metric).query, store, at_s, rows, runs)
    slow = _slow(metric, store, at_s, rows, requests)
    classes = _classes(metric, told, requests, slow, at_s)
    codes = np.empty(runs, dtype=np.int64)
    values = np.where(told.errors | (told.lengths == 0), np.nan, told.values[:, 0])
    known = _known_of(metric)
    for kind in _distinct(classes):
        same = classes == kind
        code = known.get(kind)
        if code is None:
            one = int(np.argmax(same))
            code = known[kind] = code_of(measure_metric(metric, _answer(metric, told, requests, slow, one, at_s)))
        codes[same] = code
    return Judged(codes=codes, values=values, requests=requests)


_KNOWN: dict[int, tuple[Metric, dict[int, int]]] = {}
"""What the core said of a class: its phase hangs on the metric and on the class, or it would be two classes. Found by
the metric's identity, which is good while the metric is held: a metric takes long to hash."""
_KNOWN_MAX = 1_000


def _known_of(metric: Metric) -> dict[int, int]:
    """Return what was said of each class of a metric's answers so far."""
    found = _KNOWN.get(id(metric))
    if found is None:
        if len(_KNOWN) >= _KNOWN_MAX:
            _KNOWN.clear()
        found = _KNOWN[id(metric)] = metric, {}
    return found[1]


def code_of(measurement: Measurement) -> int:
    """Return the number of a measurement's phase in tables."""
    phase = measurement.phase
    return PHASES.index(phase) if phase in PHASES else MISSING_CODE


def _distinct(classes: Ints) -> list[int]:
    first = int(classes[0])
    if (classes == first).all():
        return [first]
    return sorted(set(classes.tolist()))


def _answer(metric: Metric, told: Told, requests: Floats, slow: Floats | None, run: int, at_s: float) -> Answer:
    if told.errors[run]:
        return Answer(started_s=at_s, finished_s=at_s, error=told.error)
    return Answer(
        started_s=at_s,
        finished_s=at_s,
        value=told.answer_of(run),
        requests=None if np.isnan(requests[run]) else float(requests[run]),
        shape=shape_of(metric),
        slow_requests=None if slow is None else float(slow[run]),
    )


# ---- asking


def _ask(metric: Metric, store: Store, at_s: float, rows: NDArray[np.intp] | slice, *, is_out: bool) -> Told:
    provider = metric.provider
    if not isinstance(provider, PrometheusProvider):
        return _no_answer(store, rows, f"Gamebird does not ask the provider of metric {metric.name}")
    if provider.range_query is not None:
        return _no_answer(store, rows, f"Gamebird does not ask a rangeQuery (metric {metric.name})")
    if is_out:
        return _no_answer(store, rows, "the metrics server does not answer")
    return _told(provider.query, store, at_s, rows)


def _told(query: str, store: Store, at_s: float, rows: NDArray[np.intp] | slice) -> Told:
    try:
        result = evaluate(query, at_s, store)
    except PromQLError as error:
        return _no_answer(store, rows, str(error))
    if result.type is ResultType.STRING:
        return _no_answer(store, rows, "a result of type string holds no number to compare")
    values, lengths = _table(result)
    errors = result.failed[rows]
    why = "; ".join(text for text, _ in result.errors)
    scalar = result.type is ResultType.SCALAR
    return Told(values=values[rows], lengths=lengths[rows], scalar=scalar, errors=errors, error=why)


def _no_answer(store: Store, rows: NDArray[np.intp] | slice, why: str) -> Told:
    runs = len(np.arange(store.runs)[rows])
    return Told(
        values=np.full((runs, 1), np.nan),
        lengths=np.zeros(runs, dtype=np.int64),
        scalar=False,
        errors=np.ones(runs, dtype=np.bool_),
        error=why,
    )


def _table(result: Result) -> tuple[Floats, Ints]:
    """Return each run's samples in its own order, those that are there first, and how many they are."""
    values, present = result.values, result.present
    if result.type is ResultType.MATRIX:
        values = np.concatenate([np.empty((result.runs, 0)), *(one.values for one in result.series)], axis=1)
        present = np.concatenate(
            [np.empty((result.runs, 0), dtype=np.bool_), *(one.present for one in result.series)], axis=1
        )
    runs, samples = values.shape
    if samples == 0:
        return np.full((runs, 1), np.nan), np.zeros(runs, dtype=np.int64)
    whole = bool(present.all())
    if whole and result.rank is None:
        return values, np.full(runs, samples, dtype=np.int64)
    rank = np.broadcast_to(np.arange(samples), values.shape) if result.rank is None else result.rank
    order = np.argsort(np.where(present, rank, np.inf), axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), present.sum(axis=1)


def _slow(metric: Metric, store: Store, at_s: float, rows: NDArray[np.intp] | slice, requests: Floats) -> Floats | None:
    """Return the requests slower than a quantile's threshold, where proof below a floor may need them."""
    query, floor = slow_query(metric), metric.evidence.requests_min
    if query is None or floor is None or not (requests < floor).any():
        return None
    slow = _requests(query, store, at_s, rows, len(requests))
    return None if np.isnan(slow).all() else slow


def _requests(query: str | None, store: Store, at_s: float, rows: NDArray[np.intp] | slice, runs: int) -> Floats:
    """Return how many requests a query counts; NaN where no number can be had."""
    if query is None:
        return np.full(runs, np.nan)
    told = _told(query, store, at_s, rows)
    there = np.arange(told.values.shape[1]) < told.lengths[:, None]
    total = np.where(there, told.values, 0.0).sum(axis=1)
    known = ~told.errors & (told.lengths > 0) & (total >= 0) & (total < np.inf)
    return np.where(known, total, np.nan)


# ---- telling classes apart


def _classes(metric: Metric, told: Told, requests: Floats, slow: Floats | None, at_s: float) -> Ints:
    """Return (runs,) numbers; runs with the same number get the same phase from the core."""
    try:
        success, failure = _condition(metric.success_condition), _condition(metric.failure_condition)
    except ConditionError:
        # A condition that cannot be read errs on every value; what is left is whether there is evidence at all.
        enough = requests >= (metric.evidence.requests_min or 0)
        kinds = np.minimum(told.lengths, 1) * 4 + np.isnan(told.values).any(axis=1) * 2 + enough
        return np.where(told.errors, -1, kinds)
    values, lengths = (told.values[:, 0], None) if told.scalar else (told.values, told.lengths)
    codes = judge_runs(success, failure, values, lengths=lengths, now_s=at_s).astype(np.int64)
    if metric.evidence.requests_min is not None:
        codes += len(PHASES) * _weighed(metric, told, requests, slow, codes == _FAILED, fails_when(success, failure))
    if metric.evidence.parity is Parity.OFF:
        codes += 3 * len(PHASES) * _missing(told, success, failure)
    return np.where(told.errors, -1, codes)


def _condition(text: str) -> Condition | None:
    return compile_condition(text) if text else None


def _weighed(
    metric: Metric, told: Told, requests: Floats, slow: Floats | None, failed: Bools, region: Threshold | None
) -> Ints:
    """Return 0 where the floor is met, 1 for too few requests, 2 for a failure that counts all the same."""
    rules = metric.evidence
    assert rules.requests_min is not None
    floor = Floor(requests_min=rules.requests_min, odds=rules.odds, shape=shape_of(metric), fails_when=region)
    values = np.full(len(failed), np.nan)
    if region is not None:
        values = _at(told, region.index)
    weighed = weigh_runs(
        failed=failed & ~np.isnan(values), values=values, requests=requests, floor=floor, slow_requests=slow
    )
    return np.where(weighed.conclusive, 2, weighed.too_few.astype(np.int64))


def _at(told: Told, index: int | None) -> Floats:
    """Return (runs,) the sample at a position of each run's vector; NaN where there is none."""
    if told.scalar != (index is None):
        return np.full(len(told.errors), np.nan)
    if index is None:
        return told.values[:, 0]
    place = np.where(index < 0, told.lengths + index, index)
    inside = (place >= 0) & (place < told.lengths)
    safe = np.where(inside, place, 0)
    return np.where(inside, np.take_along_axis(told.values, safe[:, None], axis=1)[:, 0], np.nan)


def _missing(told: Told, success: Condition | None, failure: Condition | None) -> Ints:
    """Return 0 for a value, 1 for an empty vector, 2 for a NaN that a condition reads."""
    if told.scalar:
        return 2 * np.isnan(told.values[:, 0]).astype(np.int64)
    there = np.arange(told.values.shape[1]) < told.lengths[:, None]
    positions: set[int] | None = set()
    for condition in (success, failure):
        if condition is not None and positions is not None:
            positions = None if condition.reads is None else positions | set(condition.reads)
    if positions is None:
        wrong = (there & np.isnan(told.values)).any(axis=1)
    else:
        wrong = np.zeros(len(told.errors), dtype=np.bool_)
        for index in positions:
            place = np.where(index < 0, told.lengths + index, index)
            inside = (place >= 0) & (place < told.lengths)
            wrong |= inside & np.isnan(_at(told, index))
    return np.where(told.lengths == 0, 1, 2 * wrong.astype(np.int64))

"""The functions of a range: rate and its kin, the *_over_time family, deriv and predict_linear.

Each takes the windows of one block and returns (series, runs, steps) values and where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from promql.engine.edges import edges_of
from promql.engine.numbers import neumaier, quantile
from promql.engine.values import all_true
from promql.engine.windows import Windows
from promql.storage.blocks import Bools, Floats, Times
from promql.storage.edges import Edges

Outcome: TypeAlias = tuple[Floats, Bools]
RangeFunction: TypeAlias = Callable[[Windows, list[Floats]], Outcome]
"""Windows and the scalar arguments, each (runs, steps), to an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFunction:
    """A function of nothing but the first and the last sample of each window: rate, increase or delta."""

    is_counter: bool
    per_second: bool

    def __call__(self, edges: Edges, start_ms: Times, end_ms: Times, range_s: float) -> Outcome:
        """Return the values and where there are any; windows have (steps,) edges in time and one length."""
        return _extrapolated(edges, start_ms, end_ms, self.is_counter, range_s if self.per_second else None)

    def over(self, ranges: Sequence[Windows]) -> Outcome:
        """Return the same for all windows of several blocks, series in the blocks' order."""
        first = ranges[0]
        return self(edges_of(ranges, is_counter=self.is_counter), first.start_ms, first.end_ms, first.range_s)


def _extrapolated(edges: Edges, start_ms: Times, end_ms: Times, is_counter: bool, per_s: float | None) -> Outcome:
    """Stretch what was seen between the first and the last sample over the window, as far as that is plausible.

    Near an edge (within 1.1 mean intervals) the window is taken to be covered, else half an interval is added;
    a counter is not stretched back past the point where it would have been zero.
    """
    result = edges.last - edges.first
    if edges.lost is not None:
        result = result + edges.lost
    sampled_s, to_start_s, to_end_s = _reach_s(edges, start_ms, end_ms)
    # The product says cheaply that no counter was near zero, a little too seldom rather than once too often.
    if is_counter and (edges.first < result * (to_start_s / sampled_s * (1 + 1e-9))).any():
        to_zero_s = sampled_s * (edges.first / result)
        shorter = (to_zero_s < to_start_s) & (result > 0) & (edges.first >= 0)
        if shorter.any():
            to_start_s = np.where(shorter, to_zero_s, to_start_s)
    factor = (sampled_s + to_start_s + to_end_s) / sampled_s
    if per_s is not None:
        factor = factor / per_s
    values = result * factor
    several = edges.counts > 1
    return values, all_true(values.shape) if several.all() else np.broadcast_to(several, values.shape)


def _reach_s(edges: Edges, start_ms: Times, end_ms: Times) -> tuple[Floats, Floats, Floats]:
    """Return how many seconds lie between first and last sample, and how far each is stretched towards its edge.

    Times are mostly the same in all runs, so this costs next to nothing; for a single window it is done in Python's
    own numbers, which are faster than numpy's at one.
    """
    if edges.first_ms.size == 1 and edges.counts.size == 1 and edges.counts.item() > 1:
        first_ms, last_ms, intervals = edges.first_ms.item(), edges.last_ms.item(), edges.counts.item() - 1
        sampled, start, end = (last_ms - first_ms) / 1000, start_ms.item(), end_ms.item()
        to_edges = [
            gap if gap < sampled / intervals * 1.1 else sampled / intervals / 2
            for gap in ((first_ms - start) / 1000, (end - last_ms) / 1000)
        ]
        return np.array(sampled), np.array(to_edges[0]), np.array(to_edges[1])
    to_start_s = (edges.first_ms - start_ms) / 1000
    to_end_s = (end_ms - edges.last_ms) / 1000
    sampled_s = (edges.last_ms - edges.first_ms) / 1000
    mean_s = sampled_s / np.maximum(edges.counts - 1, 1)
    threshold_s = mean_s * 1.1
    to_start_s = np.where(to_start_s >= threshold_s, mean_s / 2, to_start_s)
    to_end_s = np.where(to_end_s >= threshold_s, mean_s / 2, to_end_s)
    return sampled_s, to_start_s, to_end_s


def _fitted(windows: Windows, values: Floats, *, least: int) -> Outcome:
    """Return the values for every series, run and step, present where a window has at least so many samples."""
    enough = windows.counts >= least
    shape = np.broadcast_shapes(values.shape, enough.shape, (len(windows.block.labels), 1, len(windows.low)))
    return np.broadcast_to(values, shape), all_true(shape) if enough.all() else np.broadcast_to(enough, shape)


def irate(windows: Windows, _: list[Floats]) -> Outcome:
    last, before = windows.last(), windows.before_last()
    change = np.where(last.values < before.values, last.values, last.values - before.values)
    return _fitted(windows, change / ((last.times_ms - before.times_ms) / 1000), least=2)


def idelta(windows: Windows, _: list[Floats]) -> Outcome:
    last, before = windows.last(), windows.before_last()
    return _fitted(windows, last.values - before.values, least=2)


def first_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _fitted(windows, windows.first().values, least=1)


def last_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _fitted(windows, windows.last().values, least=1)


def count_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _fitted(windows, windows.counts.astype(np.float64), least=1)


def present_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _fitted(windows, np.ones(1), least=1)


def sum_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    total, lost = np.zeros(1), np.zeros(1)
    for points in windows.walk():
        new, newly_lost = neumaier(points.values, total, lost)
        total, lost = np.where(points.present, new, total), np.where(points.present, newly_lost, lost)
    return _fitted(windows, np.where(np.isinf(total), total, total + lost), least=1)


def avg_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    """Sum and divide; where the sum overflows, go on with a running mean as Prometheus does."""
    total, lost, mean, count = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    running = np.zeros(1, dtype=np.bool_)
    for points in windows.walk():
        present = points.present
        count = np.where(present, count + 1, count)
        new, newly_lost = neumaier(points.values, total, lost)
        # The very first value is taken as it is, infinite or not.
        overflows = present & ~running & np.isinf(new) & (count > 1)
        mean = np.where(overflows, total / (count - 1), mean)
        lost = np.where(overflows, lost / (count - 1), lost)
        running = running | overflows
        share = (count - 1) / count
        new_mean, mean_lost = neumaier(points.values / count, share * mean, share * lost)
        mean = np.where(present & running, new_mean, mean)
        total = np.where(present & ~running, new, total)
        lost = np.where(present, np.where(running, mean_lost, newly_lost), lost)
    result = np.where(running, mean + lost, total / count + lost / count)
    return _fitted(windows, result, least=1)


def _variance_over_time(windows: Windows) -> Outcome:
    zero = np.zeros(1)
    count, mean, mean_lost, squares, squares_lost = zero, zero, zero, zero, zero
    for points in windows.walk():
        present = points.present
        count = np.where(present, count + 1, count)
        away = points.values - (mean + mean_lost)
        new_mean, new_mean_lost = neumaier(away / count, mean, mean_lost)
        mean, mean_lost = np.where(present, new_mean, mean), np.where(present, new_mean_lost, mean_lost)
        new, lost = neumaier(away * (points.values - (mean + mean_lost)), squares, squares_lost)
        squares, squares_lost = np.where(present, new, squares), np.where(present, lost, squares_lost)
    return _fitted(windows, (squares + squares_lost) / count, least=1)


def stdvar_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _variance_over_time(windows)


def stddev_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    variance, some = _variance_over_time(windows)
    return np.sqrt(variance), some


def _extreme(windows: Windows, better: Callable[[Floats, Floats], Bools]) -> Outcome:
    best: Floats = np.full(1, np.nan)
    for points in windows.walk():
        take = points.present & (better(points.values, best) | np.isnan(best))
        best = np.where(take, points.values, best)
    return _fitted(windows, best, least=1)


def max_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _extreme(windows, lambda value, best: value > best)


def min_over_time(windows: Windows, _: list[Floats]) -> Outcome:
    return _extreme(windows, lambda value, best: value < best)


def quantile_over_time(windows: Windows, scalars: list[Floats]) -> Outcome:
    parts = [
        quantile(scalars[0][:, steps], *_runs_fit(values, present, scalars[0]), axis=-1)
        for steps, values, present in windows.gathered()
    ]
    return _fitted(windows, np.concatenate(parts, axis=-1) if parts else np.full(1, np.nan), least=1)


def _runs_fit(values: Floats, present: Bools, scalar: Floats) -> tuple[Floats, Bools]:
    """Give the values a full runs axis if the scalar differs from run to run."""
    if scalar.shape[0] == values.shape[1] or scalar.shape[0] == 1:
        return values, present
    shape = (values.shape[0], scalar.shape[0], *values.shape[2:])
    return np.broadcast_to(values, shape), np.broadcast_to(present, shape)


def _counted(windows: Windows, differs: Callable[[Floats, Floats], Bools]) -> Outcome:
    """Count the samples that differ from the one before them in the window."""
    total: Floats = np.zeros(1)
    previous: Floats | None = None
    seen: Bools = np.zeros(1, dtype=np.bool_)
    for points in windows.walk():
        if previous is not None:
            total = total + (points.present & seen & differs(points.values, previous))
            previous = np.where(points.present, points.values, previous)
        else:
            previous = points.values
        seen = seen | points.present
    return _fitted(windows, total, least=1)


def resets(windows: Windows, _: list[Floats]) -> Outcome:
    return _counted(windows, lambda value, previous: value < previous)


def changes(windows: Windows, _: list[Floats]) -> Outcome:
    return _counted(windows, lambda value, previous: (value != previous) & ~(np.isnan(value) & np.isnan(previous)))


def _regression(windows: Windows, origin_ms: np.typing.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return slope and value at the origin of a least-squares line through each window."""
    zero: Floats = np.zeros(1)
    sums = dict.fromkeys(("x", "y", "xy", "xx"), (zero, zero))
    count = zero
    initial: Floats | None = None
    constant: Bools = np.ones(1, dtype=np.bool_)
    for points in windows.walk():
        x_s = (points.times_ms - origin_ms) / 1000
        terms = {"x": x_s, "y": points.values, "xy": x_s * points.values, "xx": x_s * x_s}
        for name, term in terms.items():
            total, lost = neumaier(term, *sums[name])
            before_total, before_lost = sums[name]
            sums[name] = np.where(points.present, total, before_total), np.where(points.present, lost, before_lost)
        if initial is None:
            initial = windows.first().values
        constant = constant & ~(points.present & (count > 0) & (points.values != initial))
        count = np.where(points.present, count + 1, count)
    if initial is None:
        return zero, zero
    x, y, xy, xx = (sums[name][0] + sums[name][1] for name in ("x", "y", "xy", "xx"))
    slope = (xy - x * y / count) / (xx - x * x / count)
    intercept = y / count - slope * x / count
    endless = np.where(np.isinf(initial), np.nan, 0.0)
    return np.where(constant, endless, slope), np.where(constant, endless + initial, intercept)


def deriv(windows: Windows, _: list[Floats]) -> Outcome:
    slope, _unused = _regression(windows, windows.first().times_ms)
    return _fitted(windows, slope, least=2)


def predict_linear(windows: Windows, scalars: list[Floats]) -> Outcome:
    slope, intercept = _regression(windows, windows.step_ms)
    return _fitted(windows, slope * scalars[0] + intercept, least=2)


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    function.__name__: function
    for function in (
        irate,
        idelta,
        first_over_time,
        last_over_time,
        count_over_time,
        present_over_time,
        sum_over_time,
        avg_over_time,
        stdvar_over_time,
        stddev_over_time,
        max_over_time,
        min_over_time,
        quantile_over_time,
        resets,
        changes,
        deriv,
        predict_linear,
    )
}

EDGE_FUNCTIONS: dict[str, EdgeFunction] = {
    "rate": EdgeFunction(is_counter=True, per_second=True),
    "increase": EdgeFunction(is_counter=True, per_second=False),
    "delta": EdgeFunction(is_counter=False, per_second=False),
}
"""These look at all blocks at once, and only at the edges of their windows."""

KEEPS_NAME = frozenset(("first_over_time", "last_over_time"))
"""These act like an offset, so the metric is still that metric."""

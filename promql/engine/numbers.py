"""Arithmetic on arrays that gives what Prometheus' compensated arithmetic gives.

Everything is elementwise over runs and steps, so a run's number does not depend on which other runs are
computed beside it.
"""

from __future__ import annotations

import numpy as np

from promql.storage.blocks import Bools, Floats


def neumaier(value: Floats, total: Floats, lost: Floats) -> tuple[Floats, Floats]:
    """Return the running sum and what rounding lost of it, after adding one value to each."""
    new = total + value
    bigger = np.abs(total) >= np.abs(value)
    error = np.where(bigger, (total - new) + value, (value - new) + total)
    # An infinite sum has lost nothing that could still be told.
    return new, np.where(np.isinf(new), 0.0, lost + error)


def exact_sum(values: Floats) -> tuple[Floats, Floats]:
    """Return the sum over the first axis and what rounding lost of it (0 where the sum is not finite).

    Pairs are added level by level with their rounding errors, so the calls grow with the logarithm of the
    length, and the outcome of an element depends on its own column only.
    """
    if values.shape[0] == 0:
        zeros = np.zeros(values.shape[1:])
        return zeros, zeros
    # Two axes that lie together in memory are what numpy is fastest at.
    total = values.reshape(len(values), -1)
    lost: Floats | None = None
    while total.shape[0] > 1:
        half = total.shape[0] // 2
        left, right = total[:half], total[half : 2 * half]
        new = left + right
        virtual = new - left
        error = right - virtual
        np.subtract(new, virtual, out=virtual)
        np.subtract(left, virtual, out=virtual)
        error += virtual
        if lost is not None:
            error += lost[:half]
            error += lost[half : 2 * half]
        if total.shape[0] % 2:
            last = lost[-1:] if lost is not None else np.zeros_like(total[-1:])
            new, error = np.concatenate((new, total[-1:])), np.concatenate((error, last))
        total, lost = new, error
    result = total[0].reshape(values.shape[1:])
    rest = np.zeros_like(result) if lost is None else lost[0].reshape(values.shape[1:])
    if np.isfinite(rest).all():  # so it is nowhere else where the sum is infinite
        return result, rest
    return result, np.where(np.isfinite(result) & np.isfinite(rest), rest, 0.0)


def pick(values: Floats, index: Floats, axis: int) -> Floats:
    """Return the element at a (float) index along an axis, elementwise; the axis goes away."""
    whole = np.expand_dims(index.astype(np.int64), axis)
    picked: Floats = np.take_along_axis(values, whole, axis=axis).squeeze(axis)
    return picked


def quantile(q: Floats, values: Floats, present: Bools, axis: int) -> Floats:
    """Return the q-quantile along an axis of what is present, NaN sorting lowest, as Prometheus interpolates it.

    Args:
        q: broadcasts to the values' shape without that axis.
    """
    size = present.sum(axis=axis).astype(np.float64)
    ordered = np.sort(np.where(present, values, np.nan), axis=axis)
    missing = (present & np.isnan(values)).sum(axis=axis)
    q = np.broadcast_to(q, size.shape)
    rank = np.where((q >= 0) & (q <= 1), q, 0.0) * np.maximum(size - 1, 0)
    low = np.maximum(0.0, np.floor(rank))
    high = np.minimum(np.maximum(size - 1, 0), low + 1)
    weight = rank - np.floor(rank)

    def at(index: Floats) -> Floats:
        place = index - missing
        return np.where(place < 0, np.nan, pick(ordered, np.maximum(place, 0.0), axis))

    lower = at(low)
    # An exact hit is taken as it is, or an infinite one would become NaN.
    result = np.where(weight == 0, lower, lower * (1 - weight) + at(high) * weight)
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q) | (size == 0), np.nan, result)


def go_max(left: Floats, right: Floats) -> Floats:
    """Return the larger; +Inf beats NaN."""
    return np.where(np.isposinf(left) | np.isposinf(right), np.inf, np.maximum(left, right))


def go_min(left: Floats, right: Floats) -> Floats:
    """Return the smaller; -Inf beats NaN."""
    return np.where(np.isneginf(left) | np.isneginf(right), -np.inf, np.minimum(left, right))

"""Counts from random words: Poisson and binomial by inversion, many cells and runs at a time.

One word makes one count, whatever the mean, so that a cell whose rate differs between two releases meets the same
luck in both. Above a mean of `EXACT_BELOW` the quantile's expansion in the normal quantile is used (total variation
from the Poisson law below 1.5e-4, mean right to 1e-6; the tests measure it), below it the distribution itself.
numpy's own generators take 40 to 160 ns a Poisson draw here, these about 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.flock.bits import GOLDEN_WORD, Words, bits, mixed

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EXACT_BELOW = 10.0
SPARSE_BELOW = 0.1
_SIZES = (SPARSE_BELOW, 2.0, EXACT_BELOW)  # cells of like means have tables of like length
_BINS = 4096
_TOP_12, _NEXT_40 = np.uint64(52), np.uint64(2**52 - 2**12)
_LAST_INNER = np.uint64(_BINS - 2)
_ONE = np.uint64(1)
_TO_UNIT = 2.0**-52
_WORDS_AT_ONCE = 16_384  # 128 KiB: with what is made of them they stay in a core's own cache


def normals(words: Words) -> Floats:
    """Return standard normal values, one for each word.

    Straight lines between 4,096 quantiles, and in the outermost bins between 4,096 more.
    """
    place = words >> _TOP_12
    starts, widths = _table(1)
    index = place.view(np.int64)
    result: Floats = (words & _NEXT_40).view(np.int64).astype(np.float64)
    result *= widths.take(index)
    result += starts.take(index)
    place -= _ONE
    tails = np.flatnonzero(place.reshape(-1) >= _LAST_INNER)
    if len(tails):
        _put_tails(result.reshape(-1), words.reshape(-1), tails)
    return result


def _put_tails(result: Floats, words: Words, tails: NDArray[np.intp]) -> None:
    """Fill in the outermost bins, whose quantiles bend too much for one line each."""
    found = words[tails]
    upper = found >> np.uint64(63) == 1
    # The upper tail is the lower one mirrored; what is left of a word after its bin tells where in the bin it lies.
    within = np.where(upper, ~found, found) << np.uint64(12)
    place = within >> _TOP_12
    starts, widths = _table(_BINS)
    index = place.view(np.int64)
    values = (within & _NEXT_40).view(np.int64).astype(np.float64) * widths.take(index) + starts.take(index)
    for at in np.flatnonzero(place == 0).tolist():
        share = (int(within[at] >> np.uint64(11)) + 0.5) * 2.0**-53 / _BINS
        values[at] = _STANDARD.inv_cdf(share)
    result[tails] = np.where(upper, -values, values)


_STANDARD = NormalDist()


@cache
def _table(divided: int) -> tuple[Floats, Floats]:
    """Return where each bin of the normal quantile starts, and how much it grows per unit of the 52 bits below.

    `divided` is 1 for the whole distribution, or `_BINS` for its lowest bin.
    """
    shares = np.arange(1, _BINS + 1) / _BINS / divided
    edges = [_STANDARD.inv_cdf(share) for share in shares[:-1].tolist()]
    last = -edges[0] if divided == 1 else _STANDARD.inv_cdf(1 / divided)
    points = np.array([edges[0], *edges, last])  # the first bin, and the last of the whole, are filled in apart
    return points[:-1].copy(), np.diff(points) * _TO_UNIT


def poisson(cells: Words, means: Floats, runs: Words) -> Floats:
    """Return (groups, cells, runs) counts with the mean of each cell.

    Cells of a group that are all but empty are drawn together and the few events among them dealt out one by one.

    Args:
        cells: (groups, cells) the word of each cell.
        means: (groups, cells) expected counts, 0 or more.
        runs: (runs,) the word of each run.
    """
    counts = np.zeros((*cells.shape, len(runs)))
    flat, of_cell, mean = counts.reshape(-1, len(runs)), cells.reshape(-1), means.reshape(-1)
    rows = np.flatnonzero(mean >= EXACT_BELOW)
    if len(rows):
        _fill(flat, rows, of_cell, mean, runs, _by_expansion)
    for least, below in pairwise(_SIZES):
        rows = np.flatnonzero((mean >= least) & (mean < below))
        if len(rows):
            _fill(flat, rows[np.argsort(-mean[rows], kind="stable")], of_cell, mean, runs, _by_thresholds)
    sparse = np.where(means < SPARSE_BELOW, means, 0.0)
    if sparse.any():
        _deal_out(counts, cells, sparse, runs)
    return counts


def _fill(
    counts: Floats,
    rows: NDArray[np.intp],
    cells: Words,
    means: Floats,
    runs: Words,
    make: Callable[[Words, Floats], NDArray[Any]],
) -> None:
    """Put the counts of some cells in their places, as many at once as a core's cache holds."""
    at_once = max(1, _WORDS_AT_ONCE // max(1, len(runs)))
    for begin in range(0, len(rows), at_once):
        some = rows[begin : begin + at_once]
        counts[some] = make(bits(cells[some], runs), means[some])


def _deal_out(counts: Floats, cells: Words, means: Floats, runs: Words) -> None:
    """Draw the events of all sparse cells of a group together, and put each into one of them by its share."""
    totals = means.sum(axis=1)
    groups = np.flatnonzero(totals)
    groups = groups[np.argsort(-totals[groups], kind="stable")]
    together = np.zeros((len(groups), len(runs)), dtype=np.int64)
    own = mixed(cells[groups, 0])  # a word for the group, other than that of any of its cells
    _fill(together, np.arange(len(groups)), own, totals[groups], runs, _by_thresholds)  # type: ignore[arg-type]
    of_group, of_run = np.nonzero(together)
    repeats = together[of_group, of_run]
    of_group, of_run = np.repeat(of_group, repeats), np.repeat(of_run, repeats)
    ordinal = np.arange(len(of_group)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    words = mixed(own[of_group] + runs[of_run] + (ordinal + 1).astype(np.uint64) * GOLDEN_WORD)
    below = np.cumsum(means[groups], axis=1) / totals[groups, None] + np.arange(len(groups))[:, None]
    place = np.searchsorted(below.reshape(-1), words.astype(np.float64) * 2.0**-64 + of_group, side="right")
    cell = np.minimum(place - of_group * means.shape[1], means.shape[1] - 1)
    np.add.at(counts, (groups[of_group], cell, of_run), 1.0)


def _by_expansion(words: Words, means: Floats) -> Floats:
    """Return the Poisson quantile by its asymptotic expansion in the normal quantile, rounded down (after Giles)."""
    mean = means[:, None]
    root = np.sqrt(mean)
    normal = normals(words)
    result: Floats = normal * (1.0 / (270.0 * mean))
    result -= 1.0 / (72.0 * root)
    result *= normal
    result += 1.0 / 6.0 + 7.0 / (810.0 * mean)
    result *= normal
    result += root - 1.0 / (36.0 * root)
    result *= normal
    result += mean + 1.0 / 3.0 - 8.0 / (405.0 * mean)
    np.floor(result, out=result)
    return np.maximum(result, 0.0, out=result)


def _by_thresholds(words: Words, means: Floats) -> NDArray[np.uint8]:
    """Return the Poisson quantile: how many values of the distribution function the word's upper half exceeds.

    Exact to 2^-32, half of what is compared being twice as quick. Means fall from cell to cell.
    """
    limits = _thresholds(means)
    halves = (words >> np.uint64(32)).astype(np.uint32)
    if words.size * limits.shape[1] <= _COMPARED_AT_ONCE:
        exceeded: Bools = halves[:, :, None] >= limits[:, None, :]
        return np.asarray(exceeded.sum(axis=2, dtype=np.uint8))
    counts = np.zeros(words.shape, dtype=np.uint8)
    above = np.empty(words.shape, dtype=np.bool_)
    for limit, reaches in zip(limits.T, np.count_nonzero(limits < _LARGEST, axis=0).tolist(), strict=True):
        if not reaches:
            break
        np.greater_equal(halves[:reaches], limit[:reaches, None], out=above[:reaches])
        counts[:reaches] += above[:reaches].view(np.uint8)
    return counts


_LARGEST = 2.0**32 - 1
_COMPARED_AT_ONCE = 60_000  # a few runs are done sooner in one sweep than value by value


def _thresholds(means: Floats) -> NDArray[np.uint32]:
    """Return (means, terms) the distribution function times 2^32."""
    largest = float(means.max())
    terms = int(largest + 8.0 * largest**0.5) + 12
    # Each chance is the one before it times mean / k; means below `EXACT_BELOW` do not underflow.
    chances = np.empty((len(means), terms))
    chances[:, 0] = np.exp(-means)
    np.divide(means[:, None], np.arange(1.0, terms), out=chances[:, 1:])
    np.cumprod(chances, axis=1, out=chances)
    np.cumsum(chances, axis=1, out=chances)
    chances *= 2.0**32
    return np.minimum(chances, _LARGEST, out=chances).astype(np.uint32)


def binomial(cells: Words, totals: Floats, shares: Floats, runs: Words) -> Floats:
    """Return (cells, runs) how many of the totals fall into a share of their interval.

    Args:
        cells: (cells,) words.
        totals: (cells, runs) counts.
        shares: (cells,) from 0 to 1.
        runs: (runs,) words.
    """
    counts = np.empty(totals.shape)
    at_once = max(1, _WORDS_AT_ONCE // max(1, len(runs)))
    for begin in range(0, len(cells), at_once):
        some = slice(begin, begin + at_once)
        counts[some] = _binomial(bits(cells[some], runs), totals[some], shares[some, None])
    return counts


def _binomial(words: Words, totals: Floats, shares: Floats) -> Floats:
    mirrored = shares > 0.5
    share = np.where(mirrored, 1.0 - shares, shares)
    variance = totals * (share * (1.0 - share))
    wide = variance >= EXACT_BELOW
    if wide.all():
        counts = _binomial_by_expansion(words, totals, share, variance)
    else:
        counts = np.zeros(totals.shape)
        if wide.any():
            full = np.broadcast_to(share, totals.shape)
            counts[wide] = _binomial_by_expansion(words[wide], totals[wide], full[wide], variance[wide])
        narrow = ~wide & (totals > 0) & (share > 0)
        if narrow.any():
            full = np.broadcast_to(share, totals.shape)
            counts[narrow] = _binomial_by_terms(words[narrow], totals[narrow], full[narrow])
    return np.where(mirrored, totals - counts, counts)


def _binomial_by_expansion(words: Words, totals: Floats, share: Floats, variance: Floats) -> Floats:
    """Return the quantile by the Cornish-Fisher expansion with the corrections for a lattice."""
    normal = normals(words)
    square = normal * normal
    deviation = np.sqrt(variance)
    skew = 1.0 - 2.0 * share
    third = (1.0 - 6.0 * share * (1.0 - share)) * (square - 3.0) / 24.0 - skew * skew * (2.0 * square - 5.0) / 36.0
    result = totals * share + 0.5 + skew * (square - 1.0) / 6.0
    result += normal * (deviation + (third - 1.0 / 24.0) / deviation)
    return np.clip(np.floor(result), 0.0, totals)


def _binomial_by_terms(words: Words, totals: Floats, share: Floats) -> Floats:
    """Return the quantile exactly, term by term of the distribution (flat arrays, variance below `EXACT_BELOW`)."""
    unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    odds = share / (1.0 - share)
    chance = np.exp(totals * np.log1p(-share))
    below = chance.copy()
    counts = np.zeros(totals.shape)
    left = np.flatnonzero(unit >= below)
    term = 0
    while len(left):
        counts[left] += 1.0
        chance[left] *= (totals[left] - term) / (term + 1.0) * odds[left]
        below[left] += chance[left]
        term += 1
        left = left[(unit[left] >= below[left]) & (counts[left] < totals[left])]
    return counts

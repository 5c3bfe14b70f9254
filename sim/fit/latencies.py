"""Fit latencies: a lognormal body, and a tail for some requests, as `sim.releases.Latency` has them.

A share w of requests takes T longer than the body: F(x) = (1 - w) Φ((ln x - μ)/σ) + w Φ((ln(x - T) - μ)/σ).
Answers are known in bins (a log's milliseconds, a histogram's buckets), so the fit maximises the likelihood of the
counts in the bins: the multinomial likelihood of grouped data, the same that McLachlan and Jones (Biometrics 44,
1988) climb with an EM algorithm for mixtures. With four parameters a simplex search (Nelder and Mead, through scipy)
climbs it as well, from several beginnings, and needs no formula that the shift T would spoil. The tail stays where it
lowers the Bayesian information criterion. One answer in ten thousand may come from anywhere, so that a few time-outs
do not bend the body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.fit.observed import Durations, FitError, Floats
from sim.releases import Latency

ANYWHERE = 1e-4
REQUESTS_MIN = 50
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)

_STARTS = (0.003, 0.01, 0.03, 0.1, 0.25)  # shares of requests that a tail may have, to begin the search with
_SIGMA_MIN, _SIGMA_MAX = 0.005, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One quantile as it was seen and as the fit has it, ms."""

    q: float
    seen_ms: float
    fitted_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFit:
    """Latencies as fitted, and how well.

    Attributes:
        latency: what the model takes.
        answers: how many answers stand behind it.
        ks: the largest distance between seen and fitted shares, over the bins' edges (Kolmogorov-Smirnov).
        ks_at_ms: where it is.
        quantiles: seen beside fitted.
        chi_square, degrees, p: Pearson's test on the histogram's buckets; with many answers it finds any difference,
            so ks says how much one matters.
    """

    latency: Latency
    answers: int
    ks: float
    ks_at_ms: float
    quantiles: tuple[Quantile, ...]
    chi_square: float
    degrees: int
    p: float


def shares_below(edges_s: Floats, latency: Latency) -> Floats:
    """Return the share of requests that take at most as long as each edge."""
    median_s, sigma = latency.median_ms * latency.factor / 1000, max(latency.sigma, 1e-9)
    tail_s, share = latency.tail_ms / 1000, latency.tail_share
    return _mixture(edges_s, np.array([math.log(median_s), sigma]), share, tail_s)


def _mixture(edges_s: Floats, body: Floats, share: float, tail_s: float) -> Floats:
    return (1 - share) * _lognormal(edges_s, body) + share * _lognormal(edges_s - tail_s, body)


def _lognormal(at_s: Floats, body: Floats) -> Floats:
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):
        log_s = np.log(np.maximum(at_s, 0.0))
    return np.asarray(ndtr((log_s - body[0]) / body[1]), dtype=np.float64)


def fit_latency(durations: Durations, buckets_s: tuple[float, ...]) -> LatencyFit:
    """Return the latencies that make the counts most likely.

    Args:
        buckets_s: the bounds on which the chi-square test counts.

    Raises:
        FitError: there are too few answers, or all of them are in one open bin.
    """
    if durations.total < REQUESTS_MIN:
        raise FitError(f"{durations.total} answers tell how long they took; latencies need {REQUESTS_MIN} at least")
    grouped = _grouped(durations)
    if np.count_nonzero(grouped.counts) == 1 and not np.isfinite(grouped.edges_s[np.argmax(grouped.counts) + 1]):
        raise FitError(
            f"every answer took longer than the last bucket, {grouped.edges_s[-2] * 1000:g} ms; "
            "latencies need buckets that reach further"
        )
    latency = _most_likely(grouped)
    return _judged(latency, durations, buckets_s)


def _grouped(durations: Durations, bins_max: int = 400) -> Durations:
    """Return the durations in fewer bins, each with a like share of the answers, so that a search step is cheap."""
    if len(durations.counts) <= bins_max:
        return durations
    wanted = np.linspace(0, 1, bins_max)
    # The tail's bins stay fine as well: equal shares alone would put the slowest 0.25 % into one.
    wanted = np.union1d(wanted, 1 - np.logspace(-6, -2, 60))
    edges = np.unique(np.searchsorted(durations.shares_at(), wanted, side="left"))
    edges = np.unique(np.concatenate([[0], edges, [len(durations.counts)]]))
    summed = np.add.reduceat(durations.counts, edges[:-1])
    return Durations(edges_s=durations.edges_s[edges], counts=summed, is_coarse=durations.is_coarse)


def _most_likely(durations: Durations) -> Latency:
    from scipy.optimize import minimize

    anywhere = _anywhere(durations.edges_s)
    counts = durations.counts.astype(np.float64)

    def surprise(body: Floats, share: float, tail_s: float) -> float:
        cells = np.diff(_mixture(durations.edges_s, body, share, tail_s))
        return -float(counts @ np.log((1 - ANYWHERE) * np.maximum(cells, 0.0) + ANYWHERE * anywhere))

    def lone(x: Floats) -> float:
        return surprise(_body(x), 0.0, 0.0)

    def tailed(x: Floats) -> float:
        return surprise(_body(x), 0.5 / (1 + math.exp(-min(max(x[2], -40.0), 40.0))), math.exp(min(x[3], 10.0)))

    options = {"xatol": 1e-5, "fatol": 1e-4, "maxiter": 4_000, "maxfev": 8_000}
    median_s = max(durations.quantile_s(0.5), 1e-6)
    quartiles = [max(durations.quantile_s(q), 1e-6) for q in (0.25, 0.75)]
    sigma = min(max(math.log(quartiles[1] / quartiles[0]) / 1.349, 0.02), 2.0)
    begin = np.array([math.log(median_s), math.log(sigma)])
    alone = minimize(lone, begin, method="Nelder-Mead", options=options)
    tails = [minimize(tailed, start, method="Nelder-Mead", options=options) for start in _beginnings(durations, begin)]
    best = min(tails, key=lambda found: found.fun, default=None)
    # Two parameters more have to be worth ln n (half of BIC's two times ln n).
    if best is None or best.fun + math.log(durations.total) >= alone.fun:
        mu, spread = _body(alone.x)
        return _latency(mu, spread, 0.0, 0.0)
    mu, spread = _body(best.x)
    return _latency(mu, spread, 0.5 / (1 + math.exp(-best.x[2])), math.exp(best.x[3]))


def _body(x: Floats) -> Floats:
    return np.array([x[0], min(max(math.exp(min(x[1], 2.0)), _SIGMA_MIN), _SIGMA_MAX)])


def _latency(mu: float, sigma: float, share: float, tail_s: float) -> Latency:
    """Return the values with four significant digits: more is not known, and files are read by people."""
    return Latency(
        median_ms=min(max(_four(math.exp(mu) * 1000), 1e-3), 60_000.0),
        sigma=_four(float(sigma)),
        tail_share=_four(share),
        tail_ms=min(_four(tail_s * 1000), 60_000.0) if share else 0.0,
    )


def _four(value: float) -> float:
    return float(f"{value:.4g}")


def _beginnings(durations: Durations, body: Floats) -> list[Floats]:
    """Return where to begin the search for a tail: as long as what the slowest few take beyond the median."""
    found = []
    median_s = math.exp(body[0])
    for share in _STARTS:
        beyond_s = durations.quantile_s(1 - share / 2) - median_s
        if beyond_s > 0.2 * median_s:
            found.append(np.array([body[0], body[1], math.log(share / (0.5 - share)), math.log(beyond_s)]))
    return found


def _anywhere(edges_s: Floats) -> Floats:
    """Return a share for each bin that prefers none: even on the logarithm, from 0.1 ms to 1,000 s."""
    at = np.log(np.clip(edges_s, 1e-4, 1e3) / 1e-4) / math.log(1e7)
    return np.maximum(np.diff(at), 1e-9)


def _judged(latency: Latency, durations: Durations, buckets_s: tuple[float, ...]) -> LatencyFit:
    distances = np.abs(durations.shares_at() - shares_below(durations.edges_s, latency))
    at = int(np.argmax(distances))
    chi_square, degrees, p = _chi_square(latency, durations, buckets_s)
    quantiles = [
        Quantile(q=q, seen_ms=durations.quantile_s(q) * 1000, fitted_ms=quantile_s(latency, q) * 1000)
        for q in QUANTILES
        if durations.total * (1 - q) >= 10
    ]
    return LatencyFit(
        latency=latency,
        answers=durations.total,
        ks=float(distances[at]),
        ks_at_ms=float(durations.edges_s[at]) * 1000,
        quantiles=tuple(quantiles),
        chi_square=chi_square,
        degrees=degrees,
        p=p,
    )


def quantile_s(latency: Latency, q: float) -> float:
    """Return the q-quantile of body and tail together, s."""
    low, high = 0.0, 1.0
    while shares_below(np.array([high]), latency)[0] < q and high < 1e6:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if shares_below(np.array([middle]), latency)[0] < q:
            low = middle
        else:
            high = middle
    return high


def _chi_square(latency: Latency, durations: Durations, buckets_s: tuple[float, ...]) -> tuple[float, int, float]:
    """Return Pearson's statistic on the buckets, its degrees of freedom and its p; buckets that expect fewer than
    five answers are joined with the next."""
    from scipy.special import chdtrc

    bounds = np.array([0.0, *buckets_s, np.inf])
    # Seen counts are known at the bins' edges only; a bucket ends at the nearest edge.
    at = np.unique(np.clip(np.searchsorted(durations.edges_s, bounds, side="left"), 0, len(durations.counts)))
    seen = np.add.reduceat(durations.counts, at[:-1]).astype(np.float64)
    shares = np.diff(shares_below(durations.edges_s[at], latency))
    shares[-1] += 1 - shares.sum()
    expected = shares * durations.total
    cells: list[list[float]] = []
    for one, other in zip(seen, expected, strict=True):
        if cells and cells[-1][1] < 5:
            cells[-1] = [cells[-1][0] + one, cells[-1][1] + other]
        else:
            cells.append([one, other])
    if len(cells) > 1 and cells[-1][1] < 5:
        last = cells.pop()
        cells[-1] = [cells[-1][0] + last[0], cells[-1][1] + last[1]]
    statistic = sum((one - other) ** 2 / other for one, other in cells if other > 0)
    degrees = max(len(cells) - 1 - (4 if latency.tail_share else 2), 0)
    return statistic, degrees, float(chdtrc(degrees, statistic)) if degrees else 1.0

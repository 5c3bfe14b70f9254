"""Fit failures: the share of requests that fail whatever is released, and how sure that is.

The interval is Clopper and Pearson's exact one. Failures of a real service come in bursts, and then so many requests
say less than as many tosses would: the variance of the share from bin to bin, over what tosses would have, divides
the number of requests that the interval rests on (the usual correction for over-dispersed counts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.fit.observed import Floats, Observed

CONFIDENCE = 0.95
EXPECTED_MIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFit:
    """The base errors.

    Attributes:
        share: of all requests.
        low, high: the 95 % interval.
        failed, requests: what stands behind it.
        dispersion: variance over that of independent failures; 1 where failures know nothing of each other.
        worst_from_s, worst_for_s, worst_share: the bin (or bins joined) with the most failures beyond the mean.
    """

    share: float
    low: float
    high: float
    failed: float
    requests: float
    dispersion: float
    worst_from_s: float
    worst_for_s: float
    worst_share: float


def fit_failures(seen: Observed) -> FailureFit:
    """Return the base errors of a service that tells its failures."""
    from scipy.special import betaincinv

    failed, requests = float(seen.failed.sum()), float(seen.requests.sum())
    share = failed / requests if requests else 0.0
    begins, lasts, bin_failed, bin_requests = _joined(seen, share)
    dispersion, worst = 1.0, 0
    if len(bin_requests) > 1 and 0 < share < 1:
        variance = share * (1 - share) * bin_requests
        deviations = (bin_failed - share * bin_requests) / np.sqrt(variance)
        dispersion = max(float((deviations**2).sum()) / (len(bin_requests) - 1), 1.0)
        worst = int(np.argmax(deviations))
    # As many independent requests as these are worth.
    worth, hits = requests / dispersion, failed / dispersion
    beyond = (1 - CONFIDENCE) / 2
    low = float(betaincinv(hits, worth - hits + 1, beyond)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, worth - hits, 1 - beyond)) if hits < worth else 1.0
    return FailureFit(
        share=share,
        low=low,
        high=high,
        failed=failed,
        requests=requests,
        dispersion=dispersion,
        worst_from_s=float(begins[worst]),
        worst_for_s=float(lasts[worst]),
        worst_share=float(bin_failed[worst] / bin_requests[worst]) if bin_requests[worst] else 0.0,
    )


def _joined(seen: Observed, share: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return begin, length, failures and requests of bins joined until each expects five failures and as many
    successes, so that their variance means something."""
    rare = max(min(share, 1 - share), 1e-12)
    begins, lasts, failed, requests = [0.0], [0.0], [0.0], [0.0]
    at_s = 0.0
    for width_s, bad, all_ in zip(seen.widths_s, seen.failed, seen.requests, strict=True):
        if requests[-1] * rare >= EXPECTED_MIN:
            begins.append(at_s)
            for column in (lasts, failed, requests):
                column.append(0.0)
        lasts[-1] += float(width_s)
        failed[-1] += float(bad)
        requests[-1] += float(all_)
        at_s += float(width_s)
    return np.array(begins), np.array(lasts), np.array(failed), np.array(requests)

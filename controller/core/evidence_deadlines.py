"""How long an analysis waits for missing evidence before it does what the policy names.

Without `gamebird.dev/evidence-deadline` it is twice the longest window that the metric's query reads, and at
least ten minutes: a window has to fill before its count can be judged. The windows are read off the query's
text, which can only err on the long side; promql itself is out of the core's reach.
"""

from __future__ import annotations

import re
from functools import lru_cache

from controller.manifests.values import Metric, PrometheusProvider
from controller.manifests.values import duration_s as seconds

LEAST_S = 600.0
_WINDOW = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*(?::[^\]]*)?\]")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_LONG_S = {"d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def deadline_s(metric: Metric) -> float:
    """Return how many seconds after the first measurement without evidence the waiting ends."""
    if metric.evidence.deadline_s is not None:
        return metric.evidence.deadline_s
    if isinstance(metric.provider, PrometheusProvider):
        return max(LEAST_S, 2 * longest_window_s(metric.provider.query))
    return LEAST_S


@lru_cache(maxsize=1024)
def longest_window_s(query: str) -> float:
    """Return the longest range that a query selects, in seconds; 0 if it selects none."""
    longest = 0.0
    for window in _WINDOW.finditer(query):
        total = 0.0
        for number, unit in _PART.findall(window[1]):
            total += float(number) * _LONG_S[unit] if unit in _LONG_S else seconds(number + unit)
        longest = max(longest, total)
    return longest

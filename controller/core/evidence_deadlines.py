"""How long a metric waits for missing evidence: what its query's windows make of the policy's rule.

Windows are read off the query's text, because promql is out of the core's reach; what looks like a window and
is none (in a label's value) can only make the wait longer. The rule itself is `controller.core.evidence`'s.
"""

from __future__ import annotations

import re
from functools import lru_cache

from controller.core.evidence import deadline_s
from controller.manifests.values import Metric, PrometheusProvider
from controller.manifests.values import duration_s as seconds

_WINDOW = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*(?::[^\]]*)?\]")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_LONG_S = {"d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def wait_s(metric: Metric) -> float:
    """Return how many seconds after the first measurement without evidence the waiting ends."""
    window_s = None
    if isinstance(metric.provider, PrometheusProvider):
        window_s = longest_window_s(metric.provider.query)
    return deadline_s(metric.evidence, longest_window_s=window_s)


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

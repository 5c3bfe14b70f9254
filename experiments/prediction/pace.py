"""What takes wall time in the local world, as distributions: whoever predicts a rehearsal draws from these.

Measured by tools/timing.py; docs/truth.md says when, where and how many rehearsals. Each span is lognormal: its median,
and the standard deviation of its logarithm. Policy time runs `speed` times as fast as the wall, so in policy time
each is as many times longer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One span of wall time."""

    median_wall_s: float
    sigma: float


POD_START = Pace(median_wall_s=0.45, sigma=0.35)
"""From the decision to have a pod until it is ready: a Python process that imports its server."""

LOOK = Pace(median_wall_s=0.001, sigma=1.0)
"""From what the controller waits for until it looks."""

ANSWER = Pace(median_wall_s=0.014, sigma=0.5)
"""From a metric's question until its answer is judged."""

SCRAPE_LATE_WALL_S = 0.01
"""A scrape is late by up to so much: what a tick of the scraper takes."""

PROBE_TIMEOUT_WALL_S = 1.0
PROBE_RETRY_S = 1.0
"""The fleet gives a probe a second of the wall, and asks a pod that failed one again after a second of policy time."""

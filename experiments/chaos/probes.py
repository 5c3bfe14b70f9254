"""Chaos Toolkit probes: what can be asked of a rehearsal, as numbers and words that a tolerance can be put on."""

from __future__ import annotations

from pathlib import Path

from experiments.chaos.stage import current
from experiments.sweeping import find_leftovers

__all__ = [
    "bad_requests",
    "bad_share",
    "canary_weight",
    "faults_in_force",
    "leftovers",
    "real_split",
    "rollout_phase",
    "serving_pods",
]


def rollout_phase() -> str:
    """Return the rollout's phase: Progressing, Paused, Healthy or Degraded."""
    return current().phase()


def canary_weight() -> float:
    """Return the share of the traffic that the router gives the canary, percent."""
    return current().canary_weight()


def real_split(over_s: float = 30.0) -> float:
    """Return the canary's share of the requests of the next `over_s` seconds of policy time, percent, as users met it.

    Each answer is marked with the revision that gave it, so this is what the router does and not what it says. Fails
    when no request was answered.
    """
    return current().real_split(over_s)


def leftovers() -> int:
    """Return how many files and folders of crashed rehearsals lie about; `gamebird gameday sweep` removes them."""
    return len(find_leftovers(Path("gamedays")))


def serving_pods() -> int:
    """Return how many pods of the stable revision are available: the capacity that an abort falls back on."""
    return current().serving_pods()


def bad_requests() -> int:
    """Return how many requests users saw fail or saw too slow so far."""
    return current().bad_requests()


def bad_share(over_s: float = 30.0) -> float:
    """Return the share of bad requests among those of the next `over_s` seconds of policy time; 0 to 1.

    Fails when there was no request at all: nobody asked is not everybody served.
    """
    return current().bad_share(over_s)


def faults_in_force() -> int:
    """Return how many faults are in force."""
    return len(current().leases.in_force)

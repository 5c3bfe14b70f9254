"""What chance has in store for one platform history: start times, delays, unevenness.

A fate is keyed by the part of the model and by what it happens to (the n-th pod of a revision, the n-th change of the
router), never by when or by what was decided before. So two policies meet the same fate as far as they live it
together, and a fork of a history meets the fate of the history it was forked from. Drawn once and kept.
"""

from __future__ import annotations

import math

from sim.chance import stream

_Key = tuple[str, int, int, int]


class Fates:
    """The fates of one cohort; shared by every fork of its platform."""

    __slots__ = ("_normals", "_uniforms", "cohort", "seed")

    def __init__(self, seed: int, cohort: int) -> None:
        self.seed = seed
        self.cohort = cohort
        self._normals: dict[_Key, float] = {}
        self._uniforms: dict[_Key, float] = {}

    def normal(self, part: str, first: int, second: int = 0, third: int = 0) -> float:
        """Return the standard normal number that belongs to the keys."""
        key = (part, first, second, third)
        known = self._normals.get(key)
        if known is None:
            known = float(stream(self.seed, part, self.cohort, first, second, third).standard_normal())
            self._normals[key] = known
        return known

    def uniform(self, part: str, first: int, second: int = 0, third: int = 0) -> float:
        """Return the number from 0 to 1 that belongs to the keys."""
        key = (part, first, second, third)
        known = self._uniforms.get(key)
        if known is None:
            known = float(stream(self.seed, part, self.cohort, first, second, third).random())
            self._uniforms[key] = known
        return known

    def lognormal(self, median: float, sigma: float, part: str, first: int, second: int = 0, third: int = 0) -> float:
        """Return a span with this median; the same standard normal number stands behind every median and sigma."""
        if median == 0.0 or sigma == 0.0:
            return median
        return median * math.exp(sigma * self.normal(part, first, second, third))

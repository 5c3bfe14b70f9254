"""When each request of a replay is due: recorded times made faster, heavier, lighter or longer, and still as bursty.

A heavier replay is the recording laid over itself, each copy moved by less than a burst lasts; a lighter one keeps
each request by chance. Either way what came together comes together. Pure: times in, times out.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REQUESTS_MAX = 10_000_000
"""One replay sends at most so many requests (some 300 MB while it is planned); more is refused, not truncated."""

SHIFT_S = 1.0
"""Copies are moved by less than this, seconds of the recording: more than requests are apart, less than bursts last."""

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # its multiples, modulo 1, never come close to one another


class ReplayError(ValueError):
    """A replay that cannot be made: what was asked, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a recording is replayed.

    Attributes:
        speed: recorded seconds in a second of the wall.
        rate: how many times the recorded requests are sent; below 1, each with this probability.
        lasts_s: seconds of the wall; a shorter recording begins again. None: the recording once.
        seed: same seed, same requests.
    """

    speed: float = 1.0
    rate: float = 1.0
    lasts_s: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name, value in (("speed", self.speed), ("rate", self.rate), ("for", self.lasts_s)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ReplayError(f"--{name} is {value:g}; it needs a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timetable:
    """The requests of a replay, in order of time.

    Attributes:
        at_s: (requests,) when each is due, seconds of the wall after the first instant.
        base: (requests,) which recorded request it repeats, by its place in the recording.
        lasts_s: how long the replay lasts, seconds of the wall.
        passes: how often the recording was begun.
    """

    at_s: Floats
    base: NDArray[np.uint32]
    lasts_s: float
    passes: int

    def __len__(self) -> int:
        return len(self.at_s)

    def peak_rps(self) -> float:
        """Return the most requests that are due in any second of the wall that begins with a request."""
        if not len(self.at_s):
            return 0.0
        until = np.searchsorted(self.at_s, self.at_s + 1.0, side="left")
        return float((until - np.arange(len(self.at_s))).max())


def period_of(time_s: Floats) -> float:
    """Return how long a recording is: to its last request and one mean distance on, so that passes do not collide."""
    if len(time_s) < 2 or time_s[-1] == time_s[0]:
        return 1.0
    span_s = float(time_s[-1] - time_s[0])
    return span_s + span_s / (len(time_s) - 1)


def timetable(time_s: Floats, pace: Pace, *, period_s: float | None = None) -> Timetable:
    """Return every request of a replay.

    Args:
        time_s: (recorded requests,) seconds since the first of them, in order.
        period_s: how long the recording is; None: as its requests say.
    """
    if not len(time_s):
        raise ReplayError("there is no request to replay")
    period_s = period_of(time_s) if period_s is None else period_s
    lasts_s = pace.lasts_s if pace.lasts_s is not None else period_s / pace.speed
    passes = math.ceil(lasts_s * pace.speed / period_s * (1 - 1e-12))
    expected = pace.rate * len(time_s) * lasts_s * pace.speed / period_s
    if expected > REQUESTS_MAX:
        raise ReplayError(
            f"this would be about {expected:,.0f} requests; one replay sends at most {REQUESTS_MAX:,}: "
            "lower --for or --rate"
        )
    parts = [_one_pass(time_s, pace, number, period_s, lasts_s) for number in range(passes)]
    return Timetable(
        at_s=np.concatenate([at_s for at_s, _ in parts]),
        base=np.concatenate([base for _, base in parts]),
        lasts_s=lasts_s,
        passes=passes,
    )


def _one_pass(
    time_s: Floats, pace: Pace, number: int, period_s: float, lasts_s: float
) -> tuple[Floats, NDArray[np.uint32]]:
    at_parts, base_parts = [], []
    for copy in range(math.ceil(pace.rate)):
        share = min(1.0, pace.rate - copy)
        kept = np.arange(len(time_s), dtype=np.uint32)
        if share < 1.0:
            # Each pass and copy draws for itself, so that not the same requests are missing every time.
            chance = np.random.default_rng([pace.seed, zlib.crc32(b"thinning"), number, copy])
            kept = kept[chance.random(len(time_s)) < share]
        moved_s = time_s[kept] - time_s[0]
        if copy:
            # Around the end of the recording, so that every pass has every request.
            moved_s = (moved_s + (copy * _GOLDEN % 1.0) * min(SHIFT_S, period_s)) % period_s
        at_parts.append((number * period_s + moved_s) / pace.speed)
        base_parts.append(kept)
    at_s, base = np.concatenate(at_parts), np.concatenate(base_parts)
    order = np.argsort(at_s, kind="stable")
    at_s, base = at_s[order], base[order]
    within = int(np.searchsorted(at_s, lasts_s, side="left"))
    return at_s[:within], base[:within]

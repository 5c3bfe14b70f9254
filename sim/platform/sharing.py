"""Who gets which share of all traffic: the router's weights, and how the pods of one side share theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.platform.pods import PodLife

Shares = tuple[tuple[tuple[int, float], ...], float, float]
"""(life, share of all traffic) of each pod that is sent users; the share that nobody serves; that of the release."""


def shared_by(
    lives: Sequence[PodLife],
    standing: Mapping[str, Sequence[int]],
    now_s: float,
    sides: Sequence[tuple[tuple[str, ...], float]],
) -> Shares:
    """Return the split between pods, given the split between sides.

    Args:
        standing: the lives of each revision that are to stay, by pod-template hash.
        sides: revisions that are served as one, and their part of all traffic.
    """
    shares: list[tuple[int, float]] = []
    unserved = release = 0.0
    for hashes, part in sides:
        serving = [
            index
            for pod_hash in hashes
            for index in standing.get(pod_hash, ())
            if lives[index].ready_s <= now_s < lives[index].unready_s
        ]
        if not serving:
            unserved += part
            continue
        factors = [lives[index].share_factor for index in serving]
        whole = sum(factors)
        shares += [(index, part * factor / whole) for index, factor in zip(serving, factors, strict=True)]
        # Summed apart and divided once, so that a side of nothing but the release is exactly the side's part.
        release += part * (sum([lives[index].share_factor for index in serving if lives[index].is_release]) / whole)
    return tuple(shares), unserved, release

"""What a platform's history is made of: lives of pods, and stretches of time with constant shares of the traffic.

Values only. `sim.platform.platform` makes them; the load model, the flock and the SimPy world read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NEVER = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLife:
    """One process of one pod, from its start to its end. A crashed pod's next process is a new life of the same name.

    What chance decides about a life is drawn when it begins, so instants that lie ahead are known; `ended_s` is not
    one of them, because a decision may end a pod at any time.

    Attributes:
        ordinal: of the pod within its revision, from 0; pods are never numbered again.
        incarnation: 0 for the pod's first process, one more with each restart.
        born_s: when the pod was created.
        created_s: when this process was started: of the first one the same instant.
        listens_s: from when on the process answers scrapes.
        ready_s: when the readiness probe passes; inf: never.
        hangs_s: from when on the process answers nothing any more, scrapes neither.
        unready_s: when the readiness probe has failed often enough for users to be sent elsewhere.
        dies_s: when the process ends by itself, if nothing ends it before: a crash, or out of memory.
        requests_max: the process also dies with this request, counted from its start; inf: none kills it.
        ended_s: when the process died or the pod was told to end; no user meets it from then on. inf while it lives.
        gone_s: when nothing can be scraped from it any more: at once after a crash, after the drain otherwise.
        crashes: of this pod in a row, each soon after a start: what the wait before the next start doubles by.
        share_factor: its part of the traffic relative to an even one, before the shares of a side are made to add up.
    """

    name: str
    pod_hash: str
    is_release: bool
    ordinal: int
    incarnation: int = 0
    born_s: float
    created_s: float
    listens_s: float
    ready_s: float
    hangs_s: float = NEVER
    unready_s: float = NEVER
    dies_s: float = NEVER
    requests_max: float = NEVER
    ended_s: float = NEVER
    gone_s: float = NEVER
    share_factor: float = 1.0
    crashes: int = 0

    def serves(self, now_s: float) -> bool:
        """Return whether users may be sent here."""
        return self.ready_s <= now_s < self.unready_s and now_s < self.ended_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A span of time in which every pod's share of all traffic is constant.

    Attributes:
        shares: (index into `Platform.lives`, share of all requests) of each pod that is sent users.
        unserved: share of all requests that no pod is there for; the proxy answers them with a 503.
        release_share: of all requests, those that the release under test gets.
    """

    from_s: float
    until_s: float
    shares: tuple[tuple[int, float], ...]
    unserved: float = 0.0
    release_share: float = 0.0

"""One process of one pod as requests meet it: places to work in, a queue, and counters of what became of them.

The counters are what a scrape of the pod reads. A request is counted when it is answered; one whose process dies is
counted nowhere but among those that users have lost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
from simpy import Environment

from sim.load.fates import Fate, Fates
from sim.load.happenings import Happenings
from sim.metrics_model.cells import End, Ending
from sim.metrics_model.plan import MetricsPlan
from sim.platform import NEVER, PodLife
from sim.scenarios import Service


class Sorting:
    """Finds the atom of an answer: tables of the plan, as fast as Python reads them. One for all servers."""

    __slots__ = ("atoms", "bins_s", "by_end")

    def __init__(self, plan: MetricsPlan) -> None:
        table = plan.atom_of.tolist()
        self.atoms = plan.atoms
        self.bins_s = list(plan.space.edges_s)
        # A HELD answer is told from another by how long the proxy held it; all others by their end and status.
        self.by_end: dict[tuple[End, int, float], list[list[int]]] = {
            _key(ending): table[place] for place, ending in enumerate(plan.space.endings)
        }


def _key(ending: Ending) -> tuple[End, int, float]:
    return ending.end, ending.status, ending.held_s


class Counting(Protocol):
    """Whatever has counted requests by atom, for the pods of one side."""

    @property
    def counts(self) -> Sequence[int]: ...

    @property
    def life(self) -> PodLife: ...


class Refusals:
    """What a proxy answers because no pod of a side is there."""

    __slots__ = ("_atoms", "_chance", "_ends", "counts", "life")

    def __init__(self, plan: MetricsPlan, chance: np.random.Generator, *, is_release: bool) -> None:
        shares = plan.unserved
        self.counts = [0] * plan.atoms
        self.life = PodLife(
            name="nobody",
            pod_hash="",
            is_release=is_release,
            ordinal=0,
            born_s=0.0,
            created_s=0.0,
            listens_s=0.0,
            ready_s=0.0,
        )
        self._chance = chance
        self._atoms = [] if shares is None else np.flatnonzero(shares).tolist()
        self._ends = [] if shares is None else list(accumulate(shares[self._atoms].tolist()))

    def refuse(self) -> None:
        """Count one request, of a kind by chance; nothing where no query asks a proxy."""
        if self._atoms:
            place = bisect_left(self._ends, self._chance.random() * self._ends[-1]) if len(self._atoms) > 1 else 0
            self.counts[self._atoms[place]] += 1


class Server:
    """Takes requests for one life of a pod.

    Attributes:
        counts: by atom, the requests that were answered (or, by the proxy in front, refused) so far.
        taken: requests that were sent here.
        met_s: when the first of them came; inf while none has.
        lost: those of them that were being worked on, or waited, when the process died.
    """

    __slots__ = (
        "_busy",
        "_concurrency",
        "_env",
        "_fates",
        "_finish",
        "_kills",
        "_places",
        "_queue",
        "_queue_max",
        "_sorting",
        "counts",
        "is_dead",
        "life",
        "lost",
        "met_s",
        "taken",
    )

    def __init__(
        self,
        env: Environment,
        life: PodLife,
        fates: Fates,
        sorting: Sorting,
        service: Service,
        kills: Callable[[Server], None],
    ) -> None:
        self._env = env
        self._fates = fates
        self._sorting = sorting
        self._concurrency = service.concurrency
        self._places = NEVER if service.concurrency is None else service.concurrency
        self._queue_max = service.queue_max
        self._queue: deque[tuple[float, Fate]] = deque()
        self._busy = 0
        self._kills = kills if life.requests_max < NEVER else None
        self._finish = self._finished  # bound once: it is the callback of every request
        self.life = life
        self.counts = [0] * sorting.atoms
        self.is_dead = False
        self.taken = 0
        self.met_s = NEVER
        self.lost = 0

    def meet(self, happenings: Happenings) -> None:
        """Let requests meet other happenings from now on."""
        self._fates.meet(happenings)

    def take(self, now_s: float) -> None:
        """Take the next request."""
        if not self.taken:
            self.met_s = now_s
        self.taken += 1
        fate = self._fates.draw(now_s)
        end = fate.end
        if end is End.INTERCEPTED:
            self.counts[self._sorting.by_end[end, fate.status, 0.0][0][fate.kind]] += 1
            return
        if end is End.UNANSWERED:
            self.counts[self._sorting.by_end[end, fate.status, 0.0][-1][fate.kind]] += 1
            return
        if self._kills is not None and self.taken >= self.life.requests_max:
            self.lost += 1
            self._kills(self)
        elif self._busy < self._places:
            self._start(now_s, now_s, fate)
        elif len(self._queue) < self._queue_max:
            self._queue.append((now_s, fate))
        else:
            self.counts[self._sorting.by_end[End.REJECTED, 503, 0.0][0][fate.kind]] += 1

    def _start(self, came_s: float, now_s: float, fate: Fate) -> None:
        self._busy += 1
        work_s = fate.work_s
        sorting = self._sorting
        took_s = now_s - came_s + work_s
        atom = sorting.by_end[fate.end, fate.status, fate.held_s][bisect_left(sorting.bins_s, took_s)][fate.kind]
        self._env.timeout(work_s, atom).callbacks.append(self._finish)

    def _finished(self, event: Any) -> None:
        if self.is_dead:
            return
        self.counts[event._value] += 1
        self._busy -= 1
        if self._queue:
            came_s, fate = self._queue.popleft()
            self._start(came_s, self._env.now, fate)

    def die(self) -> None:
        """End with everything that was under way."""
        if not self.is_dead:
            self.is_dead = True
            self.lost += self._busy + len(self._queue)
            self._queue.clear()

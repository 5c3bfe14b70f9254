"""Whose turn it is: keys to look at, each at most once at a time, now or at an instant, later after a failure.

Many changes of one object are one look, and a look that fails waits longer each time, so that one bad object neither
stops the others nor keeps a core busy. Instants are on the monotonic clock. Knows nothing of what keys mean.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 60.0


class WorkQueue(Generic[K]):
    """Keys with a time. All methods are safe from every thread."""

    def __init__(self, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._due_s: dict[K, float] = {}  # when each waiting key is next looked at
        self._heap: list[tuple[float, int, K]] = []
        self._busy: set[K] = set()
        self._again: set[K] = set()  # asked for while it was being looked at
        self._failures: dict[K, int] = {}
        self._count = 0
        self._closed = False
        self._changed = threading.Condition(threading.RLock())

    def __len__(self) -> int:
        """How many keys could be looked at now."""
        with self._changed:
            now_s = self._now_s()
            return sum(due_s <= now_s for due_s in self._due_s.values())

    @property
    def pressed(self) -> bool:
        """Whether somebody's time has come, and nobody looks yet."""
        with self._changed:
            wait_s = self._drop_stale()
            return wait_s is not None and wait_s <= 0

    def add(self, key: K, *, after_s: float = 0.0) -> None:
        """Look at a key after so long; an earlier look that was asked for stays as it is."""
        with self._changed:
            if key in self._busy and after_s <= 0:
                self._again.add(key)
                return
            at_s = self._now_s() + max(after_s, 0.0)
            known_s = self._due_s.get(key)
            if known_s is not None and known_s <= at_s:
                return
            self._due_s[key] = at_s
            self._count += 1  # ties go to who came first
            heapq.heappush(self._heap, (at_s, self._count, key))
            self._changed.notify()

    def take(self) -> K | None:
        """Return a key whose time has come, and nobody else gets until `done` or `failed`; None once closed."""
        with self._changed:
            while not self._closed:
                wait_s = self._drop_stale()
                if wait_s is not None and wait_s <= 0:
                    _, _, key = heapq.heappop(self._heap)
                    del self._due_s[key]
                    self._busy.add(key)
                    return key
                self._changed.wait(wait_s)
            return None

    def done(self, key: K, *, again_s: float | None = None) -> None:
        """End a look that succeeded; look again after `again_s`, if given."""
        with self._changed:
            self._failures.pop(key, None)
            self._release(key)
        if again_s is not None:
            self.add(key, after_s=again_s)

    def failed(self, key: K) -> float:
        """End a look that failed; it comes again after a wait that doubles each time. Returns the wait."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self._release(key)
        wait_s = min(BACKOFF_FIRST_S * 2.0**failures, BACKOFF_MAX_S)
        self.add(key, after_s=wait_s)
        return wait_s

    def forget(self, key: K) -> None:
        """Drop what is known of a key that is gone."""
        with self._changed:
            self._failures.pop(key, None)
            self._due_s.pop(key, None)
            self._again.discard(key)

    def close(self) -> None:
        """Let everybody who waits in `take` go home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _release(self, key: K) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _drop_stale(self) -> float | None:
        """Return how long the next key has to wait; None: there is none. Entries that were overtaken are dropped."""
        while self._heap:
            at_s, _, key = self._heap[0]
            if self._due_s.get(key) != at_s:
                heapq.heappop(self._heap)
                continue
            if key in self._busy:  # it comes up again when its look is over
                heapq.heappop(self._heap)
                self._due_s.pop(key)
                self._again.add(key)
                continue
            return at_s - self._now_s()
        return None

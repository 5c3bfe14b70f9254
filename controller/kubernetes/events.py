"""Kubernetes events: what happened to an object, for people who describe it. Repeats are counted, not piled up."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, ApiError, Connection, NotFoundError
from controller.kubernetes.api.resources import EVENTS
from controller.kubernetes.wire.stamps import stamp

Json = dict[str, Any]

COMPONENT = "gamebird"
KEPT = 2_000
WAITING_MAX = 2_000
HELD_BACK_S = 2.0
HELD_BACK_LOOK_S = 0.02
MESSAGE_MAX = 1_000

log = logging.getLogger(__name__)


class EventWriter:
    """Writes events. Losing one harms nobody, so a failure to write is logged and nothing else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: OrderedDict[str, int] = OrderedDict()  # event name -> how often

    def emit(self, item: Json, reason: str, message: str, *, warning: bool = False, now_s: float) -> None:
        """Say something about an object; the same said again raises the count of the first."""
        metadata = item["metadata"]
        message = message[:MESSAGE_MAX]
        said = "\n".join((metadata["uid"], reason, message))
        name = f"{metadata['name'][:200]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        count = self._known.get(name, 0) + 1
        self._known[name] = count
        self._known.move_to_end(name)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        body = _event(item, name, reason, message, warning, now_s)
        try:
            self._write(metadata["namespace"], body, count)
        except ApiError as error:
            log.warning("an event was not written", extra={"reason": reason, "error": str(error)})

    def _write(self, namespace: str, body: Json, count: int) -> None:
        name, when = body["metadata"]["name"], body["lastTimestamp"]
        if count > 1:
            try:
                self._connection.patch(EVENTS, namespace, name, {"count": count, "lastTimestamp": when})
            except NotFoundError:
                pass  # the server forgets events after an hour; say it anew
            else:
                return
        try:
            self._connection.create(EVENTS, namespace, body)
        except AlreadyExistsError:  # said before a restart
            self._connection.patch(EVENTS, namespace, name, {"lastTimestamp": when})


class EventQueue:
    """Writes events in a thread of its own, in their order, so that nobody who decides or acts waits for them.

    Args:
        pressed: whether something more urgent is waiting to be done; events are held back meanwhile, for two seconds
            each at the most: where a hundred releases are aborted at once, weights come before words.
    """

    def __init__(self, writer: EventWriter, *, pressed: Callable[[], bool] = lambda: False) -> None:
        self._writer, self._pressed = writer, pressed
        self._closing = threading.Event()
        self._waiting: queue.Queue[tuple[Json, str, str, bool, float] | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def emit(self, item: Json, reason: str, message: str, *, warning: bool = False, now_s: float) -> None:
        """Let something be said about an object; with too much to say already, it is lost and logged."""
        try:
            self._waiting.put_nowait((item, reason, message, warning, now_s))
        except queue.Full:
            log.warning("an event was not written", extra={"reason": reason, "error": "too many are waiting"})

    def close(self, *, within_s: float = 2.0) -> None:
        """Say what waits, within a limit and holding nothing back any more, and end."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(within_s)

    def _work(self) -> None:
        while (entry := self._waiting.get()) is not None:
            item, reason, message, warning, now_s = entry
            self._hold_back()
            try:
                self._writer.emit(item, reason, message, warning=warning, now_s=now_s)
            except Exception:
                log.exception("an event met a bug", extra={"reason": reason})

    def _hold_back(self) -> None:
        until_s = time.monotonic() + HELD_BACK_S
        while self._pressed() and time.monotonic() < until_s:
            if self._closing.wait(HELD_BACK_LOOK_S):
                return


def _event(item: Json, name: str, reason: str, message: str, warning: bool, now_s: float) -> Json:
    metadata = item["metadata"]
    when = stamp(round(now_s))
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": COMPONENT},
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }

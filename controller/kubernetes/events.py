"""Kubernetes events: what happened to an object, for people who describe it. Repeats are counted, not piled up."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, ApiError, Connection, NotFoundError
from controller.kubernetes.api.resources import EVENTS
from controller.kubernetes.wire.stamps import stamp

Json = dict[str, Any]

COMPONENT = "gamebird"
KEPT = 2_000
MESSAGE_MAX = 1_000

log = logging.getLogger(__name__)


class EventWriter:
    """Writes events. Losing one harms nobody, so a failure to write is logged and nothing else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: OrderedDict[str, int] = OrderedDict()  # event name -> how often
        self._lock = threading.Lock()

    def emit(self, item: Json, reason: str, message: str, *, warning: bool = False, now_s: float) -> None:
        """Say something about an object; the same said again raises the count of the first."""
        metadata = item["metadata"]
        message = message[:MESSAGE_MAX]
        said = "\n".join((metadata["uid"], reason, message))
        name = f"{metadata['name'][:200]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        with self._lock:
            count = self._known.get(name, 0) + 1
            self._known[name] = count
            self._known.move_to_end(name)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        try:
            if count > 1:
                try:
                    patch = {"count": count, "lastTimestamp": stamp(round(now_s))}
                    self._connection.patch(EVENTS, metadata["namespace"], name, patch)
                except NotFoundError:
                    pass  # the server forgets events after an hour; say it anew
                else:
                    return
            try:
                body = _event(item, name, reason, message, warning, now_s)
                self._connection.create(EVENTS, metadata["namespace"], body)
            except AlreadyExistsError:  # said before a restart
                self._connection.patch(EVENTS, metadata["namespace"], name, {"lastTimestamp": stamp(round(now_s))})
        except ApiError as error:
            log.warning("an event was not written", extra={"reason": reason, "error": str(error)})


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

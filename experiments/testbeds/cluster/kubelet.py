"""What a kubelet would tell of pods, where there is none: they become ready a while after they were created.

The instant kind: no container runs, only the pod's status is written.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controller.kubernetes.api import ApiError, Connection
from controller.kubernetes.api.resources import PODS
from controller.kubernetes.api.watching import Key, Reflector, key_of
from controller.kubernetes.work_queue import WorkQueue

Json = dict[str, Any]


class InstantKubelet:
    """Makes pods ready `ready_s` after it first sees them, but those of which `stays_unready` says so."""

    def __init__(
        self,
        connection: Connection,
        *,
        ready_s: float = 0.5,
        stays_unready: Callable[[Json], bool] = lambda _: False,
    ) -> None:
        self._connection, self._ready_s, self._stays_unready = connection, ready_s, stays_unready
        self._queue: WorkQueue[Key] = WorkQueue()
        self._pods = Reflector(connection, PODS, changed=self._changed)
        self._threads = [threading.Thread(target=self._work, name=f"kubelet-{n}", daemon=True) for n in range(4)]

    def start(self) -> None:
        """Begin to look after pods."""
        self._pods.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every thread; pods stay as they are."""
        self._queue.close()
        self._pods.stop()
        for thread in self._threads:
            thread.join()

    def _changed(self, before: Json | None, after: Json | None) -> None:
        if before is None and after is not None:
            self._queue.add(key_of(after), after_s=self._ready_s)

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            pod = self._pods.get(key)
            if pod is not None and not self._stays_unready(pod):
                with contextlib.suppress(ApiError):  # gone meanwhile
                    self._connection.patch(
                        PODS, key.namespace, key.name, {"status": ready_status()}, subresource="status"
                    )
            self._queue.done(key)


def ready_status(address: str = "10.0.0.1", *, ready: bool = True) -> Json:
    """Return the status of a running pod."""
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    truth = "True" if ready else "False"
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            {"type": name, "status": truth, "lastTransitionTime": now} for name in ("Ready", "ContainersReady")
        ],
    }

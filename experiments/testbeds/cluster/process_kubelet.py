"""A kubelet whose pods are processes of this machine: started, probed, restarted and ended as the API server says.

It watches pods, starts the demo service for each on an address of its own, and writes what it sees into their statuses:
address, readiness, restarts. kube-controller-manager does the rest (ReplicaSets count ready pods, EndpointSlices get
addresses), so nothing here knows of rollouts or traffic. Containers, volumes and images are what is missing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, ApiError, ConflictError, Connection, NotFoundError, Resource
from controller.kubernetes.api.resources import PODS
from controller.kubernetes.api.watching import Key, Reflector, key_of
from controller.kubernetes.wire.stamps import stamp
from controller.kubernetes.work_queue import WorkQueue
from experiments.testbeds.cluster.pod_addresses import free_pod_ip, place_of
from experiments.testbeds.cluster.pod_specs import PodSpecError, grace_s, pod_hash_of, port_of, probing_of, program_of
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.pods import Crash, Fleet, Pod

Json = dict[str, Any]

LOOK_S = 0.1
RETRY_S = 0.5
NODE = "this-machine"
NODES = Resource(group="", version="v1", plural="nodes", kind="Node", namespaced=False)


class ProcessKubelet:
    """Runs the pods of a whole cluster. Made, started and stopped by one owner.

    Args:
        folder: an existing folder for the pods' logs.
    """

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
        self._queue: WorkQueue[Key] = WorkQueue()
        self._pods = Reflector(connection, PODS, changed=self._changed)
        self._fleet = Fleet(
            folder=folder,
            clock=PolicyClock(origin_now(1.0)),
            programs={},
            on_change=self._look_at_all,
            on_crash=self._crashed,
            look_s=LOOK_S,
        )
        self._addresses: dict[Key, str] = {}
        self._ending: dict[Key, float] = {}  # when each pod that goes is told to end, on the monotonic clock
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="kubelet", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to look after pods, as a node of the cluster: EndpointSlices leave out pods that no node has.

        Raises:
            ApiError: the node cannot be made known.
        """
        with contextlib.suppress(AlreadyExistsError):
            self._connection.create(NODES, None, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        self._fleet.start()
        self._pods.start()
        self._thread.start()

    def stop(self) -> None:
        """End every pod's process; their objects stay as they are."""
        self._queue.close()
        self._pods.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._fleet.stop()

    @property
    def failure(self) -> BaseException | None:
        """The bug that ended one of its threads; None while all is well."""
        return self._failure or self._fleet.failure or self._pods.failure

    # ---- what wakes it

    def _changed(self, before: Json | None, after: Json | None) -> None:
        item = after or before
        if item is None:
            return
        key = key_of(item)
        self._queue.add(key)
        if after is None:
            self._fleet.evict(_name(key))
            with self._lock:
                self._addresses.pop(key, None)
                self._ending.pop(key, None)

    def _crashed(self, crash: Crash) -> None:
        self._look_at_all()

    def _look_at_all(self) -> None:
        with self._lock:
            keys = list(self._addresses)
        for key in keys:
            self._queue.add(key)

    # ---- one pod's turn

    def _work(self) -> None:
        try:
            while (key := self._queue.take()) is not None:
                try:
                    self._tend(key)
                except ApiError:
                    self._queue.add(key, after_s=RETRY_S)
                finally:
                    self._queue.done(key)
        except BaseException as error:
            self._failure = error

    def _tend(self, key: Key) -> None:
        item = self._pods.get(key)
        if item is None:
            return
        if "deletionTimestamp" in item["metadata"]:
            self._see_off(key, item)
            return
        if not item["spec"].get("nodeName"):
            self._bind(key)  # the change of the pod brings the next turn
            return
        with self._lock:
            address = self._addresses.get(key)
        if address is None:
            try:
                address = self._begin(key, item)
            except (PodSpecError, WorldError) as error:
                self._store(item, _refused(item, str(error)))
                return
        pod = next((pod for pod in self._fleet.members() if pod.name == _name(key)), None)
        if pod is not None:
            self._store(item, _running(item, pod, address))

    def _bind(self, key: Key) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key.name}, "target": target}
        with contextlib.suppress(NotFoundError, ConflictError):  # gone, or bound by somebody else
            self._connection.call("POST", PODS.path(key.namespace, key.name, "binding"), body=body, resource=PODS)

    def _see_off(self, key: Key, item: Json) -> None:
        """Let a deleted pod go: its preStop sleep, then the signal, and the object when the process has ended.

        Meanwhile its endpoint is no longer ready, so the router has time to look elsewhere.
        """
        ends_s = self._ending.setdefault(key, time.monotonic() + grace_s(item))
        if time.monotonic() >= ends_s:
            self._fleet.evict(_name(key))
            if self._fleet.has_ended(_name(key)):
                with contextlib.suppress(NotFoundError):
                    self._connection.delete(PODS, key.namespace, key.name, body={"gracePeriodSeconds": 0})
                return
        self._queue.add(key, after_s=LOOK_S)

    def _begin(self, key: Key, item: Json) -> str:
        """Start a pod's process and return the address that it has for the API."""
        port, program, probing = port_of(item), program_of(item), probing_of(item)
        address = free_pod_ip(port)
        self._fleet.admit(_name(key), pod_hash_of(item), place_of(address, port), program, probing)
        with self._lock:
            self._addresses[key] = address
        if self._pods.get(key) is None:  # deleted while its process was started: nobody else would end it
            self._changed(item, None)
        return address

    def _store(self, item: Json, status: Json) -> None:
        if _says_the_same(item.get("status") or {}, status):
            return
        key = key_of(item)
        with contextlib.suppress(NotFoundError):  # gone meanwhile
            self._pods.learn(
                self._connection.patch(PODS, key.namespace, key.name, {"status": status}, subresource="status")
            )


def _name(key: Key) -> str:
    """Return the fleet's name of a pod."""
    return f"{key.namespace}.{key.name}"


def _running(item: Json, pod: Pod, address: str) -> Json:
    """Return the status of a pod whose process was started."""
    ready, container = pod.ready_since_s is not None, item["spec"]["containers"][0]
    began = (item.get("status") or {}).get("startTime") or stamp(time.time())
    if pod.child is not None:
        state: Json = {"running": {"startedAt": began}}
    else:
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "the process ended and will be started again"}}
    told: Json = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": ready,
        "started": pod.child is not None,
        "restartCount": pod.restarts,
        "state": state,
    }
    if pod.exit_code is not None:
        told["lastState"] = {"terminated": {"exitCode": pod.exit_code, "reason": "Error"}}
    return {
        "phase": "Running",
        "startTime": began,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": _conditions(item, ready=ready),
        "containerStatuses": [told],
    }


def _refused(item: Json, why: str) -> Json:
    """Return the status of a pod that cannot run here."""
    container = item["spec"]["containers"][0]
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": why}}
    told = {"name": container["name"], "image": container.get("image", ""), "imageID": "", "ready": False}
    return {
        "phase": "Pending",
        "conditions": _conditions(item, ready=False),
        "containerStatuses": [{**told, "restartCount": 0, "state": waiting}],
    }


def _conditions(item: Json, *, ready: bool) -> list[Json]:
    """Return the pod's conditions; one that stays keeps the time at which it came about."""
    known = {each["type"]: each for each in (item.get("status") or {}).get("conditions") or ()}
    found = []
    for name, holds in (("Initialized", True), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", True)):
        status = "True" if holds else "False"
        before = known.get(name, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        found.append({"type": name, "status": status, "lastTransitionTime": since or stamp(float(int(time.time())))})
    return found


def _says_the_same(known: Json, wanted: Json) -> bool:
    """Whether the stored status says all that is wanted; what the server has added to it does not count."""

    def within(part: Any, whole: Any) -> bool:
        if isinstance(part, dict):
            return isinstance(whole, dict) and all(within(value, whole.get(name)) for name, value in part.items())
        if isinstance(part, list):
            return isinstance(whole, list) and len(part) == len(whole) and all(map(within, part, whole))
        return bool(part == whole)

    return within(wanted, known)

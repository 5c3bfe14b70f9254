"""Play a small canary whose controller is harmed at its n-th write, and say which of the promises was broken.

Each canary has a namespace, a controller process and a proxy's path of its own, so that many are played side by side.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from api_proxy import ApiProxy, Client, Fate, Write
from small_canary import CANARY_INGRESS, REPLICAS, WEIGHT, create, deploy, status_of

from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import INGRESSES, NAMESPACES, REPLICA_SETS, SERVICES
from experiments.testbeds.cluster.control_plane import ControlPlane

Json = dict[str, Any]
Start = Callable[..., subprocess.Popen[bytes]]

INSTANCE = {labels.INSTANCE_ID: "harmed"}  # a controller of the whole cluster may be running as well
WITHIN_S = 120.0
QUICK = {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}


class Harm(Enum):
    """What is done at the n-th write."""

    NONE = "nothing"
    KILLED_BEFORE = "killed before it arrives"
    KILLED_AFTER = "killed before it is answered"
    CONFLICT = "a conflict"
    UNANSWERED = "no answer"


@dataclass(slots=True, kw_only=True)
class HarmedCanary:
    """One canary, from its first version to the end of its second.

    Attributes:
        bad: whether its metric says that the second version is bad.
        at_write: which write after the second version is harmed; 1 is the first.
    """

    connection: Connection
    plane: ControlPlane
    proxy: ApiProxy
    start: Start
    folder: Path
    prometheus: str
    bad: bool
    harm: Harm = Harm.NONE
    at_write: int = 0
    broken: list[str] = field(default_factory=list)
    harmed: bool = False
    writes: int = 0
    _client: Client = field(default_factory=Client)
    _process: subprocess.Popen[bytes] | None = None
    _before: int = 0  # writes that the first version took

    @property
    def namespace(self) -> str:
        """Where it is played."""
        release = "bad" if self.bad else "good"
        return f"{release}-{self.harm.name.lower().replace('_', '-')}-{self.at_write}"

    def play(self) -> list[str]:
        """Return what was broken, each with a name that tells this play from the others."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.connection.create(NAMESPACES, None, body)
        create(self.connection, self.namespace, self.prometheus, labels=INSTANCE, canary=QUICK)
        self._client, address = self.proxy.client(self.namespace)
        kubeconfig = self.plane.write_kubeconfig(
            self.folder / f"{self.namespace}.json", self.plane.token, server=address
        )
        instance = INSTANCE[labels.INSTANCE_ID]
        options = ("--namespace", self.namespace, "--instance-id", instance, "--kubeconfig", str(kubeconfig))
        self._process = self.start(self.folder / f"{self.namespace}.log", *options)
        try:
            self._await(lambda: self._status().get("phase") == "Healthy", "the first version is healthy")
            self._before = self._client.count
            self._client.fate, self._client.seen = self._fate, self._look
            deploy(self.connection, self.namespace, "2")
            self._await_end(options)
            self._check_writes()
        except AssertionError as error:
            self.broken.append(str(error))
        finally:
            self._process.kill()
            self._process.wait()
        self.writes = self._client.count - self._before
        return [f"{self.namespace}: {each}" for each in self.broken]

    # ---- harm

    def _fate(self, number: int, write: Write) -> Fate:
        """Harm the n-th write; and look, before a weight is raised, whether there are pods to take it."""
        weight = _weight_in(write)
        if weight:
            self._check_pods(weight)
        if number - self._before != self.at_write:
            return Fate.PASSES
        self.harmed = True
        match self.harm:
            case Harm.NONE:
                return Fate.PASSES
            case Harm.KILLED_BEFORE:
                self._kill()
                return Fate.LOST
            case Harm.KILLED_AFTER | Harm.UNANSWERED:
                return Fate.UNANSWERED
            case Harm.CONFLICT:
                return Fate.CONFLICT

    def _look(self, write: Write) -> None:
        if self.harm is Harm.KILLED_AFTER and self.harmed and self._client.count - self._before == self.at_write:
            self._kill()

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def _await_end(self, options: tuple[str, ...]) -> None:
        restarted = False

        def ended() -> bool:
            nonlocal restarted
            if self._process is not None and self._process.poll() is not None:
                assert not restarted, "the controller ended by itself"
                restarted = True
                self._process = self.start(self.folder / f"{self.namespace}.log", *options)
            return self._is_at_rest()

        self._await(ended, "it is at rest")

    # ---- promises

    def _is_at_rest(self) -> bool:
        status = self._status()
        if status.get("phase") != ("Degraded" if self.bad else "Healthy") or status.get("observedGeneration") != "2":
            return False
        stable = status.get("stableRS")
        if self.bad == (stable == status.get("currentPodHash")):
            return False
        sets = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        wanted = {item["metadata"]["labels"][labels.POD_HASH]: int(item["spec"].get("replicas") or 0) for item in sets}
        selected = {
            self.connection.get(SERVICES, self.namespace, name)["spec"]["selector"].get(labels.POD_HASH)
            for name in ("stable", "canary")
        }
        ingress = self.connection.get(INGRESSES, self.namespace, CANARY_INGRESS)
        others = [count for pod_hash, count in wanted.items() if pod_hash != stable]
        return (
            len(wanted) == 2
            and wanted.get(str(stable)) == REPLICAS
            and others == [0]
            and selected == {stable}
            and ingress["metadata"]["annotations"][WEIGHT] == "0"
        )

    def _check_pods(self, weight: int) -> None:
        needed = math.ceil(weight * REPLICAS / 100)
        sets = self.connection.list_all(REPLICA_SETS, self.namespace)["items"]
        current = [item for item in sets if item["metadata"]["annotations"].get(labels.REVISION) == "2"]
        available = sum(int((item.get("status") or {}).get("availableReplicas") or 0) for item in current)
        if available < needed:
            self.broken.append(f"weight {weight} with {available} of {needed} canary pods available")

    def _check_writes(self) -> None:
        done = [write for write in self._client.writes if write.status < 300]
        weights = [weight for weight in map(_weight_in, done) if weight is not None]
        raised = [weight for weight in weights if weight]
        allowed = {20} if self.bad else {20, 50, 100}
        if not set(raised) <= allowed or raised != sorted(raised):
            self.broken.append(f"weights {weights}")
        first = next((at for at, weight in enumerate(weights) if weight), len(weights))
        if raised and any(weights[weights.index(0, first) :]):
            self.broken.append(f"a weight rose after it was 0: {weights}")
        begun = sum(write.method == "POST" and write.kind == "analysisruns" and write.status == 201 for write in done)
        if begun != 1:
            self.broken.append(f"{begun} analyses were begun")

    def _status(self) -> Json:
        return status_of(self.connection, self.namespace)

    def _await(self, seen: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not seen():
            assert time.monotonic() < deadline_s, (
                f"not within {WITHIN_S:g} s: {what}; it is {self._status().get('phase')}: "
                f"{self._status().get('message')}"
            )
            time.sleep(0.2)


def _weight_in(write: Write) -> int | None:
    """Return the canary's weight that a write sets; None: it sets none."""
    if write.kind != "ingresses":
        return None
    text = ((write.body.get("metadata") or {}).get("annotations") or {}).get(WEIGHT)
    return None if text is None else int(text)

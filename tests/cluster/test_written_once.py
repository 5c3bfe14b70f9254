"""After an abort everything is written once: a proxy counts what the controller writes until the canary is gone."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_proxy import ApiProxy, Client
from small_canary import CANARY_INGRESS, WEIGHT, create, deploy, status_of

from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import INGRESSES, REPLICA_SETS, SERVICES
from experiments.testbeds.cluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

INSTANCE = {labels.INSTANCE_ID: "counted"}  # a controller of the whole cluster may be running as well
WITHIN_S = 60.0
QUIET_S = 2.0


@pytest.fixture
def counted(
    control_plane: ControlPlane,
    controller_process: Callable[..., subprocess.Popen[bytes]],
    kubelet: Any,
    namespace: str,
    tmp_path: Path,
) -> Iterator[Client]:
    """A controller of the test's namespace, and what it writes."""
    proxy = ApiProxy(control_plane.address, control_plane.certificate)
    client, address = proxy.client("counted")
    kubeconfig = control_plane.write_kubeconfig(tmp_path / "kubeconfig", control_plane.token, server=address)
    log = tmp_path / "controller.log"
    options = ("--namespace", namespace, "--instance-id", INSTANCE[labels.INSTANCE_ID])
    process = controller_process(log, *options, "--kubeconfig", str(kubeconfig))
    yield client
    process.kill()
    process.wait()
    proxy.stop()


def test_after_an_abort_weight_and_selectors_are_written_once_until_the_canary_is_gone(
    counted: Client, connection: Connection, namespace: str, prometheus_that_says: Any
) -> None:
    def eventually(seen: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not seen():
            assert time.monotonic() < deadline_s, f"not within {WITHIN_S:g} s: {what}"
            time.sleep(0.05)

    def phase() -> str:
        return str(status_of(connection, namespace).get("phase"))

    def canary_is_gone() -> bool:
        status = status_of(connection, namespace)
        sets = connection.list_all(REPLICA_SETS, namespace)["items"]
        canary = [one for one in sets if one["metadata"]["labels"][labels.POD_HASH] == status["currentPodHash"]]
        return [(one["spec"].get("replicas"), one["status"].get("replicas")) for one in canary] == [(0, 0)]

    prometheus_that_says.value = 0.5
    delay = {"abortScaleDownDelaySeconds": 2}
    create(connection, namespace, prometheus_that_says.address, labels=INSTANCE, canary=delay)
    eventually(lambda: phase() == "Healthy", "the first version is healthy")
    deploy(connection, namespace, "2")
    eventually(lambda: "20" in [_weight(write.body) for write in counted.writes], "the canary has its share")
    before = len(counted.writes)
    eventually(lambda: phase() == "Degraded", "it is aborted")
    eventually(canary_is_gone, "the canary's pods are gone")
    time.sleep(QUIET_S)
    written = counted.writes[before:]
    number = len(written)
    routed = [write for write in written if write.kind in ("ingresses", "services")]
    # One weight, 0; and the canary's Service, which selects stable's pods again. Stable's Service stays as it is.
    assert [(write.kind, _weight(write.body)) for write in routed] == [("ingresses", "0"), ("services", None)]
    assert routed[1].path.endswith("/services/canary")
    # The weight is what an abort writes first: all that came before it is of the analysis that failed.
    at = written.index(routed[0])
    assert not [write for write in written[:at] if write.kind == "rollouts/status" and _aborts(write.body)]
    assert max(Counter(repr((write.path, write.body)) for write in written).values()) == 1
    time.sleep(QUIET_S)
    assert len(counted.writes) - before == number, "something is still being written"
    assert connection.get(INGRESSES, namespace, CANARY_INGRESS)["metadata"]["annotations"][WEIGHT] == "0"
    selected = connection.get(SERVICES, namespace, "canary")["spec"]["selector"][labels.POD_HASH]
    assert selected == status_of(connection, namespace)["stableRS"]


def _weight(body: dict[str, Any]) -> str | None:
    found: str | None = ((body.get("metadata") or {}).get("annotations") or {}).get(WEIGHT)
    return found


def _aborts(body: dict[str, Any]) -> bool:
    return bool((body.get("status") or {}).get("abort"))

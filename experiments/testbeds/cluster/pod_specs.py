"""What a process pod is to run, read from the pod object: port, readiness probe, and the release that it plays.

Pure. A container cannot run here, so the demo service stands in for each pod's first container: it listens on the
container's port, answers the container's readiness probe, and behaves as the annotation `gamebird.dev/demo` says; a
pod without one plays a good release. The same annotation reaches the demo image in a real cluster, by the downward API.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from controller.kubernetes import labels
from experiments.testbeds.local.pods import Probing
from experiments.testbeds.local.programs import READY_PATH, DemoProgram
from sim.releases import Release

Json = dict[str, Any]

ANNOTATION = "gamebird.dev/demo"
PORT_MIN = 1024


class PodSpecError(ValueError):
    """The pod asks for something that a process cannot do here; the message names the field."""


class DemoOrders(BaseModel):
    """What the annotation says to the demo service.

    Attributes:
        release: how it behaves.
        routes: (method, path) of each kind of request, so that their series exist from the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: Release = Release()
    routes: tuple[tuple[str, str], ...] = (("GET", "/"),)


def annotation_of(release: Release, routes: tuple[tuple[str, str], ...]) -> str:
    """Return the annotation's text that makes a pod play this release."""
    orders = DemoOrders(release=release, routes=routes)
    return json.dumps(orders.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


def pod_hash_of(pod: Json) -> str:
    """Return the pod-template hash of the pod's revision; "" for a pod of nobody's rollout."""
    return str((pod["metadata"].get("labels") or {}).get(labels.POD_HASH, ""))


def program_of(pod: Json) -> DemoProgram:
    """Return what the pod's process is.

    Raises:
        PodSpecError: the annotation cannot be read.
    """
    text = (pod["metadata"].get("annotations") or {}).get(ANNOTATION, "{}")
    try:
        orders = DemoOrders.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([ANNOTATION, *map(str, first["loc"])])
        raise PodSpecError(f"metadata.annotations {where}: {first['msg']}") from error
    return DemoProgram(
        service=_service(pod),
        release=orders.release,
        speed=1.0,
        routes=orders.routes,
        ready_path=probing_of(pod).path or READY_PATH,
    )


def port_of(pod: Json) -> int:
    """Return the port that the first container declares.

    Raises:
        PodSpecError: it declares none, or one that needs rights.
    """
    ports = pod["spec"]["containers"][0].get("ports") or ()
    if not ports:
        raise PodSpecError("spec.containers[0].ports is empty; a process pod needs the port that its Service points to")
    port = int(ports[0]["containerPort"])
    if port < PORT_MIN:
        raise PodSpecError(
            f"spec.containers[0].ports[0].containerPort is {port}; a process pod listens on {PORT_MIN} or above"
        )
    return port


def probing_of(pod: Json) -> Probing:
    """Return how the pod's readiness is asked for: as its probe says, with Kubernetes' defaults; else by connecting.

    Raises:
        PodSpecError: the probe is of another kind than httpGet.
    """
    probe = pod["spec"]["containers"][0].get("readinessProbe")
    if not probe:
        return Probing(path=None)
    if "httpGet" not in probe:
        kind = next((name for name in ("exec", "tcpSocket", "grpc") if name in probe), "nothing")
        raise PodSpecError(f"spec.containers[0].readinessProbe has {kind}; a process pod is asked by httpGet")
    period_s = float(probe.get("periodSeconds") or 10)
    return Probing(
        path=str(probe["httpGet"].get("path") or "/"),
        delay_s=float(probe.get("initialDelaySeconds") or 0),
        unready_s=period_s,
        ready_s=period_s,
        failures=int(probe.get("failureThreshold") or 3),
    )


def grace_s(pod: Json) -> float:
    """Return how long the pod goes on after it was deleted before it is told to end: its preStop hook's sleep."""
    hook = (pod["spec"]["containers"][0].get("lifecycle") or {}).get("preStop") or {}
    return float((hook.get("sleep") or {}).get("seconds") or 0)


def _service(pod: Json) -> str:
    """Return the value of the metrics' label `service`: the rollout's name, or the pod's own without an owner."""
    references = pod["metadata"].get("ownerReferences") or ()
    owner = next((str(each["name"]) for each in references if each.get("controller")), pod["metadata"]["name"])
    return owner.removesuffix(f"-{pod_hash_of(pod)}")

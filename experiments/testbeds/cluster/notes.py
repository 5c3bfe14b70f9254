"""What a game day and a test cluster's data plane tell each other, as ConfigMaps of the game day's namespace.

`gamebird-router` is written by the data plane: where users send requests, and the split that Envoy has acknowledged.
`gamebird-faults` is written by the game day: faults that it wants, each with the instant at which it ends, whoever is
still there to end it. A cluster with another data plane has neither; then weights are read from the routing objects,
and faults of proxy and metrics cannot be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from controller.kubernetes.api import Connection, NotFoundError, Resource

Json = dict[str, Any]

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
ROUTER, FAULTS = "gamebird-router", "gamebird-faults"
LABEL = "gamebird.dev/data-plane"
_STATE = "state"


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Share(_Note):
    """One Service's part of the traffic.

    Attributes:
        weight: parts of the sum of all weights.
        pod_hash: the revision that the Service selects.
        pods: how many of its pods the router knows.
    """

    service: str
    weight: int
    pod_hash: str
    pods: int = 0


class RouterState(_Note):
    """What the data plane says of a namespace.

    Attributes:
        target: where users send their requests, http://127.0.0.1:PORT.
        metrics: where Prometheus answers, host:port of this machine; "" where there is none.
        metrics_text: what it is, for reports.
        scrape_s: seconds between two scrapes of a pod.
        shares: the split that Envoy has acknowledged, stable first.
        asked_s: when the objects asked for it, unix seconds; `acknowledged_s`: since when it holds.
        faults: the faults in force, as they were asked for.
        problem: why the objects do not make a route; "" while they do.
    """

    target: str
    metrics: str = ""
    metrics_text: str = ""
    scrape_s: float = 0.0
    shares: tuple[Share, ...] = ()
    asked_s: float = 0.0
    acknowledged_s: float = 0.0
    faults: dict[str, str] = {}
    problem: str = ""


class FaultWish(_Note):
    """One fault that a game day wants.

    Attributes:
        service: whose requests the proxy misbehaves towards; "" for all; "-" where nobody is to answer at Prometheus.
        share: of the requests, 0 to 1, that get `status`, or are held back for `delay_s`.
        until_s: unix seconds at which it ends by itself.
    """

    service: str
    share: float = 1.0
    status: int | None = None
    delay_s: float | None = None
    until_s: float


METRICS = "-"


def state_of(item: Json | None) -> RouterState | None:
    """Return what the data plane's ConfigMap says; None where there is none, or it is somebody else's."""
    text = ((item or {}).get("data") or {}).get(_STATE)
    if text is None:
        return None
    try:
        return RouterState.model_validate_json(text)
    except ValidationError:
        return None


def wishes_of(item: Json | None) -> dict[str, FaultWish]:
    """Return the faults that are asked for, by name; one that cannot be read is not in force, and not acknowledged."""
    found = {}
    for name, text in ((item or {}).get("data") or {}).items():
        try:
            found[name] = FaultWish.model_validate_json(text)
        except ValidationError:
            continue
    return found


def write_state(connection: Connection, namespace: str, state: RouterState) -> None:
    """Let the namespace's ConfigMap say this."""
    _write(connection, namespace, ROUTER, {_STATE: state.model_dump_json()})


def write_wish(connection: Connection, namespace: str, name: str, wish: FaultWish | None) -> str:
    """Ask for a fault, or for its end, and return the text by which it will be acknowledged."""
    text = None if wish is None else wish.model_dump_json()
    _write(connection, namespace, FAULTS, {name: text})
    return text or ""


def _write(connection: Connection, namespace: str, name: str, data: Mapping[str, str | None]) -> None:
    try:
        connection.patch(CONFIG_MAPS, namespace, name, {"data": dict(data)})
    except NotFoundError:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: name}},
            "data": {key: text for key, text in data.items() if text is not None},
        }
        connection.create(CONFIG_MAPS, namespace, body)

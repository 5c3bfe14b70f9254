"""Who a pod is and what its release is like, as one JSON text in the environment of its process."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sim.releases import Release

VARIABLE = "GAMEBIRD_POD"


class Identity(BaseModel):
    """Everything that a pod of the demo service is told at its start.

    Attributes:
        host, port: the address of the loopback, and the port on it, to listen on.
        service: the value of the label `service` of its metrics.
        pod_hash: the revision, sent with every answer.
        first: whether this is the first pod of its revision; faults by count happen there.
        speed: policy seconds per second of the wall.
        seed: chance; two pods of one rehearsal have different ones.
        ready_path: where the readiness probe asks.
        flags_file: a flagd file to read flags from, or None for no flags.
        routes: the paths whose series exist from the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int
    service: str
    pod: str
    pod_hash: str
    first: bool
    speed: float
    seed: int
    release: Release
    ready_path: str = "/-/ready"
    flags_file: str | None = None
    routes: tuple[tuple[str, str], ...] = (("GET", "/"),)

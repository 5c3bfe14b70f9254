"""Who a pod is and what its release is like, as one JSON text in the environment of its process."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sim.releases import Release

VARIABLE = "GAMEBIRD_POD"


class Identity(BaseModel):
    """Everything that a pod of the demo service is told at its start.

    Attributes:
        port: the loopback port to listen on.
        service: the value of the label `service` of its metrics.
        pod_hash: the revision, sent with every answer.
        first: whether this is the first pod of its revision; faults by count happen there.
        speed: policy seconds per second of the wall.
        seed: chance; two pods of one rehearsal have different ones.
        flags_file: a flagd file to read flags from, or None for no flags.
        routes: the paths whose series exist from the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    service: str
    pod: str
    pod_hash: str
    first: bool
    speed: float
    seed: int
    release: Release
    flags_file: str | None = None
    routes: tuple[tuple[str, str], ...] = (("GET", "/"),)

"""What one generator of a replay is told to do, written to its directory before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from loadgen.openloop.plan import IN_FLIGHT_MAX
from loadgen.replay.targets import Permitted

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ShardPlan(BaseModel):
    """One generator's part of a replay.

    Attributes:
        score: the folder of the prepared requests.
        shard, workers: which part of them is this generator's, of how many.
        lasts_s: how long the traffic lasts, seconds of the wall.
        timeout_s: how long a user waits for an answer. drain_s: how long the last ones may take.
        connections_max: connections at most; requests that are due wait for one. None: none waits.
        master_port: where Locust's master listens on the loopback; None: this generator is alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Path
    shard: Annotated[int, Field(ge=0)]
    workers: Annotated[int, Field(ge=1, le=64)]
    target: Permitted
    lasts_s: _Seconds
    timeout_s: _Seconds = 10.0
    drain_s: _Seconds = 10.0
    in_flight_max: Annotated[int, Field(ge=1, le=15_000)] = IN_FLIGHT_MAX
    connections_max: Annotated[int, Field(ge=1)] | None = None
    master_port: Annotated[int, Field(ge=1, le=65_535)] | None = None

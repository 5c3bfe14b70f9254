"""Traffic: how many requests a service gets, when and for what. One schema for game days, Locust and the model.

No clock, no socket; a file is read only where traffic names a recording (`recorded`). `shapes` says what traffic is,
`rates` does the arithmetic of a rate that changes, `arrivals` turns both into the instants at which requests begin.
Everything here is in policy time. What reads files brings a YAML library of its own and is imported when it is used.
"""

from typing import TYPE_CHECKING, Any

from loadgen.traffic.arrivals import REQUESTS_MAX, Schedule, schedule
from loadgen.traffic.rates import Change, RateCurve, TrafficError
from loadgen.traffic.shapes import (
    RPS_MAX,
    Constant,
    Diurnal,
    Level,
    Ramp,
    Route,
    Spike,
    Step,
    Trace,
    Traffic,
)

if TYPE_CHECKING:
    from loadgen.traffic.files import read_traffic

__all__ = [
    "REQUESTS_MAX",
    "RPS_MAX",
    "Change",
    "Constant",
    "Diurnal",
    "Level",
    "Ramp",
    "RateCurve",
    "Route",
    "Schedule",
    "Spike",
    "Step",
    "Trace",
    "Traffic",
    "TrafficError",
    "read_traffic",
    "schedule",
]


def __getattr__(name: str) -> Any:
    if name == "read_traffic":
        from loadgen.traffic.files import read_traffic

        return read_traffic
    raise AttributeError(f"module 'loadgen.traffic' has no attribute {name!r}")

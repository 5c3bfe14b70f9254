"""Traffic from a recording: the rate in bins and the mix of routes of a trace or an access log.

The file is read where traffic is read, once; from then on the shape holds the rates themselves, so that a plan, a
scenario or a report that carries it needs the file no more. pyarrow is imported only where a recording is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.traffic.rates import TrafficError

if TYPE_CHECKING:
    from loadgen.traces.profile import Profile

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
ROUTES_MAX = 200
"""The mix keeps this many routes, the most asked for; what is asked for less often than those is left out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What traffic takes from a recording.

    Attributes:
        bin_s: how wide a bin is.
        rates_rps: requests per second in each bin, from the first request on.
        period_s: how long the recording is; the last bin may be cut short by it.
        routes: (method, target, requests), the most asked for first; of each route the first target that was seen.
    """

    bin_s: float
    rates_rps: tuple[float, ...]
    period_s: float
    routes: tuple[tuple[str, str, int], ...]


def read_recording(
    file: Path, *, bin_s: float | None = None, format_name: str = "auto", log_format: str | None = None
) -> Recording:
    """Return the rates and routes of a trace or a log.

    Raises:
        TrafficError: it cannot be read, or there is no request in it.
    """
    try:
        changed_ns = file.stat().st_mtime_ns
    except OSError as error:
        raise TrafficError(f"{file}: cannot be read: {error.strerror}") from error
    return _recording(file.resolve(), str(file), changed_ns, bin_s, format_name, log_format)


@lru_cache(maxsize=16)
def _recording(
    file: Path, name: str, changed_ns: int, bin_s: float | None, format_name: str, log_format: str | None
) -> Recording:
    from loadgen.traces import Reading, Trace, TraceError
    from loadgen.traces.profile import profile_of

    try:
        profile = profile_of(Trace([str(file)], Reading(format=format_name, log_format=log_format)))
    except TraceError as error:
        raise TrafficError(str(error).replace(str(file), name)) from error
    if not profile.requests:
        raise TrafficError(f"{name}: there is no request in it")
    width_s = bin_s or profile.bin_s()
    return Recording(
        bin_s=width_s,
        rates_rps=tuple(profile.rates(width_s).tolist()),
        period_s=profile.duration_s,
        routes=routes_of(profile),
    )


def routes_of(profile: Profile) -> tuple[tuple[str, str, int], ...]:
    """Return (method, target, requests) of the routes that traffic can ask for, the most asked for first."""
    found = [
        (method, counts.example, counts.requests)
        for method, _, counts in profile.mix()
        if method in METHODS and counts.example.startswith("/")
    ]
    return tuple(found[:ROUTES_MAX])

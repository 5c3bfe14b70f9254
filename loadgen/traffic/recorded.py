"""Traffic from a recording: the rate in bins and the mix of routes of a trace or an access log.

The file is read where traffic is read, once; from then on the shape holds the rates themselves, so that a plan, a
scenario or a report that carries it needs the file no more. pyarrow is imported only where a recording is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.traffic.rates import TrafficError

if TYPE_CHECKING:
    import pyarrow as pa

    from loadgen.traces.profile import Profile

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
INSTANTS_MAX = 100_000
"""So many requests can be asked again each at its own instant; of a longer recording only rate and mix are taken."""

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


def read_instants(
    file: Path, recording: Recording, *, format_name: str = "auto", log_format: str | None = None
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return (requests,) when each was asked, s after the recording's beginning, and (requests,) for which route.

    Where the recording knows whole seconds only, each gets an instant within its second. Those of routes that the mix
    leaves out are left out here, too.

    Raises:
        TrafficError: it cannot be read, or has more requests than are taken.
    """
    from loadgen.traces import Reading, Trace, TraceError
    from loadgen.traces.ordering import spread, times_of
    from loadgen.traces.routes import route_of

    known = {
        (method, route_of(target.partition("?")[0])): at for at, (method, target, _) in enumerate(recording.routes)
    }
    trace = Trace([str(file)], Reading(format=format_name, log_format=log_format))
    tables: list[pa.Table] = []
    try:
        for table in trace:
            tables.append(table)
            if sum(each.num_rows for each in tables) > INSTANTS_MAX:
                raise TrafficError(
                    f"{file}: has more than {INSTANTS_MAX:,} requests, too many to be asked each at its own instant; "
                    "take a stretch with gamebird trace sample, or its rate alone with shape: {kind: trace, file: …}"
                )
    except TraceError as error:
        raise TrafficError(str(error)) from error
    begin_s = math.floor(times_of(tables[0])[0])
    instants_s, routes = list[float](), list[int]()
    for table in spread(tables) if trace.tally.whole_seconds else tables:
        asked = zip(table.column("method").to_pylist(), table.column("path").to_pylist(), strict=True)
        for time_s, (method, path) in zip((times_of(table) - begin_s).tolist(), asked, strict=True):
            route = known.get((method, route_of(path)))
            if route is not None:
                instants_s.append(time_s)
                routes.append(route)
    return tuple(instants_s), tuple(routes)


def routes_of(profile: Profile) -> tuple[tuple[str, str, int], ...]:
    """Return (method, target, requests) of the routes that traffic can ask for, the most asked for first."""
    found = [
        (method, counts.example, counts.requests)
        for method, _, counts in profile.mix()
        if method in METHODS and counts.example.startswith("/")
    ]
    return tuple(found[:ROUTES_MAX])

"""What traffic is: a rate, its shape over time, the routes that it asks for, and how arrivals are spread.

The one schema for it: game day files, the load generator and the simulator read this. Rates are requests per
second of policy time; at speed K a generator sends K times as many per second of the wall.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from loadgen.traffic.rates import Change, Floats, RateCurve, TrafficError
from loadgen.traffic.recorded import Recording, read_instants, read_recording

RPS_MAX = 100_000.0
"""No schema accepts more; what one machine can send is a limit of the generator."""

ROUTES_MAX = 1_000
"""More kinds of request than this are recorded traffic, not a mix that somebody wrote down."""

DIURNAL_PIECES = 96
"""A day's curve is 96 straight pieces (15 minutes each of 24 h): within 0.06 % of the swing from a cosine."""

BINS_MAX = 20_000
"""More bins than this are no shape any more; a year by the half hour is 17,520."""

Rps = Annotated[float, Field(strict=True, ge=0, le=RPS_MAX, allow_inf_nan=False)]
Instant = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Span = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

_TARGET = re.compile(r"/[^\x00-\x20\x7f]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")


class _Value(BaseModel):
    """Frozen, and refusing what it does not know, so that a misspelt field is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Route(_Value):
    """One kind of request, and how often it is asked for in proportion to the others."""

    path: str
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    weight: Weight = 1.0
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None

    @field_validator("path")
    @classmethod
    def _origin_form(cls, path: str) -> str:
        if not _TARGET.fullmatch(path) or path.startswith("//") or not path.isascii():
            raise ValueError("a path that begins with one slash and has no spaces, as in /orders?page=2")
        return path

    @field_validator("headers")
    @classmethod
    def _one_line_each(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} needs a name of letters, digits and dashes and a value on one line")
        return headers

    @property
    def name(self) -> str:
        """Method and path, as reports show the route."""
        return f"{self.method} {self.path}"


class Constant(_Value):
    """`rps` all the time."""

    kind: Literal["constant"] = "constant"

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        return [(0.0, rps)]


class Ramp(_Value):
    """From `rps` to `to_rps` in a straight line that begins at `from_s` and takes `over_s`; then `to_rps`."""

    kind: Literal["ramp"] = "ramp"
    to_rps: Rps
    over_s: Span
    from_s: Instant = 0.0

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        return [(0.0, rps), (self.from_s, rps), (self.from_s + self.over_s, self.to_rps)]


class Level(_Value):
    """From `at_s` on, `rps`."""

    at_s: Instant
    rps: Rps


class Step(_Value):
    """`rps` until the first level, then each level from its instant on."""

    kind: Literal["step"] = "step"
    levels: tuple[Level, ...]

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        if not levels:
            raise ValueError("a step needs one level at least, as in {at_s: 60, rps: 50}")
        for earlier, later in pairwise(levels):
            if later.at_s <= earlier.at_s:
                raise ValueError(f"levels are in order of time; {later.at_s:g} s comes after {earlier.at_s:g} s")
        return levels

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        found, now = [(0.0, rps)], rps
        for level in self.levels:
            found += [(level.at_s, now), (level.at_s, level.rps)]
            now = level.rps
        return found


class Spike(_Value):
    """`rps`, but `to_rps` from `at_s` for `for_s`, and then `rps` again."""

    kind: Literal["spike"] = "spike"
    to_rps: Rps
    at_s: Instant
    for_s: Span

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        end_s = self.at_s + self.for_s
        return [(0.0, rps), (self.at_s, rps), (self.at_s, self.to_rps), (end_s, self.to_rps), (end_s, rps)]


class Diurnal(_Value):
    """A day and its night: `rps` on average, `swing` of it more at the peak and as much less twelve hours away."""

    kind: Literal["diurnal"] = "diurnal"
    swing: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
    peak_at_s: Instant = 0.0
    day_s: Span = 86_400.0

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        piece_s = self.day_s / DIURNAL_PIECES
        at_s = np.arange(math.ceil(duration_s / piece_s) + 1) * piece_s
        rate = rps * (1.0 + self.swing * np.cos(2.0 * np.pi * (at_s - self.peak_at_s) / self.day_s))
        return list(zip(at_s.tolist(), rate.tolist(), strict=True))


class Trace(_Value):
    """As recorded: the rate of a trace or an access log in bins, scaled so that its mean is `rps`.

    Attributes:
        file: the recording, relative to the file that names it; anything that `gamebird trace` reads.
        bin_s: how wide a bin is; unless said, the narrowest of 1 s to 1 h that holds a hundred requests on average.
        rates_rps: requests/s in each bin; read from the file unless written out, and then no file is needed.
        period_s: how long the recording is; after it the traffic begins again, or ends.
        loop: whether it begins again.
        instants_s, asked: when each request was asked and for which of the routes; read from the file where the
            traffic's arrivals are `recorded`.
        format, log_format: how the file is read, as for `gamebird trace`.
    """

    kind: Literal["trace"] = "trace"
    file: str | None = None
    bin_s: Span | None = None
    rates_rps: tuple[Annotated[float, Field(ge=0, le=RPS_MAX, allow_inf_nan=False)], ...] = ()
    period_s: Span | None = None
    loop: bool = True
    instants_s: tuple[float, ...] = ()
    asked: tuple[int, ...] = ()
    format: str = "auto"
    log_format: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        recording = _recording_of(value, info)
        return value if recording is None else {**value, **_read_fields(recording)}

    @model_validator(mode="after")
    def _whole(self) -> Trace:
        if not self.rates_rps or self.bin_s is None:
            raise ValueError("a recording: file, as in {kind: trace, file: tuesday.parquet}, or bin_s and rates_rps")
        if len(self.rates_rps) > BINS_MAX:
            raise ValueError(f"there are {len(self.rates_rps):,} bins; it needs at most {BINS_MAX:,}: raise bin_s")
        if not (len(self.rates_rps) - 1) * self.bin_s < self.period <= len(self.rates_rps) * self.bin_s * (1 + 1e-9):
            raise ValueError(f"period_s is {self.period:g}; it needs to end in the last of the bins")
        if self.mean_rps <= 0:
            raise ValueError("rates_rps are all 0; a recording without requests has no shape")
        return self

    @property
    def period(self) -> float:
        """How long the recording is, s."""
        return self.period_s if self.period_s is not None else len(self.rates_rps) * (self.bin_s or 0.0)

    @property
    def mean_rps(self) -> float:
        """The recording's own rate, requests/s."""
        whole = sum(self.rates_rps[:-1]) * (self.bin_s or 0.0)
        last_s = self.period - (len(self.rates_rps) - 1) * (self.bin_s or 0.0)
        return (whole + self.rates_rps[-1] * last_s) / self.period

    def points(self, rps: float, duration_s: float) -> list[tuple[float, float]]:
        """Return the rate as (s, rps) points joined by straight lines; two at one instant are a jump."""
        width_s, scale = self.bin_s or 0.0, rps / self.mean_rps
        found: list[tuple[float, float]] = []
        for begin_s in self._beginnings(duration_s):
            for index, rate in enumerate(self.rates_rps):
                left_s = begin_s + index * width_s
                if left_s >= duration_s:
                    return found
                found += [(left_s, rate * scale), (min(left_s + width_s, begin_s + self.period), rate * scale)]
        return [*found, (found[-1][0], 0.0)] if found else [(0.0, 0.0)]

    def requests(self, duration_s: float) -> tuple[Floats, NDArray[np.uint16]]:
        """Return (requests,) when each was asked up to `duration_s`, s in order, and (requests,) for which route."""
        begins_s = self._beginnings(duration_s)
        at_s = np.add.outer(np.array(begins_s), np.array(self.instants_s)).ravel()
        route = np.tile(np.array(self.asked, dtype=np.uint16), len(begins_s))
        within = int(np.searchsorted(at_s, duration_s, side="left"))
        return at_s[:within], route[:within]

    def _beginnings(self, duration_s: float) -> list[float]:
        return [number * self.period for number in range(math.ceil(duration_s / self.period) if self.loop else 1)]


def _recording_of(shape: Any, info: ValidationInfo) -> Recording | None:
    """Return the recording that a shape names and does not yet hold; None where there is nothing to read."""
    if not isinstance(shape, dict) or shape.get("kind", "trace") != "trace" or shape.get("rates_rps"):
        return None
    file, bin_s = shape.get("file"), shape.get("bin_s")
    if not isinstance(file, str) or not (bin_s is None or (isinstance(bin_s, int | float) and bin_s > 0)):
        return None  # the fields' own checks tell what is wrong
    folder = (info.context or {}).get("folder", Path())
    log_format = shape.get("log_format")
    return read_recording(
        Path(folder) / file,
        bin_s=None if bin_s is None else float(bin_s),
        format_name=str(shape.get("format", "auto")),
        log_format=log_format if isinstance(log_format, str) else None,
    )


def _with_instants(
    traffic: dict[str, Any], shape: dict[str, Any], recording: Recording, info: ValidationInfo
) -> dict[str, Any]:
    """Return a shape with each request of its recording; raise ValueError where the traffic names routes of its own."""
    if "routes" in traffic:
        raise ValueError("the recording's own routes for recorded arrivals: leave routes out")
    instants_s, asked = read_instants(
        Path((info.context or {}).get("folder", Path())) / shape["file"],
        recording,
        format_name=str(shape.get("format", "auto")),
        log_format=shape.get("log_format"),
    )
    return {**shape, "instants_s": instants_s, "asked": asked}


def _mix(recording: Recording | None) -> dict[str, Any]:
    routes = () if recording is None else recording.routes
    mix = [{"method": method, "path": target, "weight": requests} for method, target, requests in routes]
    return {"routes": mix} if mix else {}


def _read_fields(recording: Recording) -> dict[str, Any]:
    return {"bin_s": recording.bin_s, "rates_rps": recording.rates_rps, "period_s": recording.period_s}


Shape = Annotated[Constant | Ramp | Step | Spike | Diurnal | Trace, Field(discriminator="kind")]


class Traffic(_Value):
    """The requests that a service gets.

    Attributes:
        rps: requests per second of policy time, before the shape has its say; 0 is no traffic at all. With a
            recording it is the mean, and unless said it is the recording's own.
        shape: how the rate changes over time, counted from the first instant of traffic.
        routes: what is asked for; each request draws its route by weight. Unless said, those of a recording.
        arrivals: `poisson` as from many users who know nothing of each other, `even` as from a metronome, `recorded` as
            in a recording, each request at its own instant and for its own route. The model draws those as Poisson's.
        seed: same seed, same instants and routes, on every machine.
    """

    rps: Rps
    shape: Shape = Constant()
    routes: tuple[Route, ...] = (Route(path="/"),)
    arrivals: Literal["poisson", "even", "recorded"] = "poisson"
    seed: Annotated[int, Field(strict=True, ge=0)] = 1

    @field_validator("routes")
    @classmethod
    def _something_to_ask_for(cls, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        # Not by min_length: pydantic would also complain of the length when a route is wrong.
        if not 1 <= len(routes) <= ROUTES_MAX:
            raise ValueError(f"there are {len(routes)} routes; it needs 1 to {ROUTES_MAX:,}")
        return routes

    @model_validator(mode="after")
    def _recorded_as_it_is(self) -> Traffic:
        if self.arrivals == "recorded":
            shape = self.shape
            if not isinstance(shape, Trace) or not shape.instants_s:
                raise ValueError("a recording for its arrivals to be recorded: shape: {kind: trace, file: …}")
            if not math.isclose(self.rps, shape.mean_rps, rel_tol=1e-6):
                raise ValueError("the recording's own rate for recorded arrivals: leave rps out")
            if len(shape.asked) != len(shape.instants_s) or max(shape.asked) >= len(self.routes):
                raise ValueError("one of its routes for each recorded request")
        return self

    @model_validator(mode="before")
    @classmethod
    def _as_recorded(cls, value: Any, info: ValidationInfo) -> Any:
        """Take from a recording the rate and the routes that are not said."""
        shape = value.get("shape") if isinstance(value, dict) else None
        if isinstance(shape, Trace):
            said = shape.model_dump(exclude={"rates_rps"})
            again = _recording_of(said, info)
            if again is not None and value.get("arrivals") == "recorded" and not shape.instants_s:
                value = {**value, "shape": _with_instants(value, {**said, **_read_fields(again)}, again, info)}
            return {"rps": shape.mean_rps, **_mix(again), **value}
        if not isinstance(shape, dict) or shape.get("kind") != "trace":
            return value
        try:
            recording = _recording_of(shape, info)
            whole = shape if recording is None else {**shape, **_read_fields(recording)}
            mean_rps = Trace.model_validate(whole).mean_rps
        except (TrafficError, ValidationError):
            # The shape's own check says the same with its place; a rate that it would have given is not missing.
            return {"rps": 0.0, **value}
        if recording is not None and value.get("arrivals") == "recorded":
            whole = _with_instants(value, whole, recording, info)
        return {"rps": mean_rps, **_mix(recording), **value, "shape": whole}

    def curve(self, duration_s: float, changes: Sequence[Change] = ()) -> RateCurve:
        """Return the rate from 0 s to `duration_s` with the changes that were made on the way."""
        points = self.shape.points(self.rps, duration_s)
        return RateCurve.through(points, duration_s=duration_s).changed(changes)

    def rate_at(self, at_s: float) -> float:
        """Return the rate at one instant after the traffic began, requests/s; at a jump, the rate after it."""
        if at_s < 0:
            return 0.0
        return float(self.curve(at_s + 1.0).rate_at(np.array([at_s]))[0])

    def peak_rps(self, duration_s: float) -> float:
        """Return the highest rate up to `duration_s`, requests/s."""
        return self.curve(duration_s).peak_rps

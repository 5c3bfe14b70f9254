"""What the controller did, line by line: measurements, turns of the rollout with the records behind them, faults.

Pure: events come in, lines go out. Times count from the deployment of the release under test, in seconds of policy
time. Reports print these lines; nothing is decided by them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.events import (
    Deployed,
    Event,
    FaultBegan,
    FaultEnded,
    MeasurementTaken,
    OperatorSpoke,
    PersonSpoke,
    PodEnded,
    RunChanged,
    StatusChanged,
    WeightSet,
)

_BAD_PHASES = ("Failed", "Error", "Inconclusive")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementLine:
    """One measurement, as the report lists it."""

    t_s: float
    step_index: int | None
    metric: str
    value: str
    number: float | None  # the first sample, for the picture
    requests: float | None
    requests_min: float | None
    condition: str
    phase: str
    reason: str
    message: str
    flip: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One turn of the rollout, and the record behind it: which limit fired on which measurement."""

    t_s: float
    what: str
    weight_percent: float
    limit: str = ""  # which limit fired, in the analysis run's own words
    measurements: tuple[MeasurementLine, ...] = ()  # those that the limit counted last


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLine:
    """One fault, and how it ended; None: it was never seen to end."""

    name: str
    kind: str
    detail: str
    began_s: float
    ended_s: float | None
    why: str


def measurement_lines(events: Sequence[Event], t0_s: float) -> tuple[MeasurementLine, ...]:
    """Return every measurement since the deployment, in order of time."""
    taken = [event for event in events if isinstance(event, MeasurementTaken) and event.t_s >= t0_s]
    return tuple(_measurement_line(event, t0_s) for event in sorted(taken, key=lambda event: event.t_s))


def _measurement_line(event: MeasurementTaken, t0_s: float) -> MeasurementLine:
    sample = event.value[0] if isinstance(event.value, tuple) and event.value else event.value
    number = float(sample) if isinstance(sample, (int, float)) and math.isfinite(sample) else None
    conditions = [event.success_condition, event.failure_condition and f"fails on {event.failure_condition}"]
    return MeasurementLine(
        t_s=event.t_s - t0_s,
        step_index=event.step_index,
        metric=event.metric,
        value=value_text(event.value),
        number=number,
        requests=event.requests,
        requests_min=event.requests_min,
        condition="; ".join(filter(None, conditions)) or "none",
        phase=event.phase,
        reason=event.reason,
        message=event.message,
        flip=event.flip,
        query=event.query,
    )


def value_text(value: Any) -> str:
    """Return a measurement's value for people: four digits, brackets around a vector, `no answer` for none."""
    if value is None:
        return "no answer"
    if isinstance(value, tuple):
        return "[" + ", ".join(value_text(sample) for sample in value) + "]"
    return "NaN" if math.isnan(value) else f"{value:.4g}"


def decision_lines(
    events: Sequence[Event], measurements: Sequence[MeasurementLine], t0_s: float, release_hash: str
) -> tuple[DecisionLine, ...]:
    """Return the turns of the rollout since the deployment: steps, weights, the verdict and what it stood on."""
    lines: list[DecisionLine] = []
    before: StatusChanged | None = None
    weight, limit, limit_run = 0.0, "", ""
    runs: dict[str, RunChanged] = {}
    for event in events:
        if event.t_s < t0_s:
            before = event if isinstance(event, StatusChanged) else before
            continue
        match event:
            case WeightSet():
                was, weight = weight, 100.0 if event.stable_hash == release_hash else event.percent
                if event.stable_hash != event.canary_hash and weight != was:
                    lines.append(DecisionLine(t_s=event.t_s - t0_s, what=f"weight {weight:g} %", weight_percent=weight))
            case RunChanged():
                runs[event.run] = event
                if event.phase in _BAD_PHASES:
                    limit, limit_run = event.message, event.run
            case StatusChanged():
                what = _turn(before, event, release_hash)
                before = event
                if what:
                    blamed = _blamed(runs.get(limit_run), measurements, t0_s) if limit else ()
                    lines.append(
                        DecisionLine(
                            t_s=event.t_s - t0_s,
                            what=what,
                            weight_percent=weight,
                            limit=limit,
                            measurements=blamed,
                        )
                    )
                    limit = ""
            case PodEnded():
                lines.append(
                    DecisionLine(
                        t_s=event.t_s - t0_s,
                        what=f"pod {event.pod} ended with exit code {event.exit_code}",
                        weight_percent=weight,
                    )
                )
            case _:
                pass
    return tuple(lines)


def _turn(before: StatusChanged | None, now: StatusChanged, release_hash: str) -> str:
    """Return what this status changed, in words; "" for nothing that people follow."""
    if before is None or before.current_hash != now.current_hash:
        return "a new revision is rolled out"
    if now.aborted and not before.aborted:
        return f"aborted: {now.message}"
    if now.phase != before.phase and now.phase in ("Healthy", "Degraded"):
        return f"{now.phase}: {now.message}" if now.message else now.phase
    if "InconclusiveAnalysisRun" in now.pauses and "InconclusiveAnalysisRun" not in before.pauses:
        return "paused for a person: the analysis is inconclusive"
    if now.step_index != before.step_index and now.step:
        return f"step {now.step_index}: {now.step}"
    return ""


def _blamed(
    run: RunChanged | None, measurements: Sequence[MeasurementLine], t0_s: float
) -> tuple[MeasurementLine, ...]:
    """Return the last measurement of each metric whose phase became the run's own."""
    if run is None:
        return ()
    names = [standing.metric for standing in run.metrics if standing.phase == run.phase]
    until_s = run.t_s - t0_s
    found = []
    for name in names:
        mine = [line for line in measurements if line.metric == name and line.t_s <= until_s]
        found += mine[-1:]
    return tuple(found)


def fault_lines(events: Sequence[Event], t0_s: float) -> tuple[FaultLine, ...]:
    """Return every fault that was put in force, with its own end: a later one may have the name of one that is over."""
    lines: list[FaultLine] = []
    in_force: dict[str, int] = {}  # where in the list each is
    for event in events:
        if isinstance(event, FaultBegan):
            in_force[event.fault] = len(lines)
            line = FaultLine(
                name=event.fault,
                kind=event.kind,
                detail=event.detail,
                began_s=event.t_s - t0_s,
                ended_s=None,
                why="",
            )
            lines.append(line)
        elif isinstance(event, FaultEnded) and event.fault in in_force:
            at = in_force.pop(event.fault)
            lines[at] = replace(lines[at], ended_s=event.t_s - t0_s, why=event.why)
    return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """What somebody said, seconds since the deployment and since the first harm was done; None: before it."""

    t_s: float
    since_harm_s: float | None
    word: str
    text: str


def person_lines(events: Sequence[Event], t0_s: float) -> tuple[PersonLine, ...]:
    """Return what people said, in order of time. Harm begins with the first fault, or with the release itself."""
    harm_s = next((event.t_s for event in events if isinstance(event, FaultBegan)), t0_s)
    return tuple(
        PersonLine(
            t_s=event.t_s - t0_s,
            since_harm_s=event.t_s - harm_s if event.t_s >= harm_s else None,
            word=event.word,
            text=event.text,
        )
        for event in events
        if isinstance(event, PersonSpoke)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLine:
    """A word that the rollout took, seconds since the deployment of the release under test; `effect` in words."""

    t_s: float
    word: str
    effect: str


def operator_lines(events: Sequence[Event]) -> tuple[OperatorLine, ...]:
    """Return the words that the rollout took from a person while the release was under test, in order of time."""
    deployed = [event.t_s for event in events if isinstance(event, Deployed)]
    t0_s = deployed[-1] if deployed else 0.0
    return tuple(
        OperatorLine(t_s=event.t_s - t0_s, word=event.word, effect=event.effect)
        for event in events
        if isinstance(event, OperatorSpoke) and event.t_s >= t0_s
    )

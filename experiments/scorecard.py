"""What a rehearsal showed, as numbers: computed from what happened and from what users saw, and from nothing else.

Pure: events and the load generator's own records come in, a scorecard goes out. Reports print it, the exit code
follows it, tests recompute it. Times in a scorecard count from the deployment of the release under test, in seconds
of policy time, unless a name says `wall`. What was not seen is None, never 0: a canary that no user met was not
caught in no time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.events import (
    Deployed,
    Event,
    FaultBegan,
    FaultEnded,
    MeasurementTaken,
    PodEnded,
    RunChanged,
    StatusChanged,
    WeightSet,
)
from experiments.gameday_files import Expectation
from experiments.provenance import Provenance
from experiments.verdicts import Verdict, find_verdict

if TYPE_CHECKING:
    import pandas as pd

STABLE, UNDER_TEST, NOBODY = "stable", "under test", "nobody"
SERVER_ERROR = 500
_BAD_PHASES = ("Failed", "Error", "Inconclusive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One expectation and what came of it."""

    what: str
    expected: str
    actual: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionCount:
    """What users saw of one revision, from the start of the traffic to its end; latencies in seconds of the wall."""

    role: str  # stable, under test, or nobody: no revision answered
    pod_hash: str
    requests: int
    bad: int
    error_answers: int
    no_answer: int
    too_slow: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadValidity:
    """Whether the load generator did what it was told; the verdict is its own."""

    counts: str
    latency: str
    reasons: tuple[str, ...]
    due: int
    sent: int
    lag_p99_wall_s: float | None

    @property
    def holds(self) -> bool:
        """Whether neither the counts nor the latencies are invalid."""
        return "invalid" not in (self.counts, self.latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """One rehearsal of one policy.

    Attributes:
        detection_s: from the canary's first request to the decision to abort.
        recovery_s: from that decision until the router sends nobody to the canary and the last request was sent to it,
            whichever is later; None if no user ever met it.
        weight_max: the largest share of the traffic that the router was told to give the release before the verdict.
        bad_share: bad requests over all requests since the deployment.
    """

    game_day: str
    title: str
    policy: str
    release: str
    expected: str
    verdict: Verdict
    checks: tuple[Check, ...]
    detection_s: float | None
    recovery_s: float | None
    recovery_wall_s: float | None
    first_canary_s: float | None
    verdict_s: float | None
    ended_s: float
    weight_max: float
    requests: int
    bad: int
    bad_by_release: int
    bad_share: float | None
    revisions: tuple[RevisionCount, ...]
    measurements: tuple[MeasurementLine, ...]
    decisions: tuple[DecisionLine, ...]
    faults: tuple[FaultLine, ...]
    notes: tuple[str, ...]
    load: LoadValidity
    provenance: Provenance = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether every expectation held, and on evidence that may be believed."""
        return all(check.held for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a scorecard is computed from.

    Attributes:
        events: in the order in which they happened, in the world's policy time.
        requests: one row per request, as the load generator's records give it.
        validity: the load generator's verdict on its own run, as plain values.
        ended_s: the world's policy time at the end.
    """

    game_day: str
    title: str
    policy: str
    release: str
    expect: Expectation
    events: tuple[Event, ...]
    requests: pd.DataFrame
    validity: dict[str, Any]
    slow_after_s: float | None
    speed: float
    rps: float
    ended_s: float
    provenance: Provenance
    notes: tuple[str, ...] = ()


def score(evidence: Evidence) -> Scorecard:
    """Return the scorecard of one rehearsal."""
    deployed = _deployed(evidence.events, "under test")
    t0_s = deployed.t_s if deployed else evidence.ended_s
    release_hash = deployed.pod_hash if deployed else ""
    verdict, said_by = find_verdict(evidence.events, release_hash)
    requests = settled(evidence.requests)
    since = requests[requests["intended_s"] >= t0_s]
    met = since[since["revision"] == release_hash]
    bad = is_bad(since, evidence.slow_after_s)
    first_s = float(met["sent_s"].min()) if len(met) else None
    aborted_s = said_by.t_s if said_by is not None and verdict is Verdict.ABORTED else None
    recovery_s = None
    if aborted_s is not None and len(met):
        recovery_s = max(0.0, float(met["sent_s"].max()) - aborted_s, _closed_s(evidence.events, aborted_s) - aborted_s)
    measurements = measurement_lines(evidence.events, t0_s)
    facts = _Facts(
        verdict=verdict,
        detection_s=aborted_s - first_s if aborted_s is not None and first_s is not None else None,
        recovery_s=recovery_s,
        weight_max=_weight_max(evidence.events, t0_s, release_hash, said_by.t_s if said_by else evidence.ended_s),
        bad=int(np.count_nonzero(bad)),
    )
    load = load_validity(evidence.validity)
    faults = fault_lines(evidence.events, t0_s)
    return Scorecard(
        game_day=evidence.game_day,
        title=evidence.title,
        policy=evidence.policy,
        release=evidence.release,
        expected=evidence.expect.verdict,
        verdict=verdict,
        checks=_checks(evidence, facts, load),
        detection_s=facts.detection_s,
        recovery_s=recovery_s,
        recovery_wall_s=None if recovery_s is None else recovery_s / evidence.speed,
        first_canary_s=None if first_s is None else first_s - t0_s,
        verdict_s=None if said_by is None else said_by.t_s - t0_s,
        ended_s=evidence.ended_s - t0_s,
        weight_max=facts.weight_max,
        requests=len(since),
        bad=facts.bad,
        bad_by_release=int(np.count_nonzero(bad & (since["revision"] == release_hash).to_numpy())),
        bad_share=facts.bad / len(since) if len(since) else None,
        revisions=revision_counts(since, evidence.slow_after_s, evidence.events),
        measurements=measurements,
        decisions=decision_lines(evidence.events, measurements, t0_s, release_hash),
        faults=faults,
        notes=evidence.notes + _notes(evidence, facts, faults),
        load=load,
        provenance=evidence.provenance,
    )


# ---- what users saw


def settled(requests: pd.DataFrame) -> pd.DataFrame:
    """Return the requests that were sent and whose fate is known."""
    return requests[~requests["failure"].isin(["dropped", "cut off"])]


def is_bad(requests: pd.DataFrame, slow_after_s: float | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (requests,) whether a user saw the request fail, or saw it too slow."""
    bad = (requests["status"] >= SERVER_ERROR) | (requests["failure"] != "")
    if slow_after_s is not None:
        bad |= requests["latency_s"] > slow_after_s
    return np.asarray(bad, dtype=np.bool_)


def revision_counts(
    requests: pd.DataFrame, slow_after_s: float | None, events: Sequence[Event]
) -> tuple[RevisionCount, ...]:
    """Return what users saw of each revision: stable first, then the release, then what nobody answered."""
    roles = {event.pod_hash: event.role for event in events if isinstance(event, Deployed)}
    order = list(roles)
    counts = []
    for pod_hash in requests["revision"].unique().tolist():
        mine = requests[requests["revision"] == pod_hash]
        bad = is_bad(mine, slow_after_s)
        errors = np.asarray((mine["failure"] == "") & (mine["status"] >= SERVER_ERROR))
        silent = np.asarray(mine["failure"] != "")
        answered = mine[mine["failure"] == ""]["latency_s"].to_numpy()
        quantiles = np.quantile(answered, [0.5, 0.95, 0.99]).tolist() if len(answered) else [None] * 3
        counts.append(
            RevisionCount(
                role=roles.get(pod_hash, NOBODY),
                pod_hash=pod_hash,
                requests=len(mine),
                bad=int(np.count_nonzero(bad)),
                error_answers=int(np.count_nonzero(errors)),
                no_answer=int(np.count_nonzero(silent)),
                too_slow=int(np.count_nonzero(bad & ~errors & ~silent)),
                p50_s=quantiles[0],
                p95_s=quantiles[1],
                p99_s=quantiles[2],
            )
        )
    return tuple(sorted(counts, key=lambda one: order.index(one.pod_hash) if one.pod_hash in order else len(order)))


def load_validity(said: dict[str, Any]) -> LoadValidity:
    """Return the load generator's verdict on its own run."""
    halves = {half: said.get(half) or {} for half in ("counts", "latency")}
    reasons = tuple(reason for half in halves.values() for reason in half.get("reasons", ()))
    return LoadValidity(
        counts=str(halves["counts"].get("outcome", "no evidence")),
        latency=str(halves["latency"].get("outcome", "no evidence")),
        reasons=reasons,
        due=int(said.get("due", 0)),
        sent=int(said.get("sent", 0)),
        lag_p99_wall_s=said.get("lag_p99_s"),
    )


# ---- what the controller did


def _deployed(events: Sequence[Event], role: str) -> Deployed | None:
    return next((event for event in events if isinstance(event, Deployed) and event.role == role), None)


def _weight_max(events: Sequence[Event], from_s: float, release_hash: str, until_s: float) -> float:
    """Return the largest weight of the release up to its verdict, percent.

    A promotion ends with stable at 100 %: the release is stable then, so what it got at last counts as 100.
    """
    highest = 0.0
    for event in events:
        if isinstance(event, WeightSet) and from_s <= event.t_s <= until_s:
            if event.stable_hash == release_hash:
                highest = 100.0
            elif event.canary_hash == release_hash:
                highest = max(highest, event.percent)
    return highest


def _closed_s(events: Sequence[Event], aborted_s: float) -> float:
    """Return when the router first acknowledged that it sends nobody to the canary, from the abort on."""
    closed = (event.t_s for event in events if isinstance(event, WeightSet) and event.percent == 0)
    return next((t_s for t_s in closed if t_s >= aborted_s), aborted_s)


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
    """Return every fault that was put in force, with its end."""
    ended = {event.fault: event for event in events if isinstance(event, FaultEnded)}
    return tuple(
        FaultLine(
            name=event.fault,
            kind=event.kind,
            detail=event.detail,
            began_s=event.t_s - t0_s,
            ended_s=ended[event.fault].t_s - t0_s if event.fault in ended else None,
            why=ended[event.fault].why if event.fault in ended else "",
        )
        for event in events
        if isinstance(event, FaultBegan)
    )


# ---- expectations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """The numbers that expectations are about."""

    verdict: Verdict
    detection_s: float | None
    recovery_s: float | None
    weight_max: float
    bad: int


def _checks(evidence: Evidence, facts: _Facts, load: LoadValidity) -> tuple[Check, ...]:
    expect = evidence.expect
    checks = [
        Check(
            what="verdict",
            expected=expect.verdict,
            actual=facts.verdict.value,
            held=facts.verdict.value == expect.verdict,
        )
    ]
    limits: tuple[tuple[str, float | None, float | None, str], ...] = (
        ("detection time", expect.detected_within_s, facts.detection_s, " s"),
        ("recovery time", expect.recovered_within_s, facts.recovery_s, " s"),
        ("largest weight", expect.weight_max, facts.weight_max, " %"),
        ("bad requests", expect.bad_requests_max, facts.bad, ""),
    )
    for what, limit, actual, unit in limits:
        if limit is not None:
            checks.append(
                Check(
                    what=what,
                    expected=f"at most {limit:g}{unit}",
                    actual="not seen" if actual is None else f"{actual:.4g}{unit}",
                    held=actual is not None and actual <= limit,
                )
            )
    if evidence.rps > 0:
        checks.append(
            Check(what="load", expected="valid counts", actual=f"{load.counts} counts", held=load.counts == "valid")
        )
    left = [fault.name for fault in fault_lines(evidence.events, 0.0) if fault.ended_s is None]
    if any(isinstance(event, FaultBegan) for event in evidence.events):
        checks.append(
            Check(
                what="faults restored",
                expected="all",
                actual=f"not {', '.join(left)}" if left else "all",
                held=not left,
            )
        )
    return tuple(checks)


def _notes(evidence: Evidence, facts: _Facts, faults: Sequence[FaultLine]) -> tuple[str, ...]:
    notes = []
    if evidence.rps > 0:
        notes.append(
            f"{evidence.rps * evidence.speed:g} requests/s were sent for real; at speed {evidence.speed:g} the policy "
            f"saw what a service with {evidence.rps:g} requests/s would show it."
        )
    if evidence.speed != 1:
        notes.append(
            f"Latencies, process starts and the router's own delay take wall time, so against the policy's clock "
            f"starts and delays look {evidence.speed:g} times as long as they are."
        )
    if facts.verdict is Verdict.UNFINISHED:
        notes.append("The rehearsal ended before the rollout had converged.")
    return tuple(notes)

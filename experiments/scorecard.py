"""What a rehearsal showed, as numbers: computed from what happened and from what users saw, and from nothing else.

Pure: events and the load generator's own records come in, a scorecard goes out. Reports print it, the exit code
follows it, tests recompute it. Times in a scorecard count from the deployment of the release under test, in seconds
of policy time, unless a name says `wall`. What was not seen is None, never 0: a canary that no user met was not
caught in no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.checks import Check, Facts, Plan, checks_of, score_of
from experiments.events import Deployed, Event, WeightSet
from experiments.gameday_files import Expectation
from experiments.provenance import Provenance
from experiments.story import (
    DecisionLine,
    FaultLine,
    MeasurementLine,
    PersonLine,
    decision_lines,
    fault_lines,
    measurement_lines,
    person_lines,
)
from experiments.users import UNDER_TEST, RevisionCount, RouteCount, is_bad, revision_counts, route_counts, settled
from experiments.verdicts import Verdict, find_verdict
from loadgen.openloop.figures import LAG_SHARE

if TYPE_CHECKING:
    import pandas as pd

ROUTES_MAX = 50
"""A scorecard tells so many routes, those that the release failed most."""


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
        detection_s: from the canary's first request to the decision to abort; None if no user had met it by then.
        recovery_s: from that decision until the router sends nobody to the canary and the last request was sent to it,
            whichever is later; None if no user ever met it, or the router was not seen to send nobody.
        weight_max: the largest share of the traffic that the router was told to give the release before the verdict.
        bad_by_release: those of them that the release under test answered.
        bad_until_verdict: those of `bad_by_release` that were sent before the release was promoted; all where it was
            not. What comes after a promotion lasts as long as somebody lets it, so nobody can predict its number.
        bad_share: bad requests over all requests since the deployment.
        void_because: why nothing may be learnt from this rehearsal, whatever came out: its load was not what it was
            meant to be. Empty: it is evidence.
        routes: what users saw of each route since the deployment; what the release failed most comes first.
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
    bad_until_verdict: int
    bad_share: float | None
    revisions: tuple[RevisionCount, ...]
    routes: tuple[RouteCount, ...]
    measurements: tuple[MeasurementLine, ...]
    decisions: tuple[DecisionLine, ...]
    faults: tuple[FaultLine, ...]
    people: tuple[PersonLine, ...]
    notes: tuple[str, ...]
    load: LoadValidity
    void_because: tuple[str, ...]
    provenance: Provenance = field(repr=False)

    @property
    def void(self) -> bool:
        """Whether this rehearsal is no evidence, neither that something holds nor that it does not."""
        return bool(self.void_because)

    @property
    def score(self) -> int | None:
        """The percentage of planned checks that held with evidence; None where nothing may be learnt."""
        return None if self.void else score_of(self.checks)

    @property
    def failed_route(self) -> RouteCount | None:
        """The one route of several that most of the bad requests asked for; None where no route stands out."""
        if len(self.routes) < 2 or not self.bad_by_release:
            return None
        worst = self.routes[0]
        rest = [one for one in self.routes[1:] if one.release_requests]
        stands_out = all(worst.release_share > 2 * one.release_share for one in rest)
        return worst if stands_out and worst.release_bad > self.bad_by_release / 2 else None

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
        planned_faults: the kinds of the faults that the method puts in force.
        planned_release: the release that was to be deployed, in words; empty: any.
        by_people: people were to notice and mitigate, within a time box.
        plans_steady_before, plans_steady_after: whether the steady state has to hold then.
        steady_before, steady_after: whether it did; None: nobody saw.
        plans_clean_end: whether nothing of the rehearsal may be left.
        left: what of the rehearsal still ran when it had ended; None: nobody looked.
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
    planned_faults: tuple[str, ...] = ()
    planned_release: str = ""
    by_people: bool = False
    plans_steady_before: bool = False
    plans_steady_after: bool = False
    steady_before: bool | None = None
    steady_after: bool | None = None
    plans_clean_end: bool = False
    left: tuple[str, ...] | None = None


def score(evidence: Evidence) -> Scorecard:
    """Return the scorecard of one rehearsal."""
    deployed = _deployed(evidence.events, UNDER_TEST)
    t0_s = deployed.t_s if deployed else evidence.ended_s
    release_hash = deployed.pod_hash if deployed else ""
    verdict, said_by = find_verdict(evidence.events, release_hash)
    requests = settled(evidence.requests)
    # A request on its way at that instant counts too if the release answered it, however early it was meant.
    met_release = (requests["finished_s"] >= t0_s) & (requests["revision"] == release_hash)
    since = requests[(requests["intended_s"] >= t0_s) | met_release]
    met = since[since["revision"] == release_hash]
    bad = is_bad(since, evidence.slow_after_s)
    first_s = float(met["sent_s"].min()) if len(met) else None
    aborted_s = said_by.t_s if said_by is not None and verdict is Verdict.ABORTED else None
    closed_s = None if aborted_s is None else _closed_s(evidence.events, aborted_s)
    recovery_s = None
    if aborted_s is not None and closed_s is not None and len(met):
        recovery_s = max(0.0, float(met["sent_s"].max()) - aborted_s, closed_s - aborted_s)
    measurements = measurement_lines(evidence.events, t0_s)
    weight_max = _weight_max(evidence.events, t0_s, release_hash, said_by.t_s if said_by else evidence.ended_s)
    faults = fault_lines(evidence.events, t0_s)
    people = person_lines(evidence.events, t0_s)
    silent = evidence.rps > 0 and not len(since)
    load = load_validity(evidence.validity)
    facts = Facts(
        verdict=verdict,
        verdict_s=None if said_by is None else said_by.t_s - t0_s,
        detection_s=aborted_s - first_s
        if aborted_s is not None and first_s is not None and first_s <= aborted_s
        else None,
        recovery_s=recovery_s,
        weight_max=weight_max if deployed else None,
        bad=None if silent or deployed is None else int(np.count_nonzero(bad)),
        counts=load.counts,
        faults=faults,
        steady_before=evidence.steady_before,
        steady_after=evidence.steady_after,
        release=deployed.release if deployed else "",
        people=tuple(line.word for line in people if line.since_harm_s is not None),
        left=evidence.left,
    )
    plan = Plan(
        expect=evidence.expect,
        faults=evidence.planned_faults,
        rps=evidence.rps,
        steady_before=evidence.plans_steady_before,
        steady_after=evidence.plans_steady_after,
        release=evidence.planned_release,
        by_people=evidence.by_people,
        clean_end=evidence.plans_clean_end,
    )
    by_release = (since["revision"] == release_hash).to_numpy()
    until_s = said_by.t_s if said_by is not None and verdict is Verdict.PROMOTED else float("inf")
    return Scorecard(
        game_day=evidence.game_day,
        title=evidence.title,
        policy=evidence.policy,
        release=evidence.release,
        expected=evidence.expect.verdict,
        verdict=verdict,
        checks=checks_of(plan, facts),
        detection_s=facts.detection_s,
        recovery_s=recovery_s,
        recovery_wall_s=None if recovery_s is None else recovery_s / evidence.speed,
        first_canary_s=None if first_s is None else first_s - t0_s,
        verdict_s=facts.verdict_s,
        ended_s=evidence.ended_s - t0_s,
        weight_max=weight_max,
        requests=len(since),
        bad=int(np.count_nonzero(bad)),
        bad_by_release=int(np.count_nonzero(bad & by_release)),
        bad_until_verdict=int(np.count_nonzero(bad & by_release & (since["sent_s"] <= until_s).to_numpy())),
        bad_share=float(np.mean(bad)) if len(since) else None,
        revisions=revision_counts(since, evidence.slow_after_s, evidence.events),
        routes=route_counts(since, evidence.slow_after_s, release_hash)[:ROUTES_MAX],
        measurements=measurements,
        decisions=decision_lines(evidence.events, measurements, t0_s, release_hash),
        faults=faults,
        people=people,
        notes=evidence.notes + _notes(evidence, facts, faults),
        load=load,
        void_because=_void_because(evidence),
        provenance=evidence.provenance,
    )


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


def _void_because(evidence: Evidence) -> tuple[str, ...]:
    """Return why the load makes a rehearsal worthless; nothing where it does not, or where none was meant to be.

    Everything that a game day says rests on counts. Latencies decide only which answers are too slow, so they are held
    against that limit, and not against the service's own p95 as figures of latency are.
    """
    if evidence.rps <= 0:
        return ()
    counts, latency = evidence.validity.get("counts") or {}, evidence.validity.get("latency") or {}
    if counts.get("outcome") != "valid":
        return tuple(counts.get("reasons") or ("the load generator left no verdict on its run",))
    lag_s, limit_s = evidence.validity.get("lag_p99_s") or 0.0, evidence.slow_after_s
    if latency.get("outcome") == "invalid" and limit_s is not None and lag_s > LAG_SHARE * limit_s:
        return (
            f"the generator was {lag_s * 1e3:.0f} ms late at p99, over {LAG_SHARE:.0%} of the {limit_s:g} s that make "
            "an answer too slow",
            *latency.get("reasons", ()),
        )
    return ()


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


def _closed_s(events: Sequence[Event], aborted_s: float) -> float | None:
    """Return when the router was known to send nobody to the canary, from the abort on; None: that was never seen."""
    weights = [event for event in events if isinstance(event, WeightSet)]
    before = [event for event in weights if event.t_s <= aborted_s]
    if not before or _is_closed(before[-1]):
        return aborted_s
    return next((event.t_s for event in weights if event.t_s > aborted_s and _is_closed(event)), None)


def _is_closed(weight: WeightSet) -> bool:
    return weight.percent == 0 or weight.canary_hash == weight.stable_hash


def _notes(evidence: Evidence, facts: Facts, faults: Sequence[FaultLine]) -> tuple[str, ...]:
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

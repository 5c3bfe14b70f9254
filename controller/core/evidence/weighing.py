"""Weigh one measurement: may the phase that its conditions gave be believed at the evidence there is?

`weigh` for one run, `weigh_runs` for a flock; the same answers (a law in the tests).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from controller.core.conditions import Threshold
from controller.core.evidence.conclusive import Bools, Floats, Shape, conclusive_runs, is_conclusive
from controller.core.evidence.deadlines import phase_of_action
from controller.core.evidence.outcomes import Outcome, outcome_of
from controller.core.runs import AnalysisPhase
from controller.manifests.values.extensions import DEFAULT_ODDS, EvidenceRules, Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The fewest requests that a verdict may rest on, and what lets a failure through below it.

    `shape` and `fails_when` (`controller.core.conditions.fails_when`) are both needed for conclusive evidence;
    without either, or with odds of None, nothing below the floor is ever a verdict.
    """

    requests_min: float
    odds: float | None = DEFAULT_ODDS
    shape: Shape | None = None
    fails_when: Threshold | None = None

    def __post_init__(self) -> None:
        if not self.requests_min >= 0:
            raise ValueError(f"Floor.requests_min is {self.requests_min}; it needs 0 or more requests")
        if self.odds is not None and not 0.0 < self.odds < 1.0:
            raise ValueError(f"Floor.odds is {self.odds}; it needs a probability between 0 and 1, or None for never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a measurement is after its evidence was weighed. `phase` is MISSING while it is to be waited for."""

    outcome: Outcome
    phase: AnalysisPhase
    reason: str  # which rule gave the phase; "" when the conditions' own phase stands
    conclusive: bool = False  # a failure that counts although it is below the floor


def weigh(
    *,
    phase: AnalysisPhase,
    result: object,
    requests: float | None,
    floor: Floor | None,
    rules: EvidenceRules,
    answered: bool = True,
    reads: Iterable[int] | None = None,
    slow_requests: float | None = None,
) -> Weighed:
    """Return what a measurement counts as.

    Args:
        phase: what the conditions made of the value (Error where one could not be evaluated).
        result: the value as the conditions saw it: a sequence for a vector, a float for a scalar, None.
        requests: how many requests stand behind it; None where the count is unknown.
        floor: None when the policy names none; then `requests` changes nothing.
        answered: False when the provider did not answer; `result` is then not looked at.
        reads: the positions of the vector that the conditions look at (`Condition.reads`), None for any.
        slow_requests: for a quantile: requests slower than the threshold, if known.
    """
    off = rules.parity is Parity.OFF
    if not answered:
        return _missing(Outcome.ERROR, rules) if off else Weighed(outcome=Outcome.ERROR, phase=phase, reason="")
    outcome = outcome_of(result, reads)
    if floor is not None and not (requests is not None and requests >= floor.requests_min):
        if phase is AnalysisPhase.FAILED and _is_proof(floor, result, requests, slow_requests):
            reason = (
                f"conclusive below the floor: {requests:g} requests, floor {floor.requests_min:g}, odds {floor.odds:g}"
            )
            return Weighed(outcome=Outcome.VALUE, phase=phase, reason=reason, conclusive=True)
        return _too_few(requests, floor, rules)
    if off and outcome is not Outcome.VALUE:
        return _missing(outcome, rules)
    return Weighed(outcome=outcome, phase=phase, reason="")


def _is_proof(floor: Floor, result: object, requests: float | None, slow_requests: float | None) -> bool:
    if floor.shape is None or floor.fails_when is None or floor.odds is None or requests is None:
        return False
    value = floor.fails_when.value_in(result)
    return value is not None and is_conclusive(
        shape=floor.shape,
        fails_when=floor.fails_when,
        value=value,
        requests=requests,
        odds=floor.odds,
        slow_requests=slow_requests,
    )


def _too_few(requests: float | None, floor: Floor, rules: EvidenceRules) -> Weighed:
    known = requests is not None and requests == requests
    seen = f"{requests:g} requests" if known else "an unknown number of requests"
    weighed = _missing(Outcome.TOO_FEW, rules)
    return Weighed(
        outcome=weighed.outcome, phase=weighed.phase, reason=f"too few: {seen}, floor {floor.requests_min:g}"
    )


def _missing(outcome: Outcome, rules: EvidenceRules) -> Weighed:
    """Return missing evidence of one kind, with what the policy does about it: waiting, unless it names more."""
    missing = outcome.missing
    if missing is None:
        raise ValueError("a value is not missing")
    phase = phase_of_action(rules.action_for(missing))
    if phase is None:
        return Weighed(outcome=outcome, phase=AnalysisPhase.MISSING, reason=f"missing evidence: {outcome.value}")
    action = rules.action_for(missing).value
    return Weighed(outcome=outcome, phase=phase, reason=f"missing evidence: {outcome.value}, action {action}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedRuns:
    """(runs,) each: what the floor makes of one measurement of many runs."""

    too_few: Bools
    conclusive: Bools  # failures that count although they are below the floor


def weigh_runs(
    *, failed: Bools, values: Floats, requests: Floats, floor: Floor, slow_requests: Floats | None = None
) -> WeighedRuns:
    """Return which runs have too few requests, and in which of them a failure counts all the same.

    Args:
        failed: (runs,) the conditions say Failed.
        values: (runs,) the value that `floor.fails_when` looks at.
        requests: (runs,) requests behind it; NaN where unknown.
        slow_requests: (runs,) for a quantile: requests slower than the threshold, or None.
    """
    below = ~(requests >= floor.requests_min)
    proof = np.zeros(below.shape, dtype=np.bool_)
    if floor.shape is not None and floor.fails_when is not None and floor.odds is not None:
        proof = conclusive_runs(
            shape=floor.shape,
            fails_when=floor.fails_when,
            values=values,
            requests=requests,
            odds=floor.odds,
            requests_min=floor.requests_min,
            slow_requests=slow_requests,
        )
        proof &= failed & below
    return WeighedRuns(too_few=below & ~proof, conclusive=proof)

"""Why something was decided, as data: which rule fired, on which numbers, and what would have flipped it.

A record is made for every measurement that was judged and for every transition of a rollout. Reports print
them, tests compare them, nothing decides by them.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.snapshot import ReplicaSetSeen
from controller.core.status import RolloutStatus

Numbers = tuple[tuple[str, float | int | str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementRecord:
    """One judged measurement of one metric."""

    t_s: float
    run: str
    metric: str
    query: str
    value: str  # as Prometheus prints it: "[0.02]"
    requests: float | None  # None: unknown
    requests_min: float | None  # the floor in force, if any
    condition: str  # the success and failure conditions, as written
    phase: str
    rule: str  # which rule gave the phase: "successCondition", "too few requests", "no data", …
    flip: str  # what would have given another phase, in words
    limit: str  # the counter that this measurement moved and its limit: "failed 1 of 0 allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRecord:
    """One change of a rollout's state: from what to what, by which rule, on which numbers.

    It holds what was compared, and words it only when asked: a simulation decides a million times and prints few.
    """

    t_s: float
    rule: str
    old: RolloutStatus
    new: RolloutStatus
    canary: ReplicaSetSeen | None
    stable: ReplicaSetSeen | None
    deciding: Numbers = ()  # those of an analysis whose verdict decided
    flip: str = ""

    @property
    def before(self) -> str:
        """The state that was left, in words."""
        return _state(self.old)

    @property
    def after(self) -> str:
        """The state that was entered, in words."""
        return _state(self.new)

    @property
    def numbers(self) -> Numbers:
        """The numbers that were looked at, by name."""
        canary, stable, before, after = self.canary, self.stable, self.old.weights, self.new.weights
        return (
            *self.deciding,
            ("canary_wanted", canary.wanted if canary is not None else None),
            ("canary_available", canary.available if canary is not None else None),
            ("stable_wanted", stable.wanted if stable is not None else None),
            ("stable_available", stable.available if stable is not None else None),
            ("weight_before", before.canary if before is not None else None),
            ("weight_after", after.canary if after is not None else None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecord:
    """A person's word, kept because some transitions are allowed by nothing else."""

    t_s: float
    word: str
    effect: str


def _state(status: RolloutStatus) -> str:
    weight = f", weight {status.weights.canary}" if status.weights is not None else ""
    pauses = "".join(f", {pause.reason}" for pause in status.pauses)
    return (
        f"{status.phase or 'new'}, step {status.step_index}{weight}{pauses}"
        f"{', aborted' if status.abort else ''}, stable {status.stable_hash or 'none'}"
    )


Record = MeasurementRecord | TransitionRecord | OperatorRecord

"""What happens in a rehearsal, as plain values in the order in which it happened.

A world (local processes now, virtual time and a cluster later) tells these; the live view, the scorecard and the
reports read nothing else of a rollout. So they hold texts and numbers only: nothing of a world's machinery, and
nothing that JSON could not hold. Times are policy time as the world's clock says it, in seconds; reports count
from the deployment of the release under test. This module decides, computes and prints nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SampleValue = float | tuple[float, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A revision was handed to the controller: the stable one first, then the release under test."""

    t_s: float
    role: str  # "stable" | "under test"
    pod_hash: str
    release: str  # the release in words: "5 % errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """The rollout's status, whenever a decision changed it."""

    t_s: float
    phase: str  # Progressing, Paused, Healthy, Degraded
    message: str
    revision: int
    current_hash: str
    stable_hash: str
    step_index: int | None
    step: str  # the step in words: "setWeight 10", "pause 180 s"; "" after the last
    steps: int
    aborted: bool
    pauses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSet:
    """The router has acknowledged a split: `canary` of `total` parts go to the canary."""

    t_s: float
    canary: int
    total: int
    canary_hash: str
    stable_hash: str
    asked_s: float | None = None  # when the decision asked for it

    @property
    def percent(self) -> float:
        """The canary's share of the traffic as asked for, 0 to 100."""
        return 100.0 * self.canary / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsOfRevision:
    """How many pods of one revision there are."""

    pod_hash: str
    wanted: int
    created: int
    ready: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsChanged:
    """The pods of every revision, whenever a count changed."""

    t_s: float
    revisions: tuple[PodsOfRevision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEnded:
    """A pod's process ended and nobody had asked it to."""

    t_s: float
    pod: str
    pod_hash: str
    exit_code: int | None
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementTaken:
    """One metric of an analysis run was asked and judged."""

    t_s: float
    run: str
    step_index: int | None  # None: a background run
    metric: str
    query: str
    value: SampleValue
    requests: float | None  # how many requests stand behind the value; None: unknown
    requests_min: float | None  # the floor in force
    success_condition: str
    failure_condition: str
    phase: str  # Successful, Failed, Error, Inconclusive, MissingEvidence
    reason: str  # which rule gave the phase
    message: str  # the error, if any
    flip: str  # what would have given another phase
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricStanding:
    """What one metric of a run has shown so far, beside its limits (None: no limit)."""

    metric: str
    phase: str
    successful: int
    failed: int
    inconclusive: int
    error: int
    consecutive_error: int
    missing: int
    count: int | None
    failure_limit: int | None
    inconclusive_limit: int | None
    consecutive_error_limit: int | None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanged:
    """An analysis run's status changed."""

    t_s: float
    run: str
    step_index: int | None
    phase: str
    message: str
    metrics: tuple[MetricStanding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTaken:
    """The decision core's own record of a transition: from what to what, by which rule, on which numbers."""

    t_s: float
    rule: str
    before: str
    after: str
    numbers: tuple[tuple[str, float | int | str | None], ...] = ()
    flip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvent:
    """What the controller told people, in the words of Argo Rollouts' events."""

    t_s: float
    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpoke:
    """A person's word: promote, abort, retry, …"""

    t_s: float
    word: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBegan:
    """A fault is in force. It ends at `lease_ends_s` at the latest, whoever is still there to end it."""

    t_s: float
    fault: str  # its name in the method
    kind: str  # the action: prometheus_gone, proxy_abort, …
    detail: str  # in words, for people
    lease_ends_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEnded:
    """A fault is no longer in force."""

    t_s: float
    fault: str
    why: str  # "lease", "restored", "replaced" by another fault of the same place, "teardown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSpoke:
    """What somebody at the game day said: that it was detected, that it was mitigated, or a remark."""

    t_s: float
    word: str  # detected, mitigated, note
    text: str = ""


Event = (
    Deployed
    | StatusChanged
    | WeightSet
    | PodsChanged
    | PodEnded
    | MeasurementTaken
    | RunChanged
    | DecisionTaken
    | RolloutEvent
    | OperatorSpoke
    | FaultBegan
    | FaultEnded
    | PersonSpoke
)


def event_as_json(event: Event) -> dict[str, Any]:
    """Return an event as plain values, its kind first."""
    return {"event": type(event).__name__, **asdict(event)}

"""What an analysis run is: its metrics with every argument filled in, its limits, and what it has shown so far.

Values only. `controller.core.launching` makes runs from templates, `controller.core.analysis` says which
metric is due and what new measurements mean. Times are float seconds of policy time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from controller.manifests.values import Argument, FrozenMap, Metric


class AnalysisPhase(StrEnum):
    """The state of a run, of one of its metrics, or of one measurement."""

    UNKNOWN = ""  # a run that nobody has looked at yet
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"
    MISSING = "MissingEvidence"  # of a measurement only: too few requests or no data, and the policy waits

    @property
    def completed(self) -> bool:
        """True for a phase that is final."""
        return self in COMPLETED


COMPLETED = frozenset((AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE))

Value = float | tuple[float, ...] | str | bool | None  # a vector is a tuple, JSON that is no number a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One answer of one metric, with the size of its evidence and the phase that its conditions gave it."""

    phase: AnalysisPhase
    started_s: float
    finished_s: float
    value: Value = None  # None: there was no answer
    requests: float | None = None  # how many requests stand behind the value; None: unknown
    message: str = ""  # the error, as Argo words it
    reason: str = ""  # which rule gave the phase
    flip: str = ""  # what would have given another phase


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """What one metric has shown so far. Errors and missing evidence do not add to `count`."""

    name: str
    phase: AnalysisPhase = AnalysisPhase.RUNNING
    message: str = ""
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    consecutive_failure: int = 0
    dry_run: bool = False
    missing: int = 0  # measurements with too little evidence
    missing_since_s: float | None = None  # the first of those after the last sufficient one
    measurements: tuple[Measurement, ...] = ()  # the newest last


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisStatus:
    """The state of a run. `phase` is empty until the run was first advanced."""

    phase: AnalysisPhase = AnalysisPhase.UNKNOWN
    message: str = ""
    started_s: float | None = None
    completed_s: float | None = None
    results: tuple[MetricResult, ...] = ()

    def result(self, metric: str) -> MetricResult | None:
        """Return what this metric has shown, or None if it was never measured."""
        for result in self.results:
            if result.name == metric:
                return result
        return None


class RunKind(StrEnum):
    """Where a run belongs, spelled as in the label rollout-type."""

    STEP = "Step"
    BACKGROUND = "Background"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRun:
    """One run of an analysis for one revision of a rollout, or for one of its steps."""

    name: str
    kind: RunKind
    pod_hash: str
    created_s: float
    step_index: int | None = None
    metrics: tuple[Metric, ...] = ()
    dry_run: frozenset[str] = frozenset()  # names of metrics that are measured and never decide
    retention: FrozenMap[int] = field(default_factory=FrozenMap)  # metric -> measurements kept, 10 unless named
    args: tuple[Argument, ...] = ()  # a secret's value is never here
    problem: str = ""  # why the metrics are not fit to be measured: the run ends as an error with this message
    terminate: bool = False
    status: AnalysisStatus = AnalysisStatus()

    def metric(self, name: str) -> Metric:
        """Return the metric of this name."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def with_status(self, status: AnalysisStatus) -> AnalysisRun:
        """Return the run with a newer status. Each measurement makes one: `replace` would take twice as long."""
        return AnalysisRun(
            name=self.name,
            kind=self.kind,
            pod_hash=self.pod_hash,
            created_s=self.created_s,
            step_index=self.step_index,
            metrics=self.metrics,
            dry_run=self.dry_run,
            retention=self.retention,
            args=self.args,
            problem=self.problem,
            terminate=self.terminate,
            status=status,
        )

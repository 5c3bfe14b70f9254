"""A controller's clock that may be wrong, and the true times of what that controller tells.

Only the controller reads the wrong clock. Reports keep the world's time, or a step of the clock would look like a step
of the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.core.actions import Action
from controller.core.analysis import AnalysisRun
from controller.core.decisions import Decision
from controller.core.driving import PodCounts
from controller.core.records import OperatorRecord
from controller.core.runs import Measurement
from controller.core.status import RolloutStatus
from controller.manifests.values import Metric
from experiments.testbeds.local.clock import PolicyClock
from experiments.testbeds.local.driver import Listener


@dataclass(slots=True, kw_only=True)
class SteppedClock:
    """Policy time plus a step, which may change while others read the clock."""

    true: PolicyClock
    _step_s: float = 0.0
    _steps_s: tuple[float, ...] = (0.0,)  # every one that there was

    def step(self, step_s: float) -> None:
        """Let the clock be ahead by so much, or behind; 0: right."""
        self._steps_s = (*self._steps_s, step_s)
        self._step_s = step_s

    def true_s(self, told_s: float) -> float:
        """Return the world's time of something that has just been told at this clock's time.

        The clock may have been set between reading and telling, so the step is the one that makes it just now.
        """
        now_s = self.true.now_s()
        return min((told_s - step_s for step_s in self._steps_s), key=lambda at_s: abs(at_s - now_s))

    def now_s(self) -> float:
        """Return what the controller takes for now."""
        return self.true.now_s() + self._step_s

    def wall_s(self, policy_s: float) -> float:
        """Return how long a stretch of policy time takes on the wall."""
        return self.true.wall_s(policy_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueTimes:
    """Passes on what a controller with that clock tells, at the world's time."""

    listener: Listener
    clock: SteppedClock

    def status_changed(self, t_s: float, before: RolloutStatus, after: RolloutStatus, decision: Decision) -> None:
        """Pass it on."""
        records = tuple(replace(record, t_s=self.clock.true_s(record.t_s)) for record in decision.records)
        self.listener.status_changed(self.clock.true_s(t_s), before, after, replace(decision, records=records))

    def acted(self, asked_s: float, t_s: float, action: Action) -> None:
        """Pass it on."""
        self.listener.acted(self.clock.true_s(asked_s), self.clock.true_s(t_s), action)

    def measured(self, t_s: float, run: AnalysisRun, metric: Metric, measurement: Measurement) -> None:
        """Pass it on."""
        at_s = self.clock.true_s(measurement.started_s)
        self.listener.measured(self.clock.true_s(t_s), run, metric, replace(measurement, started_s=at_s))

    def run_changed(self, t_s: float, run: AnalysisRun) -> None:
        """Pass it on."""
        self.listener.run_changed(self.clock.true_s(t_s), run)

    def pods_changed(self, t_s: float, pods: Mapping[str, PodCounts], wanted: Mapping[str, int]) -> None:
        """Pass it on."""
        self.listener.pods_changed(self.clock.true_s(t_s), pods, wanted)

    def operator_said(self, t_s: float, record: OperatorRecord) -> None:
        """Pass it on."""
        self.listener.operator_said(self.clock.true_s(t_s), record)

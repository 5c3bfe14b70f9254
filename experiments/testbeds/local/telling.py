"""Tell what the driver saw, asked and did, as the plain events that views and scorecards read.

One translation, in one place: the driver speaks the core's values, listeners get texts and numbers. Events go to
every subscriber in order, from the driver's thread or a fault's; a subscriber that raises is a bug and stops the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.core.actions import Action, EmitEvent, SetWeight
from controller.core.decisions import Decision
from controller.core.driving import PodCounts
from controller.core.plan import describe
from controller.core.records import OperatorRecord, TransitionRecord
from controller.core.runs import AnalysisRun, Measurement, MetricResult
from controller.core.status import RolloutStatus
from controller.manifests.values import Metric, PrometheusProvider, Step
from experiments.events import (
    DecisionTaken,
    Event,
    MeasurementTaken,
    MetricStanding,
    OperatorSpoke,
    PodsChanged,
    PodsOfRevision,
    RolloutEvent,
    RunChanged,
    StatusChanged,
    WeightSet,
)

Subscriber = Callable[[Event], None]


@dataclass(slots=True)
class Bulletin:
    """Keeps every event in order and passes each on to whoever subscribed. Safe from every thread."""

    events: list[Event] = field(default_factory=list)
    _subscribers: list[Subscriber] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Pass this and every later event on to `subscriber`."""
        with self._lock:
            self._subscribers.append(subscriber)

    def tell(self, event: Event) -> None:
        """Keep the event and pass it on."""
        with self._lock:
            self.events.append(event)
            for subscriber in self._subscribers:
                subscriber(event)


@dataclass(slots=True, kw_only=True)
class Teller:
    """The driver's listener: turns the core's values into events."""

    bulletin: Bulletin
    steps: tuple[Step, ...]

    def status_changed(self, t_s: float, before: RolloutStatus, after: RolloutStatus, decision: Decision) -> None:
        """Tell the new status, and each transition's record."""
        self.status_seen(t_s, before, after)
        for record in decision.records:
            if isinstance(record, TransitionRecord):
                self.bulletin.tell(
                    DecisionTaken(
                        t_s=record.t_s,
                        rule=record.rule,
                        before=record.before,
                        after=record.after,
                        numbers=record.numbers,
                        flip=record.flip,
                    )
                )

    def status_seen(self, t_s: float, before: RolloutStatus, after: RolloutStatus) -> None:
        """Tell a status alone: all that is seen of a controller elsewhere."""
        index = after.step_index
        step = describe(self.steps[index]) if index is not None and index < len(self.steps) else ""
        if before != after:
            self.bulletin.tell(
                StatusChanged(
                    t_s=t_s,
                    phase=after.phase.value,
                    message=after.message,
                    revision=after.revision,
                    current_hash=after.current_hash,
                    stable_hash=after.stable_hash,
                    step_index=index,
                    step=step,
                    steps=len(self.steps),
                    aborted=after.abort,
                    pauses=tuple(pause.reason.value for pause in after.pauses),
                )
            )

    def acted(self, asked_s: float, t_s: float, action: Action) -> None:
        """Tell the actions that people watch: a weight that now holds, and what the controller announced."""
        match action:
            case SetWeight():
                self.bulletin.tell(
                    WeightSet(
                        t_s=t_s,
                        canary=action.canary,
                        total=action.total,
                        canary_hash=action.canary_hash,
                        stable_hash=action.stable_hash,
                        asked_s=asked_s,
                    )
                )
            case EmitEvent():
                self.bulletin.tell(
                    RolloutEvent(t_s=t_s, reason=action.reason, message=action.message, warning=action.warning)
                )
            case _:
                pass

    def measured(self, t_s: float, run: AnalysisRun, metric: Metric, measurement: Measurement) -> None:
        """Tell one measurement with everything that it was judged by."""
        provider = metric.provider
        self.bulletin.tell(
            MeasurementTaken(
                t_s=measurement.started_s,
                run=run.name,
                step_index=run.step_index,
                metric=metric.name,
                query=provider.query if isinstance(provider, PrometheusProvider) else "",
                value=_number_or_none(measurement.value),
                requests=measurement.requests,
                requests_min=metric.evidence.requests_min,
                success_condition=metric.success_condition,
                failure_condition=metric.failure_condition,
                phase=measurement.phase.value,
                reason=measurement.reason,
                message=measurement.message,
                flip=measurement.flip,
                dry_run=metric.name in run.dry_run,
            )
        )

    def run_changed(self, t_s: float, run: AnalysisRun) -> None:
        """Tell what each metric of the run has shown, beside its limits."""
        self.bulletin.tell(
            RunChanged(
                t_s=t_s,
                run=run.name,
                step_index=run.step_index,
                phase=run.status.phase.value,
                message=run.status.message,
                metrics=tuple(_standing(run.metric(result.name), result) for result in run.status.results),
            )
        )

    def pods_changed(self, t_s: float, pods: Mapping[str, PodCounts], wanted: Mapping[str, int]) -> None:
        """Tell how many pods each revision has."""
        self.bulletin.tell(
            PodsChanged(
                t_s=t_s,
                revisions=tuple(
                    PodsOfRevision(
                        pod_hash=pod_hash,
                        wanted=wanted.get(pod_hash, 0),
                        created=counts.created,
                        ready=counts.ready,
                        available=counts.available,
                    )
                    for pod_hash, counts in pods.items()
                ),
            )
        )

    def operator_said(self, t_s: float, record: OperatorRecord) -> None:
        """Tell a person's word."""
        self.bulletin.tell(OperatorSpoke(t_s=t_s, word=record.word, effect=record.effect))


def _standing(metric: Metric, result: MetricResult) -> MetricStanding:
    return MetricStanding(
        metric=result.name,
        phase=result.phase.value,
        successful=result.successful,
        failed=result.failed,
        inconclusive=result.inconclusive,
        error=result.error,
        consecutive_error=result.consecutive_error,
        missing=result.missing,
        count=metric.measurements_wanted,
        failure_limit=None if metric.failure_limit < 0 else metric.failure_limit,
        inconclusive_limit=metric.inconclusive_limit,
        consecutive_error_limit=metric.consecutive_error_limit,
        message=result.message,
    )


def _number_or_none(value: object) -> float | tuple[float, ...] | None:
    """Return a measured number or vector; what a web provider may answer besides is told in its message."""
    if isinstance(value, bool) or not isinstance(value, float | int | tuple):
        return None
    return value

"""What the controller tells of itself: metrics for Prometheus, JSON log lines with the records of decisions.

Labels are bounded by what the cluster holds: rollouts, metrics and phases, never a message or a value. No secret is in
any of it, because none is in a status or a record.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller.core.analysis import AnalysisRun, Measurement
from controller.core.decisions import Decision
from controller.core.records import TransitionRecord
from controller.core.status import Phase, RolloutStatus
from controller.kubernetes.api.watching import Key
from controller.kubernetes.wire.analysis_status import value_text
from controller.kubernetes.wire.stamps import stamp
from controller.manifests.values import Metric

log = logging.getLogger("gamebird.decisions")

PHASES = tuple(phase.value for phase in Phase if phase.value)
_OF = ["namespace", "rollout"]
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Teller:
    """Counts and writes down what the controller does. Safe from every thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._phase = self._gauge("gamebird_rollout_phase", "1 for the phase that the rollout is in.", [*_OF, "phase"])
        self._weight = self._gauge("gamebird_rollout_weight", "The canary's weight, percent of the traffic.", _OF)
        self._step = self._gauge("gamebird_rollout_step", "Zero-based index of the step; -1 without steps.", _OF)
        self._value = self._gauge("gamebird_metric_value", "The newest value of a metric.", [*_OF, "metric"])
        self._requests = self._gauge(
            "gamebird_metric_requests", "Requests behind the newest value; absent where unknown.", [*_OF, "metric"]
        )
        self._measurements = Counter(
            "gamebird_measurements", "Measurements by phase.", [*_OF, "metric", "phase"], registry=self.registry
        )
        self._decisions = Counter("gamebird_decisions", "Decisions that changed a status.", _OF, registry=self.registry)
        self._api = Counter(
            "gamebird_api_requests",
            "Requests to the API server by answer; 0: none.",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        self.reconcile_s = Histogram(
            "gamebird_reconcile_seconds",
            "How long one turn of an object takes.",
            ["kind"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.failures = Counter(
            "gamebird_reconcile_failures", "Turns that failed and are repeated.", ["kind"], registry=self.registry
        )
        self.waiting = self._gauge("gamebird_queue_length", "Objects whose turn has come.", ["kind"])

    def _gauge(self, name: str, about: str, labels: list[str]) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)

    def request(self, method: str, resource: str, status: int) -> None:
        """Count a request to the API server."""
        self._api.labels(method, resource, str(status)).inc()

    def decided(self, key: Key, before: RolloutStatus, decision: Decision) -> None:
        """Count a decision and write its records down."""
        status = decision.status
        for phase in PHASES:
            self._phase.labels(key.namespace, key.name, phase).set(phase == status.phase.value)
        self._weight.labels(key.namespace, key.name).set(status.weights.canary if status.weights else 0)
        self._step.labels(key.namespace, key.name).set(-1 if status.step_index is None else status.step_index)
        if decision.changed:
            self._decisions.labels(key.namespace, key.name).inc()
        for record in decision.records:
            if isinstance(record, TransitionRecord):
                facts = {
                    "rollout": str(key),
                    "rule": record.rule,
                    "before": record.before,
                    "after": record.after,
                    "numbers": dict(record.numbers),
                    "flip": record.flip,
                }
                log.info("decided", extra={"facts": facts})

    def measured(self, key: Key, run: AnalysisRun, metric: Metric, measurement: Measurement) -> None:
        """Count a measurement and write it down."""
        rollout = run.name.partition(f"-{run.pod_hash}")[0] or run.name
        labels = (key.namespace, rollout, metric.name)
        number = _number(measurement)
        if number is not None:
            self._value.labels(*labels).set(number)
        if measurement.requests is not None:
            self._requests.labels(*labels).set(measurement.requests)
        self._measurements.labels(*labels, measurement.phase.value).inc()
        facts = {
            "rollout": f"{key.namespace}/{rollout}",
            "run": run.name,
            "metric": metric.name,
            "phase": measurement.phase.value,
            "value": value_text(measurement.value),
            "requests": measurement.requests,
            "rule": measurement.reason,
            "flip": measurement.flip,
            "message": measurement.message,
        }
        log.info("measured", extra={"facts": facts})

    def gone(self, key: Key) -> None:
        """Forget a rollout that was deleted, or its series would be told for ever."""
        for phase in PHASES:
            _drop(self._phase, key.namespace, key.name, phase)
        for gauge in (self._weight, self._step):
            _drop(gauge, key.namespace, key.name)


def _drop(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # never told


def _number(measurement: Measurement) -> float | None:
    value = measurement.value
    if isinstance(value, tuple):
        return value[0] if value else None
    return float(value) if isinstance(value, (int, float)) else None


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found: dict[str, Any] = {
            "time": stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("object", "why", "again_s", "reason", "error"):
            if hasattr(record, name):
                found[name] = getattr(record, name)
        found |= getattr(record, "facts", {})
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)

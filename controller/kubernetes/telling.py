"""What the controller tells of itself: metrics for Prometheus, JSON log lines with the records of decisions.

Labels are bounded by what the cluster holds: rollouts, metrics and phases, never a message or a value. No secret is in
any of it, because none is in a status or a record.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

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

_Metric = TypeVar("_Metric", Gauge, Counter)


class Teller:
    """Counts and writes down what the controller does. Safe from every thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[tuple[str, str], set[tuple[Gauge | Counter, tuple[str, ...]]]] = {}  # by rollout
        self._lock = threading.Lock()
        ProcessCollector(registry=self.registry)
        self._phase = self._gauge("gamebird_rollout_phase", "1 for the phase that the rollout is in.", [*_OF, "phase"])
        self._weight = self._gauge("gamebird_rollout_weight", "The canary's weight, percent of the traffic.", _OF)
        self._step = self._gauge("gamebird_rollout_step", "Zero-based index of the step; -1 without steps.", _OF)
        self._revision = self._gauge(
            "gamebird_rollout_revision",
            "1 for the pod hash of each role, to join with what pods tell by their label rollouts-pod-template-hash.",
            [*_OF, "role", "pod_hash"],
        )
        self._verdict = self._gauge(
            "gamebird_metric_verdict", "1 for the phase of a metric's newest measurement.", [*_OF, "metric", "phase"]
        )
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
        of = (key.namespace, key.name)
        for phase in PHASES:
            self._labelled(self._phase, *of, phase).set(phase == status.phase.value)
        self._labelled(self._weight, *of).set(status.weights.canary if status.weights else 0)
        self._labelled(self._step, *of).set(-1 if status.step_index is None else status.step_index)
        hashes = {"stable": status.stable_hash, "canary": status.current_hash}
        if hashes["canary"] == hashes["stable"]:
            hashes["canary"] = ""  # there is none
        for role, pod_hash in hashes.items():
            self._only(self._revision, (*of, role), pod_hash)
        if decision.changed:
            self._labelled(self._decisions, *of).inc()
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
            self._labelled(self._value, *labels).set(number)
        if measurement.requests is not None:
            self._labelled(self._requests, *labels).set(measurement.requests)
        self._only(self._verdict, labels, measurement.phase.value)
        self._labelled(self._measurements, *labels, measurement.phase.value).inc()
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
        with self._lock:
            series = self._series.pop((key.namespace, key.name), set())
        for metric, labels in series:
            metric.remove(*labels)

    def _labelled(self, metric: _Metric, *labels: str) -> _Metric:
        """Return a series, and remember which rollout it is of: the first two labels say."""
        with self._lock:
            self._series.setdefault((labels[0], labels[1]), set()).add((metric, labels))
        return metric.labels(*labels)

    def _only(self, gauge: Gauge, labels: tuple[str, ...], last: str) -> None:
        """Set the series with these labels and the last one to 1, and let there be no other with these; "": none."""
        with self._lock:
            series = self._series.setdefault((labels[0], labels[1]), set())
            others = {each for each in series if each[0] is gauge and each[1][:-1] == labels and each[1][-1] != last}
            series -= others
        for _, other in others:
            gauge.remove(*other)
        if last:
            self._labelled(gauge, *labels, last).set(1)


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
        for name in ("object", "kind", "why", "again_s", "reason", "error"):
            if hasattr(record, name):
                found[name] = getattr(record, name)
        found |= getattr(record, "facts", {})
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)

"""One analysis run's turn: ask what is due, judge it, store the status.

All metrics that are due, or nearly, are asked at once, each within its own time limit, and judged together, as Argo
Rollouts does: two that fail in one look fail in one status. Secrets are read when they are needed and are in no
status, log or record.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controller.core.analysis import AnalysisRun, Measurement, advance, due
from controller.core.measuring import Answer, measure
from controller.kubernetes.analysis_runs import queries_of, secrets_of
from controller.kubernetes.api import NotFoundError
from controller.kubernetes.api.resources import SECRETS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.observing import Observer
from controller.kubernetes.wire import analysis_status_json
from controller.manifests.values import Metric, SecretKeyRef

Json = dict[str, Any]

ASKED_AT_ONCE = 32
TURNS_IN_A_ROW_MAX = 20
TOGETHER_S = 0.25
"""Metrics that are due so soon after another are asked with it: answers that took a little longer must not part metrics
of one interval for ever. Argo, which keeps whole seconds, asks up to a second early."""


class Watcher(Protocol):
    """Who is told of measurements, for metrics and logs. Must not block."""

    def measured(self, key: Key, run: AnalysisRun, metric: Metric, measurement: Measurement) -> None: ...


Ask = Callable[[Metric, Mapping[SecretKeyRef, str]], Answer]
"""Asks one metric; the secrets are those that its arguments refer to."""


@dataclass(slots=True, kw_only=True)
class AnalysisReconciler:
    """Tends analysis runs, one call each; several threads may call it for different runs."""

    cluster: Cluster
    observer: Observer
    ask: Ask
    now_s: Callable[[], float]
    watcher: Watcher | None = None
    _askers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(ASKED_AT_ONCE, "ask"))

    def reconcile(self, key: Key) -> float | None:
        """Ask what is due and store what came of it; return the seconds until the next turn, if any.

        Raises:
            ApiError: the status could not be stored; what was asked is asked again.
        """
        for _ in range(TURNS_IN_A_ROW_MAX):
            item = self.cluster.get("AnalysisRun", key)
            if item is None or "deletionTimestamp" in item["metadata"]:
                return None
            run = self.observer.run(item)
            if run.status.phase.completed:
                return None
            names, again_s = due(run, self.now_s())
            if again_s is None:
                return None
            if not names and again_s > self.now_s() and not run.terminate and run.status.started_s is not None:
                return again_s - self.now_s()
            if names:
                names, _ = due(run, self.now_s() + TOGETHER_S)
            measured = self._measure(run, names, key)
            status = advance(run, measured, self.now_s())
            if status == run.status:
                _, again_s = due(run, self.now_s())
                return None if again_s is None else max(again_s - self.now_s(), 0.05)
            for name, measurement in measured.items():
                if self.watcher is not None:
                    self.watcher.measured(key, run, run.metric(name), measurement)
            self.cluster.replace_status(
                "AnalysisRun", item, analysis_status_json(run.with_status(status), queries_of(run))
            )
        return 0.0

    def close(self) -> None:
        """Let the askers go; what they are asking is not waited for."""
        self._askers.shutdown(wait=False, cancel_futures=True)

    def _measure(self, run: AnalysisRun, names: tuple[str, ...], key: Key) -> dict[str, Measurement]:
        if not names:
            return {}
        secrets = self._secrets(run, key.namespace)
        asked = {name: self._askers.submit(self.ask, run.metric(name), secrets) for name in names}
        return {name: measure(run, name, _stamped(answer.result())) for name, answer in asked.items()}

    def _secrets(self, run: AnalysisRun, namespace: str) -> dict[SecretKeyRef, str]:
        """Return the values that there are; a missing one makes the metric an error that names it."""
        found: dict[SecretKeyRef, str] = {}
        for ref in secrets_of(run):
            try:
                data: Json = self.cluster.connection.get(SECRETS, namespace, ref.name).get("data") or {}
            except NotFoundError:
                continue
            if ref.key in data:
                found[ref] = base64.b64decode(data[ref.key]).decode("utf-8", "replace")
        return found


def _stamped(answer: Answer) -> Answer:
    """Return an answer whose times are what a status keeps of them, so that a restart finds the same."""
    return replace(answer, started_s=round(answer.started_s, 3), finished_s=round(answer.finished_s, 3))

"""An analysis run's status as JSON, and back.

A measurement's value is text there, as Argo prints it. What Argo has no field for (the number of requests, the rule,
what would have flipped it, evidence that is missing) is in the metadata of the measurement or of the metric's result.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from controller.core.runs import AnalysisPhase, AnalysisRun, AnalysisStatus, Measurement, MetricResult, Value
from controller.core.summaries import summaries
from controller.kubernetes.wire.stamps import maybe_seconds, stamp
from promql.go_numbers import plain_text

Json = dict[str, Any]

PREFIX = "gamebird.dev/"
_NUMBERS = {"NaN": math.nan, "+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}
_COUNTERS = ("count", "successful", "failed", "inconclusive", "error")


def analysis_status_json(run: AnalysisRun, queries: Mapping[str, str] | None = None) -> Json:
    """Return a run's status as it is stored.

    Args:
        queries: what was asked for each metric, with arguments filled in; never one that holds a secret.
    """
    asked, status = queries or {}, run.status
    found: Json = {"phase": status.phase.value}
    if status.message:
        found["message"] = status.message
    if status.results:
        found["metricResults"] = [_result_json(result, asked.get(result.name)) for result in status.results]
    if status.started_s is not None:
        found["startedAt"] = stamp(status.started_s)
    if status.completed_s is not None:
        found["completedAt"] = stamp(status.completed_s)
    for name, summary in zip(("runSummary", "dryRunSummary"), summaries(run), strict=True):
        found[name] = {field: number for field, number in asdict(summary).items() if number}
    return found


def analysis_status_from(stored: Mapping[str, Any]) -> AnalysisStatus:
    """Return the stored status; an empty mapping is that of a run that nobody has looked at.

    Raises:
        ValueError, KeyError: it is not a status that Argo or we have written.
    """
    return AnalysisStatus(
        phase=AnalysisPhase(stored.get("phase", "")),
        message=stored.get("message", ""),
        started_s=maybe_seconds(stored.get("startedAt")),
        completed_s=maybe_seconds(stored.get("completedAt")),
        results=tuple(_result_from(each) for each in stored.get("metricResults") or ()),
    )


def _result_json(result: MetricResult, query: str | None) -> Json:
    found: Json = {"name": result.name, "phase": result.phase.value}
    if result.measurements:
        found["measurements"] = [_measurement_json(each) for each in result.measurements]
    counters = {
        **{name: getattr(result, name) for name in _COUNTERS},
        "consecutiveError": result.consecutive_error,
        "consecutiveSuccess": result.consecutive_success,
    }
    found |= {name: number for name, number in counters.items() if number}
    if result.message:
        found["message"] = result.message
    if result.dry_run:
        found["dryRun"] = True
    metadata = {
        "ResolvedPrometheusQuery": query or "",
        PREFIX + "consecutive-failure": str(result.consecutive_failure or ""),
        PREFIX + "missing": str(result.missing or ""),
        PREFIX + "missing-since": "" if result.missing_since_s is None else stamp(result.missing_since_s),
    }
    return _with_metadata(found, metadata)


def _result_from(stored: Mapping[str, Any]) -> MetricResult:
    metadata: Mapping[str, str] = stored.get("metadata") or {}
    return MetricResult(
        name=stored["name"],
        phase=AnalysisPhase(stored.get("phase", "")),
        message=stored.get("message", ""),
        **{name: int(stored.get(name) or 0) for name in _COUNTERS},
        consecutive_error=int(stored.get("consecutiveError") or 0),
        consecutive_success=int(stored.get("consecutiveSuccess") or 0),
        consecutive_failure=int(metadata.get(PREFIX + "consecutive-failure", 0)),
        dry_run=bool(stored.get("dryRun")),
        missing=int(metadata.get(PREFIX + "missing", 0)),
        missing_since_s=maybe_seconds(metadata.get(PREFIX + "missing-since")),
        measurements=tuple(_measurement_from(each) for each in stored.get("measurements") or ()),
    )


def _measurement_json(measurement: Measurement) -> Json:
    missing = measurement.phase is AnalysisPhase.MISSING
    # Argo would take a phase that it does not know for a measurement under way, and wait for it for ever.
    phase = AnalysisPhase.INCONCLUSIVE if missing else measurement.phase
    found: Json = {"phase": phase.value}
    if measurement.message:
        found["message"] = measurement.message
    found["startedAt"] = stamp(measurement.started_s)
    found["finishedAt"] = stamp(measurement.finished_s)
    if measurement.value is not None:
        found["value"] = value_text(measurement.value)
    metadata = {
        PREFIX + "requests": "" if measurement.requests is None else repr(measurement.requests),
        PREFIX + "rule": measurement.reason,
        PREFIX + "flip": measurement.flip,
        PREFIX + "missing": "true" if missing else "",
    }
    return _with_metadata(found, metadata)


def _measurement_from(stored: Mapping[str, Any]) -> Measurement:
    metadata: Mapping[str, str] = stored.get("metadata") or {}
    requests = metadata.get(PREFIX + "requests")
    missing = PREFIX + "missing" in metadata
    started_s = maybe_seconds(stored.get("startedAt")) or 0.0
    finished_s = maybe_seconds(stored.get("finishedAt"))
    return Measurement(
        phase=AnalysisPhase.MISSING if missing else AnalysisPhase(stored.get("phase", "")),
        started_s=started_s,
        finished_s=started_s if finished_s is None else finished_s,
        value=value_from(stored.get("value")),
        requests=None if requests is None else float(requests),
        message=stored.get("message", ""),
        reason=metadata.get(PREFIX + "rule", ""),
        flip=metadata.get(PREFIX + "flip", ""),
    )


def value_text(value: Value) -> str:
    """Return a value as Argo prints it: [0.02,NaN] for a vector, 0.02 for a scalar, a text as it is."""
    if isinstance(value, tuple):
        return "[" + ",".join(plain_text(number) for number in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "" if value is None else plain_text(float(value))


def value_from(text: object) -> Value:
    """Return a printed value. A text that is no number and no list of numbers stays one."""
    if not isinstance(text, str) or not text:
        return None
    if text in ("true", "false"):
        return text == "true"
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else None
    try:
        if inner is None:
            return _number(text)
        return tuple(_number(part) for part in inner.split(",")) if inner.strip() else ()
    except ValueError:
        return text


def _number(text: str) -> float:
    known = _NUMBERS.get(text.strip())
    if known is not None:
        return known
    number = json.loads(text)  # stricter than float(): no 1_000, no "infinity"
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ValueError(f"{text!r} is no number")
    return float(number)


def _with_metadata(found: Json, metadata: Mapping[str, str]) -> Json:
    kept = {name: text for name, text in metadata.items() if text}
    return {**found, "metadata": kept} if kept else found

"""Item 1: one metric that judges availability and one that judges latency, understood from query and condition.

A name proves nothing: the query must be a share of failed (or good) requests, or a quantile of a histogram of
durations, and its condition must fail on the bad side of one number. What cannot be read so far is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from controller.core.conditions import ConditionError, compile_condition, fails_when
from controller.manifests.values import Metric
from experiments.readiness.answers import Answer, Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.readiness.metrics import DecidingMetric, deciding_metrics
from promql.syntax import Expr, NoShape, QuantileShape, RatioShape, ratio_shape, selectors
from promql.syntax.metric_names import counts_failures, outcome_matchers
from promql.syntax.reading import passes
from promql.syntax.tree import VectorSelector

_DURATION = re.compile(r"duration|latency|latencies|_seconds|_time(_|$)|_ms(_|$)|millis")
_FAILED_WORDS = frozenset({"error", "errors", "fail", "failed", "failure", "false", "5xx", "server_error", "timeout"})


class Objective(Enum):
    """What a metric judges."""

    AVAILABILITY = "availability"
    LATENCY = "latency"


def check_objectives(case: Case) -> tuple[Finding, ...]:
    """Return what is known of the two objectives, one finding each at least."""
    judged = [(metric, *understand(metric)) for metric in deciding_metrics(case.policy)]
    return tuple(_of(objective, judged) for objective in Objective)


def _of(objective: Objective, judged: Sequence[tuple[DecidingMetric, Objective | None, Finding]]) -> Finding:
    mine = [finding for _, found, finding in judged if found is objective]
    good = [finding for finding in mine if finding.answer is Answer.YES]
    if good:
        return good[0]
    if mine:
        return mine[0]
    obscure = [finding for _, found, finding in judged if found is None]
    advice = (
        "add a metric whose query is failed requests over all, with a successCondition such as result[0] < 0.01"
        if objective is Objective.AVAILABILITY
        else "add a metric whose query is histogram_quantile(0.95, …) of request durations, with a limit on it"
    )
    if obscure:
        said = "; ".join(finding.text for finding in obscure)
        return unknown(f"no metric is known to judge {objective.value}: {said}", advice)
    return no(f"no metric that decides judges {objective.value}", advice)


def understand(one: DecidingMetric) -> tuple[Objective | None, Finding]:
    """Return which objective a metric judges, None where it is not understood, and what is to be said of it."""
    shape = ratio_shape(one.query)
    name = f"{one.metric.name} ({one.place})"
    match shape:
        case NoShape():
            return None, unknown(f"{name} is not understood: {shape.reason}", "write it as a ratio or a quantile")
        case QuantileShape():
            if not all(_DURATION.search(selector.metric or "") for selector in selectors(one.query)):
                return None, unknown(f"{name} is a quantile of what does not look like durations", "name what it is")
            what = f"judges latency, the {shape.q:g}-quantile of durations"
            return Objective.LATENCY, _judged(one.metric, name, what, bad_is_high=shape.scale > 0)
        case RatioShape():
            return _ratio(one, name, shape)


def _ratio(one: DecidingMetric, name: str, shape: RatioShape) -> tuple[Objective | None, Finding]:
    part = selectors(shape.numerator)
    if part and all(_asks_bound(selector) for selector in part):
        good_is_high = (shape.scale > 0) != shape.complemented
        what = "judges latency, the share of requests that are fast enough"
        return Objective.LATENCY, _judged(one.metric, name, what, bad_is_high=not good_is_high)
    failed = _counts_failed(shape.numerator)
    if failed is None:
        return None, unknown(
            f"{name} is a share of requests, and nothing says whether of good ones or of failed ones",
            "select by a status such as 5..",
        )
    bad_is_high = failed != shape.complemented
    what = f"judges availability, the share of requests that {'failed' if bad_is_high else 'did not fail'}"
    return Objective.AVAILABILITY, _judged(one.metric, name, what, bad_is_high=bad_is_high)


def _judged(metric: Metric, name: str, what: str, *, bad_is_high: bool) -> Finding:
    """Return whether the metric's condition fails on the bad side."""
    written = metric.success_condition or metric.failure_condition
    if not written:
        return no(f"{name} {what}, and no condition judges it", f"give {metric.name} a successCondition")
    try:
        success = compile_condition(metric.success_condition) if metric.success_condition else None
        failure = compile_condition(metric.failure_condition) if metric.failure_condition else None
        region = fails_when(success, failure)
    except ConditionError as error:
        return no(f"{name} {what}; its condition cannot be evaluated: {error}", f"mend the condition of {metric.name}")
    if region is None:
        return unknown(
            f"{name} {what}; whether {written} fails on the bad side is not known",
            f"compare the result of {metric.name} with one number",
        )
    if (region.op in (">", ">=")) is not bad_is_high or region.op in ("==", "!="):
        return no(
            f"{name} {what}, and its condition fails when {region}: that is the good side",
            f"turn the condition of {metric.name} round",
        )
    return yes(f"{name} {what}; it fails when {region}")


def _counts_failed(numerator: Expr) -> bool | None:
    """Return whether the counted requests are failed ones or good ones; None where it is not known."""
    said = {_is_failed(selector) for selector in selectors(numerator)}
    return said.pop() if len(said) == 1 else None


def _is_failed(selector: VectorSelector) -> bool | None:
    if counts_failures(selector.metric):
        return True
    texts = outcome_matchers(selector)
    known = [m for m in selector.matchers if f'{m.name}{m.op}"{m.value}"' in texts]
    if not known:
        return None
    for bad, good in (("500", "200"), ("5xx", "2xx"), *((word, "ok") for word in sorted(_FAILED_WORDS))):
        lets_bad = all(passes(matcher, bad) for matcher in known)
        lets_good = all(passes(matcher, good) for matcher in known)
        if lets_bad != lets_good:
            return lets_bad
    return None


def _asks_bound(selector: VectorSelector) -> bool:
    """Return whether the selector picks one bucket of a histogram, and not all observations."""
    return any(matcher.name == "le" and not passes(matcher, "+Inf") for matcher in selector.matchers)

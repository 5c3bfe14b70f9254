"""Item 2, the queries: each tells the canary from stable by something that changes from one revision to the next.

A selector is looked at twice, with the pod hashes of two different releases: if its text changes with the newest
revision, it selects the canary; if with the one before, stable. Failing that, it must name a Service or a label that
only canary pods have. Everything else reads both revisions at once, and stable's traffic hides what the canary does.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from controller.manifests.values import Rollout
from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.readiness.metrics import DecidingMetric, deciding_metrics
from promql.syntax import selectors, to_text
from promql.syntax.reading import passes
from promql.syntax.tree import Matcher, MatchOp, VectorSelector

_NEXT = (
    "select the canary in every part of the query: pass podTemplateHashValue: Latest as an argument and match it "
    "against the pods' hash label"
)


class Side(Enum):
    """Which revision a selector reads."""

    CANARY = "canary"
    STABLE = "stable"
    BOTH = "both"


def check_queries(case: Case) -> tuple[Finding, ...]:
    """Return a finding for each metric that decides."""
    metrics = deciding_metrics(case.policy)
    if not metrics:
        return (unknown("no metric with a Prometheus query decides about this rollout", "add an analysis"),)
    return tuple(_finding(one, case.policy.rollout) for one in metrics)


def _finding(one: DecidingMetric, rollout: Rollout) -> Finding:
    read = list(sides(one, rollout))
    mixed = [selector for selector, side, _ in read if side is Side.BOTH]
    name = f"{one.metric.name} ({one.place})"
    if mixed:
        shown = to_text(mixed[0])
        return no(f"{name} mixes canary and stable: {shown} selects the pods of both", _NEXT)
    if not any(side is Side.CANARY for _, side, _ in read):
        return no(f"{name} never reads the canary", _NEXT)
    labels = ", ".join(sorted({label for _, _, label in read if label}))
    return yes(f"{name} selects the canary by {labels}")


def sides(one: DecidingMetric, rollout: Rollout) -> Iterator[tuple[VectorSelector, Side, str]]:
    """Yield each selector of a metric's query, which revision it reads, and the label that says so ("" for both)."""
    trio = zip(selectors(one.query), selectors(one.of_another_release), selectors(one.of_another_stable), strict=True)
    for selector, newer, older in trio:
        found = {
            *_by_hash(selector, newer, Side.CANARY),
            *_by_hash(selector, older, Side.STABLE),
            *_by_fixed_value(selector, rollout),
        }
        known = {side for side, _ in found}
        if len(known) == 1:
            yield selector, known.pop(), min(label for _, label in found)
        else:  # neither, or the hashes of both in one matcher
            yield selector, Side.BOTH, ""


def separating_labels(case: Case) -> frozenset[str]:
    """Return the labels by which the policy's queries tell revisions apart."""
    rollout = case.policy.rollout
    return frozenset(label for one in deciding_metrics(case.policy) for _, _, label in sides(one, rollout) if label)


def _by_hash(selector: VectorSelector, other: VectorSelector, side: Side) -> Iterator[tuple[Side, str]]:
    """Yield the side of each matcher whose value changes with that side's pod hash."""
    contrary = Side.STABLE if side is Side.CANARY else Side.CANARY
    for mine, theirs in zip(selector.matchers, other.matchers, strict=True):
        if mine.value != theirs.value and not _lets_anything(mine):
            positive = mine.op in (MatchOp.EQUAL, MatchOp.MATCHES)
            yield (side if positive else contrary), mine.name


def _lets_anything(matcher: Matcher) -> bool:
    """Return whether a regular expression with a pod hash in it lets pods of any hash pass."""
    return matcher.op is MatchOp.MATCHES and passes(matcher, "neither-of-these-pods")


def _by_fixed_value(selector: VectorSelector, rollout: Rollout) -> Iterator[tuple[Side, str]]:
    """Yield the side of each matcher that names a Service or a label which only one revision's pods have."""
    strategy = rollout.strategy
    marks: dict[str, Side] = {}
    if strategy.canary_service and strategy.canary_service != strategy.stable_service:
        marks |= {strategy.canary_service: Side.CANARY, strategy.stable_service: Side.STABLE}
    canary = strategy.canary_metadata.labels if strategy.canary_metadata else {}
    stable = strategy.stable_metadata.labels if strategy.stable_metadata else {}
    for matcher in selector.matchers:
        if matcher.op is not MatchOp.EQUAL or not matcher.value:
            continue
        if matcher.value in marks:
            yield marks[matcher.value], matcher.name
        elif canary.get(matcher.name) == matcher.value != stable.get(matcher.name):
            yield Side.CANARY, matcher.name
        elif stable.get(matcher.name) == matcher.value != canary.get(matcher.name):
            yield Side.STABLE, matcher.name

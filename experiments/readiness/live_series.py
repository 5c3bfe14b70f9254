"""Item 2, the live Prometheus: the label that the queries select the canary by is on the series of both revisions.

Only asked where an address was named. A Prometheus that does not answer leaves the question open.
"""

from __future__ import annotations

from dataclasses import replace

from controller.metrics.prometheus import PrometheusClient
from controller.metrics.transport import ProviderError
from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.readiness.metrics import deciding_metrics
from experiments.readiness.separation import Side, sides
from promql.syntax import to_text
from promql.syntax.tree import METRIC_NAME, MatchOp, VectorSelector

TIMEOUT_S = 10.0
_BOTH = 2  # revisions
_PARTS = ("le", "status", "code")
"""Labels that pick a part of the requests: which of them there are says nothing of revisions."""


def check_live_series(case: Case) -> tuple[Finding, ...]:
    """Return a finding for each metric and label, none where no Prometheus was named.

    Raises:
        AddressError: the address is no URL.
    """
    if not case.prometheus:
        return ()
    asked: dict[tuple[str, str], VectorSelector] = {}
    for one in deciding_metrics(case.policy):
        for selector, side, label in sides(one, case.policy.rollout):
            if side is not Side.BOTH and selector.metric:
                asked.setdefault((selector.metric, label), selector)
    with PrometheusClient() as client:
        return tuple(_finding(client, case, selector, label) for (_, label), selector in asked.items())


def _finding(client: PrometheusClient, case: Case, selector: VectorSelector, label: str) -> Finding:
    kept = tuple(matcher for matcher in selector.matchers if matcher.name not in (label, *_PARTS))
    told_by = [matcher for matcher in selector.matchers if matcher.name == label]
    scoped = any(matcher.name != METRIC_NAME for matcher in kept)
    if not scoped or any(matcher.op is not MatchOp.EQUAL for matcher in told_by):
        # Without the matcher other services' series would be counted, or every pod for a revision of its own.
        return unknown(
            f"{case.prometheus}: {to_text(selector)} cannot be asked for both revisions of this service alone",
            f"select the service by one label and the revision by another, with {label}=",
        )
    every = to_text(replace(selector, matchers=kept, offset_s=0.0, at=None))
    named = f"{case.prometheus}: {every}"
    try:
        bare = client.ask(
            case.prometheus, f"count({_with(every, label)})", at_s=case.now.timestamp(), timeout_s=TIMEOUT_S
        )
        values = client.ask(
            case.prometheus, f"count(count by ({label}) ({every}))", at_s=case.now.timestamp(), timeout_s=TIMEOUT_S
        )
    except ProviderError as error:
        return unknown(f"{named}: no answer ({error})", "run this where the Prometheus can be reached")
    if _number(bare.value):
        return no(
            f"{named}: {_number(bare.value):g} series have no label {label}", f"scrape every pod with the label {label}"
        )
    count = _number(values.value)
    if count >= _BOTH:
        return yes(f"{named}: {count:g} revisions by {label}")
    seen = "no series now" if not count else "one revision now"
    return unknown(f"{named}: {seen}", "run this while a rollout is under way, so that both revisions serve")


def _with(every: str, label: str) -> str:
    """Return the selector for those of its series that lack the label."""
    stem, brace, rest = every.partition("{")
    return f'{stem}{{{label}="",{rest}' if brace else f'{stem}{{{label}=""}}'


def _number(value: float | tuple[float, ...]) -> float:
    """Return the one number of an answer; 0 for none, which is what an empty count is."""
    return (value[0] if value else 0.0) if isinstance(value, tuple) else value

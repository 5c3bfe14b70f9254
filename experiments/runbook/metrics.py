"""What each metric of the analysis means to whoever reads its verdict: the value, the limits, the evidence behind it.

Phases of odd answers are not described but tried: the decision core is given an empty answer, a NaN, silence and too
few requests, and the page says what it made of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.analysis import ERROR_RETRY_S
from controller.core.evidence_deadlines import wait_s
from controller.core.measuring import Answer, failing_region, measure_metric
from controller.core.runs import AnalysisPhase
from controller.core.verdicts import counts_in_a_row
from controller.manifests.policies import LATEST_HASH, STABLE_HASH, Policy
from controller.manifests.values import (
    EvidenceAction,
    Metric,
    OtherProvider,
    Parity,
    PrometheusProvider,
    WebProvider,
    without_secrets,
)
from experiments.runbook.journey import time_text
from experiments.runbook.markdown import code_outside_tables as code
from experiments.runbook.markdown import plain
from experiments.runbook.queries import canary_labels, in_words
from promql.syntax import PromQLSyntaxError, parse
from promql.syntax.printing import duration_text, to_text
from promql.syntax.requests import RequestCount, requests_behind
from promql.syntax.shapes import NoShape, ratio_shape

NEWEST, STABLE = "HASH_OF_THE_NEWEST", "HASH_OF_STABLE"
"""What stands on the page for the pod hashes, which only a running rollout knows."""

_DUE = {
    EvidenceAction.PAUSE: "the metric is Inconclusive, and the rollout pauses for a person",
    EvidenceAction.FAIL: "the metric is Failed, and the rollout aborts",
    EvidenceAction.PASS: "**the metric passes without evidence**",
    EvidenceAction.WAIT: "it goes on waiting",
}

_ODD = (
    Answer(started_s=0.0, finished_s=0.0, value=()),
    Answer(started_s=0.0, finished_s=0.0, value=(float("nan"),)),
    Answer(started_s=0.0, finished_s=0.0, error="no answer"),
)
"""Answers that are no evidence, and behind which no requests are known to stand: too few of them for any floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPart:
    """One metric, as the page shows it.

    Attributes:
        where: the steps that measure it, or the background.
        query: what is asked, word for word; "" for providers of other kinds.
        facts: one sentence or two each, Markdown.
    """

    name: str
    where: str
    query: str
    language: str
    facts: tuple[str, ...]


def metric_parts(policy: Policy) -> tuple[MetricPart, ...]:
    """Return every metric once, with all the places that measure it."""
    places: dict[tuple[Metric, bool], list[str]] = {}
    for item in policy.analyses:
        place = "beside the steps" if item.step_index is None else f"{item.step_index + 1}"
        for metric in item.resolved.metrics:
            places.setdefault((metric, metric.name in item.resolved.dry_run), []).append(place)
    return tuple(_part(policy, metric, dry, where) for (metric, dry), where in places.items())


def may_be_inconclusive(policy: Policy) -> bool:
    """Return whether an analysis can end Inconclusive: by two conditions, a streak not reached, or missing evidence."""
    return any(
        (metric.success_condition and metric.failure_condition)
        or (metric.consecutive_success_limit and metric.measurements_wanted is not None)
        or metric.evidence.requests_min is not None
        or metric.evidence.parity is Parity.OFF
        for item in policy.analyses
        for metric in item.resolved.metrics
        if metric.name not in item.resolved.dry_run
    )


def shown(text: str) -> str:
    """Return a text of the policy with its secrets and the pod hashes marked."""
    return without_secrets(text).replace(LATEST_HASH, NEWEST).replace(STABLE_HASH, STABLE)


def _part(policy: Policy, metric: Metric, dry: bool, where: list[str]) -> MetricPart:
    steps = [place for place in where if place.isdigit()]
    said = [place for place in where if not place.isdigit()]
    if steps:
        said.insert(0, f"at step {steps[0]}" if len(steps) == 1 else f"at steps {', '.join(steps)}")
    match metric.provider:
        case PrometheusProvider(query=query):
            text, language = shown(query).strip(), "promql"
            about = _about_query(policy, metric, text)
        case WebProvider() as web:
            text, language = f"{web.method} {shown(web.url)}", "text"
            about = [
                f"The answer's part at {code(web.json_path)} is judged." if web.json_path else "All of it is judged."
            ]
        case OtherProvider(kind=kind):
            text, language = "", ""
            about = [f"A provider of kind {code(kind)}: this page cannot say what it measures."]
    facts = [*about, *_conditions(metric), _pace(metric)]
    if dry:
        facts.insert(0, "**Dry run: it is measured and shown, and decides nothing.**")
    else:
        facts += [*_limits(metric), *_odd_answers(metric)]
    return MetricPart(name=metric.name, where=" and ".join(said), query=text, language=language, facts=tuple(facts))


def _about_query(policy: Policy, metric: Metric, text: str) -> list[str]:
    try:
        expr = parse(text)
    except PromQLSyntaxError:
        return ["The query holds what is known only while the rollout runs, so it is not put into words here."]
    said = list(in_words(expr))
    strategy = policy.rollout.strategy
    labels = canary_labels(expr, parts=(NEWEST, "canary"), whole=strategy.canary_service)
    if labels:
        said.append(f"It names the canary by {', '.join(map(code, labels))}.")
    else:
        said.append(
            "**Nothing in it names the canary**: where stable's pods report under the same labels, the value is of "
            "both, and a small canary hardly moves it. Look at the canary's own series before you believe a good "
            "value."
        )
    own = metric.evidence.requests_query
    behind = requests_behind(expr)
    if own is not None:
        said.append(f"Requests behind a value, as the policy counts them: {code(shown(own))}.")
    elif isinstance(behind, RequestCount):
        said.append(f"Requests behind a value: {code(to_text(behind.query))}.")
    else:
        said.append(f"How many requests stand behind a value cannot be derived ({plain(behind.reason)}).")
    return said


def _conditions(metric: Metric) -> list[str]:
    good, bad = (code(shown(text)) for text in (metric.success_condition, metric.failure_condition))
    if good and bad:
        return [f"Failed if {bad}; else good if {good}; else Inconclusive."]
    if good:
        return [f"Good if {good}; else Failed."]
    if bad:
        return [f"Failed if {bad}; else good."]
    return ["It has no condition: every answer is good."]


def _pace(metric: Metric) -> str:
    wanted, streak, delay_s = metric.measurements_wanted, metric.consecutive_success_limit, metric.initial_delay_s
    begins = f"{duration_text(delay_s)} after the analysis begins" if delay_s else "at once"
    if wanted == 1:
        return f"Measured once, {begins}."
    every = f"every {duration_text(metric.interval_s)}" if metric.interval_s is not None else "again"
    until = "as long as the rollout lasts" if wanted is None else f"until {wanted} are counted (errors are not)"
    enough = f", or until {streak} in a row were good" if streak else ""
    return f"Measured {begins} and then {every}, {until}{enough}."


def _limits(metric: Metric) -> list[str]:
    said = []
    if metric.failure_limit < 0:
        said.append("Failed measurements alone never fail it.")
    else:
        row = " in a row" if counts_in_a_row(metric) else ""
        said.append(
            f"{_nth(metric.failure_limit + 1)} Failed measurement{row} fails the analysis: the rollout **aborts**."
        )
    if metric.success_condition and metric.failure_condition:
        said.append(
            f"{_nth(metric.inconclusive_limit + 1)} Inconclusive measurement makes the analysis Inconclusive: the "
            "rollout **pauses until a person decides**."
        )
    if metric.consecutive_success_limit and metric.measurements_wanted is not None:
        end = "Inconclusive (a pause)" if metric.failure_limit >= 0 else "Failed (an abort)"
        said.append(f"All {metric.measurements_wanted} measured without that streak: {end}.")
    said.append(
        f"{_nth(metric.consecutive_error_limit + 1)} error in a row ends it in Error: the rollout **aborts**. After "
        f"an error it is asked again {duration_text(ERROR_RETRY_S)} later."
    )
    return said


def _nth(count: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return f"The {names[count - 1]}" if count <= len(names) else f"The {count}th"


def _odd_answers(metric: Metric) -> list[str]:
    rules = metric.evidence
    said = []
    if isinstance(metric.provider, PrometheusProvider):
        enough = float(rules.requests_min or 0)
        empty = measure_metric(metric, Answer(started_s=0.0, finished_s=0.0, value=(), requests=enough))
        nan = measure_metric(metric, Answer(started_s=0.0, finished_s=0.0, value=(float("nan"),), requests=enough))
        said.append(
            f"An empty answer (no such series yet) is {_outcome(empty.phase)}; a NaN (0/0) is {_outcome(nan.phase)}."
        )
    waits = any(measure_metric(metric, answer).phase is AnalysisPhase.MISSING for answer in _ODD)
    if rules.requests_min is None:
        said.append("No floor: a value counts however few requests stand behind it.")
    else:
        few = measure_metric(metric, Answer(started_s=0.0, finished_s=0.0, value=(0.0,), requests=None))
        proof = "; a failure that is beyond doubt at that number counts all the same" if _may_prove(metric) else ""
        said.append(
            f"Floor: below {rules.requests_min} requests, or where their number is unknown, a value is "
            f"{_outcome(few.phase)}{proof}."
        )
    if waits:
        said.append(f"Evidence that is missing for {time_text(wait_s(metric))}: {_DUE[rules.on_deadline]}.")
    return said


def _may_prove(metric: Metric) -> bool:
    """Return whether a failure below the floor may count: odds, one threshold, and a value of certain shape."""
    provider = metric.provider
    if metric.evidence.odds is None or failing_region(metric) is None or not isinstance(provider, PrometheusProvider):
        return False
    try:
        return not isinstance(ratio_shape(parse(shown(provider.query))), NoShape)
    except PromQLSyntaxError:
        return False


def _outcome(phase: AnalysisPhase) -> str:
    return {
        AnalysisPhase.MISSING: "waited for, and counts towards no limit",
        AnalysisPhase.ERROR: "an error",
        AnalysisPhase.SUCCESSFUL: "**taken as good**",
        AnalysisPhase.FAILED: "Failed",
        AnalysisPhase.INCONCLUSIVE: "Inconclusive",
    }.get(phase, str(phase))

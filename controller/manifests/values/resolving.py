"""From templates and arguments to the metrics that an analysis run measures, with the errors that Argo gives.

Pure. Three stages, as in Argo Rollouts: find the templates (and the templates they name), combine
them with the rollout's arguments into one spec, then fill `{{args.x}}` in and check the numbers.
The decision core calls all three when it starts a run; loading calls them to find faults early.

Secrets never pass through here: an argument from a Secret becomes a mark, and whoever asks the
provider puts the secret in its place with `reveal` at the last moment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import re2

from controller.manifests.values.amounts import DurationError, FrozenMap, duration_s
from controller.manifests.values.analysis import (
    AnalysisTemplate,
    FieldRef,
    MeasurementRetention,
    Metric,
    MetricTemplate,
    OtherProvider,
    PodTemplateHash,
    RolloutArg,
    SecretKeyRef,
    TemplateArg,
    TemplateRef,
)
from controller.manifests.values.extensions import EvidenceRules, Extensions
from controller.manifests.values.rollout import Rollout

_TAG = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)
Shown = TypeVar("Shown")
_SECRET_MARK = re.compile("\x01secret:([^/\x01]*)/([^\x01]*)\x01")


class ResolutionError(ValueError):
    """Templates, arguments or limits that do not fit together; the text is Argo's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument with its value, or with the Secret that holds it."""

    name: str
    value: str | None = None
    secret: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSpec:
    """What an analysis run is made of, before arguments are filled in."""

    metrics: tuple[MetricTemplate, ...]
    args: tuple[Argument, ...] = ()
    dry_run: tuple[str, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    evidence: FrozenMap[EvidenceRules] = field(default_factory=FrozenMap)  # by metric


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedAnalysis:
    """What an analysis run measures."""

    metrics: tuple[Metric, ...]
    dry_run: frozenset[str] = frozenset()  # names of metrics that never decide
    retention: FrozenMap[int] = field(default_factory=FrozenMap)  # metric -> measurements kept


def find_templates(refs: Iterable[TemplateRef], templates: Iterable[AnalysisTemplate]) -> tuple[AnalysisTemplate, ...]:
    """Return the templates that are named, and those that they name, each once; namespaced ones first.

    Raises:
        ResolutionError: a named template is not among `templates`.
    """
    known = {template.ref: template for template in templates}
    found: dict[TemplateRef, AnalysisTemplate] = {}
    waiting = list(refs)
    while waiting:
        ref = waiting.pop(0)
        if ref in found:
            continue
        if ref not in known:
            kind = "clusteranalysistemplate" if ref.cluster_scope else "analysistemplate"
            raise ResolutionError(f'{kind}.argoproj.io "{ref.name}" not found')
        found[ref] = known[ref]
        waiting[:0] = known[ref].templates
    return tuple(sorted(found.values(), key=lambda template: template.cluster_scope))


def rollout_arguments(
    args: Iterable[RolloutArg], rollout: Rollout, *, latest_hash: str, stable_hash: str
) -> tuple[Argument, ...]:
    """Return the values of the arguments that a rollout gives to one of its analyses."""
    values = []
    for arg in args:
        match arg.value_from:
            case PodTemplateHash(revision="Latest"):
                value = latest_hash
            case PodTemplateHash():
                value = stable_hash
            case FieldRef(path=path):
                value = rollout_field(rollout, path)
            case None:
                value = arg.value or ""
        values.append(Argument(name=arg.name, value=value))
    return tuple(values)


def rollout_field(rollout: Rollout, path: str) -> str:
    """Return a field of the rollout as a text, as valueFrom.fieldRef asks for it.

    Raises:
        ResolutionError: there is no such field, or it is no single value.
    """
    if path.startswith("metadata"):
        return _metadata_field(rollout, path)
    here: Any = json.loads(rollout.document)
    for section in filter(None, re.split(r"[.\[\]]+", path)):
        if isinstance(here, list):
            if not section.isdigit():
                raise ResolutionError(f"invalid index '{section}'")
            if int(section) >= len(here):
                raise ResolutionError(f"index {section} out of range")
            here = here[int(section)]
        elif isinstance(here, dict):
            here = here.get(section)
        else:
            raise ResolutionError(f"invalid path {path} in rollout")
    if here is None:
        raise ResolutionError(f"invalid path {path} in rollout")
    if isinstance(here, (list, dict)):
        raise ResolutionError(f"path {path} in rollout must terminate in a primitive value")
    return _as_text(here)


def _metadata_field(rollout: Rollout, path: str) -> str:
    """Return what the downward API knows of metadata; a label or annotation that is not there is empty."""
    subscript = re.fullmatch(r"(metadata\.(?:labels|annotations))\['(.*)'\]", path)
    if subscript:
        kept = rollout.labels if subscript[1] == "metadata.labels" else rollout.annotations
        return kept.get(subscript[2], "")
    match path:
        case "metadata.name":
            return rollout.name
        case "metadata.namespace":
            return rollout.namespace
        case "metadata.labels":
            return _as_lines(rollout.labels)
        case "metadata.annotations":
            return _as_lines(rollout.annotations)
        case "metadata.uid":
            uid = json.loads(rollout.document).get("metadata", {}).get("uid", "")
            return uid if isinstance(uid, str) else ""
    raise ResolutionError(f"unsupported fieldPath: {path}")


def _as_lines(labels: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(labels.items()))


def _as_text(value: bool | float | str) -> str:
    """Return a single value as Go prints it: a number of a million or more with an exponent."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return repr(int(value)) if value == int(value) else repr(value)
    digits, _, power = f"{Decimal(repr(value)):e}".lower().partition("e")
    whole_digits, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole_digits}{'.' if fraction else ''}{fraction}e{int(power):+03d}"


def combine(
    templates: Sequence[AnalysisTemplate],
    args: Iterable[Argument],
    *,
    dry_run: tuple[str, ...] = (),
    measurement_retention: tuple[MeasurementRetention, ...] = (),
    extensions: Extensions | None = None,
) -> AnalysisSpec:
    """Return one analysis made of several templates, with the arguments that the rollout gives.

    Args:
        extensions: the rollout's annotations; a template's own win over them.

    Raises:
        ResolutionError: two metrics of one name, contradicting defaults, an argument without a value.
    """
    metrics: list[MetricTemplate] = []
    evidence: dict[str, EvidenceRules] = {}
    base = extensions or Extensions()
    for template in templates:
        rules = template.extensions.over(base)
        for metric in template.metrics:
            if metric.name in evidence:
                raise ResolutionError(f"two metrics have the same name '{metric.name}'")
            evidence[metric.name] = rules.rules_for(metric.name)
            metrics.append(metric)
    all_dry = dry_run + tuple(rule for template in templates for rule in template.dry_run)
    _once(all_dry, "Dry-Run")
    kept = measurement_retention + tuple(rule for template in templates for rule in template.measurement_retention)
    _once([rule.metric for rule in kept], "Measurement Retention")
    return AnalysisSpec(
        metrics=tuple(metrics),
        args=_merge(_declared(templates), args),
        dry_run=all_dry,
        measurement_retention=kept,
        evidence=FrozenMap(evidence),
    )


def _once(names: Sequence[str], what: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ResolutionError(f"two {what} metric rules have the same name '{name}'")


def _declared(templates: Iterable[AnalysisTemplate]) -> dict[str, TemplateArg]:
    declared: dict[str, TemplateArg] = {}
    for arg in (arg for template in templates for arg in template.args):
        before = declared.get(arg.name)
        if before is None or before.value is None:
            declared[arg.name] = arg
        elif arg.value is not None and arg.value != before.value:
            raise ResolutionError(
                f"Argument `{arg.name}` specified multiple times with different values: '{before.value}', '{arg.value}'"
            )
    return declared


def _merge(declared: Mapping[str, TemplateArg], given: Iterable[Argument]) -> tuple[Argument, ...]:
    values = {arg.name: arg for arg in given}  # arguments that no template declares are dropped
    merged = []
    for name, arg in declared.items():
        source = arg.value_from if isinstance(arg.value_from, SecretKeyRef) else None
        value = arg.value
        if name in values:
            value = values[name].value if values[name].value is not None else value
            # Argo keeps a Secret's reference even beside a given value, and then reads the Secret.
            source = values[name].secret or source
        elif arg.value is None and arg.value_from is None:
            raise ResolutionError(f"args.{name} was not resolved")
        merged.append(Argument(name=name, value=value, secret=source))
    return tuple(merged)


def resolve(spec: AnalysisSpec) -> ResolvedAnalysis:
    """Return the metrics with their arguments filled in and their numbers checked.

    Raises:
        ResolutionError: the message is the one an analysis run in Argo ends with, as an Error.
    """
    values = {}
    for arg in spec.args:
        if arg.secret is None and arg.value is None:
            raise ResolutionError(f'Unable to resolve metric arguments: argument "{arg.name}" was not supplied')
        secret = arg.secret
        values[f"args.{arg.name}"] = (
            f"\x01secret:{secret.name}/{secret.key}\x01" if secret is not None else arg.value or ""
        )
    filled = [fill(metric, values) for metric in spec.metrics]
    first = {metric.name: index for index, metric in reversed(list(enumerate(filled)))}
    try:
        metrics = tuple(
            settle(metric, _filled_rules(spec.evidence.get(metric.name), values), index, first)
            for index, metric in enumerate(filled)
        )
        if not metrics:
            raise ResolutionError("no metrics specified")
        names = [metric.name for metric in metrics]
        dry_run = _matching([(rule, True) for rule in spec.dry_run], names, "dryRun")
        retention = _matching(
            [(rule.metric, rule.limit) for rule in spec.measurement_retention], names, "measurementRetention"
        )
        retention = {name: limit for name, limit in retention.items() if limit > 0}  # 0 is the default, not none
    except ResolutionError as error:
        raise ResolutionError(f"Analysis spec invalid: {error}") from error
    return ResolvedAnalysis(metrics=metrics, dry_run=frozenset(dry_run), retention=FrozenMap(retention))


def _filled_rules(rules: EvidenceRules | None, values: Mapping[str, str]) -> EvidenceRules:
    """Return a metric's evidence rules; the query that counts requests may hold arguments, too."""
    if rules is None or rules.requests_query is None:
        return rules or EvidenceRules()
    query = _TAG.sub(lambda tag: values.get(tag[1].strip(), tag[0]), rules.requests_query)
    return replace(rules, requests_query=query)


def _matching(rules: Sequence[tuple[str, int]], names: Sequence[str], what: str) -> dict[str, int]:
    matched: dict[str, int] = {}
    for index, (pattern, setting) in enumerate(rules):
        hits = [name for name in names if _matches(pattern, name)]
        if not hits:
            raise ResolutionError(f"{what}[{index}]: Rule didn't match any metric name(s)")
        matched.update(dict.fromkeys(hits, setting))
    return matched


def _matches(pattern: str, name: str) -> bool:
    """Return whether Go's regular expressions find the pattern in a name; what is no pattern matches nothing."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.search(pattern, name, options) is not None
    except (re2.error, UnicodeEncodeError):
        return False


def placeholders(text: str) -> tuple[str, ...]:
    """Return the tags that stand in `{{…}}` in a text, blanks cut off."""
    return tuple(match[1].strip() for match in _TAG.finditer(text))


def fill(metric: MetricTemplate, values: Mapping[str, str]) -> MetricTemplate:
    """Return the metric with every `{{args.x}}` replaced, in whatever field it stands.

    Raises:
        ResolutionError: a tag that is no given argument; with several, the last one is named.
    """
    unresolved: list[str] = []

    def replaced(text: str, quoted: Callable[[str], str]) -> str:
        def one(match: re.Match[str]) -> str:
            if match[1].strip() in values:
                return quoted(values[match[1].strip()])
            unresolved.append(match[1])
            return ""

        return _TAG.sub(one, text) if "{{" in text else text

    filled: MetricTemplate = _map_texts(metric, replaced)
    if unresolved:
        raise ResolutionError(
            f"Unable to resolve metric arguments: failed to resolve {{{{{_escaped(unresolved[-1])}}}}}"
        )
    return filled


def _map_texts(value: Any, change: Callable[[str, Callable[[str], str]], str]) -> Any:
    """Return a value with each text in it changed; texts that hold JSON have replacements quoted."""
    if isinstance(value, str):
        return change(value, str)
    if isinstance(value, tuple):
        return tuple(_map_texts(item, change) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {}
    for part in fields(value):
        old = getattr(value, part.name)
        holds_json = part.name == "json_body" or isinstance(value, OtherProvider)
        changes[part.name] = change(old, _in_json) if holds_json else _map_texts(old, change)
    return replace(value, **changes)


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escaped(tag: str) -> str:
    """Return a tag as Argo's message shows it: it looks for tags in the metric's JSON, as Go writes that."""
    return re.sub("[<>&]", lambda letter: f"\\u{ord(letter[0]):04x}", _in_json(tag))


def reveal(value: Shown, secrets: Mapping[SecretKeyRef, str]) -> Shown:
    """Return a metric or provider whose marks are replaced by the secrets; only whoever asks it may call this.

    Raises:
        KeyError: a secret that is needed is not given; its argument is the SecretKeyRef.
    """

    def replaced(text: str, quoted: Callable[[str], str]) -> str:
        return _SECRET_MARK.sub(lambda mark: quoted(secrets[SecretKeyRef(name=mark[1], key=mark[2])]), text)

    revealed: Shown = _map_texts(value, replaced)
    return revealed


def hide(text: str, secrets: Mapping[SecretKeyRef, str]) -> str:
    """Return a text that came back from a provider with each secret in it, however it is quoted, as *****.

    A provider's error may repeat the query, the URL or a header that it was sent.
    """
    forms = {
        form
        for secret in secrets.values()
        for form in (secret, _in_json(secret), quote(secret, safe=""), quote(secret), quote_plus(secret))
        if form
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "*****")
    return text


def without_secrets(text: str) -> str:
    """Return a text fit to be shown: each mark of a secret reads <secret NAME/KEY>."""
    return _SECRET_MARK.sub(lambda mark: f"<secret {mark[1]}/{mark[2]}>", text)


def settle(
    metric: MetricTemplate, evidence: EvidenceRules, index: int, first: Mapping[str, int] | None = None
) -> Metric:
    """Return the numbers of one metric whose arguments are filled in.

    Args:
        first: by name, the index of the first metric that has it.

    Raises:
        ResolutionError: limits that contradict each other, a duration that is none.
    """
    at = f"metrics[{index}]: "
    if (first or {}).get(metric.name, index) != index:
        raise ResolutionError(f"{at}duplicate name '{metric.name}'")
    count = whole(metric.count)
    limits = {
        "failure_limit": whole(metric.failure_limit),
        "inconclusive_limit": whole(metric.inconclusive_limit),
        "consecutive_success_limit": whole(metric.consecutive_success_limit),
        "consecutive_error_limit": (
            4 if metric.consecutive_error_limit is None else whole(metric.consecutive_error_limit)
        ),
    }
    fault = _limits_fault(count, metric.interval, **limits)
    if fault:
        raise ResolutionError(at + fault)
    return Metric(
        name=metric.name,
        provider=metric.provider,
        interval_s=_seconds(metric.interval, f"{at}invalid interval string") if metric.interval else None,
        initial_delay_s=(
            _seconds(metric.initial_delay, f"{at}invalid startDelay string") if metric.initial_delay else 0.0
        ),
        count=None if metric.count is None else count,
        success_condition=metric.success_condition,
        failure_condition=metric.failure_condition,
        evidence=evidence,
        **limits,
    )


def whole(number: int | str | None) -> int:
    """Return a number as Argo reads it: a text that is no whole number counts as 0, silently."""
    if isinstance(number, str):
        return int(number) if re.fullmatch(r"[+-]?[0-9]{1,18}", number) else 0
    return number or 0


def _seconds(text: str, what: str) -> float:
    try:
        return duration_s(text)
    except DurationError as error:
        raise ResolutionError(f"{what}: {error.go_message}") from error


def _limits_fault(
    count: int,
    interval: str,
    *,
    failure_limit: int,
    inconclusive_limit: int,
    consecutive_success_limit: int,
    consecutive_error_limit: int,
) -> str:
    """Return what is wrong with a metric's limits in Argo's words and order, or nothing."""
    streak, both = consecutive_success_limit, failure_limit + consecutive_success_limit
    faults = (
        (streak < 0, "consecutiveSuccessLimit must be >= 0"),
        (failure_limit < -1, "failureLimit must be >= 0, or -1 to be disabled"),
        (
            streak == 0 and failure_limit == -1,
            "failureLimit and consecutiveSuccessLimit cannot both be disabled",
        ),
        (inconclusive_limit < 0, "inconclusiveLimit must be >= 0"),
        (consecutive_error_limit < 0, "consecutiveErrorLimit must be >= 0"),
        (
            0 < count < both and failure_limit >= 0,
            f"count ({count}) must be >= failureLimit + consecutiveSuccessLimit "
            f"({failure_limit} + {streak}) if both >= 0",
        ),
        (failure_limit < 0 < count < streak, "count must be >= consecutiveSuccessLimit"),
        (0 < count < inconclusive_limit, "count must be >= inconclusiveLimit"),
        (count > 1 and not interval, "interval must be specified when count > 1"),
    )
    return next((text for wrong, text in faults if wrong), "")

"""Pod templates and label selectors: what every revision of a rollout is made of.

The template is kept whole, as one canonical text; only what decides about a rollout is looked at
(labels, containers, probes, quantities). Whether a cluster would admit the pod is its own affair.
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from controller.manifests.problems import shown
from controller.manifests.reading.reader import Reader
from controller.manifests.values import (
    FrozenMap,
    LabelExpression,
    LabelSelector,
    PodTemplate,
    canonical_json,
)

_QUANTITY = re.compile(r"[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def read_selector(spec: Reader, *, required: bool) -> LabelSelector | None:
    """Return the label selector of a spec."""
    reader = spec.child("selector", "selector", required=required)
    if reader is None:
        return None
    expressions = []
    for item in reader.children("matchExpressions", "matchExpression"):
        operator = item.choice("operator", _OPERATORS, "Exists")
        values = item.texts("values")
        if operator in ("In", "NotIn") and not values:
            item.fail("missing", f"at least one value for {operator}", "values")
        expressions.append(
            LabelExpression(
                key=item.text("key", required=True),
                operator=cast(Literal["In", "NotIn", "Exists", "DoesNotExist"], operator),
                values=values,
            )
        )
    selector = LabelSelector(match_labels=reader.text_map("matchLabels"), match_expressions=tuple(expressions))
    if not selector.match_labels and not selector.match_expressions:
        reader.fail("empty", "labels of the rollout's own pods, under matchLabels")
    return selector


def read_pod_template(spec: Reader, selector: LabelSelector | None) -> PodTemplate | None:
    """Return the pod template of a spec, once its labels are what the selector asks for."""
    reader = spec.child("template", "template", required=True)
    if reader is None:
        return None
    metadata = reader.child("metadata", "podMetadata")
    labels: FrozenMap[str] = FrozenMap() if metadata is None else metadata.text_map("labels")
    annotations: FrozenMap[str] = FrozenMap() if metadata is None else metadata.text_map("annotations")
    for key, value in ({} if selector is None else selector.match_labels).items():
        if labels.get(key) != value:
            found = f"{labels[key]!r}" if key in labels else "missing"
            reader.fail(found, f"{value!r}, as spec.selector.matchLabels says", "metadata", "labels", key)
    pod = reader.child("spec", "podSpec", required=True)
    if pod is not None:
        _check_pod(pod)
    return PodTemplate(canonical=canonical_json(_without_nulls(reader.value)), labels=labels, annotations=annotations)


def _without_nulls(value: Any) -> Any:
    """Return plain data without fields that are null, which Kubernetes does not store either."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _check_pod(pod: Reader) -> None:
    names: list[str] = []
    for container in pod.children("containers", "container", required=True) + pod.children(
        "initContainers", "container"
    ):
        name = container.text("name", required=True)
        if name and name in names:
            container.fail("a second container of this name", "a name of its own", "name")
        names.append(name)
        container.text("image", required=True)
        for probe in _PROBES:
            _check_probe(container, probe)
        resources = container.child("resources", "resources")
        for kind in () if resources is None else ("requests", "limits"):
            assert resources is not None
            _check_quantities(resources.child(kind, ""))
        for variable in container.children("env", ""):
            variable.text("name", required=True)
            variable.text("value")


def _check_probe(container: Reader, name: str) -> None:
    probe = container.child(name, "probe")
    if probe is None:
        return
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        probe.maybe_integer(field)


def _check_quantities(reader: Reader | None) -> None:
    if reader is None:
        return
    for resource, value in reader.value.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number and not (isinstance(value, str) and _QUANTITY.fullmatch(value)):
            reader.fail(shown(value), "a quantity such as 250m, 2 or 128Mi", resource)

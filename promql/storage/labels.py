"""Label sets as values: sorted pairs of name and value, hashable, compared like Prometheus compares them.

A label whose value is empty is the same as no label, so none is kept. Everything that groups, joins or
prints series stands on this; it knows nothing of samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs without empty values."""

METRIC_NAME = "__name__"
NAME_LABELS = frozenset(("__name__", "__type__", "__unit__"))
"""What is dropped together with the metric name once a value is no longer that metric."""


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Return the label set of a mapping or of pairs with distinct names."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def value_of(labels: Labels, name: str) -> str:
    """Return the label's value, '' if it is missing."""
    for own, value in labels:
        if own == name:
            return value
    return ""


def without(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


@lru_cache(maxsize=65_536)
def unnamed(labels: Labels) -> Labels:
    """Return the labels without the metric name and what belongs to it."""
    return without(labels, NAME_LABELS)


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """Return the labels with one set; an empty value removes it."""
    kept = [pair for pair in labels if pair[0] != name]
    if value:
        kept.append((name, value))
    return tuple(sorted(kept))


def labels_text(labels: Labels) -> str:
    """Return the labels as Prometheus prints them in messages: `name{a="b"}`."""
    name = value_of(labels, METRIC_NAME)
    inside = ", ".join(f"{own}={_quoted(value)}" for own, value in labels if own != METRIC_NAME)
    return f"{name}{{{inside}}}" if inside or not name else name


def braced(labels: Labels) -> str:
    """Return all labels in braces, the name among them, as some messages print them: `{__name__="name", a="b"}`."""
    return "{" + ", ".join(f"{name}={_quoted(value)}" for name, value in labels) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Frozen values of the core as JSON, and back: for what a restarted controller must find exactly as it was.

Only the classes that are named here can come out, so that nobody's annotation can make anything else of itself.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from controller.manifests import values
from controller.manifests.values import FrozenMap
from controller.manifests.values.extensions import EvidenceAction, EvidenceRules, Missing, Parity

_CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        values.Metric,
        values.PrometheusProvider,
        values.WebProvider,
        values.OtherProvider,
        values.Header,
        values.Authentication,
        values.RangeQuery,
        values.Argument,
        values.SecretKeyRef,
        EvidenceRules,
    )
}
_ENUMS: dict[str, type[Enum]] = {kind.__name__: kind for kind in (Parity, EvidenceAction, Missing)}
_KIND = "@"


class UnpackError(ValueError):
    """What was stored is not what was packed."""


def pack(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, "value": value.value}
    if is_dataclass(value) and not isinstance(value, type):
        known = {field.name: pack(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__, **known}
    if isinstance(value, FrozenMap):
        return {_KIND: "map", "items": {key: pack(inner) for key, inner in value.items()}}
    if isinstance(value, frozenset):
        return {_KIND: "set", "items": sorted(value)}
    if isinstance(value, tuple):
        return [pack(inner) for inner in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} is not packed")


def unpack(stored: Any) -> Any:
    """Return the value that was packed.

    Raises:
        UnpackError: it was not made by `pack`, or by another version of it.
    """
    if isinstance(stored, list):
        return tuple(unpack(inner) for inner in stored)
    if not isinstance(stored, dict):
        return stored
    kind = stored.get(_KIND)
    try:
        if kind == "map":
            return FrozenMap({str(key): unpack(inner) for key, inner in stored["items"].items()})
        if kind == "set":
            return frozenset(stored["items"])
        if kind in _ENUMS:
            return _ENUMS[kind](stored["value"])
        return _CLASSES[str(kind)](**{name: unpack(inner) for name, inner in stored.items() if name != _KIND})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnpackError(f"{kind!r} cannot be unpacked: {error}") from error

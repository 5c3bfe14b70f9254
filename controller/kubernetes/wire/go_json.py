"""Objects as Go writes them as JSON, byte for byte: fields in the order of Go's structs, its omissions, its escapes.

`argo_types.json` says how each type is written; it was read from the types of Argo Rollouts and Kubernetes
(tests/conformance/hashes/recorder). A field is "name type", "name? type" where an empty value is left out. Types are
"*T", "[]T", "map:T", a struct's name, or a scalar. Only `hashes` needs this.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from controller.kubernetes.wire.quantities import canonical_quantity

_TYPES = "argo_types.json"
_EMPTY = {"string": '""', "int": "0", "bool": "false", "int-or-string": "0", "quantity": '"0"', "time": "null"}
_NOT_PLAIN = re.compile("[<>&\u2028\u2029]")


class NotAsTypedError(ValueError):
    """A value does not have the type that Go's field has, so Go could not have read it."""


def go_json(value: Any, kind: str) -> str:
    """Return what Go's encoder writes of a value, once it has been read into this type.

    Args:
        value: plain data, as the API server has it; fields that the type does not have are dropped.
        kind: a type as in `argo_types.json`, such as "PodTemplateSpec" or "[]CanaryStep".
    Raises:
        NotAsTypedError: the value does not fit.
    """
    if kind.startswith("*"):
        return "null" if value is None else go_json(value, kind[1:])
    if kind.startswith("[]"):
        if value is None:
            return "null"
        return "[" + ",".join(go_json(each, kind[2:]) for each in _typed(value, list, kind)) + "]"
    if kind.startswith("map:"):
        if value is None:
            return "null"
        entries = sorted(_typed(value, dict, kind).items())
        return "{" + ",".join(f"{_text(name)}:{go_json(each, kind[4:])}" for name, each in entries) + "}"
    if kind in _types():
        return _struct({} if value is None else _typed(value, dict, kind), kind)
    return _EMPTY.get(kind, "null") if value is None else _scalar(value, kind)


def _struct(value: dict[str, Any], kind: str) -> str:
    written = []
    for name, may_miss, inner in _types()[kind]:
        found = value.get(name)
        if may_miss and _is_empty(found, inner):
            continue
        written.append(f"{_text(name)}:{go_json(found, inner)}")
    return "{" + ",".join(written) + "}"


def _is_empty(value: Any, kind: str) -> bool:
    """Whether Go finds a value empty: a pointer to something empty is not."""
    return value is None or (not kind.startswith("*") and value in ("", 0, False, [], {}))


def _scalar(value: Any, kind: str) -> str:
    match kind:
        case "string" | "time":
            return _text(_typed(value, str, kind))
        case "bool":
            return "true" if _typed(value, bool, kind) else "false"
        case "int":
            return str(_whole(value))
        case "int-or-string":
            return _text(value) if isinstance(value, str) else str(_whole(value))
        case "quantity":
            try:
                return _text(canonical_quantity(value))
            except ValueError as error:
                raise NotAsTypedError(str(error)) from error
        case _:  # raw: whatever it is, with its keys in order, as Kubernetes' copies keep them
            return _escaped(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise NotAsTypedError(f"{value!r} is no whole number")
    return int(value)


def _typed(value: Any, wanted: type, kind: str) -> Any:
    if not isinstance(value, wanted):
        raise NotAsTypedError(f"{value!r} is no {kind}")
    return value


def _text(value: str) -> str:
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    """Escape what a browser might take for its own, as Go does."""
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@cache
def _types() -> dict[str, tuple[tuple[str, bool, str], ...]]:
    text = resources.files("controller.kubernetes.wire").joinpath(_TYPES).read_text(encoding="utf-8")
    return {name: tuple(_field(each) for each in fields) for name, fields in json.loads(text).items()}


def _field(written: str) -> tuple[str, bool, str]:
    name, _, kind = written.partition(" ")
    return name.removesuffix("?"), name.endswith("?"), kind

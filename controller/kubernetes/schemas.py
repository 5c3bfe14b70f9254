"""Structural schemas of the custom resources, from two tables in words: kinds.yaml and statuses.yaml.

The tables name every field that Argo Rollouts names, with its type and a sentence, so that `kubectl explain` tells what
a field does here and the API server refuses a text where a number belongs. What Argo's own definitions accept is
accepted, but for negative counts, which no controller can follow. What they would drop is dropped, but in two places:
pod templates, which the API server checks when pods are made of them, and what Gamebird does not carry out, are kept as
they were written. Held against Argo's definitions on 97 public manifests, that is the whole difference.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Json = dict[str, Any]

_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_PLAIN: dict[str, Json] = {
    "text": {"type": "string"},
    "duration": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "int": {"type": "integer", "format": "int32"},
    "count": {"type": "integer", "format": "int32", "minimum": 0},
    "long": {"type": "integer", "format": "int64"},
    "flag": {"type": "boolean"},
    "amount": {"x-kubernetes-int-or-string": True},
    "texts": {"type": "array", "items": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
    "open": _OPEN,
}
# Argo's definitions fill in a port's protocol, so ours do: a template is the same whichever of them stored it.
_PORT: Json = {**_OPEN, "properties": {"protocol": {"type": "string", "default": "TCP", "description": "TCP or UDP."}}}
_CONTAINER: Json = {
    **_OPEN,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "Its name."},
        "ports": {"type": "array", "description": "Ports that it listens on.", "items": _PORT},
    },
}
_POD_SPEC: Json = {
    **_OPEN,
    "required": ["containers"],
    "properties": {
        name: {"type": "array", "description": about, "items": _CONTAINER}
        for name, about in (("containers", "What runs."), ("initContainers", "What runs before."))
    },
}


def schema_of(block: str) -> Json:
    """Return the schema of a block of the tables, as `Rollout` or `RolloutStatus`."""
    return _object(_tables()[block])


@cache
def _tables() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in ("kinds.yaml", "statuses.yaml"):
        found |= yaml.safe_load(files("controller.kubernetes").joinpath(name).read_text(encoding="utf-8"))
    return found


def _object(table: Json) -> Json:
    """Return the schema of a table: an object, or a list of them where the table says so."""
    properties: Json = {}
    required: list[str] = []
    if "extends" in table:
        base = _object(_tables()[table["extends"]])
        properties |= base["properties"]
        required += base.get("required", ())
    for head, body in table.items():
        if head in ("is", "list", "extends"):
            continue
        name, kind = head.split(" ")
        if name.endswith("!"):
            name = name[:-1]
            required.append(name)
        properties[name] = _field(kind, body)
    found: Json = {"type": "object", "description": table["is"], "properties": properties}
    if required:
        found["required"] = sorted(required)
    return {"type": "array", "description": table["is"], "items": found} if table.get("list") else found


def _field(kind: str, body: str | Json) -> Json:
    """Return the schema of one field.

    Args:
        kind: its type, in the tables' words.
        body: what it says; a table for an object with fields of its own.
    """
    if isinstance(body, dict):
        one = _object(body)
        return {"type": "array", "description": one.pop("description"), "items": one} if kind == "objects" else one
    if kind.startswith("list:"):
        return {"type": "array", "description": body, "items": _field(kind.removeprefix("list:"), "One of them.")}
    return {**_leaf(kind), "description": body}


def _leaf(kind: str) -> Json:
    if kind.startswith("@"):
        return _object(_tables()[kind.removeprefix("@")])
    if kind.startswith("enum:"):
        return {"type": "string", "enum": kind.removeprefix("enum:").split(",")}
    if kind == "matches":
        return {"type": "object", "additionalProperties": _object(_tables()["stringMatch"])}
    return _POD_SPEC if kind == "podSpec" else _PLAIN[kind]

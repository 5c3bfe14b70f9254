"""From pydantic's errors to problems with a file, a line and a field, as manifests report theirs.

Relied on by every YAML file of ours that is no Kubernetes manifest. Keeps out what the fields mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.manifests.documents import Document, FieldPath, Problem, nearest, shown

_ARTICLES = ("greater", "less", "finite")
_KINDS = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_type": "a text",
}
"""What pydantic calls by Python's names, in the words of YAML."""


def field_problems(error: ValidationError, document: Document, at: FieldPath, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each thing that a model found wrong with the part of a document that stands `at`."""
    found = []
    for wrong in error.errors(include_url=False, include_context=True):
        if _is_aftermath(wrong):
            continue
        path = at + _real_path(_inside(document.value, at), wrong["loc"])
        if wrong["type"] == "extra_forbidden":
            here = _real_path(_inside(document.value, at), wrong["loc"])
            found.append(_unknown(document, path, _names(model, here[:-1])))
        elif wrong["type"] == "missing":
            found.append(document.problem(path, "missing", f"a value for {path[-1]}"))
        else:
            found.append(document.problem(path, shown(wrong["input"]), _need(wrong)))
    return found


def _unknown(document: Document, path: FieldPath, known: Sequence[str]) -> Problem:
    meant = nearest(str(path[-1]), known)
    need = f"to be spelled {meant}" if meant else f"to be one of {', '.join(known)}" if known else "to be left out"
    return document.problem(path, "unknown", need)


def _is_aftermath(wrong: ErrorDetails) -> bool:
    """Whether a list only is too short because its entries are wrong, each of which has an error of its own."""
    return wrong["type"] == "too_short" and len(wrong["input"]) >= wrong["ctx"]["min_length"]


def _need(wrong: ErrorDetails) -> str:
    kind, context = wrong["type"], wrong.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    if kind == "too_short":
        return f"at least {context['min_length']} in it"
    if kind == "string_pattern_mismatch":
        return f"a text that matches {context['pattern']}"
    if kind == "union_tag_invalid":
        return f"{context['discriminator'].strip(chr(39))} to be one of {context['expected_tags']}"
    text = wrong["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if text.startswith(_ARTICLES):
        return f"a number {text}"
    return text[:1].lower() + text[1:]


def _inside(value: Any, path: FieldPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _real_path(value: Any, loc: Sequence[str | int]) -> FieldPath:
    """Return an error's place without the names of union members, which pydantic adds and no file has."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if _holds(value, part):
            path.append(part)
            value = value[part]
        elif last and not (isinstance(part, str) and "[" in part):
            path.append(part)
    return tuple(path)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _names(model: type[BaseModel], path: FieldPath) -> tuple[str, ...]:
    """Return the fields that the model, or the models, at this place have."""
    here: list[type[BaseModel]] = [model]
    for part in path:
        if isinstance(part, int):
            continue
        here = [inner for outer in here for inner in _models(_annotation(outer, part))]
    return tuple(dict.fromkeys(field.alias or name for one in here for name, field in one.model_fields.items()))


def _annotation(model: type[BaseModel], name: str) -> Any:
    for field_name, field in model.model_fields.items():
        if name in (field_name, field.alias):
            return field.annotation
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)

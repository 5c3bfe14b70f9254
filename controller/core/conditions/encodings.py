"""JSON and base64, as the builtins of the language read and write them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from decimal import Decimal

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.objects import AnyMap, NilArray, type_name
from controller.core.conditions.operations import must_be_text

# What the original's encoder escapes beyond quotes and control characters, so that the text may stand in HTML.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED |= {"\b": "\\b", "\f": "\\f", "\x7f": "\x7f"}


def from_json(value: object) -> object:
    try:
        return json.loads(must_be_text(value), parse_int=_number, parse_float=_number, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConditionError(f"invalid JSON: {error}") from None


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number {text} is too large")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def to_json(value: object) -> str:
    """Return a value as JSON of two blanks a level, keys in order."""
    return "".join(_written(value, "\n"))


def _written(value: object, line: str) -> Iterator[str]:
    match value:
        case None | NilArray():
            yield "null"
        case bool():
            yield "true" if value else "false"
        case float():
            yield _float(value)
        case int():
            yield str(int(value))
        case str():
            yield _text(value)
        case AnyMap():
            raise UnsupportedCondition("JSON of a map whose keys are of any type")
        case dict():
            members = [(_text(str(key)) + ": ", value[key]) for key in sorted(value)]
            yield from _bracketed("{", members, "}", line)
        case list():
            yield from _bracketed("[", [("", item) for item in value], "]", line)
        case _:
            raise UnsupportedCondition(f"JSON of a {type_name(value)}")


def _bracketed(opening: str, members: list[tuple[str, object]], closing: str, line: str) -> Iterator[str]:
    yield opening
    inner = line + "  "
    for position, (name, item) in enumerate(members):
        yield ("," if position else "") + inner + name
        yield from _written(item, inner)
    yield (line if members else "") + closing


def _text(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(_ESCAPED.get(char, char) for char in quoted) if not quoted.isalnum() else quoted


def _float(value: float) -> str:
    """Return the shortest text, with an exponent below 1e-6 and from 1e21 on."""
    if not math.isfinite(value):
        raise ConditionError(f"json: unsupported value: {'NaN' if value != value else f'{value:+}'.title()}")
    if value == 0.0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        text = f"{Decimal(repr(value)):f}"
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"


def to_base64(value: object) -> str:
    return base64.b64encode(must_be_text(value).encode()).decode()


def from_base64(value: object) -> str:
    text = must_be_text(value).replace("\n", "").replace("\r", "")
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise ConditionError("illegal base64 data") from None

"""What values are while a condition runs, and what they are called in messages.

Numbers, strings, booleans and nil are Python's. Arrays are lists, and their class remembers the type of their
elements, because two arrays are compared differently when their types differ. Times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.core.conditions.errors import UnsupportedCondition
from controller.core.conditions.numbers import float_text


class Floats(list[float]):
    """The result of a vector query."""


class Ints(list[int]):
    """A range."""


class Strings(list[str]):
    """What split makes."""


class NilArray(list[object]):
    """An array that was never made: equal to nil, and empty."""


class AnyMap(dict[object, object]):
    """A map whose keys are of any type (fromPairs, groupBy)."""


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    ns: int


@dataclass(frozen=True, slots=True, order=True)
class Time:
    ns: int  # since 1970, UTC
    offset_s: int = field(default=0, compare=False)  # of the zone that its parts are told in


class Named(int):
    """A month or a day of the week: a number that is not equal to plain numbers by type."""


_NAMES: dict[type, str] = {
    type(None): "<nil>",
    bool: "bool",
    int: "int",
    float: "float64",
    str: "string",
    list: "[]interface {}",
    NilArray: "[]interface {}",
    Floats: "[]float64",
    Ints: "[]int",
    Strings: "[]string",
    dict: "map[string]interface {}",
    AnyMap: "map[interface {}]interface {}",
    Duration: "time.Duration",
    Time: "time.Time",
}
_SHORT = {"int": "int", "float64": "float", "string": "string", "bool": "bool", "<nil>": "nil"}


def type_name(value: object) -> str:
    """Return the type of a value as error messages print it."""
    return _NAMES.get(type(value), type(value).__name__)


def short_type(value: object) -> str:
    """Return what the function `type` says of a value."""
    name = type_name(value)
    if name.startswith("["):
        return "array"
    if name.startswith("map"):
        return "map"
    return _SHORT.get(name, name)


def is_nil(value: object) -> bool:
    return value is None or type(value) is NilArray


def text_of(value: object) -> str:
    """Return a value as the function `string` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return float_text(value)
        case int() | str():
            return str(value)
        case list():
            return f"[{' '.join(map(text_of, value))}]"
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise UnsupportedCondition("the text of a map whose keys are not strings")
            return f"map[{' '.join(f'{key}:{text_of(value[key])}' for key in sorted(value))}]"
    raise UnsupportedCondition(f"the text of a {type_name(value)}")

"""The builtins on numbers and on arrays of numbers, and the conversions that Argo Rollouts adds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame
from controller.core.conditions.numbers import parse_float, parse_int, rounded, to_int, wrapped
from controller.core.conditions.objects import Floats, Ints, text_of, type_name
from controller.core.conditions.operations import as_index, is_number, less, more

Function = Callable[[Frame, list[object]], object]


def _wrong(name: str, value: object) -> ConditionError:
    return ConditionError(f"invalid argument for {name} (type {type_name(value)})")


def length(value: object) -> int:
    if isinstance(value, (list, dict, str)):
        return len(value)
    raise _wrong("len", value)


def absolute(value: object) -> object:
    if type(value) is float:
        return -value if value < 0 else value
    if type(value) is int:
        return wrapped(-value) if value < 0 else value
    raise _wrong("abs", value)


def rounding(name: str, round_float: Callable[[float], float]) -> Callable[[object], object]:
    def apply(value: object) -> object:
        if type(value) is float:
            return round_float(value) if math.isfinite(value) else value
        if type(value) is int:
            return float(value)
        raise _wrong(name, value)

    return apply


ceil = rounding("ceil", lambda v: math.copysign(float(math.ceil(v)), v))
floor = rounding("floor", lambda v: math.copysign(float(math.floor(v)), v))
round_half_away = rounding("round", rounded)


def integer(value: object) -> object:
    if is_number(value):
        return as_index(value)
    if isinstance(value, str):
        if (number := parse_int(value)) is None:
            raise ConditionError(f"invalid operation: int({value})")
        return number
    raise ConditionError(f"invalid operation: int({type_name(value)})")


def floating(value: object) -> object:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, str):
        if (number := parse_float(value)) is None:
            raise ConditionError(f"invalid operation: float({value})")
        return number
    raise ConditionError(f"invalid operation: float({type_name(value)})")


# -- numbers of arrays


def _numbers(name: str, value: object, found: list[int | float]) -> None:
    """Append the numbers in a value, in nested arrays too."""
    if type(value) is int or type(value) is float:
        found.append(value)
    elif isinstance(value, list):
        for item in value:
            _numbers(name, item, found)
    else:
        raise _wrong(name, value)


def extreme(name: str, is_beaten: Callable[[object, object], object]) -> Function:
    def apply(frame: Frame, arguments: list[object]) -> object:
        best: object = None
        for argument in arguments:
            if not isinstance(argument, list) and not is_number(argument):
                if len(arguments) == 1:
                    return argument
                raise _wrong(name, argument)
            # The best of a typed array is found before it is compared with what came earlier: a NaN in front
            # is beaten by nothing, so the order matters.
            candidates: Sequence[object]
            if isinstance(argument, (Floats, Ints)):
                candidates = () if not argument else (_best(argument, is_beaten),)
            else:
                candidates = _candidates(name, argument, is_beaten)
            for candidate in candidates:
                if best is None or is_beaten(best, candidate):
                    best = candidate
        return best

    return apply


def _best(values: Sequence[object], is_beaten: Callable[[object, object], object]) -> object:
    best = values[0]
    for value in values[1:]:
        if is_beaten(best, value):
            best = value
    return best


def _candidates(name: str, value: object, is_beaten: Callable[[object, object], object]) -> list[object]:
    if not isinstance(value, list):
        return [value]
    found: list[object] = []
    for item in value:
        if is_number(item):
            found.append(item)
        elif isinstance(item, list):
            inner = _candidates(name, item, is_beaten)
            if inner:
                found.append(_best(inner, is_beaten))
        else:
            raise _wrong(name, item)
    return found


def mean(frame: Frame, arguments: list[object]) -> object:
    found: list[int | float] = []
    for argument in arguments:
        _numbers("mean", argument, found)
    total = 0.0
    for number in found:
        total += number
    return total / len(found) if found else 0.0


def median(frame: Frame, arguments: list[object]) -> object:
    found: list[int | float] = []
    for argument in arguments:
        _numbers("median", argument, found)
    values = sorted((float(number) for number in found), key=lambda v: (v == v, v))  # NaN first
    middle = len(values) // 2
    if not values:
        return 0.0
    if len(values) % 2:
        return values[middle]
    return (values[middle - 1] + values[middle]) / 2


largest = extreme("max", less)
smallest = extreme("min", more)


# -- the functions that Argo Rollouts adds


def as_int(value: object) -> int:
    if type(value) is float:
        return to_int(value)
    if type(value) is int:
        return value
    if isinstance(value, str):
        if (number := parse_int(value)) is None:
            raise ConditionError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return number
    raise ConditionError(f"asInt() not supported on {type_name(value)} {_shown(value)}")


def as_floating(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if isinstance(value, str):
        if (number := parse_float(value)) is None:
            raise ConditionError(f'strconv.ParseFloat: parsing "{value}": invalid syntax')
        return number
    raise ConditionError(f"asFloat() not supported on {type_name(value)} {_shown(value)}")


def _shown(value: object) -> str:
    try:
        return text_of(value)
    except UnsupportedCondition:
        return "…"


def must_be_float(value: object) -> float:
    if type(value) is float:
        return value
    shown = "nil" if value is None else type_name(value)
    raise ConditionError(f"interface conversion: interface {{}} is {shown}, not float64")

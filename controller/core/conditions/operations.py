"""What operators do to values whose types are known only now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.numbers import INT_MIN, divide, power, remainder, to_int, wrapped
from controller.core.conditions.objects import (
    Duration,
    Floats,
    Ints,
    Strings,
    Time,
    is_nil,
    type_name,
)

Number = int | float
Operation = Callable[[object, object], object]


def mismatch(op: str, left: object, right: object) -> ConditionError:
    return ConditionError(f"invalid operation: {type_name(left)} {op} {type_name(right)}")


def is_number(value: object) -> bool:
    return type(value) is float or type(value) is int


def equal(left: object, right: object) -> bool:
    """Return whether two values are equal; values of different types are not, and that is no error."""
    left_type, right_type = type(left), type(right)
    if left_type in _NUMBERS and right_type in _NUMBERS:
        if left_type is right_type:
            return left == right
        return float(left) == float(right)  # type: ignore[arg-type]
    if isinstance(left, list) and isinstance(right, list):
        return _equal_arrays(left, right)
    if left_type is right_type and left_type in (str, bool, Time, Duration):
        return left == right
    if is_nil(left) and is_nil(right):
        return True
    return _deeply_equal(left, right)


_NUMBERS = (float, int)
_TYPED = (Floats, Ints, Strings)


def _equal_arrays(left: list[object], right: list[object]) -> bool:
    typed = type(left) in _TYPED and type(right) in _TYPED
    if typed and type(left) is not type(right):
        return False
    return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))


def _deeply_equal(left: object, right: object) -> bool:
    """Return whether two values are equal in type and in every part, or are one and the same map."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        if left is right:
            return True
        return left.keys() == right.keys() and all(_deeply_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        if left is right:
            return True
        return len(left) == len(right) and all(_deeply_equal(a, b) for a, b in zip(left, right, strict=True))
    return left == right


def _ordering(op: str, compare: Callable[[Number, Number], bool], text: Callable[[str, str], bool]) -> Operation:
    def compared(left: object, right: object) -> bool:
        left_type, right_type = type(left), type(right)
        if left_type in _NUMBERS and right_type in _NUMBERS:
            if left_type is right_type:
                return compare(left, right)  # type: ignore[arg-type]
            return compare(float(left), float(right))  # type: ignore[arg-type]
        if isinstance(left, str) and isinstance(right, str):
            return text(left, right)
        if (isinstance(left, Time) and isinstance(right, Time)) or (
            isinstance(left, Duration) and isinstance(right, Duration)
        ):
            return compare(left.ns, right.ns)
        raise mismatch(op, left, right)

    return compared


less = _ordering("<", lambda a, b: a < b, lambda a, b: a < b)
more = _ordering(">", lambda a, b: a > b, lambda a, b: a > b)
less_or_equal = _ordering("<=", lambda a, b: a <= b, lambda a, b: a <= b)
more_or_equal = _ordering(">=", lambda a, b: a >= b, lambda a, b: a >= b)


def add(left: object, right: object) -> object:
    left_type, right_type = type(left), type(right)
    if left_type is int and right_type is int:
        return wrapped(left + right)  # type: ignore[operator]
    if left_type in _NUMBERS and right_type in _NUMBERS:
        return float(left) + float(right)  # type: ignore[arg-type]
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    match left, right:
        case Time(), Duration():
            return replace(left, ns=left.ns + right.ns)
        case Duration(), Time():
            return replace(right, ns=left.ns + right.ns)
        case Duration(), Duration():
            return Duration(wrapped(left.ns + right.ns))
    raise mismatch("+", left, right)


def subtract(left: object, right: object) -> object:
    left_type, right_type = type(left), type(right)
    if left_type is int and right_type is int:
        return wrapped(left - right)  # type: ignore[operator]
    if left_type in _NUMBERS and right_type in _NUMBERS:
        return float(left) - float(right)  # type: ignore[arg-type]
    match left, right:
        case Time(), Time():
            return Duration(max(INT_MIN, min(-INT_MIN - 1, left.ns - right.ns)))
        case Time(), Duration():
            return replace(left, ns=left.ns - right.ns)
        case Duration(), Duration():
            return Duration(wrapped(left.ns - right.ns))
    raise mismatch("-", left, right)


def multiply(left: object, right: object) -> object:
    left_type, right_type = type(left), type(right)
    if left_type is int and right_type is int:
        return wrapped(left * right)  # type: ignore[operator]
    if left_type in _NUMBERS and right_type in _NUMBERS:
        return float(left) * float(right)  # type: ignore[arg-type]
    if isinstance(left, Duration) or isinstance(right, Duration):
        return _scaled(left, right)
    raise mismatch("*", left, right)


def _scaled(left: object, right: object) -> object:
    """Return a product with a duration in it: a duration, or a float where one side is a float."""
    one = left.ns if isinstance(left, Duration) else left
    other = right.ns if isinstance(right, Duration) else right
    if type(one) is int and type(other) is int:
        return Duration(wrapped(one * other))
    if type(one) in _NUMBERS and type(other) in _NUMBERS:
        return float(one) * float(other)  # type: ignore[arg-type]
    raise mismatch("*", left, right)


def quotient(left: object, right: object) -> object:
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        return divide(float(left), float(right))  # type: ignore[arg-type]
    raise mismatch("/", left, right)


def modulo(left: object, right: object) -> object:
    if type(left) is int and type(right) is int:
        if right == 0:
            raise ConditionError("runtime error: integer divide by zero")
        return wrapped(remainder(left, right))
    raise mismatch("%", left, right)


def exponent(left: object, right: object) -> object:
    return power(as_float(left), as_float(right))


def negate(value: object) -> object:
    if type(value) is int:
        return wrapped(-value)
    if type(value) is float:
        return -value
    raise ConditionError(f"invalid operation: - {type_name(value)}")


def as_float(value: object) -> float:
    if type(value) in _NUMBERS:
        return float(value)  # type: ignore[arg-type]
    raise ConditionError(f"invalid operation: float({type_name(value)})")


def as_index(value: object) -> int:
    """Return a number as an integer, a float without its fraction."""
    if type(value) is int:
        return value
    if type(value) is float:
        return to_int(value)
    raise ConditionError(f"invalid operation: int({type_name(value)})")


def contains(needle: object, hay: object) -> bool:
    """Return `needle in hay`."""
    if hay is None:
        return False
    if isinstance(hay, list):
        return any(equal(item, needle) for item in hay)
    if isinstance(hay, dict):
        return key_of(hay, needle) in hay
    raise ConditionError(f'operator "in" not defined on {type_name(hay)}')


def key_of(base: dict[object, object], key: object) -> object:
    """Return the key to look up in a map; a key of the wrong type is an error."""
    if type(base) is dict:
        if key is None:
            return ""
        if not isinstance(key, str):
            raise ConditionError(
                f"reflect.Value.MapIndex: value of type {type_name(key)} is not assignable to type string"
            )
        return key
    if key is not None and not isinstance(key, str):
        raise UnsupportedCondition("a key that is not a string")
    return key


def fetch(base: object, place: object) -> object:
    """Return `base[place]`."""
    if isinstance(base, list):
        index, length = as_index(place), len(base)
        if index < 0:
            index += length
        if not 0 <= index < length:
            raise ConditionError(f"index out of range: {index} (array length is {length})")
        found: object = base[index]
        return found
    if isinstance(base, dict):
        return base.get(key_of(base, place))
    if isinstance(base, str):
        as_index(place)
        raise UnsupportedCondition("a byte of a string")
    if isinstance(base, (Time, Duration)):
        raise UnsupportedCondition(f"a method of a {type_name(base)} whose type is known only at run time")
    shown = place if isinstance(place, str) else repr(place)
    raise ConditionError(f"cannot fetch {shown} from {type_name(base)}")


def cut(base: object, start: object, stop: object) -> object:
    """Return `base[start:stop]`; bounds beyond the ends are moved to them."""
    if not isinstance(base, (list, str)):
        raise ConditionError(f"cannot slice {type_name(base)}")
    if isinstance(base, str) and not base.isascii():
        raise UnsupportedCondition("a slice of a string that is not ASCII")
    length = len(base)
    first, last = as_index(start), as_index(stop)
    first = max(0, first + length) if first < 0 else first
    last = max(0, last + length) if last < 0 else min(last, length)
    first = min(first, last)
    if isinstance(base, str):
        return base[first:last]
    return type(base)(base[first:last])


def must_be_bool(value: object) -> bool:
    if type(value) is bool:
        return value
    raise ConditionError(f"interface conversion: interface {{}} is {_dynamic(value)}, not bool")


def must_be_text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ConditionError(f"interface conversion: interface {{}} is {_dynamic(value)}, not string")


def _dynamic(value: object) -> str:
    return "nil" if value is None else type_name(value)

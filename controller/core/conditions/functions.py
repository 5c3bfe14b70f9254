"""The builtins that take values and no closure, over values whose types are known only now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from itertools import pairwise

from controller.core.conditions.arithmetic import (
    Function,
    absolute,
    ceil,
    floating,
    floor,
    integer,
    largest,
    length,
    mean,
    median,
    round_half_away,
    smallest,
)
from controller.core.conditions.encodings import from_base64, from_json, to_base64, to_json
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame
from controller.core.conditions.numbers import wrapped
from controller.core.conditions.objects import (
    AnyMap,
    NilArray,
    short_type,
    text_of,
    type_name,
)
from controller.core.conditions.operations import as_index, equal, fetch, is_number, key_of, less
from controller.core.conditions.texts import TEXT_FUNCTIONS
from controller.core.conditions.times import date, duration_of, now

_EXACT_SORT_MAX = 12  # up to here the original's sort is an insertion sort, and its result known even for NaN


def _array(what: str, value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise ConditionError(f"cannot {what} {_kind(value)}")


def _kind(value: object) -> str:
    return {"<nil>": "invalid", "map[string]interface {}": "map"}.get(type_name(value), type_name(value))


def first(frame: Frame, arguments: list[object]) -> object:
    return _end(arguments[0], 0)


def last(frame: Frame, arguments: list[object]) -> object:
    return _end(arguments[0], -1)


def _end(value: object, index: int) -> object:
    """Return an element, or nil where taking it would be an error."""
    try:
        return fetch(value, index)
    except UnsupportedCondition:
        raise
    except ConditionError:
        return None


def get(frame: Frame, arguments: list[object]) -> object:
    base, place = arguments
    if isinstance(base, list):
        index = as_index(place)
        if index < 0:
            index += len(base)
        return base[index] if 0 <= index < len(base) else None
    if isinstance(base, dict):
        return base.get(key_of(base, place))
    if base is None or is_number(base) or isinstance(base, bool):
        return None
    raise UnsupportedCondition(f"get of a {type_name(base)}")


def _take(frame: Frame, arguments: list[object]) -> object:
    base, count = _array("take from", arguments[0]), arguments[1]
    if type(count) is not int:
        raise ConditionError(f"cannot take {_kind(count)} elements")
    if count < 0:
        raise ConditionError("reflect.Value.Slice: slice index out of bounds")
    return type(base)(base[:count])


def _map_of(what: str, value: object) -> dict[object, object]:
    if isinstance(value, dict):
        return value
    raise ConditionError(f"cannot {what} {_kind(value)}")


def _keys(frame: Frame, arguments: list[object]) -> object:
    return list(_map_of("get keys from", arguments[0]))


def _values(frame: Frame, arguments: list[object]) -> object:
    return list(_map_of("get values from", arguments[0]).values())


def _to_pairs(frame: Frame, arguments: list[object]) -> object:
    return [[key, value] for key, value in _map_of("transform", arguments[0]).items()]


def _from_pairs(frame: Frame, arguments: list[object]) -> object:
    made = AnyMap()
    for pair in _array("transform", arguments[0]):
        if not isinstance(pair, list):
            raise ConditionError(f"invalid pair {text_of(pair)}")
        if len(pair) != 2:
            raise ConditionError(f"invalid pair length {text_of(pair)}")
        if not isinstance(pair[0], str):
            raise UnsupportedCondition("a map whose keys are not strings")
        made[pair[0]] = pair[1]
    return made


def _reverse(frame: Frame, arguments: list[object]) -> object:
    items = _array("reverse", arguments[0])
    frame.grow(len(items))
    return items[::-1] if type(items) is list else list(reversed(items))


def _uniq(frame: Frame, arguments: list[object]) -> object:
    kept: list[object] = []
    for item in _array("uniq", arguments[0]):
        frame.turn(1 + len(kept))
        if not any(equal(item, other) for other in kept):
            kept.append(item)
    return kept


def _concat(frame: Frame, arguments: list[object]) -> object:
    joined: list[object] = []
    for argument in arguments:
        joined.extend(_array("concat", argument))
    frame.grow(len(joined))
    return joined or NilArray()


def _flatten(frame: Frame, arguments: list[object]) -> object:
    flat: list[object] = []
    waiting: list[object] = list(reversed(_array("flatten", arguments[0])))
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        else:
            flat.append(item)
    frame.grow(len(flat))
    return flat


def order_of(value: object, wrong: str) -> bool:
    """Return whether an order is descending."""
    if value == "asc" and isinstance(value, str):
        return False
    if value == "desc" and isinstance(value, str):
        return True
    raise ConditionError(wrong)


def sort_by_keys(items: Sequence[object], keys: Sequence[object], *, descending: bool) -> list[object]:
    """Return the items in the order of their keys, as the original's sort leaves them."""
    is_before = (lambda a, b: less(b, a)) if descending else less
    if len(items) <= _EXACT_SORT_MAX:
        return _insertion_sorted(items, keys, is_before)
    if any(isinstance(key, float) and key != key for key in keys):
        raise UnsupportedCondition(f"sorting more than {_EXACT_SORT_MAX} items with NaN among them")

    def compare(a: int, b: int) -> int:
        return -1 if is_before(keys[a], keys[b]) else int(bool(is_before(keys[b], keys[a])))

    order = sorted(range(len(items)), key=cmp_to_key(compare))
    distinct = items is keys or all(is_before(keys[a], keys[b]) for a, b in pairwise(order))
    if not distinct:
        raise UnsupportedCondition(f"sorting more than {_EXACT_SORT_MAX} items by keys that are equal")
    return [items[i] for i in order]


def _insertion_sorted(
    items: Sequence[object], keys: Sequence[object], is_before: Callable[[object, object], object]
) -> list[object]:
    pairs = list(zip(keys, items, strict=True))
    for end in range(1, len(pairs)):
        at = end
        while at > 0 and is_before(pairs[at][0], pairs[at - 1][0]):
            pairs[at], pairs[at - 1] = pairs[at - 1], pairs[at]
            at -= 1
    return [item for _, item in pairs]


def _sort(frame: Frame, arguments: list[object]) -> object:
    items = arguments[0] if isinstance(arguments[0], list) else []
    descending = False
    if len(arguments) == 2:
        order = arguments[1]
        if not isinstance(order, str):
            raise ConditionError(f"sort order argument must be a string (got {type_name(order)})")
        descending = order_of(order, f"invalid order {order}, expected asc or desc")
    frame.grow(len(items))
    frame.turn(len(items))
    return sort_by_keys(items, items, descending=descending)


# -- bits


def _bits(name: str, apply: Callable[[int, int], int]) -> Function:
    def bit(frame: Frame, arguments: list[object]) -> object:
        numbers = [_bit_operand(name, argument) for argument in arguments]
        return wrapped(apply(*numbers))

    return bit


def _bit_operand(name: str, value: object) -> int:
    if type(value) is int:
        return value
    raise ConditionError(f"cannot use {type_name(value)} as argument (type int) to call {name}")


def _shift(count: int) -> int:
    if count < 0:
        raise ConditionError(f"invalid operation: negative shift count {count} (type int)")
    return min(count, 64)


def _of_one(apply: Callable[[object], object]) -> Function:
    return lambda frame, arguments: apply(arguments[0])


def _unsupported(name: str) -> Function:
    def refuse(frame: Frame, arguments: list[object]) -> object:
        raise UnsupportedCondition(name)

    return refuse


FUNCTIONS: dict[str, Function] = {
    "len": _of_one(length),
    "type": _of_one(short_type),
    "abs": _of_one(absolute),
    "ceil": _of_one(ceil),
    "floor": _of_one(floor),
    "round": _of_one(round_half_away),
    "int": _of_one(integer),
    "float": _of_one(floating),
    "string": _of_one(text_of),
    "max": largest,
    "min": smallest,
    "mean": mean,
    "median": median,
    "first": first,
    "last": last,
    "get": get,
    "take": _take,
    "keys": _keys,
    "values": _values,
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": _reverse,
    "uniq": _uniq,
    "concat": _concat,
    "flatten": _flatten,
    "sort": _sort,
    "fromJSON": _of_one(from_json),
    "toJSON": _of_one(to_json),
    "toBase64": _of_one(to_base64),
    "fromBase64": _of_one(from_base64),
    "duration": _of_one(duration_of),
    "now": now,
    "date": date,
    "timezone": _unsupported("timezone"),
    "bitand": _bits("bitand", lambda a, b: a & b),
    "bitor": _bits("bitor", lambda a, b: a | b),
    "bitxor": _bits("bitxor", lambda a, b: a ^ b),
    "bitnand": _bits("bitnand", lambda a, b: a & ~b),
    "bitshl": _bits("bitshl", lambda a, b: a << _shift(b)),
    "bitshr": _bits("bitshr", lambda a, b: a >> _shift(b)),
    "bitushr": _bits("bitushr", lambda a, b: (a % (1 << 64)) >> _shift(b)),
    "bitnot": _bits("bitnot", lambda a: ~a),  # type: ignore[arg-type, misc]
    **TEXT_FUNCTIONS,
}

"""What the functions of the language take and return, by type: the builtins, and those that Argo Rollouts adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from controller.core.conditions.errors import ConditionError
from controller.core.conditions.natures import (
    ANY,
    ANY_MAP,
    ARRAY,
    BOOL,
    DURATION,
    FLOAT,
    FLOATS,
    INT,
    INT64,
    INTS,
    STRING,
    STRINGS,
    TIME,
    Nature,
)

Signature = tuple[tuple[Nature, ...], Nature]

HOST_FUNCTIONS: dict[str, Signature] = {
    "asInt": ((ANY,), INT64),
    "asFloat": ((ANY,), FLOAT),
    "isNaN": ((FLOAT,), BOOL),
    "isInf": ((FLOAT,), BOOL),
    "isNil": ((ANY,), BOOL),
    "default": ((ANY, ANY), ANY),
}
HOST_NAMES = frozenset((*HOST_FUNCTIONS, "result"))

_BITS: list[Signature] = [((INT, INT), INT)]
OVERLOADS: dict[str, list[Signature]] = {
    "type": [((ANY,), STRING)],
    "string": [((ANY,), STRING)],
    "trim": [((STRING,), STRING), ((STRING, STRING), STRING)],
    "trimPrefix": [((STRING, STRING), STRING), ((STRING,), STRING)],
    "trimSuffix": [((STRING, STRING), STRING), ((STRING,), STRING)],
    "upper": [((STRING,), STRING)],
    "lower": [((STRING,), STRING)],
    "split": [((STRING, STRING), STRINGS), ((STRING, STRING, INT), STRINGS)],
    "splitAfter": [((STRING, STRING), STRINGS), ((STRING, STRING, INT), STRINGS)],
    "replace": [((STRING, STRING, STRING, INT), STRING), ((STRING, STRING, STRING), STRING)],
    "repeat": [((STRING, INT), STRING)],
    "join": [
        ((STRINGS, STRING), STRING),
        ((ARRAY, STRING), STRING),
        ((ARRAY,), STRING),
        ((STRINGS, STRING), STRING),
        ((STRINGS,), STRING),
    ],
    "indexOf": [((STRING, STRING), INT)],
    "lastIndexOf": [((STRING, STRING), INT)],
    "hasPrefix": [((STRING, STRING), BOOL)],
    "hasSuffix": [((STRING, STRING), BOOL)],
    "toJSON": [((ANY,), STRING)],
    "fromJSON": [((STRING,), ANY)],
    "toBase64": [((STRING,), STRING)],
    "fromBase64": [((STRING,), STRING)],
    "duration": [((STRING,), DURATION)],
    "timezone": [((STRING,), Nature("*time.Location"))],
    "sort": [
        ((ARRAY, STRING), ARRAY),
        ((INTS, STRING), ARRAY),
        ((FLOATS, STRING), ARRAY),
        ((STRINGS, STRING), ARRAY),
        ((ARRAY,), ARRAY),
        ((FLOATS,), ARRAY),
        ((STRINGS,), ARRAY),
        ((INTS,), ARRAY),
    ],
    "bitand": _BITS,
    "bitor": _BITS,
    "bitxor": _BITS,
    "bitnand": _BITS,
    "bitshl": _BITS,
    "bitshr": _BITS,
    "bitushr": _BITS,
    "bitnot": [((INT,), INT)],
}

_NUMBER_KINDS = ("float64", "int", "int64")


def _named(nature: Nature) -> str:
    return nature.type or "%!s(<nil>)"


def _one(arguments: Sequence[Nature]) -> Nature:
    if len(arguments) != 1:
        raise ConditionError(f"invalid number of arguments (expected 1, got {len(arguments)})")
    return arguments[0]


def _takes(name: str, kinds: tuple[str, ...], returns: Nature | None) -> Callable[[Sequence[Nature]], Nature]:
    """Return the check of a function of one argument; with `returns` of None it returns its argument's type."""

    def check(arguments: Sequence[Nature]) -> Nature:
        argument = _one(arguments)
        if argument.kind not in kinds:
            raise ConditionError(f"invalid argument for {name} (type {_named(argument)})")
        return argument.plain() if returns is None else returns

    return check


def _reads(what: str, kinds: tuple[str, ...], returns: Nature) -> Callable[[Sequence[Nature]], Nature]:
    def check(arguments: Sequence[Nature]) -> Nature:
        argument = _one(arguments)
        if argument.kind not in kinds:
            raise ConditionError(f"{what} {_named(argument)}")
        return returns

    return check


def _end_of(what: str) -> Callable[[Sequence[Nature]], Nature]:
    def check(arguments: Sequence[Nature]) -> Nature:
        argument = _one(arguments)
        if argument.kind == "interface":
            return ANY
        if argument.kind == "slice":
            return argument.plain().elements()
        raise ConditionError(f"cannot get {what} element from {_named(argument)}")

    return check


def _aggregate(name: str) -> Callable[[Sequence[Nature]], Nature]:
    def check(arguments: Sequence[Nature]) -> Nature:
        if not arguments:
            raise ConditionError(f"not enough arguments to call {name}")
        for argument in arguments:
            if argument.kind in ("interface", "slice"):
                return ANY
            if argument.kind not in _NUMBER_KINDS:
                raise ConditionError(f"invalid argument for {name} (type {_named(argument)})")
        return arguments[0]

    return check


def _take(arguments: Sequence[Nature]) -> Nature:
    if len(arguments) != 2:
        raise ConditionError(f"invalid number of arguments (expected 2, got {len(arguments)})")
    base, count = arguments
    if base.kind not in ("interface", "slice"):
        raise ConditionError(f"cannot take from {_named(base)}")
    if count.kind not in ("interface", "int", "int64"):
        raise ConditionError(f"cannot take {_named(count)} elements")
    return base.plain()


def _concat(arguments: Sequence[Nature]) -> Nature:
    if not arguments:
        raise ConditionError("invalid number of arguments (expected at least 1, got 0)")
    for argument in arguments:
        if argument.kind not in ("interface", "slice"):
            raise ConditionError(f"cannot concat {_named(argument)}")
    return ARRAY


def _now(arguments: Sequence[Nature]) -> Nature:
    if arguments and not (len(arguments) == 1 and arguments[0].type == "*time.Location"):
        raise ConditionError(f"invalid number of arguments (expected 0, got {len(arguments)})")
    return TIME


def _date(arguments: Sequence[Nature]) -> Nature:
    if not arguments:
        raise ConditionError("invalid number of arguments (expected at least 1, got 0)")
    given = len(arguments) - (arguments[0].type == "*time.Location")
    if given > 3:
        raise ConditionError(f"invalid number of arguments (expected at most 3, got {given})")
    return TIME


_NUMERIC = (*_NUMBER_KINDS, "interface")
_ARRAYS = ("interface", "slice")
_MAPS = ("interface", "map")
CHECKS: dict[str, Callable[[Sequence[Nature]], Nature]] = {
    "len": _takes("len", ("interface", "slice", "map", "string"), INT),
    "abs": _takes("abs", _NUMERIC, None),
    "ceil": _takes("ceil", _NUMERIC, FLOAT),
    "floor": _takes("floor", _NUMERIC, FLOAT),
    "round": _takes("round", _NUMERIC, FLOAT),
    "int": _takes("int", (*_NUMERIC, "string"), INT),
    "float": _takes("float", (*_NUMERIC, "string"), FLOAT),
    "max": _aggregate("max"),
    "min": _aggregate("min"),
    "mean": _aggregate("mean"),
    "median": _aggregate("median"),
    "now": _now,
    "date": _date,
    "first": _end_of("first"),
    "last": _end_of("last"),
    "take": _take,
    "keys": _reads("cannot get keys from", _MAPS, ARRAY),
    "values": _reads("cannot get values from", _MAPS, ARRAY),
    "toPairs": _reads("cannot transform", _MAPS, ARRAY),
    "fromPairs": _reads("cannot transform", _ARRAYS, ANY_MAP),
    "reverse": _reads("cannot reverse", _ARRAYS, ARRAY),
    "uniq": _reads("cannot uniq", _ARRAYS, ARRAY),
    "concat": _concat,
    "flatten": _reads("cannot flatten", _ARRAYS, ARRAY),
}

_WITH_PREDICATE = (
    *("all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex"),
    *("count", "sum", "groupBy", "sortBy", "reduce"),
)
BUILTINS = frozenset((*_WITH_PREDICATE, *OVERLOADS, *CHECKS, "get"))

# Methods of the two types of the host language that a condition can meet. Others are not evaluated here.
METHODS: dict[str, dict[str, Nature]] = {
    "time.Time": {
        "Year": INT,
        "Month": Nature("time.Month"),
        "Day": INT,
        "Hour": INT,
        "Minute": INT,
        "Second": INT,
        "YearDay": INT,
        "Weekday": Nature("time.Weekday"),
        "Unix": INT64,
        "UnixMilli": INT64,
    },
    "time.Duration": {
        "Hours": FLOAT,
        "Minutes": FLOAT,
        "Seconds": FLOAT,
        "Milliseconds": INT64,
        "Microseconds": INT64,
        "Nanoseconds": INT64,
    },
}

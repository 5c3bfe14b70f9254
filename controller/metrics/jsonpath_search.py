"""Find what a path of `controller.metrics.jsonpath` points at in a JSON document.

Types are told apart as Go does: every number of a document is a float, so that `[?(@.code==500)]`, whose 500 is an
integer, compares with nothing and is an error, and `==500.0` is how one writes it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from controller.metrics.jsonpath import (
    Descent,
    Field,
    Filter,
    JsonPathError,
    Literal,
    Path,
    Slice,
    Step,
    Union,
    Wildcard,
    read_path,
)

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
}
_GO_TYPES = {dict: "map[string]interface {}", str: "string", float: "float64", int: "int", bool: "bool"}
_FOUND_MAX = 100_000


def first_value(path: str, document: object) -> object:
    """Return the first value that a path gives; "" is the whole document. Numbers of the document must be floats.

    Raises:
        JsonPathError: the path cannot be read, or points nowhere.
    """
    try:
        found = [_walk([document], one) for one in read_path(path or "{$}")]
    except RecursionError:
        raise JsonPathError("the document is nested too deep") from None
    for values in found:
        for value in values:
            return value
    raise JsonPathError("result of web metric produced no value")


def _walk(values: list[Any], path: Path) -> list[Any]:
    for step in path:
        values = _take(values, step)
        if len(values) > _FOUND_MAX:
            raise JsonPathError(f"the path gives more than {_FOUND_MAX} values")
    return values


def _take(values: list[Any], step: Step) -> list[Any]:
    match step:
        case Field(name):
            return _fields(values, name)
        case Wildcard():
            return [child for value in values for child in _children(value)]
        case Descent():
            return list(_descend(values))
        case Slice():
            return [item for value in values if value is not None for item in _sliced(value, step)]
        case Literal(value):
            return [value] * max(len(values), isinstance(value, str))
        case Union(paths):
            return [value for path in paths for value in _walk(values, path)]
        case Filter():
            return [item for value in values for item in _filtered(value, step)]


def _fields(values: list[Any], name: str) -> list[Any]:
    found = [value[name] for value in values if isinstance(value, dict) and name in value]
    if values and not found:
        raise JsonPathError(f"{name} is not found")
    return found


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())  # in the document's order; Go's is another one each time
    return value if isinstance(value, list) else []


def _descend(values: list[Any]) -> Iterator[Any]:
    for value in values:
        children = _children(value)
        if children:
            yield value
            yield from _descend(children)


def _sliced(value: Any, asked: Slice) -> list[Any]:
    if not isinstance(value, list):
        raise JsonPathError(f"{_go_type(value)} is not array or slice")
    length = len(value)
    first = asked.start or 0
    start = first + length if first < 0 else first
    if asked.alone:
        end = first + 1
        end = end + length if end <= 0 else end
    else:
        end = length if asked.end is None else asked.end
        end = end + length if end < 0 else end
    if start == end:
        return []
    if not 0 <= start < length:
        raise JsonPathError(f"array index out of bounds: index {start}, length {length}")
    if not 0 <= end <= length:
        raise JsonPathError(f"array index out of bounds: index {end - 1}, length {length}")
    if start > end:
        raise JsonPathError(f"starting index {start} is greater than ending index {end}")
    if asked.step is not None and asked.step <= 0:
        raise JsonPathError("step must be > 0")
    return value[start : end : asked.step]


def _filtered(value: Any, asked: Filter) -> Iterator[Any]:
    if not isinstance(value, list):
        raise JsonPathError(f"{_go_type(value)} is not array or slice and cannot be filtered")
    for item in value:
        if asked.operator == "":
            if _exists(item, asked.left):
                yield item
            continue
        lefts, rights = _walk([item], asked.left), _walk([item], asked.right)
        if not lefts or not rights:
            continue
        if len(lefts) > 1 or len(rights) > 1:
            raise JsonPathError("can only compare one element at a time")
        if _compare(lefts[0], asked.operator, rights[0]):
            yield item


def _exists(item: Any, path: Path) -> bool:
    try:
        return bool(_walk([item], path))
    except JsonPathError:
        return False


def _compare(left: Any, sign: str, right: Any) -> bool:
    if sign not in _COMPARES:
        raise JsonPathError(f"unrecognized filter operator {sign}")
    for value in (left, right):
        if value is None or isinstance(value, (dict, list)):
            raise JsonPathError("invalid type for comparison")
    if type(left) is not type(right):
        raise JsonPathError("incompatible types for comparison")
    if isinstance(left, bool) and sign not in ("==", "!="):
        raise JsonPathError("invalid type for comparison")
    return _COMPARES[sign](left, right)


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), "<nil>")

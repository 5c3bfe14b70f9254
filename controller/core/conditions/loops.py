"""The builtins that take a closure: all, any, filter, map, count, sum, find, sortBy, groupBy, reduce, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from controller.core.conditions import tree
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame, Scope
from controller.core.conditions.functions import order_of, sort_by_keys
from controller.core.conditions.objects import AnyMap, type_name
from controller.core.conditions.operations import add, must_be_bool, must_be_text

Closure = Callable[[Frame], object]
Loop = Callable[[Frame, Scope], object]


def build(
    node: tree.Builtin, *, base: Closure, body: Closure, extra: Closure | None, mapped: Closure | None
) -> Closure:
    """Return the closure of a builtin over the array that `base` yields."""
    loop = _loop(node, body, extra, mapped)

    def run(frame: Frame) -> object:
        items = _items(base(frame))
        frame.turn(len(items))
        outer = frame.scope
        frame.scope = scope = Scope(items)
        try:
            return loop(frame, scope)
        finally:
            frame.scope = outer

    return run


def _items(value: object) -> Sequence[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, (str, dict)):
        if not value:
            return ()
        raise UnsupportedCondition(f"a closure over a {type_name(value)}")
    raise ConditionError(f"reflect: call of reflect.Value.Len on {type_name(value)} Value")


def _loop(  # noqa: C901 - one line for each builtin
    node: tree.Builtin, body: Closure, extra: Closure | None, mapped: Closure | None
) -> Loop:
    match node.name:
        case "all":
            return _until(body, stops_at=False, negated=False)
        case "none":
            return _until(body, stops_at=False, negated=True)
        case "any":
            return _until(body, stops_at=True, negated=False)
        case "one":
            return lambda frame, scope: _count(frame, scope, body, None) == 1
        case "count":
            threshold = node.threshold
            return lambda frame, scope: _count(frame, scope, body, threshold)
        case "filter":
            return _filter(body, mapped or _item)
        case "map":
            return _map(body)
        case "sum":
            return _sum(body)
        case "find" | "findLast":
            return _find(body, mapped or _item, backwards=node.name == "findLast", throws=node.throws)
        case "findIndex" | "findLastIndex":
            return _find(body, lambda frame: frame.scope.index, backwards=node.name == "findLastIndex", throws=False)
        case "groupBy":
            return _group(body)
        case "sortBy":
            return _sort(body, extra)
        case "reduce":
            return _reduce(body, extra)
    raise AssertionError(f"{node.name} takes no closure")


def _item(frame: Frame) -> object:
    scope = frame.scope
    return scope.items[scope.index]


def _walk(scope: Scope) -> Iterator[int]:
    for index in range(len(scope.items)):
        scope.index = index
        yield index


def _until(body: Closure, *, stops_at: bool, negated: bool) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        for _ in _walk(scope):
            if must_be_bool(body(frame)) is (stops_at is not negated):
                return stops_at
        return not stops_at

    return loop


def _count(frame: Frame, scope: Scope, body: Closure, threshold: int | None) -> int:
    found = 0
    for _ in _walk(scope):
        if must_be_bool(body(frame)):
            found += 1
            if threshold is not None and found >= threshold:
                break
    return found


def _filter(body: Closure, kept: Closure) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        found = [kept(frame) for _ in _walk(scope) if must_be_bool(body(frame))]
        frame.grow(len(found))
        return found

    return loop


def _map(body: Closure) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        made = [body(frame) for _ in _walk(scope)]
        frame.grow(len(made))
        return made

    return loop


def _sum(body: Closure) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        scope.acc = 0
        for _ in _walk(scope):
            value = body(frame)
            scope.acc = add(value, scope.acc)
        return scope.acc

    return loop


def _find(body: Closure, found: Closure, *, backwards: bool, throws: bool) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        indices = range(len(scope.items))
        for index in reversed(indices) if backwards else indices:
            scope.index = index
            if must_be_bool(body(frame)):
                return found(frame)
        if throws:
            raise ConditionError("reflect: slice index out of range")
        return None

    return loop


def _group(body: Closure) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        groups = AnyMap()
        for index in _walk(scope):
            group = groups.setdefault(must_be_key(body(frame)), [])
            assert isinstance(group, list)
            group.append(scope.items[index])
        return groups

    return loop


def must_be_key(value: object) -> str:
    if not isinstance(value, str):
        raise UnsupportedCondition("groupBy of a key that is not a string")
    return value


def _sort(body: Closure, order: Closure | None) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        word = "asc" if order is None else order(frame)
        descending = order_of(must_be_text(word), "unknown order, use asc or desc")
        keys = [body(frame) for _ in _walk(scope)]
        frame.grow(len(keys))
        return sort_by_keys(scope.items, keys, descending=descending)

    return loop


def _reduce(body: Closure, start: Closure | None) -> Loop:
    def loop(frame: Frame, scope: Scope) -> object:
        first = 0
        if start is not None:
            scope.acc = start(frame)
        elif scope.items:
            scope.acc, first = scope.items[0], 1
        else:
            raise ConditionError("reduce of empty array with no initial value")
        for index in range(first, len(scope.items)):
            scope.index = index
            scope.acc = body(frame)
        return scope.acc

    return loop

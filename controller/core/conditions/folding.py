"""Rewrite the typed tree before it runs, in the steps and the order of the original.

This is not for speed. Rewriting decides outcomes: `result[9] < 1 && false` is false and no error, `7 % 0` is an
error even where it is never reached, `count(…) > 0` stops at the first hit and never sees a later error,
`all(x, p) && all(x, q)` asks p and q of each element in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from controller.core.conditions import tree
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.natures import ARRAY, BOOL, FLOAT, INT, STRING, UNKNOWN, Nature
from controller.core.conditions.numbers import divide, power, remainder, wrapped

T = TypeVar("T")
Visit = Callable[[tree.Node], tree.Node]

_ROUNDS_MAX = 1000
_SUM_ITEMS_MAX = 100  # a sum of more items, one of them not a literal, is not evaluated here


def fold(root: tree.Node) -> tree.Node:
    """Return the tree as the original would run it; ConditionError where rewriting finds one."""
    root = _rewritten(root, _in_literals)
    for _ in range(_ROUNDS_MAX):
        folder = _Folder()
        root = _rewritten(root, folder.visit)
        if not folder.applied:
            break
    for visit in (
        _in_range,
        _filter_map,
        _filter_len,
        _filter_last,
        _filter_first,
        _combined,
        _sum_range,
        _sum_array,
        _sum_map,
        _count_any,
        _count_threshold,
    ):
        root = _rewritten(root, visit)
    return root


def _rewritten(node: tree.Node, visit: Visit) -> tree.Node:  # noqa: C901 - one line for each kind of node
    """Return the node after `visit` has seen its parts and then itself."""
    match node:
        case tree.Unary():
            node.operand = _rewritten(node.operand, visit)
        case tree.Binary():
            node.left = _rewritten(node.left, visit)
            node.right = _rewritten(node.right, visit)
        case tree.Chain():
            node.inner = _rewritten(node.inner, visit)
        case tree.Member():
            node.base = _rewritten(node.base, visit)
            node.place = _rewritten(node.place, visit)
        case tree.Slice():
            node.base = _rewritten(node.base, visit)
            node.start = None if node.start is None else _rewritten(node.start, visit)
            node.stop = None if node.stop is None else _rewritten(node.stop, visit)
        case tree.Call():
            node.arguments = [_rewritten(argument, visit) for argument in node.arguments]
        case tree.Builtin():
            node.arguments = [_rewritten(argument, visit) for argument in node.arguments]
        case tree.Predicate():
            node.body = _rewritten(node.body, visit)
        case tree.Let():
            node.value = _rewritten(node.value, visit)
            node.body = _rewritten(node.body, visit)
        case tree.Sequence():
            node.parts = [_rewritten(part, visit) for part in node.parts]
        case tree.Conditional():
            node.test = _rewritten(node.test, visit)
            node.then = _rewritten(node.then, visit)
            node.otherwise = _rewritten(node.otherwise, visit)
        case tree.Array():
            node.items = [_rewritten(item, visit) for item in node.items]
        case tree.Map():
            node.pairs = [(_rewritten(key, visit), _rewritten(value, visit)) for key, value in node.pairs]
    return visit(node)


def _as(old: tree.Node, new: tree.Node, nature: Nature | None = None) -> tree.Node:
    """Return the new node in the place of the old, with the old one's type unless told otherwise."""
    new.column = old.column
    new.nature = old.nature if nature is None else nature
    return new


def _literal(old: tree.Node, value: bool | int | float | str) -> tree.Node:
    return _as(old, tree.Literal(value), {bool: BOOL, int: INT, float: FLOAT, str: STRING}[type(value)])


def _value_of(node: tree.Node, kind: type[T]) -> T | None:
    """Return the value of a literal of exactly this type."""
    if isinstance(node, tree.Literal) and type(node.value) is kind:
        return node.value
    return None


# -- constants


class _Folder:
    """One round of folding constants; `applied` tells whether another is needed."""

    def __init__(self) -> None:
        self.applied = False

    def visit(self, node: tree.Node) -> tree.Node:
        new = self._folded(node)
        if new is node:
            return node
        self.applied = True
        return new

    def _folded(self, node: tree.Node) -> tree.Node:
        match node:
            case tree.Unary(operand=tree.Literal()):
                return _folded_unary(node)
            case tree.Binary(op="and" | "&&" | "or" | "||"):
                return _folded_logic(node)
            case tree.Binary(op="=="):
                return _folded_equality(node)
            case tree.Binary():
                return _folded_arithmetic(node)
            case tree.Array(items=[_, *_]) if all(_is_scalar(item) for item in node.items):
                values = tuple(item.value for item in node.items if isinstance(item, tree.Literal))
                return _as(node, tree.Literal(values), ARRAY)
            case tree.Builtin(name="filter", arguments=[tree.Builtin(name="filter") as base, tree.Predicate() as own]):
                first = base.arguments[1]
                assert isinstance(first, tree.Predicate)
                both = tree.Binary("&&", first.body, own.body, column=own.column)
                return _as(node, tree.Builtin("filter", [base.arguments[0], tree.Predicate(both)]))
        return node


def _is_scalar(node: tree.Node) -> bool:
    return isinstance(node, tree.Literal) and not isinstance(node.value, tuple)


def _folded_unary(node: tree.Unary) -> tree.Node:
    operand = node.operand
    assert isinstance(operand, tree.Literal)
    value = operand.value
    if node.op in ("!", "not"):
        return _literal(node, not value) if isinstance(value, bool) else node
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return node
    if node.op == "+":
        return _literal(node, value)
    return _literal(node, wrapped(-value) if isinstance(value, int) else -value)


def _folded_logic(node: tree.Binary) -> tree.Node:
    left, right = _value_of(node.left, bool), _value_of(node.right, bool)
    neutral = node.op in ("and", "&&")
    if left is neutral:
        return _as(node, node.right)
    if right is neutral:
        return _as(node, node.left)
    if left is not None or right is not None:
        return _literal(node, not neutral)
    return node


def _folded_equality(node: tree.Binary) -> tree.Node:
    if not (isinstance(node.left, tree.Literal) and isinstance(node.right, tree.Literal)):
        return node
    left, right = node.left.value, node.right.value
    # Not floats: the original leaves those to the run.
    if type(left) is type(right) and type(left) in (int, str, bool):
        return _literal(node, left == right)
    return node


def _folded_arithmetic(node: tree.Binary) -> tree.Node:
    if not (isinstance(node.left, tree.Literal) and isinstance(node.right, tree.Literal)):
        return node
    left, right = node.left.value, node.right.value
    if node.op == "+" and isinstance(left, str) and isinstance(right, str):
        return _literal(node, left + right)
    if isinstance(left, (bool, str, tuple)) or isinstance(right, (bool, str, tuple)):
        return node
    both_int = isinstance(left, int) and isinstance(right, int)
    match node.op:
        case "+":
            return _literal(node, wrapped(int(left + right)) if both_int else float(left) + float(right))
        case "-":
            return _literal(node, wrapped(int(left - right)) if both_int else float(left) - float(right))
        case "*":
            return _literal(node, wrapped(int(left * right)) if both_int else float(left) * float(right))
        case "/":
            return _literal(node, divide(float(left), float(right)))
        case "**" | "^":
            return _literal(node, power(float(left), float(right)))
        case "%" if isinstance(left, int) and isinstance(right, int):
            if right == 0:
                raise ConditionError("integer divide by zero", node.column)
            return _literal(node, remainder(left, right))
    return node


# -- membership


def _in_literals(node: tree.Node) -> tree.Node:
    """`x in [1, 2]` of an int, or `x in ["a", "b"]`: look the key up. A key of another type is then an error."""
    if not (isinstance(node, tree.Binary) and node.op == "in" and isinstance(node.right, tree.Array)):
        return node
    items = node.right.items
    ints = [value for item in items if (value := _value_of(item, int)) is not None]
    strings = [text for item in items if (text := _value_of(item, str)) is not None]
    members: tree.Node
    if items and len(ints) == len(items) and node.left.nature == INT:
        members = tree.Members(frozenset(ints))
    elif items and len(strings) == len(items):
        members = tree.Members(frozenset(strings))
    else:
        return node
    return _as(node, tree.Binary("in", node.left, _as(node.right, members)))


def _in_range(node: tree.Node) -> tree.Node:
    match node:
        case tree.Binary(op="in", right=tree.Binary(op="..", left=start, right=stop)) if (
            node.left.nature.kind == "int" and _value_of(start, int) is not None and _value_of(stop, int) is not None
        ):
            least = tree.Binary(">=", node.left, start, column=node.column)
            most = tree.Binary("<=", node.left, stop, column=node.column)
            return _as(node, tree.Binary("and", least, most))
    return node


# -- closures


def _filter_map(node: tree.Node) -> tree.Node:
    match node:
        case tree.Builtin(
            name="map", arguments=[tree.Builtin(name="filter", mapped=None) as base, tree.Predicate() as predicate]
        ) if not _has_index(predicate):
            return _as(node, tree.Builtin("filter", base.arguments, mapped=predicate.body))
    return node


def _has_index(node: tree.Node) -> bool:
    waiting = [node]
    while waiting:
        seen = waiting.pop()
        if isinstance(seen, tree.Pointer) and seen.name == "index":
            return True
        waiting.extend(seen.children())
    return False


def _filter_len(node: tree.Node) -> tree.Node:
    match node:
        case tree.Builtin(name="len", arguments=[tree.Builtin(name="filter") as base]):
            return _as(node, tree.Builtin("count", base.arguments))
    return node


def _filter_end(node: tree.Node, index: int, name: str, finder: str) -> tree.Node:
    match node:
        case tree.Member(base=tree.Builtin(name="filter") as base, optional=False):
            if _value_of(node.place, int) == index:
                return _as(node, tree.Builtin(finder, base.arguments, mapped=base.mapped, throws=True))
        case tree.Builtin(arguments=[tree.Builtin(name="filter") as base]) if node.name == name:
            return _as(node, tree.Builtin(finder, base.arguments, mapped=base.mapped))
    return node


def _filter_last(node: tree.Node) -> tree.Node:
    return _filter_end(node, -1, "last", "findLast")


def _filter_first(node: tree.Node) -> tree.Node:
    return _filter_end(node, 0, "first", "find")


_COMBINED = {
    ("all", "and"): "and",
    ("all", "&&"): "&&",
    ("any", "or"): "or",
    ("any", "||"): "||",
    ("none", "and"): "or",
    ("none", "&&"): "||",
}


def _combined(node: tree.Node) -> tree.Node:
    match node:
        case tree.Binary(left=tree.Builtin() as left, right=tree.Builtin() as right):
            op = _COMBINED.get((left.name, node.op))
            if op is None or right.name != left.name:
                return node
            own, other = left.arguments, right.arguments
            if own[0].nature.type != other[0].nature.type or not tree.same_text(own[0], other[0]):
                return node
            if not (isinstance(own[1], tree.Predicate) and isinstance(other[1], tree.Predicate)):
                return node
            body = _combined(tree.Binary(op, own[1].body, other[1].body, column=node.column))
            return _as(node, tree.Builtin(left.name, [own[0], tree.Predicate(body)]))
    return node


# -- sums and counts


def _sum_range(node: tree.Node) -> tree.Node:
    match node:
        case tree.Builtin(name="sum" | "reduce", arguments=[tree.Binary(op="..") as spread, *rest]):
            start, stop = _value_of(spread.left, int), _value_of(spread.right, int)
            if start is None or stop is None or stop < start:
                return node
            count = wrapped(stop - start + 1)
            total = _halved(wrapped(count * wrapped(start + stop)))
            if node.name == "sum":
                result = total if not rest else _sum_of(total, count, rest[0])
            else:
                result = _reduced(total, rest)
            return node if result is None else _literal(node, wrapped(result))
    return node


def _halved(number: int) -> int:
    return -((-number) // 2) if number < 0 else number // 2


def _sum_of(total: int, count: int, predicate: tree.Node) -> int | None:
    """Return the sum of a range through a closure as simple as `# * 2`, None for others."""
    match predicate:
        case tree.Predicate(body=tree.Pointer(name="")):
            return total
        case tree.Predicate(body=tree.Binary(op=op, left=left, right=right)):
            pointer_first = isinstance(left, tree.Pointer) and left.name == ""
            pointer, other = (left, right) if pointer_first else (right, left)
            constant = _value_of(other, int)
            if constant is None or not (isinstance(pointer, tree.Pointer) and pointer.name == ""):
                return None
            match op:
                case "*":
                    return constant * total
                case "+":
                    return total + count * constant
                case "-":
                    return total - count * constant if pointer_first else count * constant - total
    return None


def _reduced(total: int, rest: list[tree.Node]) -> int | None:
    match rest[0]:
        case tree.Predicate(body=tree.Binary(op="+", left=tree.Pointer(name=one), right=tree.Pointer(name=two))):
            if {one, two} != {"", "acc"}:
                return None
            if len(rest) == 1:
                return total
            start = _value_of(rest[1], int)
            return None if start is None else start + total
    return None


def _sum_array(node: tree.Node) -> tree.Node:
    match node:
        case tree.Builtin(name="sum", arguments=[tree.Array(items=[_, _, *_] as items)]):
            if len(items) > _SUM_ITEMS_MAX:
                raise UnsupportedCondition(f"a sum of an array of {len(items)} items", node.column)
            total = items[-1]
            for item in reversed(items[:-1]):
                total = tree.Binary("+", item, total, column=node.column, nature=UNKNOWN)
            return _as(node, total)
    return node


def _sum_map(node: tree.Node) -> tree.Node:
    match node:
        case tree.Builtin(name="sum", arguments=[tree.Builtin(name="map", arguments=[_, _] as inner)]):
            return _as(node, tree.Builtin("sum", inner))
    return node


def _count_any(node: tree.Node) -> tree.Node:
    match node:
        case tree.Binary(op=op, left=tree.Builtin(name="count", arguments=[_, _]) as count):
            if (op, _value_of(node.right, int)) in ((">", 0), (">=", 1)):
                return _as(node, tree.Builtin("any", count.arguments))
    return node


def _count_threshold(node: tree.Node) -> tree.Node:
    match node:
        case tree.Binary(op=op, left=tree.Builtin(name="count", arguments=[_, _]) as count):
            limit = _value_of(node.right, int)
            if limit is None or limit < 0 or op not in (">", ">=", "<", "<="):
                return node
            threshold = limit + (op in (">", "<="))
            if threshold > 1:
                count.threshold = threshold
    return node

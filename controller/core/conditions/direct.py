"""The short way for what nearly every condition is: samples compared with numbers, and logic around it.

Closures over the bare result, with no frame, no budget and no error of their own. Only parts whose types are
certain are taken; the only thing that can go wrong with them is a sample that is not there, and then the caller
takes the long way (`building`), which words the error or never looks at that sample. The same folded tree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import isinf, isnan

from controller.core.conditions import tree
from controller.core.conditions.certainty import Certainty, Sure
from controller.core.conditions.natures import FLOATS, Nature
from controller.core.conditions.numbers import divide

Direct = Callable[[object], object]


class NotDirect(Exception):
    """This condition has a part that needs the long way."""


_COMPARE: dict[str, Callable[..., object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
# One closure instead of three for `result[i] op constant`.
_SAMPLE_AGAINST: dict[str, Callable[[int, object], Callable[..., object]]] = {
    "<": lambda index, constant: lambda result: result[index] < constant,
    "<=": lambda index, constant: lambda result: result[index] <= constant,
    ">": lambda index, constant: lambda result: result[index] > constant,
    ">=": lambda index, constant: lambda result: result[index] >= constant,
    "==": lambda index, constant: lambda result: result[index] == constant,
    "!=": lambda index, constant: lambda result: result[index] != constant,
}


def build_direct(root: tree.Node, result: Nature) -> Direct:
    """Return a closure over the bare result; `NotDirect` where the condition needs more."""
    maker = _Maker(result)
    if maker.certainty.of(root) is not Sure.BOOL:
        raise NotDirect
    return maker.part(root)


class _Maker:
    def __init__(self, result: Nature) -> None:
        self.certainty = Certainty(result)
        self._vector = result == FLOATS
        self._inside = False  # a closure's body, whose only argument is its element

    def part(self, node: tree.Node) -> Direct:
        match node:
            case tree.Literal(value=bool() | int() | float() as value):
                return lambda result: value
            case tree.Pointer(name="") if self._inside:
                return lambda element: element
            case tree.Unary():
                return self._unary(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Builtin(name="all" | "any" | "none" | "one"):
                return self._loop(node)
            case tree.Call(callee=tree.Name(name="isNaN" | "isInf" as name), arguments=[argument]):
                inner, test = self._sure(argument, Sure.FLOAT), isnan if name == "isNaN" else isinf
                return lambda result: test(inner(result))  # type: ignore[arg-type]
        if self._inside:
            raise NotDirect
        return self._of_result(node)

    def _of_result(self, node: tree.Node) -> Direct:
        match node:
            case tree.Name(name="result") if not self._vector:
                return lambda result: result
            case tree.Member():
                index = self._index(node)
                return lambda result: result[index]  # type: ignore[index]
            case tree.Builtin(name="len", arguments=[argument]) if self.certainty.is_vector(argument):
                return lambda result: len(result)  # type: ignore[arg-type]
            case tree.Conditional():
                test, then = self._sure(node.test, Sure.BOOL), self.part(node.then)
                otherwise = self.part(node.otherwise)
                return lambda result: then(result) if test(result) else otherwise(result)
        raise NotDirect

    def _sure(self, node: tree.Node, *wanted: Sure) -> Direct:
        if self.certainty.of(node) not in wanted:
            raise NotDirect
        return self.part(node)

    def _index(self, node: tree.Node) -> int:
        """Return i of `result[i]` for a constant i."""
        match node:
            case tree.Member(base=base, place=tree.Literal(value=int() as index), optional=False):
                if self.certainty.is_vector(base):
                    return index
        raise NotDirect

    def _unary(self, node: tree.Unary) -> Direct:
        if node.op in ("!", "not"):
            inner = self._sure(node.operand, Sure.BOOL)
            return lambda result: not inner(result)
        inner = self._sure(node.operand, Sure.FLOAT)
        return inner if node.op == "+" else lambda result: -inner(result)  # type: ignore[operator]

    def _binary(self, node: tree.Binary) -> Direct:
        if node.op in ("&&", "and", "||", "or"):
            one, other = self._sure(node.left, Sure.BOOL), self._sure(node.right, Sure.BOOL)
            if node.op in ("&&", "and"):
                return lambda result: one(result) and other(result)
            return lambda result: one(result) or other(result)
        ints = self.certainty.of(node.left) is self.certainty.of(node.right) is Sure.INT
        left, right = self._number(node.left, ints=ints), self._number(node.right, ints=ints)
        if compare := _COMPARE.get(node.op):
            return self._sample_against(node) or (lambda result: compare(left(result), right(result)))
        if ints:
            raise NotDirect  # integers wrap
        match node.op:
            case "+":
                return lambda result: left(result) + right(result)  # type: ignore[operator]
            case "-":
                return lambda result: left(result) - right(result)  # type: ignore[operator]
            case "*":
                return lambda result: left(result) * right(result)  # type: ignore[operator]
            case "/":
                return lambda result: divide(left(result), right(result))  # type: ignore[arg-type]
        raise NotDirect

    def _number(self, node: tree.Node, *, ints: bool) -> Direct:
        """Return a number's closure: integers stay so only among integers."""
        inner = self._sure(node, Sure.FLOAT, Sure.INT)
        if ints or self.certainty.of(node) is Sure.FLOAT:
            return inner
        if isinstance(node, tree.Literal) and isinstance(node.value, int):
            constant = float(node.value)
            return lambda result: constant
        return lambda result: float(inner(result))  # type: ignore[arg-type]

    def _sample_against(self, node: tree.Binary) -> Direct | None:
        """Return the one closure for `result[i] op constant`, None for other comparisons."""
        if self._inside or not (isinstance(node.left, tree.Member) and isinstance(node.right, tree.Literal)):
            return None
        constant = node.right.value
        if isinstance(constant, (int, float)):
            return _SAMPLE_AGAINST[node.op](self._index(node.left), float(constant))
        return None

    def _loop(self, node: tree.Builtin) -> Direct:
        collection, predicate = node.arguments
        if self._inside or not self.certainty.is_vector(collection) or not isinstance(predicate, tree.Predicate):
            raise NotDirect
        self.certainty.enter(collection)
        self._inside = True
        body = self._sure(predicate.body, Sure.BOOL)
        self._inside = False
        self.certainty.leave()
        return _LOOPS[node.name](body)  # type: ignore[arg-type]


_LOOPS: dict[str, Callable[[Callable[..., bool]], Callable[..., object]]] = {
    "all": lambda body: lambda result: all(map(body, result)),
    "any": lambda body: lambda result: any(map(body, result)),
    "none": lambda body: lambda result: not any(map(body, result)),
    "one": lambda body: lambda result: sum(map(body, result)) == 1,
}

"""Which parts of a typed tree surely yield what their type says, so that they may run without asking again.

The static types of the language can lie (the index that findIndex returns is typed an integer and may be nil;
a sum of no floats is the integer 0). Where a value's type is certain, building compares bare numbers and the
same tree can run over arrays; everywhere else every operation looks at what it was given.
"""

from __future__ import annotations

from enum import Enum

from controller.core.conditions import tree
from controller.core.conditions.natures import FLOAT as FLOAT_NATURE
from controller.core.conditions.natures import FLOATS, Nature


class Sure(Enum):
    """What a part certainly yields."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"


_NUMBERS = (Sure.FLOAT, Sure.INT)
_COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")


class Certainty:
    """Answers for one tree and one kind of result. `enter` and `leave` a closure to speak of its `#`."""

    def __init__(self, result: Nature) -> None:
        self.result = result
        self._pointers: list[bool] = []  # is # a float of the result, innermost closure last

    def enter(self, collection: tree.Node) -> None:
        self._pointers.append(self.is_vector(collection))

    def leave(self) -> None:
        self._pointers.pop()

    def is_vector(self, node: tree.Node) -> bool:
        """Return whether the node is the whole vector, perhaps with a default that a vector never needs."""
        match node:
            case tree.Name(name="result"):
                return self.result == FLOATS
            case tree.Call(callee=tree.Name(name="default"), arguments=[tree.Name(name="result"), other]):
                return (
                    self.result == FLOATS
                    and isinstance(other, (tree.Literal, tree.Array))
                    and not any(True for _ in other.children())
                )
        return False

    def of(self, node: tree.Node) -> Sure | None:
        """Return what the node certainly yields, or None."""
        match node:
            case tree.Literal(value=value):
                return _LITERAL.get(type(value))
            case tree.Name(name="result"):
                return Sure.FLOAT if self.result == FLOAT_NATURE else None
            case tree.Member(base=base, optional=False):
                place = self.of(node.place)
                return Sure.FLOAT if self.is_vector(base) and place is Sure.INT else None
            case tree.Pointer(name=""):
                return Sure.FLOAT if self._pointers and self._pointers[-1] else None
            case tree.Pointer(name="index"):
                return Sure.INT
            case tree.Unary():
                return self._unary(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Conditional():
                then, otherwise = self.of(node.then), self.of(node.otherwise)
                return then if then is otherwise and self.of(node.test) is Sure.BOOL else None
            case tree.Builtin():
                return self._builtin(node)
            case tree.Call(callee=tree.Name(name=name)):
                return _HOST.get(name)
        return None

    def _unary(self, node: tree.Unary) -> Sure | None:
        operand = self.of(node.operand)
        if node.op in ("!", "not"):
            return operand if operand is Sure.BOOL else None
        return operand if operand in _NUMBERS else None

    def _binary(self, node: tree.Binary) -> Sure | None:
        left, right = self.of(node.left), self.of(node.right)
        if node.op in ("&&", "and", "||", "or"):
            return Sure.BOOL if left is Sure.BOOL and right is Sure.BOOL else None
        if left not in _NUMBERS or right not in _NUMBERS:
            return None
        if node.op in _COMPARISONS:
            return Sure.BOOL
        if node.op in ("+", "-", "*"):
            return Sure.INT if left is right is Sure.INT else Sure.FLOAT
        return Sure.FLOAT if node.op in ("/", "**", "^") else None

    def _builtin(self, node: tree.Builtin) -> Sure | None:
        if node.name in ("all", "any", "none", "one"):
            self.enter(node.arguments[0])
            body = node.arguments[1]
            sure = self.of(body.body) if isinstance(body, tree.Predicate) else None
            self.leave()
            return Sure.BOOL if sure is Sure.BOOL or node.name == "one" else None
        if node.name in ("len", "count"):
            return Sure.INT
        if node.name in ("ceil", "floor", "round", "mean", "median", "float"):
            return Sure.FLOAT
        if node.name == "abs":
            inner = self.of(node.arguments[0])
            return inner if inner in _NUMBERS else None
        return None


_LITERAL: dict[type, Sure] = {float: Sure.FLOAT, int: Sure.INT, bool: Sure.BOOL}
_HOST = {"isNaN": Sure.BOOL, "isInf": Sure.BOOL, "isNil": Sure.BOOL, "asFloat": Sure.FLOAT, "asInt": Sure.INT}

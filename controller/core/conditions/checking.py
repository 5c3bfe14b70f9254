"""Find what is an error by type alone, and write a type into every node.

One kind of result at a time: the same text is checked with `result` a list of floats (a vector), a float (a
scalar), nil, or what a web answer's JSON is. The first error found is the one that is told.
"""

from __future__ import annotations

import re2

from controller.core.conditions import tree
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.natures import (
    ANY,
    ARRAY,
    BOOL,
    DURATION,
    FLOAT,
    GROUPS,
    INT,
    MAP,
    NIL,
    STRING,
    TIME,
    UNKNOWN,
    Nature,
    promoted,
)
from controller.core.conditions.signatures import BUILTINS, CHECKS, HOST_FUNCTIONS, METHODS, OVERLOADS, Signature

_RE2 = re2.Options()
_RE2.log_errors = False


def check(root: tree.Node, result: Nature) -> Nature:
    """Write types into the tree for a result of this nature, and return the type of the whole."""
    return _Checker(result).visit(root)


class _Checker:
    def __init__(self, result: Nature) -> None:
        self._result = result
        self._variables: list[tuple[str, Nature]] = []
        self._collections: list[tuple[Nature, dict[str, Nature]]] = []  # what # is, innermost last

    def visit(self, node: tree.Node) -> Nature:
        nature = self._nature(node)
        node.nature = nature
        return nature

    def _nature(self, node: tree.Node) -> Nature:  # noqa: C901 - one line for each kind of node
        match node:
            case tree.Literal(value=value):
                return _LITERALS.get(type(value), UNKNOWN)
            case tree.Nil():
                return NIL
            case tree.Name():
                return self._name(node)
            case tree.Unary():
                return self._unary(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Chain():
                return self.visit(node.inner)
            case tree.Member():
                return self._member(node)
            case tree.Slice():
                return self._slice(node)
            case tree.Call():
                return self._call(node)
            case tree.Builtin():
                return self._builtin(node)
            case tree.Predicate():
                return self.visit(node.body)
            case tree.Pointer():
                return self._pointer(node)
            case tree.Let():
                return self._let(node)
            case tree.Sequence():
                return [self.visit(part) for part in node.parts][-1]
            case tree.Conditional():
                return self._conditional(node)
            case tree.Array():
                return self._array(node)
            case tree.Map():
                for key, item in node.pairs:
                    self.visit(key)
                    self.visit(item)
                return MAP
        raise AssertionError(f"a {type(node).__name__} is not in a tree that was just parsed")

    def _name(self, node: tree.Name) -> Nature:
        for name, nature in reversed(self._variables):
            if name == node.name:
                return nature
        if node.name == "result":
            return self._result
        if node.name in HOST_FUNCTIONS:
            return _function(node.name)
        if node.name == "$env" or node.name in BUILTINS:
            raise UnsupportedCondition("a builtin as a value", node.column)
        raise ConditionError(f"unknown name {node.name}", node.column)

    def _unary(self, node: tree.Unary) -> Nature:
        operand = self.visit(node.operand)
        if node.op in ("!", "not"):
            if operand == BOOL or operand.unknown:
                return BOOL
        elif operand.number:
            return operand
        elif operand.unknown:
            return UNKNOWN
        raise ConditionError(f"invalid operation: {node.op} (mismatched type {operand})", node.column)

    def _binary(self, node: tree.Binary) -> Nature:
        left, right = self.visit(node.left), self.visit(node.right)
        nature = self._joined(node, left, right)
        if nature is None:
            raise ConditionError(f"invalid operation: {node.op} (mismatched types {left} and {right})", node.column)
        return nature

    def _joined(self, node: tree.Binary, left: Nature, right: Nature) -> Nature | None:
        """Return the type of a binary operation, None where the two sides do not go together."""
        match node.op:
            case "==" | "!=":
                return BOOL if left.comparable_to(right) else None
            case "or" | "||" | "and" | "&&":
                both = left == BOOL and right == BOOL
                return BOOL if both or left.may_join(right, "bool") else None
            case "<" | ">" | ">=" | "<=":
                return BOOL if _ordered(left, right) else None
            case "+" | "-" | "*":
                return _arithmetic(node.op, left, right)
            case "/" | "**" | "^":
                both = left.number and right.number
                return FLOAT if both or left.may_join(right, "number") else None
            case "%":
                both = left.integer and right.integer
                return INT if both or left.may_join(right, "integer") else None
            case "in":
                return self._in(node, left, right)
            case "matches":
                return self._matches(node, left, right)
            case "contains" | "startsWith" | "endsWith":
                both = left == STRING and right == STRING
                return BOOL if both or left.may_join(right, "string") else None
            case "..":
                both = left.integer and right.integer
                return INT.array_of() if both or left.may_join(right, "integer") else None
            case "??":
                return _either(left, right)
        raise AssertionError(f"no operator {node.op} was parsed")

    def _in(self, node: tree.Binary, left: Nature, right: Nature) -> Nature | None:
        if right.kind == "struct":
            raise UnsupportedCondition(f"in on {right}", node.column)
        if right.kind == "map":
            if not left.unknown and not left.assignable_to(right.key()):
                raise ConditionError(f"cannot use {left} as type {right.key()} in map key", node.column)
            return BOOL
        if right.array:
            element = right.elements()
            if not left.comparable_to(element):
                raise ConditionError(f"cannot use {left} as type {element} in array", node.column)
            return BOOL
        if left.unknown and right == STRING:
            return BOOL
        return BOOL if right.unknown else None

    def _matches(self, node: tree.Binary, left: Nature, right: Nature) -> Nature | None:
        if isinstance(node.right, tree.Literal) and isinstance(node.right.value, str):
            try:
                re2.compile(node.right.value, options=_RE2)
            except re2.error as error:
                raise ConditionError(f"error parsing regexp: {error}", node.column) from None
        both = left == STRING and right == STRING
        return BOOL if both or left.may_join(right, "string") else None

    def _member(self, node: tree.Member) -> Nature:
        if isinstance(node.base, tree.Name) and node.base.name == "$env":
            raise UnsupportedCondition("$env", node.column)
        base, place = self.visit(node.base), self.visit(node.place)
        if base.unknown:
            return UNKNOWN
        name = node.place.value if isinstance(node.place, tree.Literal) else None
        field = name if isinstance(name, str) else None
        if field is not None and base.nil:
            raise ConditionError(f"type nil has no field {field}", node.column)
        if field is not None and base.type in METHODS:
            if field in METHODS[base.type] and node.method:
                return METHODS[base.type][field]
            raise UnsupportedCondition(f"{base}.{field}", node.column)
        if base.kind == "map":
            if not place.assignable_to(base.key()) and not place.unknown:
                raise ConditionError(f"cannot use {place} to get an element from {base}", node.column)
            return base.elements()
        if base.array:
            if not place.integer and not place.unknown:
                raise ConditionError(f"array elements can only be selected using an integer (got {place})", node.column)
            return base.elements()
        if base.type is not None and (base.kind == "struct" or base.type.startswith("*")):
            raise UnsupportedCondition(f"{base}[…]", node.column)
        if field is not None:
            raise ConditionError(f"type {base} has no {'method' if node.method else 'field'} {field}", node.column)
        raise ConditionError(f"type {base}[{place}] is undefined", node.column)

    def _slice(self, node: tree.Slice) -> Nature:
        base = self.visit(node.base)
        if base.unknown:
            return UNKNOWN  # the original does not look at the bounds then
        if base.kind not in ("string", "slice"):
            raise ConditionError(f"cannot slice {base}", node.column)
        for bound in (node.start, node.stop):
            if bound is not None:
                nature = self.visit(bound)
                if not nature.integer and not nature.unknown:
                    raise ConditionError(f"non-integer slice index {nature}", bound.column)
        return base

    def _call(self, node: tree.Call) -> Nature:
        callee = node.callee
        if isinstance(callee, tree.Name) and callee.name in HOST_FUNCTIONS and not self._is_variable(callee.name):
            callee.nature = _function(callee.name)
            return self._arguments(callee.name, HOST_FUNCTIONS[callee.name], node, node.arguments)
        nature = self.visit(callee)
        name = callee.name if isinstance(callee, tree.Name) else "function"
        if isinstance(callee, tree.Member):
            if callee.base.nature.type in METHODS:
                if node.arguments:
                    raise ConditionError(f"too many arguments to call {callee.place}", node.column)
                return nature
            name = str(callee.place.value) if isinstance(callee.place, tree.Literal) else name
        if nature.unknown:
            return UNKNOWN
        if nature.nil:
            raise ConditionError(f"{name} is nil; cannot call nil as function", node.column)
        if nature.kind == "func":
            raise UnsupportedCondition("a function as a value", node.column)
        raise ConditionError(f"{nature} is not callable", node.column)

    def _is_variable(self, name: str) -> bool:
        return any(name == known for known, _ in self._variables)

    # -- builtins

    def _builtin(self, node: tree.Builtin) -> Nature:
        if (len(node.arguments) > 1 and isinstance(node.arguments[1], tree.Predicate)) or node.name in ("sum", "count"):
            return self._with_predicate(node)
        if node.name == "get":
            return self._get(node)
        if node.name in CHECKS:
            natures = [self.visit(argument) for argument in node.arguments]
            try:
                return CHECKS[node.name]([ANY if nature.unknown else nature for nature in natures])
            except ConditionError as error:
                raise ConditionError(error.message, node.column) from None
        if node.name not in OVERLOADS:
            raise UnsupportedCondition(f"{node.name} without a closure", node.column)
        return self._overloaded(node)

    def _overloaded(self, node: tree.Builtin) -> Nature:
        last: ConditionError | None = None
        for signature in OVERLOADS[node.name]:
            try:
                return self._arguments(node.name, signature, node, node.arguments)
            except UnsupportedCondition:
                raise
            except ConditionError as error:
                last = error
        raise last or AssertionError(f"{node.name} has no overload")

    def _with_predicate(self, node: tree.Builtin) -> Nature:
        collection = self.visit(node.arguments[0])
        if not collection.array and not collection.unknown:
            raise ConditionError(f"builtin {node.name} takes only array (got {collection})", node.arguments[0].column)
        if len(node.arguments) == 1:
            return INT if node.name == "count" else UNKNOWN if collection.unknown else collection.elements()
        named = {"index": INT, "acc": UNKNOWN} if node.name == "reduce" else {}
        if node.name == "map":
            named = {"index": INT}
        self._collections.append((collection, named))
        body = self.visit(node.arguments[1])
        self._collections.pop()
        if len(node.arguments) == 3:
            extra = self.visit(node.arguments[2])
            if node.name == "sortBy" and extra != STRING and not extra.unknown:
                raise ConditionError(f"sortBy order argument must be a string (got {extra})", node.arguments[2].column)
        if body.nil:
            inputs = "two" if node.name == "reduce" else "one"
            raise ConditionError(f"predicate should has {inputs} input and one output param", node.arguments[1].column)
        if node.name in _ASKS_BOOL and body != BOOL and not body.unknown:
            raise ConditionError(f"predicate should return boolean (got {body})", node.arguments[1].column)
        return _returned(node.name, collection, body)

    def _get(self, node: tree.Builtin) -> Nature:
        if len(node.arguments) != 2:
            raise ConditionError(f"invalid number of arguments (expected 2, got {len(node.arguments)})", node.column)
        base, place = self.visit(node.arguments[0]), self.visit(node.arguments[1])
        if base.unknown:
            return UNKNOWN
        if base.array:
            if not place.integer and not place.unknown:
                raise ConditionError(f"non-integer slice index {place}", node.arguments[1].column)
            return base.elements()
        if base.kind == "map":
            if not place.assignable_to(base.key()) and not place.unknown:
                raise ConditionError(f"cannot use {place} to get an element from {base}", node.arguments[1].column)
            return base.elements()
        raise ConditionError(f"type {base} does not support indexing", node.arguments[0].column)

    def _arguments(self, name: str, signature: Signature, node: tree.Node, arguments: list[tree.Node]) -> Nature:
        """Check a call against one signature, turning integer literals to floats where a float is wanted."""
        wanted, returned = signature
        natures = [self.visit(argument) for argument in arguments]
        if len(arguments) != len(wanted):
            few = "too many" if len(arguments) > len(wanted) else "not enough"
            raise ConditionError(f"{few} arguments to call {name}", node.column)
        for position, (nature, want) in enumerate(zip(natures, wanted, strict=True)):
            if want == FLOAT and nature.integer:
                arguments[position] = _as_floats(arguments[position])
                continue
            if want.integer and nature.integer:
                continue
            if nature.nil:
                if want.kind == "interface":
                    continue
                raise ConditionError(
                    f"cannot use nil as argument (type {want}) to call {name}", arguments[position].column
                )
            if not nature.assignable_to(want) and not nature.unknown:
                raise ConditionError(
                    f"cannot use {nature} as argument (type {want}) to call {name} ", arguments[position].column
                )
        return returned

    # -- the rest

    def _pointer(self, node: tree.Pointer) -> Nature:
        if not self._collections:
            raise ConditionError("cannot use pointer accessor outside predicate", node.column)
        collection, named = self._collections[-1]
        if not node.name:
            return UNKNOWN if collection.unknown else collection.elements()
        if node.name in named:
            return named[node.name]
        raise ConditionError(f"unknown pointer #{node.name}", node.column)

    def _let(self, node: tree.Let) -> Nature:
        if node.name in HOST_FUNCTIONS or node.name == "result":
            raise ConditionError(f"cannot redeclare {node.name}", node.column)
        if node.name in BUILTINS:
            raise ConditionError(f"cannot redeclare builtin {node.name}", node.column)
        if self._is_variable(node.name):
            raise ConditionError(f"cannot redeclare variable {node.name}", node.column)
        self._variables.append((node.name, self.visit(node.value)))
        nature = self.visit(node.body)
        self._variables.pop()
        return nature

    def _conditional(self, node: tree.Conditional) -> Nature:
        test = self.visit(node.test)
        if test != BOOL and not test.unknown:
            raise ConditionError(f"non-bool expression (type {test}) used as condition", node.test.column)
        then, otherwise = self.visit(node.then), self.visit(node.otherwise)
        if then.nil or otherwise.nil:
            return otherwise if then.nil else then
        if not then.assignable_to(otherwise):
            return UNKNOWN
        if then.array and otherwise.array:
            one, other = then.elements(), otherwise.elements()
            if not one.assignable_to(other) or not other.assignable_to(one):
                return ARRAY
        return then

    def _array(self, node: tree.Array) -> Nature:
        natures = [self.visit(item) for item in node.items]
        if not natures:
            return UNKNOWN.array_of()
        alike = all(nature.kind == natures[0].kind for nature in natures)
        return natures[-1].array_of() if alike else ARRAY


_LITERALS: dict[type, Nature] = {bool: BOOL, int: INT, float: FLOAT, str: STRING}
_ASKS_BOOL = frozenset(
    ("all", "none", "any", "one", "filter", "count", "find", "findLast", "findIndex", "findLastIndex")
)


def _function(name: str) -> Nature:
    wanted, returned = HOST_FUNCTIONS[name]
    return Nature(f"func({', '.join(map(str, wanted))}) {returned}")


def _ordered(left: Nature, right: Nature) -> bool:
    if left.number and right.number:
        return True
    if left == right and left in (STRING, TIME, DURATION):
        return True
    return left.may_join(right, "number", "string", "time.Time", "time.Duration")


def _arithmetic(op: str, left: Nature, right: Nature) -> Nature | None:
    if left.number and right.number:
        return promoted(left, right)
    known = _ARITHMETIC.get((op, left.type or "", right.type or ""))
    if known is not None:
        return known
    if op == "*" and ((left.number and right == DURATION) or (left == DURATION and right.number)):
        return DURATION
    return UNKNOWN if left.may_join(right, *_JOINS[op]) else None


_ARITHMETIC = {
    ("+", "string", "string"): STRING,
    ("+", "time.Time", "time.Duration"): TIME,
    ("+", "time.Duration", "time.Time"): TIME,
    ("+", "time.Duration", "time.Duration"): DURATION,
    ("-", "time.Time", "time.Time"): DURATION,
    ("-", "time.Time", "time.Duration"): TIME,
    ("-", "time.Duration", "time.Duration"): DURATION,
    ("*", "time.Duration", "time.Duration"): DURATION,
}
_JOINS = {
    "+": ("number", "string", "time.Time", "time.Duration"),
    "-": ("number", "time.Time", "time.Duration"),
    "*": ("number", "time.Duration"),
}


def _either(left: Nature, right: Nature) -> Nature:
    if left.nil or right.nil:
        return right if left.nil else left
    return left if right.assignable_to(left) else UNKNOWN


def _returned(name: str, collection: Nature, body: Nature) -> Nature:
    """Return the type of a builtin with a closure."""
    match name:
        case "all" | "none" | "any" | "one":
            return BOOL
        case "filter":
            return ARRAY if collection.unknown else collection.elements().array_of()
        case "map":
            return body.array_of()
        case "count" | "findIndex" | "findLastIndex":
            return INT
        case "find" | "findLast":
            return UNKNOWN if collection.unknown else collection.elements()
        case "groupBy":
            return GROUPS
        case "sortBy":
            return collection
        case "reduce":
            return body
        case "sum":
            return ANY if body.unknown else body.plain()
    raise AssertionError(f"{name} takes no closure")


def _as_floats(node: tree.Node) -> tree.Node:
    """Return the node with integer literals made floats, as far as signs and sums of literals go."""
    match node:
        case tree.Literal() if node.is_int and isinstance(node.value, int):
            return tree.Literal(float(node.value), column=node.column, nature=FLOAT)
        case tree.Unary():
            node.operand = _as_floats(node.operand)
        case tree.Binary(op="+" | "-" | "*"):
            node.left = _as_floats(node.left)
            node.right = _as_floats(node.right)
    return node

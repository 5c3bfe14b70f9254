"""Turn a typed, folded tree into closures: calling the outermost evaluates the condition.

Each closure takes a `Frame` and returns a value. The order of evaluation, and what is not evaluated, is that
of the original. Comparisons of numbers whose types are certain run bare; they are what real conditions are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import isinf, isnan

import re2

from controller.core.conditions import loops, operations, tree
from controller.core.conditions.arithmetic import as_floating, as_int, must_be_float
from controller.core.conditions.certainty import Certainty, Sure
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame
from controller.core.conditions.functions import FUNCTIONS
from controller.core.conditions.natures import FLOATS, Nature
from controller.core.conditions.numbers import divide, wrapped
from controller.core.conditions.objects import Ints, is_nil, type_name
from controller.core.conditions.operations import must_be_bool, must_be_text
from controller.core.conditions.signatures import HOST_FUNCTIONS
from controller.core.conditions.times import part_of

Closure = Callable[[Frame], object]

_BARE: dict[str, Callable[..., object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CHECKED: dict[str, operations.Operation] = {
    "<": operations.less,
    "<=": operations.less_or_equal,
    ">": operations.more,
    ">=": operations.more_or_equal,
    "+": operations.add,
    "-": operations.subtract,
    "*": operations.multiply,
    "/": operations.quotient,
    "%": operations.modulo,
    "**": operations.exponent,
    "^": operations.exponent,
    "in": operations.contains,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_RE2 = re2.Options()
_RE2.log_errors = False


class _ChainEnded(Exception):
    """A `?.` met nil: the whole chain around it is nil."""


def build(root: tree.Node, result: Nature) -> Closure:
    """Return the closure of a tree that was checked for this kind of result and folded."""
    return _Builder(result).closure(root)


class _Builder:
    def __init__(self, result: Nature) -> None:
        self.result = result
        self.certainty = Certainty(result)
        self._variables: list[tuple[str, int]] = []
        self._slots = 0
        self._chains = 0

    def closure(self, node: tree.Node) -> Closure:  # noqa: C901 - one line for each kind of node
        match node:
            case tree.Literal(value=value):
                constant = list(value) if isinstance(value, tuple) else value
                return lambda frame: constant
            case tree.Nil():
                return lambda frame: None
            case tree.Members(values=values):
                return lambda frame: values
            case tree.Name():
                return self._name(node)
            case tree.Unary():
                return self._unary(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Chain():
                return self._chain(node)
            case tree.Member():
                return self._member(node)
            case tree.Slice():
                return self._slice(node)
            case tree.Call():
                return self._call(node)
            case tree.Builtin():
                return self._builtin(node)
            case tree.Predicate():
                return self.closure(node.body)
            case tree.Pointer():
                return _pointer(node.name)
            case tree.Let():
                return self._let(node)
            case tree.Sequence():
                return self._sequence(node)
            case tree.Conditional():
                return self._conditional(node)
            case tree.Array():
                return self._array(node)
            case tree.Map():
                return self._map(node)
        raise AssertionError(f"no closure for a {type(node).__name__}")

    def _name(self, node: tree.Name) -> Closure:
        for name, slot in reversed(self._variables):
            if name == node.name:
                return lambda frame: frame.variables[slot]
        if node.name == "result":
            return Frame.whole_result if self.result == FLOATS else lambda frame: frame.result
        if node.name in HOST_FUNCTIONS:
            raise UnsupportedCondition("a function as a value", node.column)
        return lambda frame: None  # only inside what the original does not check: then a missing name is nil

    def _unary(self, node: tree.Unary) -> Closure:
        operand, sure = self.closure(node.operand), self.certainty.of(node.operand)
        if node.op in ("!", "not"):
            if sure is Sure.BOOL:
                return lambda frame: not operand(frame)
            return lambda frame: not must_be_bool(operand(frame))
        if node.op == "+":
            return operand
        if sure is Sure.FLOAT:
            return lambda frame: -operand(frame)  # type: ignore[operator]
        return lambda frame: operations.negate(operand(frame))

    # -- two sides

    def _binary(self, node: tree.Binary) -> Closure:
        match node.op:
            case "&&" | "and" | "||" | "or":
                return self._logic(node)
            case "??":
                left, right = self.closure(node.left), self.closure(node.right)
                return lambda frame: right(frame) if is_nil(value := left(frame)) else value
            case "==" | "!=":
                return self._equality(node)
            case "matches":
                return self._matches(node)
            case "contains" | "startsWith" | "endsWith":
                return self._texts(node)
            case "..":
                return self._range(node)
        if isinstance(node.right, tree.Members):
            return _membership(self.closure(node.left), node.right.values)
        return self._bare(node) or self._checked(node)

    def _logic(self, node: tree.Binary) -> Closure:
        left, right = self.closure(node.left), self.closure(node.right)
        both = node.op in ("&&", "and")
        if self.certainty.of(node.left) is Sure.BOOL:
            if both:
                return lambda frame: left(frame) and right(frame)
            return lambda frame: left(frame) or right(frame)
        if both:
            return lambda frame: right(frame) if must_be_bool(left(frame)) else False
        return lambda frame: True if must_be_bool(left(frame)) else right(frame)

    def _bare(self, node: tree.Binary) -> Closure | None:
        """Return a closure over bare numbers, where both sides are surely numbers."""
        left_sure, right_sure = self.certainty.of(node.left), self.certainty.of(node.right)
        numbers = (Sure.FLOAT, Sure.INT)
        if left_sure not in numbers or right_sure not in numbers:
            return None
        left, right = self.closure(node.left), self.closure(node.right)
        mixed = left_sure is not right_sure
        if compare := _BARE.get(node.op):
            return self._comparison(node, compare, mixed=mixed)
        ints = left_sure is Sure.INT and right_sure is Sure.INT
        match node.op:
            case "+" if not ints:
                return lambda frame: float(left(frame)) + float(right(frame))  # type: ignore[arg-type]
            case "-" if not ints:
                return lambda frame: float(left(frame)) - float(right(frame))  # type: ignore[arg-type]
            case "*" if not ints:
                return lambda frame: float(left(frame)) * float(right(frame))  # type: ignore[arg-type]
            case "+":
                return lambda frame: wrapped(left(frame) + right(frame))  # type: ignore[operator]
            case "/":
                return lambda frame: divide(float(left(frame)), float(right(frame)))  # type: ignore[arg-type]
        return None

    def _comparison(self, node: tree.Binary, compare: Callable[..., object], *, mixed: bool) -> Closure:
        left, right = self.closure(node.left), self.closure(node.right)
        if isinstance(node.right, tree.Literal):
            value = node.right.value
            constant = float(value) if mixed and isinstance(value, int) else value
            if not mixed or self.certainty.of(node.left) is Sure.FLOAT:
                return lambda frame: compare(left(frame), constant)
        if not mixed:
            return lambda frame: compare(left(frame), right(frame))
        return lambda frame: compare(float(left(frame)), float(right(frame)))  # type: ignore[arg-type]

    def _checked(self, node: tree.Binary) -> Closure:
        left, right, apply = self.closure(node.left), self.closure(node.right), _CHECKED[node.op]
        return lambda frame: apply(left(frame), right(frame))

    def _equality(self, node: tree.Binary) -> Closure:
        bare = self._bare(node)
        if bare is not None:
            return bare
        left, right = self.closure(node.left), self.closure(node.right)
        kind = node.left.nature.type
        wants = node.op == "=="
        if kind == node.right.nature.type and kind in ("int", "string"):
            return lambda frame: (_same(kind, left(frame), right(frame))) is wants
        return lambda frame: operations.equal(left(frame), right(frame)) is wants

    def _matches(self, node: tree.Binary) -> Closure:
        left = self.closure(node.left)
        if isinstance(node.right, tree.Literal) and isinstance(node.right.value, str):
            pattern = _pattern(node.right.value)
            return lambda frame: (
                False if is_nil(text := left(frame)) else pattern.search(must_be_text(text)) is not None
            )
        right = self.closure(node.right)

        def matches(frame: Frame) -> object:
            text, pattern = left(frame), right(frame)
            if is_nil(text) or is_nil(pattern):
                return False
            return _pattern(must_be_text(pattern)).search(must_be_text(text)) is not None

        return matches

    def _texts(self, node: tree.Binary) -> Closure:
        left, right, apply = self.closure(node.left), self.closure(node.right), _TEXT[node.op]

        def compared(frame: Frame) -> object:
            text, part = left(frame), right(frame)
            if is_nil(text) or is_nil(part):
                return False
            return apply(must_be_text(text), must_be_text(part))

        return compared

    def _range(self, node: tree.Binary) -> Closure:
        left, right = self.closure(node.left), self.closure(node.right)

        def spread(frame: Frame) -> object:
            start, stop = left(frame), right(frame)
            low, high = operations.as_index(start), operations.as_index(stop)
            size = wrapped(high - low + 1)
            frame.grow(max(size, 0))
            return Ints(range(low, low + size)) if size > 0 else Ints()

        return spread

    # -- parts of values

    def _chain(self, node: tree.Chain) -> Closure:
        self._chains += 1
        inner = self.closure(node.inner)
        self._chains -= 1

        def chain(frame: Frame) -> object:
            try:
                value = inner(frame)
            except _ChainEnded:
                return None
            return None if is_nil(value) else value

        return chain

    def _member(self, node: tree.Member) -> Closure:
        if self.certainty.of(node) is Sure.FLOAT:
            return self._sample(node)
        base, place = self.closure(node.base), self.closure(node.place)
        if node.optional and self._chains:

            def optional(frame: Frame) -> object:
                value = base(frame)
                if is_nil(value):
                    raise _ChainEnded
                return operations.fetch(value, place(frame))

            return optional
        return lambda frame: operations.fetch(base(frame), place(frame))

    def _sample(self, node: tree.Member) -> Closure:
        """Return `result[i]` of a vector, which nearly every condition reads."""
        if not isinstance(node.place, tree.Literal):
            place = self.closure(node.place)
            return lambda frame: operations.fetch(frame.whole_result(), place(frame))
        index = node.place.value
        assert isinstance(index, int)

        def sample(frame: Frame) -> object:
            try:
                return frame.result[index]  # type: ignore[index]
            except IndexError:
                length = len(frame.result)  # type: ignore[arg-type]
                at = index + length if index < 0 else index
                raise ConditionError(f"index out of range: {at} (array length is {length})") from None

        return sample

    def _slice(self, node: tree.Slice) -> Closure:
        base = self.closure(node.base)
        start = None if node.start is None else self.closure(node.start)
        stop = None if node.stop is None else self.closure(node.stop)

        def cut(frame: Frame) -> object:
            value = base(frame)
            last = _length(value) if stop is None else stop(frame)
            return operations.cut(value, 0 if start is None else start(frame), last)

        return cut

    # -- calls

    def _call(self, node: tree.Call) -> Closure:
        callee = node.callee
        if isinstance(callee, tree.Name) and callee.name in HOST_FUNCTIONS:
            return self._host(callee.name, node)
        if isinstance(callee, tree.Member) and isinstance(callee.place, tree.Literal):
            name = str(callee.place.value)
            base = self.closure(callee.base)
            if callee.base.nature.type in ("time.Time", "time.Duration"):
                return lambda frame: part_of(base(frame), name)
        arguments = [self.closure(argument) for argument in node.arguments]
        called = self.closure(callee)

        def not_a_function(frame: Frame) -> object:
            for argument in arguments:
                argument(frame)
            value = called(frame)
            if value is None:
                raise ConditionError("invalid operation: cannot call nil")
            raise ConditionError(f"invalid operation: cannot call non-function of type {type_name(value)}")

        return not_a_function

    def _host(self, name: str, node: tree.Call) -> Closure:
        first = self.closure(node.arguments[0])
        sure = self.certainty.of(node.arguments[0])
        match name:
            case "isNaN" if sure is Sure.FLOAT:
                return lambda frame: isnan(first(frame))  # type: ignore[arg-type]
            case "isInf" if sure is Sure.FLOAT:
                return lambda frame: isinf(first(frame))  # type: ignore[arg-type]
            case "isNaN":
                return lambda frame: isnan(must_be_float(first(frame)))
            case "isInf":
                return lambda frame: isinf(must_be_float(first(frame)))
            case "asInt":
                return lambda frame: as_int(first(frame))
            case "asFloat":
                return lambda frame: as_floating(first(frame))
            case "isNil":
                return lambda frame: _asked(first, frame) is None
        second = self.closure(node.arguments[1])

        def default(frame: Frame) -> object:
            first(frame)
            other = second(frame)
            return other if frame.result is None else frame.whole_result()

        return default

    def _builtin(self, node: tree.Builtin) -> Closure:
        if (len(node.arguments) > 1 and isinstance(node.arguments[1], tree.Predicate)) or node.name in ("sum", "count"):
            return self._loop(node)
        if node.name == "len" and self.certainty.is_vector(node.arguments[0]):
            return lambda frame: len(frame.result)  # type: ignore[arg-type]
        arguments = [self.closure(argument) for argument in node.arguments]
        apply = FUNCTIONS[node.name]
        return lambda frame: apply(frame, [argument(frame) for argument in arguments])

    def _loop(self, node: tree.Builtin) -> Closure:
        base = self.closure(node.arguments[0])
        self.certainty.enter(node.arguments[0])
        body = self.closure(node.arguments[1]) if len(node.arguments) > 1 else _pointer("")
        extra = self.closure(node.arguments[2]) if len(node.arguments) > 2 else None
        mapped = None if node.mapped is None else self.closure(node.mapped)
        self.certainty.leave()
        return loops.build(node, base=base, body=body, extra=extra, mapped=mapped)

    # -- the rest

    def _let(self, node: tree.Let) -> Closure:
        value = self.closure(node.value)
        slot = self._slots
        self._slots += 1
        self._variables.append((node.name, slot))
        body = self.closure(node.body)
        self._variables.pop()

        def let(frame: Frame) -> object:
            frame.variables[slot] = value(frame)
            return body(frame)

        return let

    def _sequence(self, node: tree.Sequence) -> Closure:
        *before, last = [self.closure(part) for part in node.parts]

        def sequence(frame: Frame) -> object:
            for part in before:
                part(frame)
            return last(frame)

        return sequence

    def _conditional(self, node: tree.Conditional) -> Closure:
        test, then, otherwise = self.closure(node.test), self.closure(node.then), self.closure(node.otherwise)
        return lambda frame: then(frame) if must_be_bool(test(frame)) else otherwise(frame)

    def _array(self, node: tree.Array) -> Closure:
        items = [self.closure(item) for item in node.items]

        def array(frame: Frame) -> object:
            values = [item(frame) for item in items]
            frame.grow(len(values))
            return values

        return array

    def _map(self, node: tree.Map) -> Closure:
        pairs = [(self.closure(key), self.closure(value)) for key, value in node.pairs]

        def made(frame: Frame) -> object:
            values = [(key(frame), value(frame)) for key, value in pairs]
            frame.grow(len(values))
            # From the last to the first, as the original takes them off its stack: of two equal keys the first wins.
            return {must_be_text(key): value for key, value in reversed(values)}

        return made


def _asked(argument: Closure, frame: Frame) -> object:
    """Return the result after evaluating an argument that is otherwise not looked at."""
    argument(frame)
    return frame.result


def _pointer(name: str) -> Closure:
    match name:
        case "index":
            return lambda frame: frame.scope.index
        case "acc":
            return lambda frame: frame.scope.acc

    def item(frame: Frame) -> object:
        scope = frame.scope
        return scope.items[scope.index]

    return item


def _length(value: object) -> int:
    if isinstance(value, str) and not value.isascii():
        raise UnsupportedCondition("a slice of a string that is not ASCII")
    if isinstance(value, (list, dict, str)):
        return len(value)
    raise ConditionError(f"invalid argument for len (type {type_name(value)})")


def _same(kind: str, left: object, right: object) -> bool:
    """Return whether two values are equal that are both of this type, by their static types; else an error."""
    wanted: type = int if kind == "int" else str
    for value in (left, right):
        if type(value) is not wanted:
            shown = "nil" if value is None else type_name(value)
            raise ConditionError(f"interface conversion: interface {{}} is {shown}, not {kind}")
    return left == right


def _membership(needle: Closure, values: frozenset[int] | frozenset[str]) -> Closure:
    wanted: type = next((type(value) for value in values), int)
    name = "int" if wanted is int else "string"

    def member(frame: Frame) -> object:
        value = needle(frame)
        if value is None:
            return wanted() in values
        if type(value) is not wanted:
            raise ConditionError(
                f"reflect.Value.MapIndex: value of type {type_name(value)} is not assignable to type {name}"
            )
        return value in values

    return member


def _pattern(text: str) -> re2._Regexp:
    try:
        return re2.compile(text, options=_RE2)
    except re2.error as error:
        raise ConditionError(f"error parsing regexp: {error}") from None

"""Check what Prometheus checks after reading a query: types, functions and their arguments, matchers.

Only `parse` calls this. The first fault in the order of evaluation is raised, with its place.
"""

from __future__ import annotations

from typing import assert_never

from promql.syntax.errors import EMPTY_SELECTOR, PromQLSyntaxError
from promql.syntax.functions import EXPERIMENTAL_FUNCTIONS, FUNCTIONS, Signature, ValueType
from promql.syntax.regexes import RegexError, compile_regex, full_match
from promql.syntax.tree import (
    Aggregate,
    AggregateOp,
    Binary,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from promql.syntax.walking import fold

_NAMES = {
    ValueType.SCALAR: "a scalar",
    ValueType.VECTOR: "an instant vector",
    ValueType.MATRIX: "a range vector",
    ValueType.STRING: "a string",
}
_NUMERIC = (ValueType.SCALAR, ValueType.VECTOR)
_RENAMED = {"holt_winters": "Prometheus 3 calls it double_exponential_smoothing, and it is experimental"}


def check(expr: Expr, text: str) -> ValueType:
    """Return the type of the tree that was read from `text`, or raise PromQLSyntaxError."""
    return fold(expr, _Checker(text).combine)


class _Checker:
    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, span: Span, message: str) -> PromQLSyntaxError:
        return PromQLSyntaxError(self.text, span.start, span.end, message)

    def combine(self, node: Expr, types: tuple[ValueType, ...]) -> ValueType:
        match node:
            case NumberLiteral():
                return ValueType.SCALAR
            case StringLiteral():
                return ValueType.STRING
            case VectorSelector():
                return self.selector(node)
            case MatrixSelector():
                return ValueType.MATRIX
            case Subquery():
                self.expect(node.expr, types[0], (ValueType.VECTOR,), "a subquery")
                return ValueType.MATRIX
            case Paren():
                return types[0]
            case Unary():
                self.expect(node.expr, types[0], _NUMERIC, f'a sign "{node.op}"')
                return types[0]
            case Call():
                return self.call(node, types)
            case Aggregate():
                return self.aggregate(node, types)
            case Binary():
                return self.binary(node, types)
            case _:
                assert_never(node)

    def expect(self, expr: Expr, found: ValueType, wanted: tuple[ValueType, ...], where: str) -> None:
        if found not in wanted:
            names = " or ".join(_NAMES[one] for one in wanted)
            raise self.error(expr.span, f"{where} needs {names} here, this is {_NAMES[found]}")

    def selector(self, node: VectorSelector) -> ValueType:
        empty = True
        for matcher in node.matchers:
            if matcher.op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES):
                try:
                    compile_regex(matcher.value)
                except RegexError as error:
                    raise self.error(matcher.span, f"bad regular expression: {error}") from None
            empty = empty and matches_empty(matcher)
        if empty:
            raise self.error(node.span, EMPTY_SELECTOR)
        return ValueType.VECTOR

    def call(self, node: Call, types: tuple[ValueType, ...]) -> ValueType:
        signature = FUNCTIONS.get(node.function)
        if signature is None:
            name = Span(node.span.start, node.span.start + len(node.function))
            raise self.error(name, _unknown(node.function))
        self.count(node, signature)
        for index, (arg, found) in enumerate(zip(node.args, types, strict=True)):
            self.expect(arg, found, (signature.argument_type(index),), f"{node.function}()")
        return signature.returns

    def count(self, node: Call, signature: Signature) -> None:
        least, most, given = signature.arguments_min, signature.arguments_max, len(node.args)
        if given >= least and (most is None or given <= most):
            return
        wanted = f"at least {least}" if most is None else f"{least}" if least == most else f"{least} to {most}"
        plural = "" if wanted == "1" else "s"
        raise self.error(node.span, f"{node.function}() takes {wanted} argument{plural}, got {given}")

    def aggregate(self, node: Aggregate, types: tuple[ValueType, ...]) -> ValueType:
        self.expect(node.expr, types[-1], (ValueType.VECTOR,), f"{node.op}")
        if node.param is not None:
            wanted = ValueType.STRING if node.op is AggregateOp.COUNT_VALUES else ValueType.SCALAR
            self.expect(node.param, types[0], (wanted,), f"the first argument of {node.op}")
        return ValueType.VECTOR

    def binary(self, node: Binary, types: tuple[ValueType, ...]) -> ValueType:
        left, right = types
        self.expect(node.left, left, _NUMERIC, f"{node.op}")
        self.expect(node.right, right, _NUMERIC, f"{node.op}")
        scalars = types.count(ValueType.SCALAR)
        if scalars and node.op.is_set:
            raise self.error(node.op_span, f"{node.op} needs instant vectors on both sides")
        if scalars and node.matching.labels:
            raise self.error(node.op_span, "on and ignoring need instant vectors on both sides")
        if scalars == 2 and node.op.is_comparison and not node.return_bool:
            raise self.error(node.op_span, f"a comparison of two scalars needs bool: {node.op} bool")
        return ValueType.SCALAR if scalars == 2 else ValueType.VECTOR


def matches_empty(matcher: Matcher) -> bool:
    """Return whether a series without the label passes the matcher."""
    match matcher.op:
        case MatchOp.EQUAL:
            return matcher.value == ""
        case MatchOp.NOT_EQUAL:
            return matcher.value != ""
        case MatchOp.MATCHES:
            return full_match(matcher.value, "")
        case MatchOp.NOT_MATCHES:
            return not full_match(matcher.value, "")
        case _:
            assert_never(matcher.op)


def _unknown(function: str) -> str:
    if function in EXPERIMENTAL_FUNCTIONS:
        return f"{function}() is experimental in Prometheus and not known here"
    if function in _RENAMED:
        return f"unknown function {function}(); {_RENAMED[function]}"
    lowered = function.lower()
    hint = f"; did you mean {lowered}()?" if lowered in FUNCTIONS and lowered != function else ""
    return f"unknown function {function}(){hint}"

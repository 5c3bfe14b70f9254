"""Turn tokens into a tree.

By hand and not from a lark grammar, although a grammar was the plan: the language is defined by its parser and
not by a grammar. A prefix operator takes what its own precedence lets it take, whatever stands to its left
(`a * not b + c`); after `??` other operators are refused by history, not by place; a literal takes no `[0]` but
`-1` does; `#` and a leading dot mean something only inside a closure; `|` needs a call on its right. Each of
these would be a check beside the grammar, and the sum of them a second parser. `tests/conformance` and a
differential fuzz against the original decide whether this one is right.

Recursion is bounded: text nested deeper than `NESTING_MAX` is refused before the stack is in danger, and a
condition of more than 10,000 nodes is refused as the original refuses it.
"""

from __future__ import annotations

import math
from typing import TypeVar

from controller.core.conditions import tree
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.signatures import BUILTINS, HOST_NAMES
from controller.core.conditions.tokens import Token, tokenize

N = TypeVar("N", bound=tree.Node)

NESTING_MAX = 100  # levels of parentheses, brackets, closures and prefixes
DEPTH_MAX = 200  # levels of the tree; a chain of 200 || is one
NODES_MAX = 10_000

_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    ">=": 20,
    "<=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_NEGATABLE = ("contains", "matches", "startsWith", "endsWith", "in")
_COMPARISONS = ("<", ">", ">=", "<=")

# What each builtin with a closure takes: an expression, a predicate, and whether the last may be left out.
PREDICATES = {
    "all": "ep",
    "none": "ep",
    "any": "ep",
    "one": "ep",
    "filter": "ep",
    "map": "ep",
    "count": "eP",
    "sum": "eP",
    "find": "ep",
    "findIndex": "ep",
    "findLast": "ep",
    "findLastIndex": "ep",
    "groupBy": "ep",
    "sortBy": "epE",
    "reduce": "epE",
}


def parse(text: str) -> tree.Node:
    """Return the tree of a condition; ConditionError where it is not one."""
    return _Parser(tokenize(text)).parse()


class _Parser:
    """One pass over the tokens. The current token is `self.token`."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self.token = tokens[0]
        self._closures = 0
        self._nesting = 0
        self._nodes = 0

    def parse(self) -> tree.Node:
        node = self._sequence()
        if self.token.kind != "EOF":
            raise self._unexpected()
        return node

    # -- tokens

    def _next(self) -> None:
        self._at += 1
        if self._at >= len(self._tokens):
            raise ConditionError("unexpected end of expression", self.token.column)
        self.token = self._tokens[self._at]

    def _is(self, value: str, kind: str = "Operator") -> bool:
        return self.token.value == value and self.token.kind == kind

    def _expect(self, value: str, kind: str = "Operator") -> None:
        if not self._is(value, kind):
            raise self._unexpected()
        self._next()

    def _unexpected(self) -> ConditionError:
        return ConditionError(f"unexpected token {self.token}", self.token.column)

    def _made(self, node: N, column: int, *, counts: bool = True) -> N:
        """Return a new node with its place, after checking that the tree stays small and shallow."""
        self._nodes += counts
        if self._nodes > NODES_MAX:
            raise ConditionError("compilation failed: expression exceeds maximum allowed nodes", column)
        node.depth = 1 + max((child.depth for child in node.children()), default=0)
        if node.depth > DEPTH_MAX:
            raise UnsupportedCondition(f"an expression of more than {DEPTH_MAX} levels", column)
        node.column = column
        return node

    # -- expressions

    def _sequence(self) -> tree.Node:
        parts = [self._expression(0)]
        while self._is(";"):
            self._next()
            if self.token.kind == "EOF":
                break
            parts.append(self._expression(0))
        if len(parts) == 1:
            return parts[0]
        return self._made(tree.Sequence(parts), parts[0].column)

    def _expression(self, precedence: int) -> tree.Node:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise UnsupportedCondition(f"an expression nested deeper than {NESTING_MAX} levels", self.token.column)
        if precedence == 0 and self._is("let"):
            node = self._let()
        elif precedence == 0 and self._is("if"):
            node = self._if()
        else:
            node = self._operators(self._primary(), precedence)
            if precedence == 0:
                node = self._conditional(node)
        self._nesting -= 1
        return node

    def _operators(self, left: tree.Node, precedence: int) -> tree.Node:
        """Return `left` with all the operators that bind at least this tightly."""
        before = ""
        while self.token.kind == "Operator":
            operator, negated = self.token, False
            if operator.value == "not":
                follower = self._tokens[self._at + 1]
                if follower.value not in _NEGATABLE:
                    self._next()
                    raise self._unexpected()
                if _BINARY[follower.value] < precedence:
                    break
                self._next()
                operator, negated = self.token, True
            binds = _BINARY.get(operator.value)
            if binds is None or binds < precedence:
                break
            self._next()
            left = self._joined(left, operator, binds, before, negated=negated)
            before = operator.value
        return left

    def _joined(self, left: tree.Node, operator: Token, binds: int, before: str, *, negated: bool) -> tree.Node:
        """Return `left` with one operator and what stands to its right; the operator was read."""
        if operator.value == "|":
            word = self.token
            if word.kind != "Identifier":
                raise self._unexpected()
            self._next()
            return self._call(word, [left], may_be_host=True)
        if before == "??" and operator.value != "??":
            raise ConditionError(
                f"Operator ({operator.value}) and coalesce expressions (??) cannot be mixed. "
                "Wrap either by parentheses.",
                operator.column,
            )
        if operator.value in _COMPARISONS:
            return self._comparison(left, operator, binds)
        right = self._expression(binds if operator.value in ("**", "^") else binds + 1)
        node: tree.Node = self._made(tree.Binary(operator.value, left, right), operator.column)
        return self._made(tree.Unary("not", node), operator.column) if negated else node

    def _comparison(self, left: tree.Node, operator: Token, binds: int) -> tree.Node:
        """Return `a < b < c` as `a < b && b < c`, sharing b."""
        root: tree.Node | None = None
        while True:
            right = self._expression(binds + 1)
            compared = self._made(tree.Binary(operator.value, left, right), operator.column)
            root = compared if root is None else self._made(tree.Binary("&&", root, compared), operator.column)
            left, operator = right, self.token
            if not (operator.kind == "Operator" and operator.value in _COMPARISONS):
                return root
            self._next()

    def _let(self) -> tree.Node:
        self._expect("let")
        name = self.token
        if name.kind != "Identifier":
            raise self._unexpected()
        self._next()
        self._expect("=")
        value = self._expression(0)
        self._expect(";")
        body = self._sequence()
        return self._made(tree.Let(name.value, value, body), name.column)

    def _if(self) -> tree.Node:
        self._nesting += 1  # `else if` comes back here without an expression in between
        if self._nesting > NESTING_MAX:
            raise UnsupportedCondition(f"an expression nested deeper than {NESTING_MAX} levels", self.token.column)
        column = self.token.column
        self._next()
        test = self._expression(0)
        self._expect("{", "Bracket")
        then = self._sequence()
        self._expect("}", "Bracket")
        self._expect("else")
        if self._is("if"):
            otherwise = self._if()
        else:
            self._expect("{", "Bracket")
            otherwise = self._sequence()
            self._expect("}", "Bracket")
        self._nesting -= 1
        return self._made(tree.Conditional(test, then, otherwise), column, counts=False)

    def _conditional(self, node: tree.Node) -> tree.Node:
        while self._is("?"):
            self._next()
            if self._is(":"):
                self._next()
                then = node
            else:
                then = self._expression(0)
                self._expect(":")
            otherwise = self._expression(0)
            node = self._made(tree.Conditional(node, then, otherwise), self.token.column)
        return node

    # -- operands

    def _primary(self) -> tree.Node:
        token = self.token
        if token.kind == "Operator":
            return self._prefixed(token)
        if token.kind == "Bracket" and token.value == "(":
            self._next()
            node = self._sequence()
            self._expect(")", "Bracket")
            return self._postfix(node)
        return self._operand(token)

    def _prefixed(self, token: Token) -> tree.Node:
        if token.value in _UNARY:
            self._next()
            operand = self._expression(_UNARY[token.value])
            return self._postfix(self._made(tree.Unary(token.value, operand), token.column))
        if self._closures and token.value in ("#", "."):
            name = ""
            if token.value == "#":
                self._next()
                if self.token.kind == "Identifier":
                    name = self.token.value
                    self._next()
            return self._postfix(self._made(tree.Pointer(name), token.column))
        if token.value == "::":
            self._next()
            word = self.token
            if word.kind != "Identifier":
                raise self._unexpected()
            self._next()
            return self._postfix(self._call(word, [], may_be_host=False))
        raise self._unexpected()

    def _operand(self, token: Token) -> tree.Node:
        node: tree.Node
        match token.kind:
            case "Identifier":
                self._next()
                if token.value in ("true", "false"):
                    return self._made(tree.Literal(token.value == "true"), token.column)
                if token.value == "nil":
                    return self._made(tree.Nil(), token.column)
                if self._is("(", "Bracket"):
                    node = self._call(token, [], may_be_host=True)
                else:
                    node = self._made(tree.Name(token.value), token.column)
            case "Number":
                self._next()
                return self._made(tree.Literal(_number(token)), token.column)
            case "String":
                self._next()
                node = self._made(tree.Literal(token.value), token.column)
            case "Bracket" if token.value == "[":
                self._next()
                items = self._arguments([], "]")
                node = self._made(tree.Array(items), token.column)
            case "Bracket" if token.value == "{":
                node = self._map(token)
            case _:
                raise self._unexpected()
        return self._postfix(node)

    def _arguments(self, given: list[tree.Node], closing: str) -> list[tree.Node]:
        """Return the expressions up to the closing bracket, after those given; a last comma is allowed."""
        nodes = list(given)
        while not self._is(closing, "Bracket"):
            if len(nodes) > len(given):
                self._expect(",")
                if self._is(closing, "Bracket"):
                    break
            nodes.append(self._expression(0))
        self._next()
        return nodes

    def _map(self, token: Token) -> tree.Node:
        self._expect("{", "Bracket")
        pairs: list[tuple[tree.Node, tree.Node]] = []
        while not self._is("}", "Bracket"):
            if pairs:
                self._expect(",")
                if self._is("}", "Bracket"):
                    break
            key: tree.Node
            if self.token.kind in ("Number", "String", "Identifier"):
                key = self._made(tree.Literal(self.token.value), self.token.column)
                self._next()
            elif self._is("(", "Bracket"):
                key = self._expression(0)
            else:
                raise ConditionError(
                    "a map key must be a quoted string, a number, a identifier, or an expression "
                    f"enclosed in parentheses (unexpected token {self.token})",
                    self.token.column,
                )
            self._expect(":")
            pairs.append((key, self._expression(0)))
            self._nodes += 1
        self._next()
        return self._made(tree.Map(pairs), token.column)

    def _call(self, word: Token, given: list[tree.Node], *, may_be_host: bool) -> tree.Node:
        """Return a call of this name; `given` is what a pipe has put in front. The name was read."""
        host = may_be_host and word.value in HOST_NAMES
        if word.value in PREDICATES and not host:
            return self._predicate_call(word, given)
        if word.value in BUILTINS and not host:
            self._expect("(", "Bracket")
            return self._made(tree.Builtin(word.value, self._arguments(given, ")")), word.column)
        callee = self._made(tree.Name(word.value), word.column)
        self._expect("(", "Bracket")
        return self._made(tree.Call(callee, self._arguments(given, ")")), word.column)

    def _predicate_call(self, word: Token, given: list[tree.Node]) -> tree.Node:
        self._expect("(", "Bracket")
        wanted = PREDICATES[word.value][len(given) :]
        arguments = list(given)
        for position, what in enumerate(wanted):
            if self._is(")", "Bracket"):
                if what.isupper():
                    break
                raise ConditionError(f"expected at least {len(wanted)} arguments", self.token.column)
            if position > 0:
                self._expect(",")
            arguments.append(self._expression(0) if what in "eE" else self._predicate())
        if self._is(","):
            self._next()
        self._expect(")", "Bracket")
        return self._made(tree.Builtin(word.value, arguments), word.column)

    def _predicate(self) -> tree.Node:
        start = self.token
        braced = self._is("{", "Bracket")
        if braced:
            self._next()
        self._closures += 1
        if braced:
            body = self._sequence()
        else:
            body = self._expression(0)
            if self._is(";"):
                raise ConditionError("wrap predicate with brackets { and }", self.token.column)
        self._closures -= 1
        if braced:
            self._expect("}", "Bracket")
        return self._made(tree.Predicate(body), start.column)

    # -- what follows an operand

    def _postfix(self, node: tree.Node) -> tree.Node:
        while self.token.kind in ("Operator", "Bracket"):
            token = self.token
            if token.value == "?." and self._tokens[self._at + 1][:2] == ("Bracket", "["):
                self._next()
                node = self._index(node, optional=True)
            elif token.value in (".", "?."):
                node = self._property(node, optional=token.value == "?.")
            elif token.value == "[":
                node = self._index(node, optional=False)
            else:
                break
        return node

    def _property(self, node: tree.Node, *, optional: bool) -> tree.Node:
        self._next()
        name = self.token
        if name.kind != "Identifier" and not (name.kind == "Operator" and name.value[:1].isalpha()):
            raise ConditionError("expected name", name.column)
        self._next()
        place = self._made(tree.Literal(name.value), name.column)
        chained = isinstance(node, tree.Chain)
        if isinstance(node, tree.Chain):
            node = node.inner
        member = self._made(tree.Member(node, place, optional), name.column)
        node = member
        if self._is("(", "Bracket"):
            member.method = True
            self._next()
            node = self._made(tree.Call(member, self._arguments([], ")")), name.column)
        return self._made(tree.Chain(node), name.column) if chained or optional else node

    def _index(self, node: tree.Node, *, optional: bool) -> tree.Node:
        """Return `node[…]`: an element, or a slice if there is a colon."""
        column = self.token.column
        self._next()
        start: tree.Node | None = None
        if not self._is(":"):
            start = self._expression(0)
        if self._is(":"):
            self._next()
            stop = None if self._is("]", "Bracket") else self._expression(0)
            node = self._made(tree.Slice(node, start, stop), column)
        elif start is not None:
            node = self._made(tree.Member(node, start, optional), column)
            if optional:
                node = self._made(tree.Chain(node), column)
        self._expect("]", "Bracket")
        return node


def _number(token: Token) -> int | float:
    text = token.value.replace("_", "")
    low = text.lower()
    try:
        if low.startswith("0x"):
            number = _integer(low[2:], 16)
        elif "." in low or "e" in low:
            value = float(text)
            if math.isinf(value):
                raise ValueError(text)
            return value
        elif low.startswith("0b"):
            number = _integer(low[2:], 2)
        elif low.startswith("0o"):
            number = _integer(low[2:], 8)
        else:
            number = _integer(low, 10)
    except ValueError:
        raise ConditionError(f"invalid number literal: {token.value}", token.column) from None
    return number


def _integer(digits: str, base: int) -> int:
    if len(digits) > 64:  # as many binary digits as fit; int() of a longer text would be slow
        digits = digits.lstrip("0") or "0"
        if len(digits) > 64:
            raise ValueError(digits[:64])
    number = int(digits, base)
    if number > 0x7FFF_FFFF_FFFF_FFFF:
        raise ValueError(digits)
    return number

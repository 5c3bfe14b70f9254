"""Read a query: text in, a tree that Prometheus 3 would accept out, or an error with its place.

Operators are resolved with explicit stacks instead of recursion, so that a text nested ten thousand deep is
refused by a sentence and not by the interpreter. What is syntax is settled here; types are checked by `checks`,
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from promql.syntax.checks import check
from promql.syntax.durations import DurationReader
from promql.syntax.errors import EMPTY_QUERY, PromQLSyntaxError
from promql.syntax.pieces import span_of
from promql.syntax.tokens import Kind, Token
from promql.syntax.tree import (
    PLAIN_MATCHING,
    Aggregate,
    AggregateOp,
    Binary,
    BinaryOp,
    Call,
    Expr,
    Group,
    Matching,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    UnaryOp,
    VectorSelector,
)
from promql.syntax.words import BINARY_PRECEDENCE, NO_FUNCTION, NO_METRIC, UNARY_PRECEDENCE

TEXT_MAX = 100_000
"""The longest query that is read, in characters."""

NESTING_MAX = 500
"""How deep a query's tree may be; `a or b or c` counts as well as parentheses do."""

_AGGREGATES = {op.value: op for op in AggregateOp}
_EXPERIMENTAL_AGGREGATES = frozenset(("limitk", "limit_ratio"))
_OPERATORS = {op.value: op for op in BinaryOp}


def parse(text: str) -> Expr:
    """Return the query's tree.

    Raises:
        PromQLSyntaxError: Prometheus would refuse the text, or it holds what is not known here.
    """
    if len(text) > TEXT_MAX:
        message = f"the query has {len(text)} characters, at most {TEXT_MAX} are read"
        raise PromQLSyntaxError(text, TEXT_MAX, TEXT_MAX + 1, message)
    expr = _Parser(text).read()
    check(expr, text)
    return expr


@dataclass(slots=True)
class _Operator:
    """An operator that waits for its right side."""

    op: BinaryOp | UnaryOp
    precedence: int
    token: Token
    matching: Matching = PLAIN_MATCHING
    return_bool: bool = False


@dataclass(slots=True)
class _Frame:
    """What is open: the whole query, a parenthesis, or the arguments of a call or an aggregation.

    `operands` holds trees with their depths.
    """

    opened: Token
    name: Token | None = None  # of the function or aggregation
    aggregate: AggregateOp | None = None
    modifier: tuple[bool, tuple[str, ...]] | None = None  # without, labels
    arguments: list[tuple[Expr, int]] = field(default_factory=list)
    operands: list[tuple[Expr, int]] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)


class _Parser(DurationReader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.frames = [_Frame(self.token)]

    # The two states: an operand must come, or an operator may come.

    def read(self) -> Expr:
        if self.at_end():
            raise self.error_at(self.token, EMPTY_QUERY)
        while True:
            self.read_operand()
            self.read_postfixes()
            while self.is_symbol(")"):
                self.end_argument()
                self.close(self.advance())
                self.read_postfixes()
            if self.is_symbol(","):
                self.end_argument()
                self.next_argument()
            elif self.at_end():
                return self.finish()
            else:
                self.read_operator()

    def read_operand(self) -> None:
        """Read signs and opening parentheses up to and including one operand that is complete."""
        while True:
            token = self.token
            if token.kind in (Kind.NUMBER, Kind.DURATION):
                self.advance()
                is_duration = token.kind is Kind.DURATION
                self.push(NumberLiteral(token.number, span_of(token), as_duration=is_duration))
                return
            if token.kind is Kind.STRING:
                self.advance()
                self.push(StringLiteral(token.string, span_of(token)))
                return
            if token.kind is Kind.WORD:
                if self.read_word():
                    return
            elif token.text in ("+", "-"):
                self.advance()
                self.frame.operators.append(_Operator(UnaryOp(token.text), UNARY_PRECEDENCE, token))
            elif token.text == "(":
                self.open(_Frame(token))
            elif token.text == "{":
                self.push(self.selector(None))
                return
            else:
                raise self.unexpected("an expression")

    def read_word(self) -> bool:
        """Read a metric, or what comes before the arguments of a call; return whether an operand is complete."""
        name = self.advance()
        follows = self.token.text if self.token.kind is Kind.SYMBOL else self.token.keyword
        if name.keyword in _AGGREGATES or name.keyword in _EXPERIMENTAL_AGGREGATES:
            if follows in ("(", "by", "without"):
                return self.open_aggregate(name)
        elif follows == "(":
            return self.open_call(name)
        if name.keyword in NO_METRIC:
            raise self.error_at(name, f'"{name.text}" is a keyword; an expression belongs here')
        self.push(self.selector(name))
        return True

    def open_call(self, name: Token) -> bool:
        if ":" in name.text or name.keyword in NO_FUNCTION:
            raise self.error_at(name, f'"{name.text}" is no function')
        return self.open(_Frame(self.token, name=name))

    def open_aggregate(self, name: Token) -> bool:
        if name.keyword in _EXPERIMENTAL_AGGREGATES:
            raise self.error_at(name, f"{name.keyword} is experimental in Prometheus and not known here")
        modifier = self.grouping_modifier()
        if self.token.text != "(" or self.token.kind is not Kind.SYMBOL:
            raise self.unexpected(f'"(" after {name.text}')
        return self.open(_Frame(self.token, name=name, aggregate=_AGGREGATES[name.keyword], modifier=modifier))

    def open(self, frame: _Frame) -> bool:
        """Go into a parenthesis; return True if it holds nothing and is already closed."""
        if len(self.frames) > NESTING_MAX:
            raise self.error_at(frame.opened, f"the query is nested deeper than {NESTING_MAX} levels")
        self.advance()
        self.frames.append(frame)
        if frame.name is not None and self.is_symbol(")"):
            self.close(self.advance())
            return True
        return False

    def end_argument(self) -> None:
        """Take what stands before ")" or "," as one argument."""
        if len(self.frames) == 1:
            raise self.unexpected("an operator or the end", note="no parenthesis is open")
        self.reduce(0)
        self.frame.arguments.append(self.frame.operands.pop())

    def next_argument(self) -> None:
        if self.frame.name is None:
            raise self.unexpected('")"')
        comma = self.advance()
        if self.is_symbol(")"):
            raise self.error_at(comma, "a trailing comma is not allowed in arguments")

    def close(self, closing: Token) -> None:
        """Make a node of the innermost frame and give it to the one around it."""
        frame = self.frames.pop()
        args = tuple(expr for expr, _ in frame.arguments)
        depth = 1 + max((depth for _, depth in frame.arguments), default=0)
        if frame.name is None:
            self.push(Paren(args[0], Span(frame.opened.start, closing.end)), depth)
        elif frame.aggregate is None:
            self.push(Call(frame.name.text, args, Span(frame.name.start, closing.end)), depth)
        else:
            self.push(self.aggregate(frame, args), depth)

    def aggregate(self, frame: _Frame, args: tuple[Expr, ...]) -> Aggregate:
        op, name = frame.aggregate, frame.name
        assert op is not None
        assert name is not None
        modifier = frame.modifier or self.grouping_modifier() or (False, ())
        span = Span(name.start, self.last_end)
        wanted = 2 if op.takes_param else 1
        if len(args) != wanted:
            message = f"{op} takes {wanted} argument{'s' if wanted > 1 else ''}, got {len(args)}"
            raise PromQLSyntaxError(self.text, span.start, span.end, message)
        without, grouping = modifier
        return Aggregate(op, args[-1], grouping, without, args[0] if wanted == 2 else None, span)

    def finish(self) -> Expr:
        if len(self.frames) > 1:
            raise self.error_at(self.frame.opened, 'this parenthesis is not closed, ")" is missing')
        self.reduce(0)
        return self.frame.operands[0][0]

    # Operators.

    def read_operator(self) -> None:
        token = self.token
        op = _OPERATORS.get(token.keyword or token.text) if token.kind in (Kind.WORD, Kind.SYMBOL) else None
        if op is None:
            if token.text in ("</", ">/"):
                raise self.error_at(token, f"{token.text} trims native histograms, which are not known here")
            raise self.unexpected("an operator or the end", note="equality is ==" if token.text == "=" else "")
        self.advance()
        precedence = BINARY_PRECEDENCE[op]
        self.reduce(precedence, keep_equal=op is BinaryOp.POW)
        return_bool = self.is_keyword("bool")
        if return_bool:
            if not op.is_comparison:
                raise self.error_at(self.token, f"bool belongs to comparisons only, not to {op}")
            self.advance()
        matching = self.matching(op)
        self.frame.operators.append(_Operator(op, precedence, token, matching, return_bool))

    def matching(self, op: BinaryOp) -> Matching:
        matching = PLAIN_MATCHING
        if self.token.keyword in ("on", "ignoring"):
            on = self.advance().keyword == "on"
            matching = Matching(on=on, labels=self.labels())
            if self.token.keyword in ("group_left", "group_right"):
                side = self.advance()
                include = self.labels() if self.is_symbol("(") else ()
                matching = replace(matching, group=Group(side.keyword), include=include)
                self.check_group(side, op, matching)
        if self.token.keyword in ("fill", "fill_left", "fill_right") and self.followed_by_parenthesis():
            raise self.error_at(self.token, f"{self.token.text} is experimental in Prometheus and not known here")
        return matching

    def check_group(self, side: Token, op: BinaryOp, matching: Matching) -> None:
        if op.is_set:
            raise self.error_at(side, f"{side.text} is not allowed with {op}")
        twice = set(matching.labels) & set(matching.include) if matching.on else set()
        if twice:
            raise self.error_at(side, f'label "{min(twice)}" must not stand in on and {side.text} at once')

    def reduce(self, precedence: int, *, keep_equal: bool = False) -> None:
        """Apply the waiting operators that bind tighter than the given precedence, or as tight."""
        frame = self.frame
        while frame.operators:
            top = frame.operators[-1]
            if top.precedence < precedence or (keep_equal and top.precedence == precedence):
                return
            frame.operators.pop()
            right, depth = frame.operands.pop()
            if isinstance(top.op, UnaryOp):
                self.push(_signed(top.op, right, top.token), depth + (not isinstance(right, NumberLiteral)))
                continue
            left, left_depth = frame.operands.pop()
            self.push(_binary(top, left, right), 1 + max(depth, left_depth))

    def push(self, expr: Expr, depth: int = 1) -> None:
        if depth > NESTING_MAX:
            message = f"the query is nested deeper than {NESTING_MAX} levels"
            raise PromQLSyntaxError(self.text, expr.span.start, expr.span.end, message)
        self.frame.operands.append((expr, depth))

    # What follows an operand: ranges, offset, @.

    def read_postfixes(self) -> None:
        while True:
            token = self.token
            if token.kind is Kind.SYMBOL and token.text == "[":
                self.read_brackets()
            elif token.kind is Kind.SYMBOL and token.text == "@":
                self.advance()
                self.set_at(token)
            elif token.keyword == "offset":
                self.advance()
                self.set_offset(token)
            elif token.keyword in ("anchored", "smoothed"):
                raise self.error_at(token, f"{token.text} is not known here")
            else:
                return

    def read_brackets(self) -> None:
        opening = self.advance()
        expr, depth = self.frame.operands.pop()
        range_s = self.duration("a duration such as 5m", positive=True)
        if self.is_symbol("]"):
            closing = self.advance()
            self.check_ranged(expr, opening, closing)
            assert isinstance(expr, VectorSelector)
            self.push(MatrixSelector(expr, range_s, Span(expr.span.start, closing.end)), depth + 1)
            return
        if not self.is_symbol(":"):
            raise self.unexpected('":" or "]"')
        self.advance()
        step_s = None if self.is_symbol("]") else self.duration('a duration or "]"', positive=True)
        if not self.is_symbol("]"):
            raise self.unexpected('"]"')
        closing = self.advance()
        span = Span(expr.span.start, closing.end)
        self.push(Subquery(expr, range_s, step_s, span=span), depth + 1)

    def check_ranged(self, expr: Expr, opening: Token, closing: Token) -> None:
        message = ""
        if not isinstance(expr, VectorSelector):
            message = "a range belongs to a selector; for any other expression write a subquery, [5m:]"
        elif expr.offset_s:
            message = "offset belongs behind the range"
        elif expr.at is not None:
            message = "@ belongs behind the range"
        if message:
            raise PromQLSyntaxError(self.text, opening.start, closing.end, message)

    def set_offset(self, token: Token) -> None:
        expr, depth = self.frame.operands.pop()
        offset_s = self.duration("a duration such as 5m")
        span = Span(expr.span.start, self.last_end)
        inner = expr.selector if isinstance(expr, MatrixSelector) else expr
        if not isinstance(inner, VectorSelector | Subquery):
            raise self.error_at(token, "offset must follow a selector or a subquery")
        if inner.offset_s:
            raise self.error_at(token, "offset may not be set twice")
        if isinstance(expr, MatrixSelector):
            selector = replace(expr.selector, offset_s=offset_s)
            self.push(replace(expr, selector=selector, span=span), depth)
        else:
            self.push(replace(inner, offset_s=offset_s, span=span), depth)

    def set_at(self, token: Token) -> None:
        expr, depth = self.frame.operands.pop()
        at = self.at_value()
        span = Span(expr.span.start, self.last_end)
        inner = expr.selector if isinstance(expr, MatrixSelector) else expr
        if not isinstance(inner, VectorSelector | Subquery):
            raise self.error_at(token, "@ must follow a selector or a subquery")
        if inner.at is not None:
            raise self.error_at(token, "@ may not be set twice")
        if isinstance(expr, MatrixSelector):
            self.push(replace(expr, selector=replace(expr.selector, at=at), span=span), depth)
        else:
            self.push(replace(inner, at=at, span=span), depth)

    @property
    def frame(self) -> _Frame:
        return self.frames[-1]


def _signed(op: UnaryOp, expr: Expr, sign: Token) -> Expr:
    """Put a sign before an expression; a signed number is a number, as in Prometheus."""
    span = Span(sign.start, expr.span.end)
    if isinstance(expr, NumberLiteral):
        return replace(expr, value=-expr.value if op is UnaryOp.MINUS else expr.value, span=span)
    return Unary(op, expr, span)


def _binary(operator: _Operator, left: Expr, right: Expr) -> Binary:
    assert isinstance(operator.op, BinaryOp)
    return Binary(
        operator.op,
        left,
        right,
        operator.matching,
        operator.return_bool,
        Span(left.span.start, right.span.end),
        span_of(operator.token),
    )

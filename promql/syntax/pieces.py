"""Read the parts of a query that hold no operators: selectors, times, lists of labels.

`durations` and `parser` stand on this; the latter puts the parts together.
"""

from __future__ import annotations

import math

from promql.syntax.errors import PromQLSyntaxError
from promql.syntax.tokens import Kind, Token, Tokenizer
from promql.syntax.tree import METRIC_NAME, At, AtBound, Matcher, MatchOp, Span, VectorSelector

_MATCH_OPS = {op.value: op for op in MatchOp}
_TIMESTAMP_MAX = float(2**63)


class TokenReader:
    """Goes over the tokens of one text; `token` is the one that was not taken yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = Tokenizer(text)
        self.token = self.tokens.next()
        self.last_end = 0

    def advance(self) -> Token:
        """Return the current token and go on to the next."""
        token = self.token
        self.last_end = token.end
        self.token = self.tokens.next()
        return token

    def at_end(self) -> bool:
        return self.token.kind is Kind.END

    def is_symbol(self, text: str) -> bool:
        return self.token.kind is Kind.SYMBOL and self.token.text == text

    def is_keyword(self, keyword: str) -> bool:
        return self.token.keyword == keyword

    def followed_by_parenthesis(self) -> bool:
        return self.text[self.token.end :].lstrip(" \t\r\n").startswith("(")

    def error_at(self, token: Token, message: str) -> PromQLSyntaxError:
        return PromQLSyntaxError(self.text, token.start, token.end, message)

    def unexpected(self, expected: str, note: str = "") -> PromQLSyntaxError:
        message = f"unexpected {self.token.describe()}, expected {expected}" + (f"; {note}" if note else "")
        return self.error_at(self.token, message)

    # Times.

    def at_value(self) -> At:
        if self.token.keyword in ("start", "end"):
            bound = AtBound(self.advance().keyword)
            for bracket in ("(", ")"):
                if not self.is_symbol(bracket):
                    raise self.unexpected(f'"{bracket}" of {bound}()')
                self.advance()
            return bound
        start = self.token.start
        sign = -1.0 if self.is_symbol("-") else 1.0
        if self.is_symbol("-") or self.is_symbol("+"):
            self.advance()
        if self.token.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self.unexpected("a time in unix seconds, start() or end()")
        token = self.advance()
        time_s = sign * token.number
        if math.isnan(time_s) or abs(time_s) >= _TIMESTAMP_MAX:
            raise PromQLSyntaxError(self.text, start, token.end, "this time is out of range")
        return round(time_s, 3)

    # Selectors and lists of labels.

    def selector(self, name: Token | None) -> VectorSelector:
        matchers: list[Matcher] = []
        start = self.token.start
        if name is not None:
            start = name.start
            matchers.append(Matcher(METRIC_NAME, MatchOp.EQUAL, name.text, span_of(name)))
        if self.is_symbol("{"):
            self.advance()
            while not self.is_symbol("}"):
                matchers.append(self.matcher())
                if self.is_symbol(","):
                    self.advance()
                elif not self.is_symbol("}"):
                    raise self.unexpected('"," or "}"')
            self.advance()
        if name is not None:
            for matcher in matchers[1:]:
                if matcher.name == METRIC_NAME:
                    message = f'the metric name is set twice, "{name.text}" stands before the braces'
                    raise PromQLSyntaxError(self.text, matcher.span.start, matcher.span.end, message)
        return VectorSelector(tuple(matchers), span=Span(start, self.last_end))

    def matcher(self) -> Matcher:
        label = self.token
        if label.kind not in (Kind.WORD, Kind.STRING):
            raise self.unexpected('a label or "}"')
        self.advance()
        name = label.string if label.kind is Kind.STRING else label.text
        op = _MATCH_OPS.get(self.token.text) if self.token.kind is Kind.SYMBOL else None
        if op is None:
            if label.kind is Kind.STRING:
                return Matcher(METRIC_NAME, MatchOp.EQUAL, name, span_of(label))
            raise self.unexpected("one of = != =~ !~")
        self.advance()
        if self.token.kind is not Kind.STRING:
            raise self.unexpected("a string in quotes")
        value = self.advance()
        return Matcher(name, op, value.string, Span(label.start, value.end))

    def grouping_modifier(self) -> tuple[bool, tuple[str, ...]] | None:
        if self.token.keyword not in ("by", "without"):
            return None
        return (self.advance().keyword == "without", self.labels())

    def labels(self) -> tuple[str, ...]:
        """Read a list of labels in parentheses."""
        if not self.is_symbol("("):
            raise self.unexpected('"(" and labels')
        self.advance()
        labels: list[str] = []
        while not self.is_symbol(")"):
            token = self.token
            name = token.string if token.kind is Kind.STRING else token.text
            if token.kind not in (Kind.WORD, Kind.STRING) or token.keyword == "without":
                raise self.unexpected('a label or ")"')
            if not name or any("\ud800" <= character <= "\udfff" for character in name):
                raise self.error_at(token, f"{token.describe()} is no label name")
            labels.append(name)
            self.advance()
            if self.is_symbol(","):
                self.advance()
            elif not self.is_symbol(")"):
                raise self.unexpected('"," or ")"')
        self.advance()
        return tuple(labels)


def span_of(token: Token) -> Span:
    return Span(token.start, token.end)

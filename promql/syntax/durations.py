"""Read durations, plain ones and those that are worked out: `[5m * 2]`, `offset (1h - 30s)`, `[max_of(1m, 90s)]`.

What a duration is worth is known once it is read, so the tree holds seconds and nothing of how they were written.
`step()` and `range()` are worth something else in each range query; they are named and refused.
"""

from __future__ import annotations

import math

from promql.syntax.errors import PromQLSyntaxError
from promql.syntax.pieces import TokenReader
from promql.syntax.tokens import Kind, Token

_DURATION_MAX_S = 2**63 / 1e9
_NESTING_MAX = 100
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_SIGNED = 2
"""A sign binds as tightly as `*` does, so -2^2 is -4."""
_BLANKS_MAX = 1_000
"""How far a second sign may stand behind the first one."""
_CHOICES = {"min_of": min, "max_of": max}
_OF_THE_QUERY = ("step", "range")


class DurationReader(TokenReader):
    """Adds durations to what the tokens of a text can be read as."""

    _is_worked_out = False

    def duration(self, expected: str, *, positive: bool = False) -> float:
        """Read a duration and return it in seconds, cut to whole milliseconds as Prometheus does.

        Args:
            positive: as ranges and steps must be. An offset may be negative; and behind a plain one, or one sign and
                parentheses, an operator belongs to the query and not to the offset.
        """
        start, self._is_worked_out = self.token.start, False
        if positive or self.is_symbol("(") or self._is_doubly_signed():
            seconds = self._sum(expected, 0, 0)
        else:
            seconds = self._sign() * self._operand(expected, 0)
        if not math.isfinite(seconds) or abs(seconds) > _DURATION_MAX_S:
            raise self._error(start, "this duration is out of range (292 years)")
        if positive and seconds <= 0:
            raise self._error(start, "a duration of at least 1ms belongs here")
        if seconds % 1 == 0:
            return seconds
        if self._is_worked_out:
            return math.trunc(seconds * 1000) / 1000
        seconds = math.trunc(round(seconds * 1e9) / 1_000_000) / 1000
        if positive and seconds <= 0:
            raise self._error(start, "a duration of at least 1ms belongs here")
        return seconds

    def _is_doubly_signed(self) -> bool:
        following = self.text[self.token.end : self.token.end + _BLANKS_MAX].lstrip(" \t\r\n")
        return self._is_sign() and following.startswith(("+", "-"))

    def _is_sign(self) -> bool:
        return self.is_symbol("+") or self.is_symbol("-")

    def _sign(self) -> float:
        return -1.0 if self._is_sign() and self.advance().text == "-" else 1.0

    def _sum(self, expected: str, least: int, depth: int) -> float:
        """Read operands and the operators between them that bind at least as tightly as `least`."""
        if depth > _NESTING_MAX:
            raise self.error_at(self.token, f"a duration nested more than {_NESTING_MAX} deep")
        if self._is_sign():
            sign = -1.0 if self.advance().text == "-" else 1.0
            left = sign * self._sum(expected, _SIGNED + 1, depth + 1)
        else:
            left = self._operand(expected, depth)
        while self.token.kind is Kind.SYMBOL and (binding := _PRECEDENCE.get(self.token.text, 0)) > 0:
            if binding < least:
                break
            operator = self.advance()
            # ^ groups from the right, the others from the left.
            right = self._sum("a duration", binding if operator.text == "^" else binding + 1, depth + 1)
            left = self._worked_out(operator, left, right)
        return left

    def _operand(self, expected: str, depth: int) -> float:
        token = self.token
        if token.kind in (Kind.NUMBER, Kind.DURATION):
            self.advance()
            if math.isnan(token.number) or abs(token.number) > _DURATION_MAX_S:
                raise self.error_at(token, "this duration is out of range (292 years)")
            return token.number
        if self.is_symbol("("):
            self.advance()
            seconds = self._sum("a duration", 0, depth + 1)
            self._take(")")
            return seconds
        word = token.text.lower()
        if token.kind is Kind.WORD and self.followed_by_parenthesis():
            if word in _OF_THE_QUERY:
                raise self.error_at(token, f"{word}() hangs on the range query that is asked and is not known here")
            if word in _CHOICES:
                return self._choice(word, depth)
        raise self.unexpected(expected)

    def _choice(self, word: str, depth: int) -> float:
        self.advance()
        self._take("(")
        first = self._sum("a duration", 0, depth + 1)
        self._take(",")
        second = self._sum("a duration", 0, depth + 1)
        self._take(")")
        return _CHOICES[word](first, second)

    def _take(self, symbol: str) -> None:
        if not self.is_symbol(symbol):
            raise self.unexpected(f'"{symbol}"')
        self.advance()

    def _worked_out(self, operator: Token, left: float, right: float) -> float:
        self._is_worked_out = True
        if operator.text in ("/", "%") and right == 0:
            raise self.error_at(operator, "a duration divided by zero")
        try:
            match operator.text:
                case "+":
                    return left + right
                case "-":
                    return left - right
                case "*":
                    return left * right
                case "/":
                    return left / right
                case "%":
                    return math.fmod(left, right)
                case _:
                    return math.pow(left, right)
        except (OverflowError, ValueError):
            raise self.error_at(operator, "this duration is out of range (292 years)") from None

    def _error(self, start: int, message: str) -> PromQLSyntaxError:
        return PromQLSyntaxError(self.text, start, self.last_end, message)

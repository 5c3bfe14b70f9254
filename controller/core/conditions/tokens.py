"""Cut the text of a condition into tokens, as the original's scanner does, oddities included.

`&`, `=` and `*` after one of `& ! = * < >` join it into one operator, so that `a <*b` is an error and not a
product; a number may not touch a letter; `..` after a number ends it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from controller.core.conditions.errors import ConditionError, UnsupportedCondition

LENGTH_MAX = 262_144  # characters; the longest condition seen in the wild has 120

_SPACE = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_OPERATOR = re.compile(r"\?[.?]?|\|\|?|::?|[,;%+^/-]|[&!=*<>][&=*]?|\.\.?|##?")
_WORD = re.compile(r"[^\W\d][\w$]*|\$[\w$]*|_[\w$]*")
_WORD_TAIL = re.compile(r"[\w$]+")
_RAW = re.compile(r"`((?:[^`]|``)*)`")
_STRING = re.compile(
    r"""(["'])((?:(?!\1)[^\\\n]|\\(?:[abfnrtv\\]|\1|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}"""
    r"""|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}))*)\1"""
)
_ESCAPE = re.compile(r"\\(?:x(..)|u\{(\w+)\}|u(....)|U(........)|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_KEYWORDS = frozenset(("not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"))
_DIGITS = {
    "x": re.compile(r"[0-9a-fA-F_]*"),
    "o": re.compile(r"[0-7_]*"),
    "b": re.compile(r"[01_]*"),
    "": re.compile(r"[0-9_]*"),
}
_EXPONENT = re.compile(r"[eE][+-]?")


class Token(NamedTuple):
    kind: str  # Identifier, Number, String, Operator, Bracket, EOF
    value: str
    column: int

    def __str__(self) -> str:
        if not self.value:
            return self.kind
        return f"{self.kind}({quoted(self.value)})"


def quoted(text: str) -> str:
    """Return the text in double quotes, as error messages print it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a condition, the last of kind EOF; ConditionError where the text has none."""
    if len(text) > LENGTH_MAX:
        raise UnsupportedCondition(f"a condition of {len(text)} characters (the most is {LENGTH_MAX})")
    tokens: list[Token] = []
    at, end = 0, len(text)
    while at < end:
        at = _skip(text, at)
        if at < end:
            at = _next(text, at, tokens)
    tokens.append(Token("EOF", "", max(end - 1, 0)))
    return tokens


def _skip(text: str, at: int) -> int:
    """Return where the next token begins, past blanks and comments."""
    while True:
        if match := _SPACE.match(text, at) or _COMMENT.match(text, at):
            at = match.end()
        elif text.startswith("/*", at):
            raise ConditionError("unclosed comment", len(text))
        else:
            return at


def _next(text: str, at: int, tokens: list[Token]) -> int:
    """Append the token (for `#acc`: both) that begins here and return where it ends."""
    char = text[at]
    if (char.isascii() and char.isdigit()) or (
        char == "." and text[at + 1 : at + 2].isascii() and text[at + 1 : at + 2].isdigit()
    ):
        end = _number_end(text, at)
        tokens.append(Token("Number", text[at:end], at))
        return end
    if char in "\"'":
        return _string(text, at, tokens)
    if char in "bB" and text[at + 1 : at + 2] in ("'", '"'):
        raise UnsupportedCondition("a literal of bytes", at)
    if char == "`":
        if (raw := _RAW.match(text, at)) is None:
            raise ConditionError("literal not terminated", len(text))
        tokens.append(Token("String", raw[1].replace("``", "`"), at))
        return raw.end()
    if char in "([{)]}":
        tokens.append(Token("Bracket", char, at))
        return at + 1
    if operator := _OPERATOR.match(text, at):
        tokens.append(Token("Operator", operator[0], at))
        end = operator.end()
        if char == "#" and (tail := _WORD_TAIL.match(text, end)):
            tokens.append(Token("Identifier", tail[0], end))
            return tail.end()
        return end
    return _word(text, at, tokens)


def _word(text: str, at: int, tokens: list[Token]) -> int:
    word = _WORD.match(text, at)
    if word is None or not all(map(_alphanumeric, word[0])):
        raise ConditionError(f"unrecognized character: U+{ord(text[at]):04X} {text[at]!r}", at)
    kind = "Operator" if word[0] in _KEYWORDS else "Identifier"
    tokens.append(Token(kind, word[0], at))
    return word.end()


def _alphanumeric(char: str) -> bool:
    return char in "_$" or unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd")


def _number_end(text: str, at: int) -> int:
    """Return where the number ends that begins here (with a digit, or a dot and a digit)."""
    end, base = at, ""
    if text[end] == "0":
        end += 1
        if (letter := text[end : end + 1].lower()) in ("x", "o", "b") and letter:
            base, end = letter, end + 1
    digits = _DIGITS[base]
    end = _past(digits, text, end)
    if text.startswith(".", end):
        if text.startswith("..", end):
            return end
        end = _past(digits, text, end + 1)
    if exponent := _EXPONENT.match(text, end):
        end = _past(digits, text, exponent.end())
    if end < len(text) and _alphanumeric(text[end]):
        raise ConditionError(f"bad number syntax: {quoted(text[at : end + 1])}", end)
    return end


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _string(text: str, at: int, tokens: list[Token]) -> int:
    match = _STRING.match(text, at)
    if match is None:
        quote = text[at]
        closed = re.compile(rf"{quote}(?:[^\\\n{quote}]|\\[^\n])*{quote}").match(text, at)
        raise ConditionError("invalid char escape" if closed else "literal not terminated", at)
    value = match[2]
    if "\\" in value or "\r" in value:
        value = _ESCAPE.sub(_unescaped, value.replace("\r", "\n"))
    tokens.append(Token("String", value, at))
    return match.end()


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2] or match[3] or match[4]
    code = int(hexadecimal, 16) if hexadecimal else int(match[5], 8) if match[5] else None
    if code is None:
        return _SIMPLE.get(match[6], match[6])
    if code > 0x10FFFF or (match[5] and code > 0o377):
        raise ConditionError("unable to unescape string")
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)

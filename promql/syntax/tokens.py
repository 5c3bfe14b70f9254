"""Cut a query's text into tokens, as Prometheus does.

What a word means depends on where it stands: inside braces there are no keywords, inside square brackets only
durations and numbers. So the tokenizer is asked for one token at a time and told the place it is in by the
characters it has passed. Numbers, durations and strings leave it as values.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum, auto

from promql.syntax.errors import PromQLSyntaxError


class Kind(Enum):
    END = auto()
    WORD = auto()  # an identifier or keyword; may hold colons outside braces
    NUMBER = auto()
    DURATION = auto()
    STRING = auto()
    SYMBOL = auto()  # an operator, a bracket, a comma


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is as written, `keyword` a word in lower case (never inside braces).

    Numbers and durations (in seconds) have `number`, strings have `string`.
    """

    kind: Kind
    text: str
    start: int
    end: int
    keyword: str = ""
    number: float = 0.0
    string: str = ""

    def describe(self) -> str:
        match self.kind:
            case Kind.END:
                return "the end of the query"
            case Kind.STRING:
                return f"the string {self.text if len(self.text) < 40 else self.text[:36] + '…'}"
            case Kind.NUMBER | Kind.DURATION:
                return f"the {self.kind.name.lower()} {self.text}"
            case _:
                return f'"{self.text}"'


_BLANKS = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)+")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_WORD_IN_BRACES = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SYMBOL = re.compile(r"==|=~|!=|!~|<=|>=|</|>/|[-+*/%^=<>(){}\[\],:@]")
# A run of characters that can only be one number or duration; whether it is a sound one is seen afterwards.
_NUMERIC = re.compile(r"0[xX][0-9a-fA-F_]*|(?:[0-9_.]|[eE][+-]?)+")
_ALNUM_TAIL = re.compile(r"[a-zA-Z0-9_.]*")
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_DURATION_START = re.compile(r"[0-9]+[smhdwy]")
_UNIT_MS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_NANOSECONDS_MAX = 2**63 - 1
_DIGITS_MAX = 19

_DECIMAL = re.compile(r"(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?", re.ASCII)
_OCTAL = re.compile(r"0(?:_?[0-7])+")
_HEX = re.compile(r"0[xX](?:_?[0-9a-fA-F])+")

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_CODED = re.compile(r"x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")


class Tokenizer:
    """Gives the tokens of one text in turn; at the end it gives END for ever."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._position = 0
        self._in_braces = False
        self._in_brackets = False

    def next(self) -> Token:
        text = self.text
        blanks = _BLANKS.match(text, self._position)
        start = self._position = blanks.end() if blanks else self._position
        if start >= len(text):
            if self._in_braces:
                raise self._error(start, start, 'the braces are not closed, "}" is missing')
            return Token(Kind.END, "", start, start)
        character = text[start]
        if character in "\"'`":
            token = self._string(start)
        elif self._in_braces:
            token = self._inside_braces(start)
        elif character.isascii() and (character.isdigit() or text[start : start + 2].lstrip(".").isdigit()):
            token = self._numeric(start)
        elif word := _WORD.match(text, start):
            token = self._word(start, word.group())
        else:
            token = self._symbol(start)
        self._position = token.end
        return token

    def _error(self, start: int, end: int, message: str) -> PromQLSyntaxError:
        return PromQLSyntaxError(self.text, start, end, message)

    def _inside_braces(self, start: int) -> Token:
        if word := _WORD_IN_BRACES.match(self.text, start):
            return Token(Kind.WORD, word.group(), start, word.end())
        symbol = _SYMBOL.match(self.text, start)
        text = symbol.group() if symbol else self.text[start]
        if text == "==":
            text = "="
        if text == "{":
            message = 'unexpected "{" inside braces; native histogram literals are not known'
            raise self._error(start, start + 1, message)
        if text not in ("=", "=~", "!=", "!~", ",", "}"):
            raise self._error(start, start + len(text), f"unexpected {text!r} inside braces")
        self._in_braces = text != "}"
        return Token(Kind.SYMBOL, text, start, start + len(text))

    def _word(self, start: int, text: str) -> Token:
        if self._in_brackets:
            # The colon of a subquery may touch what follows it.
            if text[0] == ":":
                return Token(Kind.SYMBOL, ":", start, start + 1)
            if text.lower() not in ("step", "range", "max_of", "min_of"):
                raise self._error(start, start + len(text), f'unexpected "{text}" where a duration belongs')
        keyword = text.lower()
        end = start + len(text)
        if keyword in ("inf", "nan"):
            return Token(Kind.NUMBER, text, start, end, number=math.inf if keyword == "inf" else math.nan)
        return Token(Kind.WORD, text, start, end, keyword=keyword)

    def _symbol(self, start: int) -> Token:
        symbol = _SYMBOL.match(self.text, start)
        if symbol is None or symbol.group() in ("=~", "!~"):
            text = symbol.group() if symbol else self.text[start]
            raise self._error(start, start + len(text), f"unexpected {text!r}")
        text = symbol.group()
        if text == "{":
            self._in_braces = True
        elif text == "[":
            if self._in_brackets:
                raise self._error(start, start + 1, 'unexpected "[" inside brackets')
            self._in_brackets = True
        elif text == "]":
            if not self._in_brackets:
                raise self._error(start, start + 1, 'unexpected "]", no bracket is open')
            self._in_brackets = False
        return Token(Kind.SYMBOL, text, start, start + len(text))

    def _numeric(self, start: int) -> Token:
        if _DURATION_START.match(self.text, start):
            tail = _ALNUM_TAIL.match(self.text, start)
            assert tail is not None
            duration = _DURATION.fullmatch(tail.group())
            if duration is None:
                raise self._error(start, tail.end(), f"bad duration {tail.group()}; write 5m, 1h30m or 500ms")
            seconds = self._duration_s(duration, start)
            return Token(Kind.DURATION, tail.group(), start, tail.end(), number=seconds)
        run = _NUMERIC.match(self.text, start)
        assert run is not None
        end = run.end()
        tail = _ALNUM_TAIL.match(self.text, end)
        assert tail is not None
        value = None if tail.group() else _number(run.group())
        if value is None or self._hex_read_as_exponent(run.group(), end):
            raise self._error(start, tail.end(), f"bad number {self.text[start : tail.end()]}")
        return Token(Kind.NUMBER, run.group(), start, end, number=value)

    def _hex_read_as_exponent(self, written: str, end: int) -> bool:
        """Prometheus takes some e of hexadecimal numbers for an exponent, and misses what must follow one."""
        if written[:2] not in ("0x", "0X"):
            return False
        rest = written[2:].removeprefix("_")[1:].lower()
        follows = (rest + self.text[end : end + 1])[1:2]
        return "_e" in rest or (rest.startswith("e") and follows in ("", "+", "-", ".", "_", "e"))

    def _duration_s(self, duration: re.Match[str], start: int) -> float:
        counts = [(digits or "0").lstrip("0") for digits in duration.groups()]
        too_long = max(map(len, counts)) > _DIGITS_MAX
        total_ms = 0 if too_long else sum(int(n or "0") * ms for n, ms in zip(counts, _UNIT_MS, strict=True))
        if too_long or total_ms * 1_000_000 > _NANOSECONDS_MAX:
            raise self._error(start, start + len(duration.group()), "this duration is out of range (292 years)")
        return total_ms / 1000

    def _string(self, start: int) -> Token:
        quote = self.text[start]
        if quote == "`":
            end = self.text.find("`", start + 1)
            if end < 0:
                raise self._error(start, start + 1, "this string is not closed")
            value = self._checked(self.text[start + 1 : end], start + 1)
            return Token(Kind.STRING, self.text[start : end + 1], start, end + 1, string=value)
        parts: list[bytes] = []
        position = start + 1
        while True:
            stop = _next_of(self.text, position, quote)
            parts.append(self._checked(self.text[position:stop], position).encode())
            if stop >= len(self.text) or self.text[stop] == "\n":
                raise self._error(start, start + 1, "this string is not closed")
            if self.text[stop] == quote:
                break
            raw, position = self._escape(stop, quote)
            parts.append(raw)
        value = b"".join(parts).decode("utf-8", "surrogateescape")
        return Token(Kind.STRING, self.text[start : stop + 1], start, stop + 1, string=value)

    def _checked(self, part: str, start: int) -> str:
        for index, character in enumerate(part) if not part.isascii() else ():
            if character == "\ufffd" or "\ud800" <= character <= "\udfff":
                raise self._error(start + index, start + index + 1, "this character is not valid UTF-8")
        return part

    def _escape(self, start: int, quote: str) -> tuple[bytes, int]:
        """Return the bytes of the escape sequence at `start`, and where it ends."""
        character = self.text[start + 1 : start + 2]
        if character == quote:
            return quote.encode(), start + 2
        if character in _ESCAPES:
            return bytes((_ESCAPES[character],)), start + 2
        coded = _CODED.match(self.text, start + 1)
        if coded is None:
            raise self._error(start, start + 2, f"unknown escape sequence \\{character}; a backslash itself is \\\\")
        byte_hex, byte_octal, short, long = coded.groups()
        code = int(byte_octal, 8) if byte_octal else int(byte_hex or short or long, 16)
        if byte_hex or byte_octal:
            if code > 255:
                raise self._error(start, coded.end(), "this escape sequence is no byte")
            return bytes((code,)), coded.end()
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise self._error(start, coded.end(), "this escape sequence is no Unicode character")
        return chr(code).encode(), coded.end()


def _next_of(text: str, position: int, quote: str) -> int:
    """Return where the next quote, backslash or line end stands, or the text's length."""
    found = _STOPS[quote].search(text, position)
    return found.start() if found else len(text)


_STOPS = {quote: re.compile(rf"[{quote}\\\n]") for quote in ("'", '"')}


def _number(written: str) -> float | None:
    """Return the number as Go reads it (leading zero: octal, if it can be), or None if it is none."""
    plain = written.replace("_", "")
    if _HEX.fullmatch(written):
        value = int(plain, 16)
        return float(value) if value < 2**63 else None
    if _OCTAL.fullmatch(written) and (value := int(plain, 8)) < 2**63:
        return float(value)
    if not _DECIMAL.fullmatch(written):
        return None
    value_float = float(plain)
    return None if math.isinf(value_float) else value_float

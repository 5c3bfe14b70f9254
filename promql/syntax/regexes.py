"""Regular expressions of matchers: RE2, anchored at both ends, where a dot is any character.

RE2 itself does the work, through google-re2: Python's own engine knows other syntax, and a hostile pattern can
hold it up for hours, while RE2 takes linear time. Whoever matches labels (the parser, the storage, label_replace)
compiles here, so that a pattern means one thing everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, cast

import re2


class RegexError(ValueError):
    """A pattern that is no RE2 expression; the text says why."""


class Match(Protocol):
    def group(self, key: int | str = ...) -> str | None: ...

    def expand(self, template: str) -> str: ...


class Regex(Protocol):
    """The part of a compiled pattern that is used here. `fullmatch` anchors both ends."""

    pattern: str
    groups: int
    groupindex: dict[str, int]

    def fullmatch(self, text: str) -> Match | None: ...


def _options() -> re2.Options:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    return options


@lru_cache(maxsize=4096)
def compile_regex(pattern: str) -> Regex:
    """Return the compiled pattern; use its `fullmatch`."""
    if "\\C" in pattern.replace("\\\\", ""):
        raise RegexError("invalid escape sequence: \\C")  # RE2 in C++ knows it, in Go it does not
    try:
        return cast(Regex, re2.compile(pattern, _options()))
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        raise RegexError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason) from None
    except UnicodeEncodeError:
        raise RegexError("the pattern is not valid UTF-8") from None


def full_match(pattern: str, value: str) -> bool:
    """Return whether the whole value matches, as a label's value matches `=~`."""
    regex = compile_regex(pattern)
    try:
        return regex.fullmatch(value) is not None
    except UnicodeEncodeError:  # a value with bytes that are no UTF-8: each is some character to RE2
        return regex.fullmatch(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) is not None


_SPECIAL = frozenset("\\.+*?()|[]{}^$")
_ALTERNATIVES_MAX = 256


def alternatives(pattern: str) -> tuple[str, ...] | None:
    """Return the values that the pattern matches if they are a short list such as `a|b`, else None.

    Only plain words between bars are understood, with escaped punctuation and one pair of parentheses around it
    all; None says that the values are not known, not that there are many.
    """
    if pattern.startswith("(") and pattern.endswith(")") and "(" not in pattern[1:]:
        pattern = pattern[3:-1] if pattern.startswith("(?:") else pattern[1:-1]
    words = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "|":
            words.append("")
        elif character == "\\" and pattern[position + 1 : position + 2] in _SPECIAL | {"-", "/", "_"}:
            position += 1
            words[-1] += pattern[position : position + 1]
        elif character in _SPECIAL:
            return None
        else:
            words[-1] += character
        position += 1
    return tuple(dict.fromkeys(words)) if len(words) <= _ALTERNATIVES_MAX else None

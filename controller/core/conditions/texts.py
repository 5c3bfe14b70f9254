"""The builtins on strings."""

from __future__ import annotations

from collections.abc import Callable

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.frames import Frame
from controller.core.conditions.objects import Floats, Ints, Strings, type_name
from controller.core.conditions.operations import as_index, must_be_text

_BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_REPEAT_MAX = 1_000_000
_LENGTH_MAX = 10_000_000

TextFunction = Callable[[Frame, list[object]], object]


def _of_text(apply: Callable[..., object]) -> TextFunction:
    """Return a function that takes strings and nothing else."""
    return lambda frame, arguments: apply(*map(must_be_text, arguments))


def _trim(text: str, chars: str = _BLANKS) -> str:
    return text.strip(chars) if chars else text


def _split(frame: Frame, arguments: list[object]) -> object:
    return _parts(arguments, keep=False)


def _split_after(frame: Frame, arguments: list[object]) -> object:
    return _parts(arguments, keep=True)


def _parts(arguments: list[object], *, keep: bool) -> Strings:
    text, separator = must_be_text(arguments[0]), must_be_text(arguments[1])
    most = as_index(arguments[2]) if len(arguments) == 3 else -1
    if most == 0:
        raise UnsupportedCondition("a split into no parts")
    if separator == "":
        if most < 0 or most >= len(text):
            return Strings(text)
        return Strings([*text[: most - 1], text[most - 1 :]])
    parts = text.split(separator, most - 1 if most > 0 else -1)
    if keep:
        parts = [part + separator for part in parts[:-1]] + parts[-1:]
    return Strings(parts)


def _replace(frame: Frame, arguments: list[object]) -> object:
    text, old, new = map(must_be_text, arguments[:3])
    most = as_index(arguments[3]) if len(arguments) == 4 else -1
    if len(new) * (text.count(old) + 1) > _LENGTH_MAX:
        raise UnsupportedCondition("a string of more than 10 million characters")
    return text.replace(old, new, most if most >= 0 else -1)


def _repeat(frame: Frame, arguments: list[object]) -> object:
    text, times = must_be_text(arguments[0]), as_index(arguments[1])
    if times < 0:
        raise ConditionError(f"invalid argument for repeat (expected positive integer, got {times})")
    if times > _REPEAT_MAX:
        raise ConditionError("memory budget exceeded")
    frame.grow(len(text.encode()) * times)
    return text * times


def _join(frame: Frame, arguments: list[object]) -> object:
    glue = must_be_text(arguments[1]) if len(arguments) == 2 else ""
    if not isinstance(arguments[0], list) or isinstance(arguments[0], (Floats, Ints)):
        raise ConditionError(f"invalid argument for join (type {type_name(arguments[0])})")
    parts = [must_be_text(part) for part in arguments[0]]
    frame.turn(len(parts))
    if len(glue) * len(parts) > _LENGTH_MAX:
        raise UnsupportedCondition("a string of more than 10 million characters")
    return glue.join(parts)


def _index(text: str, part: str) -> int:
    return _bytes_before(text, text.find(part))


def _last_index(text: str, part: str) -> int:
    return _bytes_before(text, text.rfind(part))


def _bytes_before(text: str, at: int) -> int:
    return at if at < 0 or text.isascii() else len(text[:at].encode())


def _cased(text: str, change: Callable[[str], str]) -> str:
    """Return the text with each character changed alone; one that would become two stays."""
    if text.isascii():
        return change(text)
    return "".join(changed if len(changed := change(char)) == 1 else char for char in text)


TEXT_FUNCTIONS: dict[str, TextFunction] = {
    "trim": _of_text(_trim),
    "trimPrefix": _of_text(lambda text, prefix=" ": text.removeprefix(prefix)),
    "trimSuffix": _of_text(lambda text, suffix=" ": text.removesuffix(suffix)),
    "upper": _of_text(lambda text: _cased(text, str.upper)),
    "lower": _of_text(lambda text: _cased(text, str.lower)),
    "hasPrefix": _of_text(str.startswith),
    "hasSuffix": _of_text(str.endswith),
    "indexOf": _of_text(_index),
    "lastIndexOf": _of_text(_last_index),
    "split": _split,
    "splitAfter": _split_after,
    "replace": _replace,
    "repeat": _repeat,
    "join": _join,
}

"""What a bare word in YAML means: the rules by which Kubernetes' own tools read it.

They are YAML 1.1 with the Go library's choices: `yes`, `on` and `y` are booleans, `0o17` and `017`
are octal, dates stay texts, and `1:30` is a text and no number in base 60.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_FLOAT = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?|[-+]?[0-9]+\.")
_WHOLE = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0[0-7_]*|[1-9][0-9_]*)")
_LONGEST_NUMBER = 64  # longer digits are a text: no number that a manifest means has more
_STARTS_A_VALUE = frozenset("yYnNtTfFoO~.+-0123456789")


def plain_scalar(text: str) -> Scalar:
    """Return what an unquoted word means."""
    if not text:
        return None
    if text[0] not in _STARTS_A_VALUE:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _WHOLE.fullmatch(text):
        return _whole(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _whole(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        digits = "0o" + digits[1:]
    return sign * int(digits, 0)


def tagged_scalar(text: str, tag: str) -> Scalar:
    """Return what a scalar with one of YAML's own tags means.

    Raises:
        ValueError: the tag does not fit the text, or it is none of YAML's plain ones.
    """
    kind = tag.removeprefix("tag:yaml.org,2002:")
    if kind == "str":
        return text
    value = plain_scalar(text)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "null" and value is None:
        return None
    raise ValueError(f"the tag {tag[:60]} on {text[:40]!r}")

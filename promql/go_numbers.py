"""Numbers as Go reads and writes them: in labels, in messages and in the JSON of the HTTP API."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_FLOAT = re.compile(
    rf"[+-]?(?:inf(?:inity)?|(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?)|nan", re.IGNORECASE
)
_HEX_FLOAT = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)


def plain_text(value: float) -> str:
    """Write a number in full, with the fewest digits that read back as it: `0.00001`, `1e21` as 22 digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return f"{'-' if math.copysign(1, value) < 0 else ''}{abs(int(value))}"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def api_text(value: float) -> str:
    """Write a number as the HTTP API does: in full, with an exponent below 1e-6 and from 1e21."""
    size = abs(value)
    if value == 0 or not math.isfinite(value) or 1e-6 <= size < 1e21:
        return plain_text(value)
    return _with_exponent(value)


def _with_exponent(value: float) -> str:
    digits, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{exponent[0]}{int(exponent[1:]):02d}"


def short_text(value: float) -> str:
    """Write a number as Go's %g does."""
    if not math.isfinite(value):
        return plain_text(value)
    exponent = 0 if value == 0 else Decimal(repr(value)).adjusted()
    if exponent < -4 or exponent >= 6:
        return _with_exponent(value)
    return plain_text(value)


def go_float(text: str) -> float | None:
    """Return the number that the text is, as Go reads numbers; None if it is none."""
    if _HEX_FLOAT.fullmatch(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return None
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return None if math.isinf(number) and "n" not in text.lower() else number  # 1e999 is too large, inf is inf


def bound_text(text: str) -> str:
    """Write a histogram's bound or a summary's quantile as Prometheus 3 keeps it, `1` as `1.0`; others as they are."""
    number = go_float(text)
    if number is None:
        return text
    written = short_text(number)
    return written if "." in written or "e" in written or not math.isfinite(number) else f"{written}.0"

"""A Kubernetes quantity as Go writes it: `0.5` is `500m`, `1024Mi` is `1Gi`.

Hashes are made of what Go writes, so its shortcuts count too. Pure.
"""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SMALLEST = Fraction(1, 10**9)
_DIGITS_MAX = 18  # more do not fit Go's quick way to read a number


def canonical_quantity(written: str | int | float) -> str:
    """Return a quantity as Go would write it.

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(str(written).strip())
    if match is None:
        raise ValueError(f"{written!r} is no quantity")
    sign, digits, suffix = match[1], match[2], match[3] or ""
    binary = suffix in _BINARY[1:]
    exponent_written = len(suffix) > 1 and suffix[0] in "eE"
    if _is_kept(digits, suffix, binary=binary):
        return match[0]
    number = Fraction(digits if not digits.endswith(".") else digits[:-1])
    if binary:
        number *= 1024 ** _BINARY.index(suffix)
    else:
        number *= Fraction(10) ** (int(suffix[1:]) if exponent_written else _DECIMAL[suffix])
    number = -(-number // _SMALLEST) * _SMALLEST  # less than a billionth is rounded away from nothing
    if sign == "-":
        number = -number
    if binary and abs(number) >= 1024 and number.denominator == 1:
        return _in_steps(int(number), 1024, _BINARY)
    return _decimal(number, with_exponent=exponent_written)


def _is_kept(digits: str, suffix: str, *, binary: bool) -> bool:
    """Return whether Go takes a spelling for canonical and keeps it, although it may not be: `1.500`, `+3`, `1E3`."""
    whole, _, part = digits.partition(".")
    whole = whole.lstrip("0") or "0"
    if binary:
        room = 15 - len(whole) - 3 * _BINARY.index(suffix) - 1
        return not part and room >= 0 and int(whole) % 8 != 0
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    scale, shifted = exponent - len(part), whole + part
    quick = len(shifted) <= _DIGITS_MAX and scale >= -9
    return quick and scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"


def _in_steps(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    power = 0
    while number and number % base == 0 and power < len(suffixes) - 1:
        number //= base
        power += 1
    return f"{number}{suffixes[power]}"


def _decimal(number: Fraction, *, with_exponent: bool) -> str:
    """Return the shortest whole number of thousands, thousandths and so on."""
    whole, exponent = int(number * 10**9), -9
    if whole == 0:
        return "0"
    while whole % 1000 == 0 and (with_exponent or exponent < 18):
        whole //= 1000
        exponent += 3
    if with_exponent:
        return f"{whole}e{exponent}" if exponent else str(whole)
    return f"{whole}{next(name for name, power in _DECIMAL.items() if power == exponent)}"

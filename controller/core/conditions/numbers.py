"""Arithmetic as the original's host language does it: 64-bit integers that wrap, floats that divide by zero."""

from __future__ import annotations

import math
import re

_WRAP = 1 << 64
_SIGN = 1 << 63
INT_MIN = -_SIGN
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def wrapped(number: int) -> int:
    """Return the number modulo 2^64, from -2^63 up."""
    if -_SIGN <= number < _SIGN:
        return number
    return (number + _SIGN) % _WRAP - _SIGN


def divide(left: float, right: float) -> float:
    """Return the quotient; ±Inf or NaN for a divisor of zero."""
    if right != 0.0:
        return left / right
    if left == 0.0 or left != left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: int, right: int) -> int:
    """Return the remainder with the sign of the dividend; the divisor is not 0."""
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def power(base: float, exponent: float) -> float:
    """Return base ** exponent; NaN and ±Inf where Python would raise. Whole exponents by repeated squaring."""
    if exponent == int(exponent) if math.isfinite(exponent) and abs(exponent) < 2**53 else False:
        return _whole_power(base, int(exponent))
    try:
        return math.pow(base, exponent)
    except ValueError:
        return math.nan
    except OverflowError:
        return math.inf


def _whole_power(base: float, exponent: int) -> float:
    if exponent == 0 or base == 1.0:
        return 1.0
    if base == 0.0 or not math.isfinite(base):
        odd = exponent % 2 == 1
        sign = math.copysign(1.0, base) if odd else 1.0
        if base != base:
            return math.nan
        vanishes = (base == 0.0) == (exponent > 0)
        return sign * (0.0 if vanishes else math.inf)
    fraction, shift = math.frexp(base)
    product, product_shift = 1.0, 0
    left = abs(exponent)
    while left:
        if abs(shift) > 1 << 12:
            product_shift += shift
            break
        if left & 1:
            product *= fraction
            product_shift += shift
        fraction *= fraction
        shift *= 2
        if abs(fraction) < 0.5:
            fraction += fraction
            shift -= 1
        left >>= 1
    if exponent < 0:
        product, product_shift = 1.0 / product, -product_shift
    try:
        return math.ldexp(product, product_shift)
    except OverflowError:
        return math.copysign(math.inf, product)


def to_int(number: float) -> int:
    """Return the float without its fraction; what does not fit becomes the smallest integer, as on amd64."""
    if number != number or not -9.223372036854775808e18 <= number < 9.223372036854775808e18:
        return INT_MIN
    return int(number)


def rounded(number: float) -> float:
    """Return the nearest whole number, halves away from zero."""
    if not math.isfinite(number) or abs(number) >= 2**52:
        return number
    whole = math.trunc(number)
    if abs(number - whole) >= 0.5:
        whole += 1 if number > 0 else -1
    return math.copysign(float(whole), number)


def parse_int(text: str) -> int | None:
    """Return the integer that the text holds, all of it; None if there is none or it does not fit."""
    if not _INTEGER.fullmatch(text) or len(text.lstrip("+-0")) > 19:
        return None
    number = int(text)
    return number if -_SIGN <= number < _SIGN else None


def parse_float(text: str) -> float | None:
    """Return the float that the text holds, all of it; None if there is none or it is too large."""
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return None if math.isinf(number) else number
    if _INFINITE.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    if text.lower() == "nan":
        return math.nan
    return None


def float_text(number: float) -> str:
    """Return the shortest text of a float, with an exponent below 1e-4 and from 1e6 on."""
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    digits, _, exponent_text = f"{number!r}".partition("e")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    exponent = int(exponent_text or 0) + len(whole) - 1
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return sign + "0"
    exponent -= len(whole + fraction) - len((whole + fraction).lstrip("0")) if whole == "0" else 0
    significant = significant.rstrip("0") or "0"
    if exponent < -4 or exponent >= 6:
        mantissa = significant[0] + ("." + significant[1:] if len(significant) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{significant}"
    if len(significant) <= exponent + 1:
        return sign + significant.ljust(exponent + 1, "0")
    return f"{sign}{significant[: exponent + 1]}.{significant[exponent + 1 :]}"

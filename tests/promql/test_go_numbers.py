"""Numbers are read and written as Go does it; the expected texts were printed by Go."""

from __future__ import annotations

import math

import pytest

from promql.go_numbers import api_text, bound_text, go_float, plain_text, short_text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1_000.5", 1000.5),
        ("0x1p-2", 0.25),
        ("1e3", 1000.0),
        ("+Inf", math.inf),
        ("-infinity", -math.inf),
    ],
)
def test_a_number_is_what_go_takes_for_one(text: str, number: float) -> None:
    assert go_float(text) == number


@pytest.mark.parametrize("text", ["", "x", "1__0", "_1", "0x10", "1e999", "0x1p99999", " 1", "1 ", "٣", "1,5"])
def test_anything_else_is_none(text: str) -> None:
    assert go_float(text) is None


def test_nan_is_a_number_too() -> None:
    number = go_float("NaN")
    assert number is not None
    assert math.isnan(number)


@pytest.mark.parametrize(
    ("number", "plain", "api", "short"),
    [
        (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"),
        (1e21, "1000000000000000000000", "1e+21", "1e+21"),
        (1e20, "100000000000000000000", "100000000000000000000", "1e+20"),
        (0.00001, "0.00001", "0.00001", "1e-05"),
        (1.5e-7, "0.00000015", "1.5e-07", "1.5e-07"),
        (-0.0, "-0", "-0", "-0"),
        (999999.9, "999999.9", "999999.9", "999999.9"),
        (1000000.0, "1000000", "1000000", "1e+06"),
        (math.nan, "NaN", "NaN", "NaN"),
        (-math.inf, "-Inf", "-Inf", "-Inf"),
    ],
)
def test_a_number_is_written_in_three_ways(number: float, plain: str, api: str, short: str) -> None:
    assert (plain_text(number), api_text(number), short_text(number)) == (plain, api, short)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1", "1.0"),
        ("0.50", "0.5"),
        ("+Inf", "+Inf"),
        ("10000000", "1e+07"),
        ("-1", "-1.0"),
        ("1e3", "1000.0"),
        ("x", "x"),
    ],
)
def test_a_bound_is_kept_as_prometheus_keeps_it(text: str, kept: str) -> None:
    assert bound_text(text) == kept

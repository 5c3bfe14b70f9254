"""Times, durations and limits as the API takes them."""

from __future__ import annotations

import pytest

from promql.parameters import BadParameter, duration_s, limit, time_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1e3", 1000.0),
        ("-5", -5.0),
        ("1.0006", 1.001),
        ("-1.0006", -1.001),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01,25Z", 1.25),
        ("1970-01-01T01:00:01.1239+01:00", 1.123),
        ("1_000", 1000.0),
        ("0x1p4", 16.0),
    ],
)
def test_a_time_is_a_number_or_rfc_3339(text, seconds):
    assert time_s("time", text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "now", "1970-01-01", "NaN", "inf", "1__0", " 1", "1970-13-01T00:00:00Z", "1970-01-01t00:00:00z", "1e300", "٣"],
)
def test_anything_else_is_no_time(text):
    with pytest.raises(BadParameter, match='invalid parameter "time": cannot parse'):
        time_s("time", text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15", 15.0), ("0.5", 0.5), ("1m", 60.0), ("1h30m", 5400.0), ("1d2h3m4s5ms", 93784.005)]
)
def test_a_duration_is_a_number_or_units_in_falling_order(text, seconds):
    assert duration_s("step", text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "5 s", "1m1h", "m", "1.5m", "1e300", "300y", "1y1"])
def test_anything_else_is_no_duration(text):
    with pytest.raises(BadParameter, match='invalid parameter "step"'):
        duration_s("step", text)


def test_a_limit_of_nothing_or_zero_is_none():
    assert (limit(""), limit("0"), limit("7")) == (None, None, 7)
    for text in ("-1", "x", "1.5", "9" * 30):
        with pytest.raises(BadParameter):
            limit(text)

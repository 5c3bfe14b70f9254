"""Expressions that name an instant, in the language of conditions."""

from __future__ import annotations

import pytest

from controller.core.conditions import ConditionError
from controller.core.conditions.instants import instant


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("now()", 10_000.5),
        ('now() - duration("1h")', 6_400.5),  # 10,000.5 - 3,600
        ('now() - duration("1m30s")', 9_910.5),
        ('date("1970-01-01T00:01:00Z")', 60.0),
    ],
)
def test_an_expression_names_an_instant(text: str, at_s: float) -> None:
    assert instant(text, now_s=10_000.5) == at_s


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1", "expected time.Time, but got int"),
        ('duration("1h")', "expected time.Time, but got time.Duration"),
        ("result", "unknown name result"),
        ("now() -", "unexpected token EOF"),
    ],
)
def test_what_names_no_instant_is_an_error(text: str, says: str) -> None:
    with pytest.raises(ConditionError, match=says):
        instant(text, now_s=0.0)

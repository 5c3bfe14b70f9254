"""The one schema of a release under test: what it takes, what it refuses, and what it says of itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, floats, none, sampled_from
from pydantic import ValidationError

from sim.releases import Latency, Leak, Release


def test_a_release_without_a_word_is_a_good_one() -> None:
    release = Release()
    assert (release.errors, release.errors_at, release.base_errors, release.leak) == (0.0, (), 0.0, Leak())
    assert release.text == "a good release"


def test_the_default_p95_is_the_median_times_e_to_the_spread() -> None:
    # The 95th percentile of a standard normal is 1.6448536; 60 ms x exp(0.45 x 1.6448536) = 60 x 2.09652 = 125.8 ms.
    assert Release().latency.quantile_ms(0.95) == pytest.approx(125.8, abs=0.1)


def test_doubling_the_factor_doubles_every_quantile() -> None:
    slow, quick = Latency(factor=2.0), Latency()
    for q in (0.5, 0.95, 0.99):
        assert slow.quantile_ms(q) == pytest.approx(2 * quick.quantile_ms(q))


def test_no_spread_makes_every_request_take_the_median() -> None:
    assert Latency(median_ms=40.0, sigma=0.0).quantile_ms(0.99) == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"error": 0.05}, "error"),  # misspelt
        ({"errors": 1.5}, "errors"),
        ({"errors": -0.1}, "errors"),
        ({"errors": math.nan}, "errors"),
        ({"errors_at": [0]}, "errors_at"),  # counted from 1
        ({"latency": {"median_ms": 0}}, "latency"),
        ({"latency": {"tail_share": 2}}, "latency"),
        ({"leak": {"errors_per_hour": 0.1}}, "leak"),
        ({"routes": ["checkout"]}, "routes"),  # a path begins with a slash
        ({"start_s": math.inf}, "start_s"),
        ({"behind_flag": ""}, "behind_flag"),
        ({"series_5xx": "never"}, "series_5xx"),
    ],
)
def test_an_impossible_release_is_refused_at_the_field_that_is_wrong(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Release.model_validate(fields)
    assert refused.value.errors()[0]["loc"][0] == where


def test_errors_that_add_up_to_more_than_every_request_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to at most 1"):
        Release(errors=0.6, base_errors=0.5)


def test_a_pod_that_never_becomes_ready_cannot_crash_after_it_became_ready() -> None:
    with pytest.raises(ValidationError, match="count from readiness"):
        Release(never_ready=True, crash_after_s=10.0)


def test_a_release_says_in_words_what_it_does_and_where() -> None:
    release = Release(errors=0.05, routes=("/checkout",), above_rps=3.0, behind_flag="recommender-v2-enabled")
    assert release.text == "5 % errors on /checkout above 3 requests/s a pod behind the flag recommender-v2-enabled"


def test_a_release_cannot_be_changed_once_it_exists() -> None:
    with pytest.raises(ValidationError):
        Release().errors = 0.5  # type: ignore[misc]


@given(
    errors=floats(0, 0.5),
    base_errors=floats(0, 0.5),
    start_s=floats(0, 604_800),
    never_ready=booleans(),
    flag=none() | sampled_from(["recommender-v2-enabled"]),
)
def test_a_release_survives_the_way_to_another_process(
    errors: float, base_errors: float, start_s: float, never_ready: bool, flag: str | None
) -> None:
    release = Release(
        errors=errors, base_errors=base_errors, start_s=start_s, never_ready=never_ready, behind_flag=flag
    )
    assert Release.model_validate_json(release.model_dump_json()) == release

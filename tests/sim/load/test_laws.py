"""Laws of expected requests, for releases and worlds of any kind: nothing is lost, nothing is less than nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from loadgen.traffic import Ramp, Route, Traffic
from sim.releases import Latency, Leak, Release
from sim.scenarios import Incident, Service

Make = Callable[..., Any]

shares = some.floats(0.0, 0.4)
releases = some.fixed_dictionaries(
    {
        "errors": shares,
        "base_errors": some.floats(0.0, 0.3),
        "wrong": some.floats(0.0, 0.2),
        "error_status": some.sampled_from([500, 503, 404]),
        "latency": some.builds(
            Latency,
            sigma=some.floats(0, 2),
            factor=some.floats(0.5, 30),
            tail_share=shares,
            tail_ms=some.floats(0, 3e3),
        ),
        "leak": some.builds(Leak, errors_per_minute=some.floats(0, 1), latency_ms_per_minute=some.floats(0, 500)),
    },
    optional={
        "routes": some.just(("/pay",)),
        "segments": some.just({"region": ("ap",)}),
        "above_rps": some.floats(0, 100),
        "warm_up_s": some.floats(1, 500),
        "warm_up_factor": some.floats(1, 20),
        "hang_after_s": some.floats(0, 300),
        "every_nth": some.integers(1, 20),
        "errors_at": some.just((1, 50)),
    },
)
incidents = some.builds(
    Incident,
    from_s=some.floats(0, 200),
    for_s=some.floats(1, 200),
    errors=some.floats(0, 1),
    latency_factor=some.floats(0.1, 20),
    proxy_errors=some.floats(0, 1),
    proxy_slow_share=some.floats(0, 1),
    proxy_slow_by_s=some.sampled_from([0.0, 0.2, 3.0]),
)
services = some.builds(
    Service,
    concurrency=some.none() | some.integers(1, 20),
    queue_max=some.integers(0, 200),
    segments=some.just({"region": {"ap": 0.3, "eu": 0.7}}),
)
ROUTES = (Route(path="/orders", weight=3), Route(path="/pay"))
EDGES_S = np.array([0.0, 17.0, 60.0, 61.0, 200.0, 400.0])

anything = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@anything
@given(release=releases, incident=incidents, service=services, to_rps=some.floats(0, 200))
def test_every_request_falls_into_one_atom(
    loaded: Make, pod: Make, stretch: Make, release: dict[str, Any], incident: Incident, service: Service, to_rps: float
) -> None:
    traffic = Traffic(rps=20.0, shape=Ramp(to_rps=to_rps, over_s=300.0), routes=ROUTES)
    load = loaded(traffic=traffic, release=release, incidents=(incident,), service=service)
    stretches = [stretch(from_s=0.0, until_s=100.0, shares=((0, 0.2),)), stretch(from_s=100.0, shares=((0, 0.7),))]
    found = load.model.expected_many([pod()], stretches, EDGES_S)[0]
    share = np.array([0.2, 0.2, 0.2])
    assert (found >= -1e-9).all()
    until = load.model.demand.until(np.array([0.0, 17.0, 60.0, 61.0]))
    assert found.sum(axis=1)[:3] == pytest.approx(np.diff(until) * share, rel=1e-6, abs=1e-9)
    mixed = 0.2 * load.model.requests(61.0, 100.0) + 0.7 * load.model.requests(100.0, 200.0)
    assert found.sum(axis=1)[3] == pytest.approx(mixed, rel=1e-6, abs=1e-9)


@anything
@given(release=releases, incident=incidents, cut=some.floats(0.1, 399.9))
def test_two_halves_of_a_span_are_the_span(
    loaded: Make, pod: Make, release: dict[str, Any], incident: Incident, cut: float
) -> None:
    # Requests that fail by their number are taken from a span's others as they are on average, so they add up in sum
    # only.
    by_chance = {name: value for name, value in release.items() if name != "errors_at"}
    load = loaded(traffic=Traffic(rps=20.0, routes=ROUTES), release=by_chance, incidents=(incident,), **_segments())
    spans = load.model.spans([pod()], [_Whole()])
    found = spans.of(0, np.array([0.0, 0.0, cut]), np.array([400.0, cut, 400.0]))
    assert found[1] + found[2] == pytest.approx(found[0], rel=1e-9, abs=1e-7)


@anything
@given(release=releases, more=some.floats(0.0, 0.3))
def test_a_release_that_fails_more_hurts_more(loaded: Make, pod: Make, release: dict[str, Any], more: float) -> None:
    worse = {**release, "errors": release["errors"] + more * 0.3}
    Release(**worse)
    found = [
        load.bad(load.model.expected(pod(), 1.0, 0.0, 300.0))
        for load in (
            loaded(traffic=Traffic(rps=20.0, routes=ROUTES), release=one, **_segments()) for one in (release, worse)
        )
    ]
    assert found[0] <= found[1] + 1e-6


def _segments() -> dict[str, Any]:
    return {"service": Service(segments={"region": {"ap": 0.3, "eu": 0.7}})}


class _Whole:
    from_s, until_s, shares, unserved = 0.0, float("inf"), ((0, 1.0),), 0.0

"""Histories that several releases live through: found again where they are the same, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from controller.manifests.policies import Policy
from sim.flock.places import Histories, lived_through
from sim.flock.workers import Simulated, simulate_blocks, simulate_each
from sim.releases import Release
from sim.scenarios import Autoscaler, Incident, Outage, Prometheus, Scenario, Trigger


def bytes_of(found: Simulated) -> list[bytes]:
    return [getattr(found.table, field.name).tobytes() for field in fields(found.table) if field.name != "metrics"]


@pytest.fixture
def policy(policy_of: Callable[..., Policy]) -> Policy:
    return policy_of(more="count: 4\n      failureLimit: 1")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_release_fares_alike_alone_and_after_others(
    workers: int, policy: Policy, scenario_of: Callable[..., Scenario]
) -> None:
    """All but the third live through the same history; of the third some pods begin late."""
    scenarios = [
        scenario_of(rps=8.0, errors=0.1),
        scenario_of(rps=8.0, errors=0.3),
        scenario_of(rps=8.0, release=Release(errors=0.1, start_s=40.0)),
        scenario_of(rps=20.0, errors=0.1, prometheus=Prometheus(outages=(Outage(from_s=420.0, for_s=30.0),))),
    ]
    how: dict[str, Any] = {"runs": 24, "seed": 5, "cohorts": 4}
    together = simulate_each(policy, scenarios, workers=workers, **how)
    for scenario, found in zip(scenarios, together, strict=True):
        assert bytes_of(found) == bytes_of(simulate_blocks(policy, scenario, workers=1, **how))


def test_what_only_requests_meet_leads_through_the_same_history(
    policy: Policy, scenario_of: Callable[..., Scenario]
) -> None:
    histories = Histories()
    plain = scenario_of(rps=8.0, errors=0.1)
    slow_start = scenario_of(rps=8.0, release=Release(errors=0.1, start_s=40.0))
    busier = scenario_of(rps=80.0, errors=0.5)
    worlds = [histories.world(policy, one) for one in (plain, busier, slow_start)]
    assert worlds[0] is worlds[1]
    assert worlds[0] is not worlds[2]
    assert histories.of(worlds[0], seed=1, cohort=2) is histories.of(worlds[1], seed=1, cohort=2)
    assert histories.of(worlds[0], seed=1, cohort=2) is not histories.of(worlds[0], seed=1, cohort=3)


def test_load_counts_where_it_moves_pods_and_windows_where_the_rollout_begins_them(
    scenario_of: Callable[..., Scenario],
) -> None:
    few, many = (scenario_of(rps=rps, errors=0.1) for rps in (8.0, 80.0))
    assert lived_through(few) == lived_through(many)
    few, many = (scenario_of(rps=rps, errors=0.1, autoscaler=Autoscaler()) for rps in (8.0, 80.0))
    assert lived_through(few) != lived_through(many)
    few, many = (scenario_of(rps=rps, release=Release(crash_at_request=900)) for rps in (8.0, 80.0))
    assert lived_through(few) != lived_through(many)
    incident = Incident(when=Trigger(weight_at_least=10.0), for_s=60.0, errors=0.5)
    assert lived_through(scenario_of(rps=8.0, incidents=(incident,))).incidents == (incident,)

"""Single requests, drawn, against expected numbers, worked out: two ways to the same scenario, without shared code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loadgen.traffic import Route, Traffic
from sim.load.fates import Fates
from sim.load.happenings import happenings_of
from sim.metrics_model.cells import End
from sim.releases import Latency, Leak, Release
from sim.scenarios import Incident, KillSwitch, Scenario, Service

Make = Callable[..., Any]
RPS, FOR_S, ROUNDS = 40.0, 400.0, 2

SCENARIOS: dict[str, dict[str, Any]] = {
    "errors": {"release": {"errors": 0.05, "base_errors": 0.02}},
    "a tail": {"release": {"latency": Latency(factor=3, tail_share=0.1, tail_ms=300)}},
    "leaks": {"release": {"leak": Leak(errors_per_minute=0.03, latency_ms_per_minute=40)}},
    "a route": {
        "release": {"errors": 0.5, "latency": Latency(factor=2), "routes": ("/pay",)},
        "traffic": Traffic(rps=RPS, routes=(Route(path="/orders", weight=3), Route(path="/pay"))),
    },
    "a route of a service with a tail": {
        "release": {"errors": 0.5, "routes": ("/pay",), "latency": Latency(tail_share=0.6, tail_ms=300)},
        "stable": Release(latency=Latency(tail_share=0.2, tail_ms=300)),
        "traffic": Traffic(rps=RPS, routes=(Route(path="/orders", weight=3), Route(path="/pay"))),
    },
    "a segment": {
        "release": {"errors": 0.5, "wrong": 0.2, "segments": {"region": ("ap",)}},
        "service": Service(segments={"region": {"ap": 0.2, "eu": 0.8}}),
    },
    "a load": {"release": {"errors": 0.5, "above_rps": 39.0}},
    "a flag": {
        "release": {"errors": 0.3, "behind_flag": "new"},
        "kill_switch": KillSwitch(from_s=100, for_s=120, propagation_s=30),
    },
    "incidents": {
        "release": {"errors": 0.1},
        "incidents": (
            Incident(from_s=50, for_s=200, errors=0.1, latency_factor=3),
            Incident(from_s=100, for_s=200, side="canary", proxy_errors=0.2, proxy_slow_share=0.3, proxy_slow_by_s=0.9),
            Incident(from_s=0, for_s=400, side="stable", errors=1),
        ),
    },
    "a hang": {"release": {"errors": 0.1, "hang_after_s": 250}},
    "a cold pod": {"release": {"warm_up_s": 200, "warm_up_factor": 6}},
    "a status": {"release": {"errors": 0.1, "error_status": 503, "every_nth": 5}},
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_drawn_fates_fall_into_the_atoms_as_expected(loaded: Make, pod: Make, name: str) -> None:
    told = {"traffic": Traffic(rps=RPS), **SCENARIOS[name]}
    load = loaded(**told)
    release = Release(**told.pop("release"))
    scenario = Scenario(release=release, **told)
    expected = load.model.expected(pod(), 1.0, 0.0, FOR_S) * ROUNDS
    counted = np.zeros(load.plan.atoms)
    for seed in range(ROUNDS):
        counted += counts_of(load, scenario, pod(), np.random.default_rng(seed))
    # Pearson's statistic over the atoms that can be had; as many as that, give or take five standard deviations.
    some = expected > 5
    statistic = float(((counted - expected)[some] ** 2 / expected[some]).sum())
    assert counted[~some].sum() == pytest.approx(expected[~some].sum(), abs=6 * np.sqrt(expected[~some].sum()) + 6)
    assert statistic < some.sum() + 5 * np.sqrt(2 * some.sum())


def counts_of(load: Any, scenario: Scenario, pod: Any, chance: np.random.Generator) -> Any:
    """Return (atoms,) how many of the requests of one pod fell into each."""
    space = load.plan.space
    fates = Fates(
        scenario, happenings_of(scenario, {}), space.kinds, pod, np.random.default_rng(chance.integers(2**32))
    )
    at_s = np.sort(chance.uniform(0.0, FOR_S, chance.poisson(RPS * FOR_S)))
    found = np.zeros(load.plan.atoms)
    for t_s in at_s.tolist():
        fate = fates.draw(t_s)
        place = next(
            place
            for place, ending in enumerate(space.endings)
            if ending.end is fate.end and (ending.status, ending.held_s) == (fate.status, fate.held_s)
        )
        bin_ = int(np.searchsorted(space.edges_s, fate.work_s)) if fate.end is not End.INTERCEPTED else 0
        found[load.plan.atom_of[place, bin_, fate.kind]] += 1
    return found


def test_requests_fail_by_their_number_in_the_first_pod_only(pod: Make, loaded: Make) -> None:
    scenario = Scenario(traffic=Traffic(rps=1), release=Release(errors_at=(2, 4)))
    kinds = loaded().plan.space.kinds

    def failures(one: Any) -> list[int]:
        fates = Fates(scenario, happenings_of(scenario, {}), kinds, one, np.random.default_rng(1))
        return [at for at in range(1, 7) if fates.draw(float(at)).status == 500]

    assert failures(pod()) == [2, 4]
    assert failures(pod(ordinal=1)) == []


def test_every_third_request_fails(pod: Make, loaded: Make) -> None:
    scenario = Scenario(traffic=Traffic(rps=1), release=Release(every_nth=3))
    fates = Fates(scenario, happenings_of(scenario, {}), loaded().plan.space.kinds, pod(), np.random.default_rng(1))
    assert [fates.draw(float(at)).status for at in range(7)] == [200, 200, 500, 200, 200, 500, 200]

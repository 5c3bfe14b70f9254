"""Requests that processes take with them when they die: bad for users, and in no counter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sim.flock.blocks import run_block
from sim.flock.places import Places
from sim.flock.scene import Cast, Scene
from sim.flock.stage import Stage
from sim.releases import Latency, Release

Make = Callable[..., Stage]


def scene_at_the_end(stage: Stage) -> Scene:
    """Return the scene of a history in which every measurement is successful."""
    places = Places(stage.deployment, seed=3, cohort=1)
    place = places.root
    while place.asking is not None:
        place = places.after(place, (0,) * len(place.asking.questions))
    return Scene(Cast(stage, seed=3, cohort=1), place.driver.platform, place.driver.now_s)


def deaths(scene: Scene) -> int:
    return sum(life.is_release and life.gone_s == life.ended_s < float("inf") for life in scene.lives)


def test_a_process_takes_what_it_is_working_on_with_it(stage_of: Make) -> None:
    """Answers take 400 ms: each death takes 0.4 s of its pod's requests, and nobody sent one that kills."""
    release = Release(crash_after_s=50.0, latency=Latency(median_ms=400.0, sigma=0.0))
    scene = scene_at_the_end(stage_of({"rps": 20.0, "release": release, "stable": Release()}))
    killers, under_way = scene.lost_to_crashes()
    assert killers == 0
    assert deaths(scene) > 3
    rates = [
        20.0 * share
        for stretch in scene.stretches
        for place, share in stretch.shares
        if scene.lives[place].is_release and scene.lives[place].ended_s == stretch.until_s
    ]
    assert under_way == pytest.approx(0.4 * sum(rates), rel=1e-6)


@pytest.mark.parametrize("fault", [{"crash_at_request": 200}, {"crash_share": 0.005}])
def test_each_request_that_ends_a_process_is_a_bad_one(fault: dict[str, float], stage_of: Make) -> None:
    stage = stage_of({"rps": 20.0, "release": Release.model_validate(fault), "stable": Release()})
    scene = scene_at_the_end(stage)
    killers, under_way = scene.lost_to_crashes()
    assert killers == deaths(scene) > 2
    table, _ = run_block(stage, seed=3, cohort=1, runs=np.arange(400))
    # Nothing else is bad, so that the mean over 400 runs is the dead's: within five standard errors.
    assert (table.bad_requests >= killers).all()
    assert table.bad_requests.mean() == pytest.approx(killers + under_way, abs=5 * (under_way / 400) ** 0.5)

"""One measurement against its exact distribution, worked out apart: a share of a Poisson number of requests.

One canary pod gets half of the traffic at a constant rate. `delta` reads the same two scrapes of both counters and
stretches them by the same factor, so the value is (failed requests) / (all requests) between two known instants.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from sim.flock.bits import words_of_runs
from sim.flock.counters import Counters
from sim.flock.judging import judge_metric
from sim.flock.paths import Paths
from sim.flock.places import Places
from sim.flock.stage import Stage
from sim.flock.store import FlockStore
from sim.releases import Release

RUNS = 40_000
LIMIT = 0.0503  # no share of fewer than ten thousand requests is equal to it, so rounding decides nothing


def chance_of_failing(requests: float, errors: float) -> float:
    """Return P(failed / all >= limit, or nothing to divide by) for Poisson numbers of failed and of good requests."""
    bad, good = requests * errors, requests * (1 - errors)
    upto = int(requests + 12 * math.sqrt(requests) + 30)

    def poisson(mean: float) -> np.ndarray:
        if mean == 0.0:
            return np.eye(1, upto)[0]
        return np.array([math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(upto)])

    failed, fine = np.arange(upto)[:, None], np.arange(upto)[None, :]
    with np.errstate(invalid="ignore"):
        passes = failed / (failed + fine) < LIMIT  # 0 / 0 is NaN, and NaN < 0.05 is false
    return float((poisson(bad)[:, None] * poisson(good)[None, :] * ~passes).sum())


@pytest.mark.parametrize("rps", [0.05, 1.0, 6.0])
@pytest.mark.parametrize("errors", [0.0, 0.03, 0.05, 0.3])
def test_a_measurement_fails_as_often_as_its_exact_distribution_says(
    rps: float, errors: float, stage_of: Callable[..., Stage]
) -> None:
    query = "sum(delta({0}{{status=~'5..',{1}}}[90s])) / sum(delta({0}{{{1}}}[90s]))".format(
        "http_requests_total", "pod_template_hash='{{args.hash}}'"
    )
    stage = stage_of(
        {"rps": rps, "release": Release(errors=errors), "stable": Release()},
        query=query,
        condition=f"result[0] < {LIMIT}",
        steps="[{setCanaryScale: {replicas: 1}}, {setWeight: 50}, {pause: {duration: 120}}, {analysis: {templates: "
        "[{templateName: errors}], args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]}}]",
        args="args: [{name: hash}]",
    )
    node = Paths(stage, Places(stage.deployment, seed=11, cohort=0), seed=11, cohort=0).root
    assert node.asking is not None
    store = FlockStore(node.views, Counters(words_of_runs(1, np.arange(RUNS))))
    metric = node.asking.questions[0].metric
    judged = judge_metric(metric, store, node.at_s, slice(None), is_out=False, counts=False)
    pods = [scraped for scraped in node.scene.targets if scraped.is_release]
    assert len(pods) == 1
    seen = [time for time in pods[0].schedule.good_list if node.at_s - 90 < time / 1000 <= node.at_s]
    requests = rps * 0.5 * (seen[-1] - seen[0]) / 1000
    wanted = chance_of_failing(requests, errors)
    error = math.sqrt(max(wanted * (1 - wanted), 1 / RUNS) / RUNS)
    assert abs((judged.codes != 0).mean() - wanted) < 4 * error

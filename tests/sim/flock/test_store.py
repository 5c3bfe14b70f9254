"""The lazy store against an eager one: every scrape of every series as plain samples, asked by the same engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promql.engine import evaluate
from promql.storage import STALE_NAN, MemoryStore, is_stale
from promql.syntax import parse, selectors
from sim.driving import VirtualDriver
from sim.flock.bits import words_of_runs
from sim.flock.counters import Counters
from sim.flock.paths import Node, Paths
from sim.flock.places import Places
from sim.flock.stage import Stage
from sim.flock.store import FlockStore
from sim.releases import Leak, Release
from sim.scenarios import Outage, Prometheus, Scrapes, TargetLoss

RUNS = 12
SCENARIOS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "few requests": {"rps": 0.3},
    "crashing": {"release": Release(errors=0.2, crash_after_s=40.0)},
    "missed scrapes": {"scrapes": Scrapes(interval_s=10.0, jitter_s=2.0, miss=0.2)},
    "lost targets": {"scrapes": Scrapes(losses=(TargetLoss(from_s=380.0, for_s=70.0, share=0.5),))},
    "late samples": {"prometheus": Prometheus(lag_s=20.0)},
    "an outage": {"prometheus": Prometheus(outages=(Outage(from_s=370.0, for_s=40.0),))},
    "5xx series born late": {
        "release": Release(errors=0.02, series_5xx="first-error"),
        "stable": Release(base_errors=0.002, series_5xx="first-error"),
    },
    "leaking": {"release": Release(leak=Leak(errors_per_minute=0.05))},
}
QUERIES = (
    'sum(rate(http_requests_total{status=~"5.."}[2m])) / sum(rate(http_requests_total[2m]))',
    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
    "sum by (pod) (increase(http_requests_total[90s] offset 30s))",
    "max_over_time(sum(rate(http_requests_total[1m]))[2m:30s])",
    "sum(http_requests_total)",
    "count(up == 0) or vector(0)",
    'sum(rate(http_requests_total{rollouts_pod_template_hash="x"}[2m])) or vector(7)',
    "avg(avg_over_time(http_requests_total[1m]))",
    "irate(http_requests_total[1m])",
    "delta(http_requests_total[1m])",
    "resets(http_requests_total[5m])",
    "process_resident_memory_bytes",
    "sum by (pod) (rate(process_cpu_seconds_total[1m]))",
    "sum(rate(http_request_duration_seconds_sum[2m])) / sum(rate(http_request_duration_seconds_count[2m]))",
    "sum by (status) (increase(nginx_ingress_controller_requests[2m]))",
    "histogram_quantile(0.9, sum by (le) (rate(nginx_ingress_controller_request_duration_seconds_bucket[2m])))",
)


def third_look(stage: Stage) -> Node:
    node = Paths(stage, Places(stage.deployment, seed=4, cohort=2), seed=4, cohort=2).root
    for _ in range(2):
        node = node.child((0,))
    return node


def eager(lazy: FlockStore, query: str, until_ms: int, run: int) -> MemoryStore:
    """Return every sample that the query's metrics have in one run, read column by column through plain blocks."""
    plain = MemoryStore()
    for selector in selectors(parse(query)):
        for block in lazy.select(selector.matchers, 0, until_ms):
            values, presence = block.values(slice(0, len(block.times_ms))), block.presence()
            for row, labels in enumerate(block.labels):
                for column, time_ms in enumerate(block.times_ms.tolist()):
                    if presence is None or presence[row, run, column]:
                        value = float(values[row, run, column])
                        plain.append_ms(labels, time_ms, STALE_NAN if is_stale(values[row, run, column]) else value)
    return plain


@pytest.mark.parametrize("name", SCENARIOS)
def test_lazy_answers_are_those_of_a_plain_store_that_holds_every_scrape(
    name: str, stage_of: Callable[..., Stage]
) -> None:
    stage = stage_of(SCENARIOS[name], query=" + ".join(f"sum(({query}))" for query in QUERIES))
    node = third_look(stage)
    lazy = FlockStore(node.views, Counters(words_of_runs(1, np.arange(RUNS))), node.foreseen)
    for query in QUERIES:
        answer = evaluate(query, node.at_s, lazy)
        for run in range(0, RUNS, 5):
            wanted = evaluate(query, node.at_s, eager(lazy, query, round(node.at_s * 1000), run))
            assert [labels for labels, there in zip(answer.labels, answer.present[run], strict=True) if there] == list(
                wanted.labels
            ), (query, run)
            found = answer.values[run][answer.present[run]]
            np.testing.assert_allclose(found, wanted.values[0], rtol=1e-12, err_msg=query)


def test_asking_first_for_windows_and_then_for_everything_agrees_with_the_other_order(
    stage_of: Callable[..., Stage],
) -> None:
    """Edges first means bridges later; both orders give numbers of one process, so their means agree."""
    stage, runs = stage_of({"rps": 40.0}), 4_000
    node, query = third_look(stage), QUERIES[0]
    windows = FlockStore(node.views, Counters(words_of_runs(1, np.arange(runs))))
    everything = FlockStore(node.views, Counters(words_of_runs(1, np.arange(runs))))
    for selector in selectors(parse(query)):
        for block in everything.select(selector.matchers, 0, round(node.at_s * 1000)):
            block.values(slice(0, len(block.times_ms)))
    one, other = (evaluate(query, node.at_s, store).values[:, 0] for store in (windows, everything))
    error = np.hypot(one.std(), other.std()) / np.sqrt(runs)
    assert abs(one.mean() - other.mean()) < 4 * error
    assert abs(one.std() / other.std() - 1) < 4 * np.sqrt(1 / runs)  # each with a relative error of 1 / sqrt(2 n)


def test_only_what_a_query_can_see_is_drawn(stage_of: Callable[..., Stage]) -> None:
    """Two windows' edges for each pod: the rate of the canary's pods leaves stable's counters alone."""
    stage = stage_of()
    node = Paths(stage, Places(stage.deployment, seed=4, cohort=2), seed=4, cohort=2).root
    counters = Counters(words_of_runs(1, np.arange(3)))
    store = FlockStore(node.views, counters)
    asked = f'http_requests_total{{pod_template_hash="{stage.deployment.release_hash}"}}'
    evaluate(f"sum(rate({asked}[1m]))", node.at_s, store)
    release = {unit.key for unit in node.scene.units if unit.is_release}
    known = counters.known()
    assert {key for key, _ in known} == release
    assert all(len(times) == 3 for _, times in known)  # its birth, the first and the last sample of the window


def test_the_driver_stops_where_the_store_is_asked(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of()
    asking = VirtualDriver(stage.deployment, seed=4, cohort=2).play()
    assert asking is not None
    assert Paths(stage, Places(stage.deployment, seed=4, cohort=2), seed=4, cohort=2).root.at_s == asking.at_s

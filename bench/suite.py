"""The whole suite against the guide's policy, a thousand runs of each scenario: wanted in 30 s on two idle cores."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "orders-api"
RUNS = int(os.environ.get("GAMEBIRD_BENCH_SUITE_RUNS", "1000"))
COHORTS = 10
LIMIT_S = 30.0


def main() -> None:
    """Print how long the suite takes, what it scores, and the scenarios that cost most."""
    from controller.manifests.loading import load
    from sim.engines import Flock
    from sim.simulating import simulate
    from sim.suite.loading import suite

    policy = load([EXAMPLE / name for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml")]).policy()
    ended: list[tuple[str, float]] = []
    started = time.perf_counter()
    result = simulate(
        policy,
        suite(),
        engine=Flock(cohorts=COHORTS),
        runs=RUNS,
        progress=lambda name, _: ended.append((name, time.perf_counter())),
    )
    took_s = time.perf_counter() - started
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{len(suite())} scenarios x {RUNS:,} runs in {COHORTS} cohorts: {took_s:.1f} s (limit {LIMIT_S:.0f}), "
        f"{cpu.ru_utime + cpu.ru_stime:.0f} s of CPU in workers; score {result.score().score:.1f}"
    )
    last = dict(ended)  # of each scenario the instant of its last task
    before, spans = started, []
    for name, at in last.items():
        spans.append((at - before, name))
        before = at
    for span_s, name in sorted(spans, reverse=True)[:5]:
        print(f"  {span_s:.2f} s {name}")

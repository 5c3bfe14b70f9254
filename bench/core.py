"""What a look costs on the first users' rollout, part by part, and whether many decisions keep any memory.

A look is what every world does again and again: a snapshot, a decision, and for each analysis run what is due and
what has become of it. Simulations take hundreds of thousands of them.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from controller.core.analysis import advance, due
from controller.core.decisions import Decision, decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase, AnalysisStatus
from controller.core.snapshot import Snapshot
from controller.core.status import RolloutStatus, decision_key
from controller.manifests.loading import load

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "orders-api"
DECISIONS = int(os.environ.get("GAMEBIRD_BENCH_DECISIONS", "100000"))  # a million takes a minute and more
LIMIT_US = 50.0


def main() -> None:
    """Print the median over the decisions of one whole rollout, that of each part, and the growth of memory."""
    snapshots = _one_rollout()
    times: list[float] = []
    for _ in range(100):
        for now_s, snapshot in snapshots:
            started = time.perf_counter()
            decide(snapshot, now_s)
            times.append((time.perf_counter() - started) * 1e6)
    median = statistics.median(times)
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"one decision: median {median:.0f} µs (limit {LIMIT_US:.0f}), p99 {p99:.0f} µs, {len(snapshots)} kinds")
    for name, part in _parts(snapshots):
        print(f"{name}: median {_median_us(part):.1f} µs")
    print(f"memory after {DECISIONS:,} decisions: {_growth_kb(snapshots):+.0f} kB")


def _median_us(part: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(5_000):
        started = time.perf_counter()
        part()
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def _parts(snapshots: list[tuple[float, Snapshot]]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name the parts of a look while an analysis runs, and what a measurement of both metrics adds to it."""
    now_s, snapshot = next((now_s, snapshot) for now_s, snapshot in snapshots if snapshot.runs)
    run = replace(snapshot.runs[0], status=AnalysisStatus())
    run = run.with_status(advance(run, {}, now_s))
    answer = Answer(started_s=now_s, finished_s=now_s, value=(0.001,), requests=1_000.0)
    measured = {metric.name: measure_metric(metric, answer) for metric in run.metrics}
    waiting = run.with_status(advance(run, measured, now_s))
    snapshot = replace(snapshot, runs=(waiting,))
    status = decide(snapshot, now_s).status
    ledger = PlatformLedger(
        replica_sets={known.pod_hash: known for known in snapshot.replica_sets},
        services=snapshot.services,
        weight=None,
        runs={run.name: waiting},
    )
    idle = replace(snapshot, status=status)
    sizes = {known.pod_hash: known.wanted for known in snapshot.replica_sets}

    def look() -> AnalysisStatus:
        seen = _snapshot(ledger, sizes, snapshot, status)
        decide(seen, now_s + 1)
        due(waiting, now_s + 1)
        return advance(waiting, {}, now_s + 1)

    yield "a whole look at which nothing happens", look
    yield "  snapshot", lambda: _snapshot(ledger, sizes, snapshot, status)
    yield "  decide", lambda: decide(idle, now_s + 1)
    yield "  due", lambda: due(waiting, now_s + 1)
    yield "  advance", lambda: advance(waiting, {}, now_s + 1)
    yield "judge one answer", lambda: measure_metric(run.metrics[0], answer)
    yield "advance by two measurements", lambda: advance(waiting, measured, now_s + 60)
    yield "note a run's status", lambda: ledger.update_run(run.name, waiting.status)
    yield "decision_key, with its hash", lambda: hash(decision_key(status))


def _snapshot(ledger: PlatformLedger, sizes: dict[str, int], like: Snapshot, status: RolloutStatus) -> Snapshot:
    return ledger.snapshot(
        rollout=like.rollout,
        template_hash=like.template_hash,
        generation=like.generation,
        status=status,
        pods={pod_hash: PodCounts(created=n, ready=n, available=n) for pod_hash, n in sizes.items()},
        templates=like.templates,
    )


def _one_rollout() -> list[tuple[float, Snapshot]]:
    """Return the snapshots of the seed's rollout, from the first deployment to the promotion of a second version."""
    manifests = load([EXAMPLE / "rollout.yaml", EXAMPLE / "analysis-template.yaml"])
    rollout = manifests.rollouts[0]
    ledger, status, now_s = PlatformLedger.empty(), RolloutStatus(), 0.0
    seen: list[tuple[float, Snapshot]] = []
    for generation, template_hash in enumerate(("v1", "v2"), start=1):
        for _ in range(500):
            sizes = {key: written.wanted for key, written in ledger.replica_sets.items()}
            like = Snapshot(
                rollout=rollout,
                template_hash=template_hash,
                generation=generation,
                status=status,
                templates=manifests.templates,
            )
            snapshot = _snapshot(ledger, sizes, like, status)
            seen.append((now_s, snapshot))
            decision = decide(snapshot, now_s)
            status = decision.status
            for action in decision.actions:
                ledger.apply(action, now_s)
            for run in list(ledger.runs.values()):
                ledger.update_run(run.name, AnalysisStatus(phase=AnalysisPhase.SUCCESSFUL, started_s=now_s))
            if _is_idle(decision) and status.stable_hash == template_hash:
                break
            now_s = max(now_s, decision.look_again_s or now_s)
    return seen


def _is_idle(decision: Decision) -> bool:
    return not decision.changed and not decision.actions


def _growth_kb(snapshots: list[tuple[float, Snapshot]]) -> float:
    for now_s, snapshot in snapshots:
        decide(snapshot, now_s)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(DECISIONS):
        now_s, snapshot = snapshots[index % len(snapshots)]
        decide(snapshot, now_s)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # the peak: it can only have grown

"""What one decision costs on the first users' rollout, and whether many of them keep any memory."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from pathlib import Path

from controller.core.decisions import Decision, decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.runs import AnalysisPhase, AnalysisStatus
from controller.core.snapshot import Snapshot
from controller.core.status import RolloutStatus
from controller.manifests.loading import load

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "orders-api"
DECISIONS = int(os.environ.get("GAMEBIRD_BENCH_DECISIONS", "100000"))  # a million takes a minute and more
LIMIT_US = 50.0


def main() -> None:
    """Print the median over the decisions of one whole rollout, and the growth of memory over many."""
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
    print(f"memory after {DECISIONS:,} decisions: {_growth_kb(snapshots):+.0f} kB")


def _one_rollout() -> list[tuple[float, Snapshot]]:
    """Return the snapshots of the seed's rollout, from the first deployment to the promotion of a second version."""
    manifests = load([EXAMPLE / "rollout.yaml", EXAMPLE / "analysis-template.yaml"])
    rollout = manifests.rollouts[0]
    ledger, status, now_s = PlatformLedger.empty(), RolloutStatus(), 0.0
    seen: list[tuple[float, Snapshot]] = []
    for generation, template_hash in enumerate(("v1", "v2"), start=1):
        for _ in range(500):
            sizes = {key: written.wanted for key, written in ledger.replica_sets.items()}
            snapshot = ledger.snapshot(
                rollout=rollout,
                template_hash=template_hash,
                generation=generation,
                status=status,
                pods={key: PodCounts(created=n, ready=n, available=n) for key, n in sizes.items()},
                templates=manifests.templates,
            )
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

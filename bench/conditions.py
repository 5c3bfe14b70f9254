"""Conditions and evidence: what one evaluation costs, and what ten thousand at once do."""

from __future__ import annotations

import timeit
import tracemalloc
from collections.abc import Callable

import numpy as np

from controller.core.conditions import Condition, compile_condition, fails_when, judge
from controller.core.evidence import Floor, RatioShape, weigh, weigh_runs
from controller.core.runs import AnalysisPhase
from controller.manifests.values.extensions import EvidenceRules

CONDITIONS = (
    "result[0] < 0.01",
    "len(result) == 0 || result[0] < 0.01",
    "isNaN(result[0]) || result[0] < 0.01",
    "result[0] >= 0 && result[0] <= 0.01",
    "default(result, [0.0])[0] < 0.01",
    "result[0] * 100 < 1",
    "all(result, # < 0.01)",
    "max(result) < 0.01",
)
RUNS = 10_000


def microseconds(work: Callable[[], object], *, times: int) -> float:
    """Return the least time of one call among five rounds."""
    return min(timeit.repeat(work, number=times, repeat=5)) / times * 1e6


def main() -> None:
    """Print µs an evaluation (wanted: under 3 for the first) and ms for 10,000 runs at once (wanted: under 1)."""
    values = np.random.default_rng(1).random((RUNS, 1)) / 50
    lengths = np.ones(RUNS, dtype=np.int64)
    print(f"{'condition':42} {'one, µs':>8} {'10,000 at once, ms':>19}")
    for text in CONDITIONS:
        condition = compile_condition(text)
        one = microseconds(lambda c=condition: c.evaluate((0.001,)), times=20_000)  # type: ignore[misc]
        many = microseconds(lambda c=condition: c.evaluate_runs(values, lengths=lengths), times=20) / 1e3  # type: ignore[misc]
        print(f"{text:42} {one:8.2f} {many:19.3f}")
    print(f"{'read, check and build the second':42} {microseconds(compiled, times=200):8.0f}")
    print(f"{'judge by two conditions':42} {microseconds(judged, times=20_000):8.2f}")
    evidence(values)
    flat()


def compiled() -> None:
    Condition(CONDITIONS[1]).evaluate((0.001,))


def judged() -> None:
    judge("result[0] < 0.01", "result[0] > 0.05", (0.02,))


def evidence(values: np.ndarray) -> None:
    """Print what weighing costs: enough requests, too few, and proof below the floor."""
    below = compile_condition("result[0] < 0.01")
    floor = Floor(requests_min=300, shape=RatioShape(), fails_when=fails_when(below, None))
    rules = EvidenceRules()
    for name, phase, requests in (
        ("weigh enough requests", AnalysisPhase.SUCCESSFUL, 400.0),
        ("weigh too few", AnalysisPhase.SUCCESSFUL, 40.0),
        ("weigh a failure below the floor", AnalysisPhase.FAILED, 40.0),
    ):
        cost = microseconds(
            lambda p=phase, r=requests: weigh(phase=p, result=(0.02,), requests=r, floor=floor, rules=rules),  # type: ignore[misc]
            times=5_000,
        )
        print(f"{name:42} {cost:8.2f}")
    flat_values, failed = values[:, 0], values[:, 0] >= 0.01
    requests = np.random.default_rng(2).integers(0, 600, RUNS).astype(float)
    weigh_runs(failed=failed, values=flat_values, requests=requests, floor=floor)
    many = microseconds(lambda: weigh_runs(failed=failed, values=flat_values, requests=requests, floor=floor), times=20)
    print(f"{'weigh 10,000 at once':42} {'':8} {many / 1e3:19.3f}")


def flat() -> None:
    """Print how much memory 200,000 evaluations and 200,000 errors leave behind."""
    condition, wrong = compile_condition(CONDITIONS[0]), compile_condition("result < 0.01")
    for counted in (condition, wrong):
        judge(counted, None, (0.001,))
        tracemalloc.start()
        for _ in range(200_000):
            judge(counted, None, (0.001,))
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"{f'bytes left by 200,000 of {counted.text}':42} {left:8}")

"""The seed's two queries over one run, over a thousand at once, and beside Prometheus' own engine on the same data.

Prometheus has no runs; there each run is a label and the queries group by it. It is the engine alone on one core,
with its samples in plain memory, which is kinder to it than its own storage.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from promql.engine import evaluate
from promql.storage import ArrayBlock, BlockStore, MemoryStore, Store, labels_of

RUNS = 1_000
PODS = 10
SCRAPES = 61
INTERVAL_MS = 15_000
STATUSES = ("200", "404", "500", "503")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
QUERIES = (
    'sum(rate(http_requests_total{service="orders-api",status=~"5.."}[5m]))'
    ' / sum(rate(http_requests_total{service="orders-api"}[5m]))',
    'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service="orders-api"}[5m])))',
)
AT_S = (SCRAPES - 1) * INTERVAL_MS / 1000
LIMIT_ONE_RUN_MS = 1.0
LIMIT_RATIO = 100.0
SOME_RUNS = 100
"""What a simulation evaluates at once: the runs of one cohort, over 14 series a pod."""
LIMITS_SOME_RUNS_MS = (0.3, 0.45)


def main() -> None:
    """Print milliseconds per query, the ratio to Prometheus, peak memory and the rate of ingestion."""
    one, many = _parallel(1), _parallel(RUNS)
    block = _block(SOME_RUNS, ("200", "500"))
    some = BlockStore([block], runs=SOME_RUNS)
    plain = _plain()
    prometheus = _prometheus_s()
    for number, query in enumerate(QUERIES):
        total = float(evaluate(query, AT_S, many).values.sum())
        ours_s = _best_s(lambda query=query: evaluate(query, AT_S, many))  # type: ignore[misc]
        single_s = _best_s(lambda query=query: evaluate(query, AT_S, one))  # type: ignore[misc]
        some_s = _best_s(lambda query=query: evaluate(query, AT_S, some))  # type: ignore[misc]
        anew = iter([BlockStore([_again(block)], runs=SOME_RUNS) for _ in range(30)])
        anew_s = _best_s(lambda query=query, anew=anew: evaluate(query, AT_S, next(anew)))  # type: ignore[misc]
        plain_s = _best_s(lambda query=query: evaluate(query, AT_S, plain))  # type: ignore[misc]
        print(f"query {number + 1}: {query}")
        print(
            f"  one run {single_s * 1e3:.2f} ms, from the plain store {plain_s * 1e3:.2f} ms (limit {LIMIT_ONE_RUN_MS})"
        )
        print(
            f"  {SOME_RUNS} runs {some_s * 1e3:.2f} ms (limit {LIMITS_SOME_RUNS_MS[number]}), "
            f"from a new store each time {anew_s * 1e3:.2f} ms"
        )
        print(f"  {RUNS:,} runs {ours_s * 1e3:.2f} ms")
        if prometheus is not None:
            theirs_s, their_total = prometheus[number]
            assert abs(total - their_total) <= 1e-9 * abs(their_total), (total, their_total)
            print(f"  Prometheus {theirs_s * 1e3:.0f} ms, {theirs_s / ours_s:.0f} times ours (goal {LIMIT_RATIO:.0f})")
    _print_memory(many)
    _print_ingestion()


def _again(block: ArrayBlock) -> ArrayBlock:
    """Return another block of the same series, as the next store of a simulation holds it."""
    return replace(block)


def _series(statuses: Sequence[str] = STATUSES) -> list[tuple[dict[str, str], Callable[[int], int]]]:
    """Return labels and, by run, how much each counter grows from scrape to scrape."""
    found: list[tuple[dict[str, str], Callable[[int], int]]] = []
    for pod in range(PODS):
        fixed = {"service": "orders-api", "pod": f"p{pod}"}
        for i, status in enumerate(statuses):
            labels = {"__name__": "http_requests_total", **fixed, "status": status}
            found.append((labels, lambda run, pod=pod, i=i: 1 + (pod * 31 + i * 7 + run * 17) % 97))  # type: ignore[misc]
        for i, bound in enumerate(BOUNDS):
            labels = {"__name__": "http_request_duration_seconds_bucket", **fixed, "le": bound}
            found.append((labels, lambda run, pod=pod, i=i: (i + 1) * (1 + (pod * 7 + run * 13) % 11)))  # type: ignore[misc]
    return found


def _parallel(runs: int) -> BlockStore:
    return BlockStore([_block(runs, STATUSES)], runs=runs)


def _block(runs: int, statuses: Sequence[str]) -> ArrayBlock:
    series = _series(statuses)
    rates = np.array([[rate(run) for run in range(runs)] for _, rate in series], dtype=np.float64)
    # A scrape's values lie together, as a simulator that goes from scrape to scrape would lay them.
    samples = np.arange(SCRAPES)[:, None, None] * rates
    return ArrayBlock(
        labels=[labels_of(labels) for labels, _ in series],
        times_ms=np.arange(SCRAPES, dtype=np.int64) * INTERVAL_MS,
        array=np.moveaxis(samples, 0, -1),
        reset_columns=np.empty(0, dtype=np.int64),
    )


def _plain() -> MemoryStore:
    store = MemoryStore()
    for labels, rate in _series():
        key = labels_of(labels)
        for scrape in range(SCRAPES):
            store.append_ms(key, scrape * INTERVAL_MS, float(scrape * rate(0)))
    return store


def _best_s(call: Callable[[], object], times: int = 30) -> float:
    """Return the shortest of several times: what the work takes when nobody else wants the core."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def _prometheus_s() -> list[tuple[float, float]] | None:
    """Return seconds and the sum over all runs for each query, or None where the Go program has not been built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamebird"
    built = sorted(cache.glob("promql-oracle-*"), key=lambda path: path.stat().st_mtime)
    if not built:
        print("Prometheus' engine is not built; run tests/promql/differential first")
        return None
    done = subprocess.run([built[-1], "bench", str(RUNS)], capture_output=True, text=True, check=True, timeout=240)
    return [(float(took), float(total)) for took, total in (line.split() for line in done.stdout.splitlines())]


def _print_memory(store: Store) -> None:
    tracemalloc.start()
    for query in QUERIES:
        evaluate(query, AT_S, store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory: {peak / 2**20:.0f} MiB beside the samples at the peak of a query, {held:.0f} MiB in all")


def _print_ingestion() -> None:
    """Print how many samples a second a store takes: as calls, and as JSON of the recordings' form."""
    from promql.storage import load_json_series

    store, key = MemoryStore(), labels_of({"__name__": "c_total", "pod": "a"})
    count = 200_000
    started = time.perf_counter()
    for number in range(count):
        store.append_ms(key, number, float(number))
    print(f"ingest: {count / (time.perf_counter() - started):,.0f} samples/s one by one", end="")
    document = {
        "series": [{"labels": labels, "samples": [[k * 15, k] for k in range(1_000)]} for labels, _ in _series()]
    }
    text = json.dumps(document)
    started = time.perf_counter()
    stored = load_json_series(json.loads(text), MemoryStore())
    print(f", {stored / (time.perf_counter() - started):,.0f} samples/s from JSON")

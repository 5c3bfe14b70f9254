"""How punctual the load generator is beside its target, what a request costs it, and how vegeta and k6 do there.

The target answers after 20 ms from another process; generator, target and this share the machine. Every generator is
judged by the same clock: the kernel's stamps of what reached the target, held against the metronome of the asked rate.
Nobody tells when a rival's first request was due, so the metronome of each run begins where no request is early: the
errors are how late requests were compared with the most punctual one of their run. Ours comes through the replay, with
its processes, its records and Locust's statistics, as users run it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bench.beside.rivals import RIVALS, TOOLS, Cpu, cpu_s, watched
from bench.beside.stamping_target import StampingTarget
from loadgen.replay import Replay, Wanted, permitted_target, prepare
from loadgen.traces import Recorded, table_of

RATES_RPS = {200: 1, 1_000: 1, 2_000: 2}
"""Each rate, and by how many of our processes it is sent."""

SECONDS = 8.0
GOAL_RPS, GOAL_P99_MS = 1_000, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One run: when its requests arrived, and what CPU it had used when."""

    arrivals_s: NDArray[np.float64]
    cpu: Cpu
    note: str = ""


def main() -> None:
    """Print schedule error, CPU per request and what was missing, for each generator at each rate."""
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {SECONDS:g} s each")
    print(f"{'':<22}{'asked rps':>10}{'arrived':>9}{'error p50':>12}{'p99':>10}{'max':>10}{'CPU/request':>13}")
    with StampingTarget() as target:
        for rate, workers in RATES_RPS.items():
            name = "gamebird" if workers == 1 else f"gamebird × {workers}"
            _print(name, rate, _run(target, lambda r=rate, w=workers: _ours(target.url, r, w)))  # type: ignore[misc]
            for rival in RIVALS:
                if (TOOLS / rival).is_file():
                    _print(rival, rate, _run(target, lambda r=rate, n=rival: _rival(n, target.url, r)))  # type: ignore[misc]
                else:
                    print(f"{rival:<22}is not here: tools/build_load_generators.sh builds it (a minute, needs Go)")
    print(f"goal: p99 under {GOAL_P99_MS:g} ms at {GOAL_RPS:,} requests/s")


def _run(target: StampingTarget, play: Callable[[], tuple[Cpu, str]]) -> Seen:
    target.forget()
    cpu, note = play()
    return Seen(arrivals_s=target.arrivals(), cpu=cpu, note=note)


def _print(name: str, rate: int, seen: Seen) -> None:
    arrived = len(seen.arrivals_s)
    if not arrived:
        print(f"{name:<22}{rate:>10,}{0:>9,}  nothing arrived", flush=True)
        return
    p50, p99, most = np.quantile(lateness_s(seen.arrivals_s, rate), [0.5, 0.99, 1.0]) * 1e3
    cpu_ms = cpu_between(seen.cpu, seen.arrivals_s[0], seen.arrivals_s[-1]) / arrived * 1e3
    print(
        f"{name:<22}{rate:>10,}{arrived / (rate * SECONDS):>9.1%}{p50:>9.2f} ms{p99:>7.2f} ms{most:>7.1f} ms"
        f"{cpu_ms:>10.3f} ms{seen.note}",
        flush=True,
    )


def lateness_s(arrivals_s: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return (requests,) how late each was for a metronome of `rate` that begins where none is early."""
    behind_s = arrivals_s - np.arange(len(arrivals_s)) / rate
    return np.asarray(behind_s - behind_s.min(), dtype=np.float64)


def cpu_between(cpu: Cpu, from_s: float, to_s: float) -> float:
    """Return the CPU seconds that were used between two instants: starting up is nobody's request."""
    at_s, used_s = np.array(cpu).T
    return float(np.diff(np.interp([from_s, to_s], at_s, used_s))[0])


def _rival(name: str, url: str, rate: int) -> tuple[Cpu, str]:
    with tempfile.TemporaryDirectory() as folder:
        process: subprocess.Popen[bytes] = RIVALS[name](url, rate, SECONDS, Path(folder))
        cpu = watched(process, within_s=SECONDS + 30)
    return cpu, "" if process.returncode == 0 else f"  (exit code {process.returncode})"


def _ours(url: str, rate: int, workers: int) -> tuple[Cpu, str]:
    requests = [Recorded(time_s=k / rate, method="GET", path="/orders", query="") for k in range(int(rate * SECONDS))]
    with tempfile.TemporaryDirectory() as folder:
        score = Path(folder) / "score"
        score.mkdir()
        target = permitted_target(url)
        wanted = Wanted(host=target.host_header, workers=workers, rps_max=2_000)
        replay = Replay(prepare([table_of(requests)], wanted, score), target, Path(folder) / "run")
        replay.start()
        cpu: Cpu = []
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(replay.pids, cpu, over))
        watch.start()
        try:
            replay.wait(within_s=SECONDS + 30)
        finally:
            over.set()
            watch.join()
            replay.kill()
        result = replay.result()
    validity = result.validity
    halves = f"counts {validity.counts.outcome}, latencies {validity.latency.outcome}"
    return cpu, f"  says of itself: p99 {validity.lag_p99_s * 1e3:.2f} ms; {halves}"


def _watch(pids: list[int], cpu: Cpu, over: threading.Event) -> None:
    generators = [psutil.Process(pid) for pid in pids]
    while not over.wait(0.25):
        used_s = cpu_s(generators)
        if used_s >= (cpu[-1][1] if cpu else 0.0):  # less once a process is gone
            cpu.append((time.monotonic(), used_s))

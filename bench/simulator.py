"""The guide's policy against a bad release, many times: runs a second, memory, and the reference engine beside it.

Each size is a process of its own, so that start-up counts, with its modules compiled as those of an installed program
are. The smallest size is also played as a user types it, by `gamebird simulate`, with compiled modules and without.
Wanted: 10,000 runs in 2 s and 100,000 in 12 s on two idle cores, under 1 GiB; 2,000 times the runs a second of the
SimPy engine, which plays 50,000 requests a second.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "orders-api"
SIZES = tuple(int(runs) for runs in os.environ.get("GAMEBIRD_BENCH_RUNS", "10000,100000").split(","))
LIMITS_S = {10_000: 2.0, 100_000: 12.0}
RPS, ERRORS = 100.0, 0.005  # caught by nobody, so that every run lives through all nine looks
REFERENCE_RUNS = 3


def main() -> None:
    """Print the flock's figures, the reference engine's, and how many times one is the other."""
    per_s = 0.0
    with tempfile.TemporaryDirectory(prefix="gamebird-bench-") as compiled:
        _in_process(100, compiled)
        for runs in SIZES:
            per_s = _print_size(runs, compiled)
        _print_command(min(SIZES), compiled)
    _reference(per_s)


def _in_process(runs: int, compiled: str) -> tuple[float, dict[str, float]]:
    """Play so many runs in a process of their own; return its seconds and what it told."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.simulator", str(runs)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        cwd=Path(__file__).resolve().parent.parent,
        env=_environment(compiled),
    )
    return time.perf_counter() - started, json.loads(done.stdout)


def _environment(compiled: str) -> dict[str, str]:
    """Return the environment in which modules are compiled once, into a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": compiled}


def _print_command(runs: int, compiled: str) -> None:
    """Print how long the command takes, with compiled modules and without: the first run after an installation."""
    manifests = [str(EXAMPLE / name) for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml")]
    asked = ["--release", f"errors={ERRORS}", "--base-errors", "0.001", "--runs", str(runs), "--output", "json"]
    command = [sys.executable, "-m", "gamebird", "simulate", *manifests, *asked]
    took_s = []
    with tempfile.TemporaryDirectory(prefix="gamebird-bench-") as empty:
        cold = {**_environment(empty), "PYTHONDONTWRITEBYTECODE": "1"}
        for environment in (_environment(compiled), _environment(compiled), cold):
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True, timeout=600, env=environment)
            took_s.append(time.perf_counter() - started)
    limit = f" (limit {LIMITS_S[runs]:.0f})" if runs in LIMITS_S else ""
    print(f"gamebird simulate --runs {runs}: {took_s[1]:.2f} s{limit}; {took_s[2]:.2f} s without compiled modules")


def _print_size(runs: int, compiled: str) -> float:
    took_s, told = _in_process(runs, compiled)
    limit = f" (limit {LIMITS_S[runs]:.0f})" if runs in LIMITS_S else ""
    print(
        f"{runs:,} runs: {took_s:.2f} s{limit}, imports {told['import_s']:.2f} s of it; {runs / took_s:,.0f} runs/s; "
        f"{told['cpu_s']:.1f} s of CPU on {told['workers']} workers, {told['cohorts']} cohorts; "
        f"peak {told['peak_mib']:.0f} MiB in all"
    )
    return runs / took_s


def _reference(flock_per_s: float) -> None:
    from sim.simpy_world import play_run

    policy, scenario = _setting()
    started, requests = time.perf_counter(), 0
    for run in range(REFERENCE_RUNS):
        requests += play_run(policy, scenario, seed=1, run=run)[1].requests
    took_s = time.perf_counter() - started
    per_s = REFERENCE_RUNS / took_s
    print(
        f"SimPy: {per_s:.2f} runs/s, {requests / took_s:,.0f} requests/s (goal 50,000); "
        f"the flock plays {flock_per_s / per_s:,.0f} times as many runs a second (goal 2,000)"
    )


def _setting():  # type: ignore[no-untyped-def]
    from controller.manifests.loading import load
    from loadgen.traffic import Traffic
    from sim.releases import Release
    from sim.scenarios import Scenario

    policy = load([EXAMPLE / "rollout.yaml", EXAMPLE / "analysis-template.yaml"]).policy()
    release = Release(errors=ERRORS, base_errors=0.001)
    return policy, Scenario(release=release, stable=Release(base_errors=0.001), traffic=Traffic(rps=RPS))


def _one_size(runs: int) -> None:
    began_s = time.perf_counter()
    from sim.flock.workers import simulate_blocks, usable_cores

    import_s = time.perf_counter() - began_s
    found = simulate_blocks(*_setting(), runs=runs, seed=1)
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "import_s": import_s,
                "cpu_s": sum(part.ru_utime + part.ru_stime for part in (own, workers)),
                "workers": usable_cores(),
                "cohorts": found.cohorts,
                "peak_mib": (own.ru_maxrss + usable_cores() * workers.ru_maxrss) / 1024,
            }
        )
    )


if __name__ == "__main__":
    _one_size(int(sys.argv[1]))

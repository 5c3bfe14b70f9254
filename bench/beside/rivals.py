"""Other people's load generators, asked for the same rate: vegeta and k6, built by tools/build_load_generators.sh."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]

TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamebird" / "bench-tools"

_K6 = """
import http from 'k6/http';
export const options = {{
  discardResponseBodies: true,
  scenarios: {{ even: {{
    executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s', duration: '{for_s}s',
    preAllocatedVUs: {users}, maxVUs: {users},
  }} }},
}};
export default function () {{ http.get('{url}/orders'); }}
"""
_LOOK_S = 0.25

Cpu = list[tuple[float, float]]
"""(seconds of the monotonic clock, CPU seconds so far) of a generator with all its processes."""


def watched(process: subprocess.Popen[bytes], *, within_s: float, look: Callable[[], None] = lambda: None) -> Cpu:
    """Wait for a generator's end and return what CPU it had used when.

    Args:
        look: called each time the generator is looked at.
    """
    found: Cpu = []
    root = psutil.Process(process.pid)
    deadline_s = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline_s:
        found.append((time.monotonic(), cpu_s([root, *root.children(recursive=True)])))
        look()
        time.sleep(_LOOK_S)
    if process.poll() is None:
        process.kill()
    process.wait()
    return found


def cpu_s(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used so far; one that is gone counts nothing."""
    used = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used += times.user + times.system
    return used


def vegeta(url: str, rate: int, for_s: float, folder: Path) -> subprocess.Popen[bytes]:
    """Start vegeta with its own defaults."""
    targets = folder / "targets"
    targets.write_text(f"GET {url}/orders\n", encoding="utf-8")
    words = ["attack", f"-rate={rate}/s", f"-duration={for_s:g}s", f"-targets={targets}", "-output=/dev/null"]
    return _started("vegeta", words, folder)


def k6(url: str, rate: int, for_s: float, folder: Path) -> subprocess.Popen[bytes]:
    """Start k6 with its executor for a constant rate of arrivals, and more users than can wait at once."""
    script = folder / "even.js"
    script.write_text(_K6.format(rate=rate, for_s=f"{for_s:g}", url=url, users=max(50, rate // 4)), encoding="utf-8")
    return _started("k6", ["run", "--quiet", "--no-summary", "--no-usage-report", str(script)], folder)


def _started(name: str, words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([TOOLS / name, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=kept)


RIVALS = {"vegeta": vegeta, "k6": k6}

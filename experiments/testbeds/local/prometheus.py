"""A real Prometheus 3 as a process: it takes what is written to it, or scrapes by itself, and answers what is asked."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx

from experiments.testbeds.local.children import Child, WorldError, free_port, start_child, tail_of

STARTS_WITHIN_S = 20.0
# Policy time starts a day back and samples of several series arrive out of step by a little.
_WRITTEN_TO = "storage:\n  tsdb:\n    out_of_order_time_window: 10m\n"


class PrometheusServer:
    """A running Prometheus with the remote-write receiver on and its data in a folder of its own."""

    def __init__(self, binary: Path, folder: Path, *, config: str = _WRITTEN_TO) -> None:
        """Start it on a free loopback port and wait until it is ready.

        Args:
            config: the text of its configuration file; no scrape jobs unless it says so.

        Raises:
            WorldError: it is not there, is older than version 3, or does not start; with the last lines of its log.
        """
        self._version = prometheus_version(binary)
        self._folder = folder
        self.port = free_port()
        file = folder / "prometheus.yml"
        file.write_text(config, encoding="utf-8")
        self._command = [
            *(str(binary), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"),
            *("--storage.tsdb.retention.time=7d", f"--web.listen-address=127.0.0.1:{self.port}"),
            *("--web.enable-remote-write-receiver", "--log.level=warn"),
        ]
        self._child = self._start()

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def version(self) -> str:
        """What it says it is, for reports."""
        return f"Prometheus {self._version}"

    def down(self) -> None:
        """Let nobody answer, as if Prometheus were gone."""
        self._child.stop(within_s=5.0)

    def up(self) -> None:
        """Start it again, on the same port and data."""
        if not self._child.alive:
            self._child = self._start()

    def stop(self) -> None:
        """End it."""
        self._child.stop(within_s=5.0)

    def _start(self) -> Child:
        log = self._folder / "prometheus.log"
        child = start_child(self._command, log=log, name="prometheus")
        ends = time.monotonic() + STARTS_WITHIN_S
        while not self._is_ready():
            if not child.alive:
                raise WorldError(f"Prometheus ended at its start (exit code {child.returncode}):\n{tail_of(log)}")
            if time.monotonic() > ends:
                child.stop(within_s=1.0)
                raise WorldError(f"Prometheus was not ready within {STARTS_WITHIN_S:g} s:\n{tail_of(log)}")
            time.sleep(0.05)
        return child

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/-/ready", trust_env=False, timeout=1.0).status_code == 200
        except httpx.HTTPError:
            return False


def prometheus_version(binary: Path) -> str:
    """Return the version that a Prometheus binary states.

    Raises:
        WorldError: there is no such program, or it is version 2, whose range selectors differ.
    """
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise WorldError(f"{binary} cannot be asked for its version: {error}") from error
    words = done.stdout.split()
    version = words[words.index("version") + 1].strip("(") if "version" in words else ""
    version = "" if version.startswith("branch") else version
    if version.startswith(("1.", "2.")):
        raise WorldError(
            f"{binary} is Prometheus {version}; its range selectors take in one sample more than version 3's, so its "
            "verdicts could differ. Give a Prometheus 3"
        )
    return version or "of an unstated version"

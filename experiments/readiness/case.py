"""All that the checklist looks at, gathered once: the policy, its files' hashes, the records, the repository.

Files are read here and by the items that own a kind of file (dashboards, the runbook); the clock is an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from experiments.records.keeping import Kept, read_records
from experiments.records.record import Record, digest_of
from sim.scenarios import Scenario


class CaseError(ValueError):
    """Options or files of which no case can be made; says which, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """How the policy is simulated for its budget; `cohorts` of None: as many as the budget needs."""

    scenarios: tuple[Scenario, ...]
    runs: int
    seed: int
    cohorts: int | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be judged.

    Attributes:
        manifests_sha256: of the policy's files together, as records have it.
        records_folder: where `records` were read.
        world: which world drills must come from; "" for any that routes with a real proxy.
        root: the repository's root, below which owner and runbook are looked for.
        dashboards: Grafana JSON files that were named; empty: those under deploy/ are looked for.
        prometheus: address of a live one; "" where none was named.
        now: with a time zone.
    """

    policy: Policy
    files: tuple[Path, ...]
    manifests_sha256: str
    records: Kept
    records_folder: Path
    world: str
    root: Path
    dashboards: tuple[Path, ...]
    prometheus: str
    simulation: Simulation
    now: datetime

    @property
    def drills(self) -> tuple[Record, ...]:
        """The records of these very manifests, the oldest first."""
        return tuple(one for one in self.records.records if one.manifests_sha256 == self.manifests_sha256)


def gather(
    files: Sequence[Path],
    *,
    rollout: str,
    records: Path | None,
    world: str,
    root: Path | None,
    dashboards: Sequence[Path],
    prometheus: str,
    simulation: Simulation,
    now: datetime,
) -> Case:
    """Return the case of these manifests.

    Args:
        rollout: its name, where the files hold several; else "".
        records: None: gamedays/records below the root.
        root: None: the nearest folder above the first file that holds .git, else the folder of that file.

    Raises:
        ManifestError: manifests that cannot be used, with every file, line and field.
        CaseError: a folder or file that is not there.
    """
    if any(str(file) == "-" for file in files):
        raise CaseError("standard input has no place in a repository, and no drill was run on it; name files")
    manifests = load([str(file) for file in files])
    named = {file for file in files if not file.is_dir()}
    read = tuple(sorted(named | {Path(item.place.file) for item in manifests.objects}))
    top = root or root_above(files[0])
    if not top.is_dir():
        raise CaseError(f"--root {top} is no folder; it needs the root of the repository")
    folder = records or top / "gamedays" / "records"
    if records is not None and not records.is_dir():
        raise CaseError(f"--records {records} is no folder; it needs the one that `gamebird gameday run` writes to")
    return Case(
        policy=manifests.policy(rollout or None),
        files=read,
        manifests_sha256=digest_of(sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in read)),
        records=read_records(folder),
        records_folder=folder,
        world=world,
        root=top.resolve(),
        dashboards=tuple(dashboards),
        prometheus=prometheus,
        simulation=simulation,
        now=now,
    )


def root_above(file: Path) -> Path:
    """Return the nearest folder at or above the file that holds .git, else the file's own folder."""
    here = file.resolve()
    own = here if here.is_dir() else here.parent
    return next((folder for folder in (own, *own.parents) if (folder / ".git").exists()), own)

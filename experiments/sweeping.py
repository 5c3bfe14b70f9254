"""Find what crashed rehearsals left behind, and remove it: folders whose owner is gone, and their processes.

A rehearsal cleans up after itself, also when its process is killed; what is found here survived that, too: the machine
lost power, or the cleaner itself was killed. Only what names its dead owner is touched, and of that only what belongs
to the user who sweeps: what others write into a shared folder could name any process.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from experiments.run_folders import Identity, owner_of, processes_of
from experiments.scratch import PREFIX

_DRAFT = re.compile(r"\A\.record-(\d+)-")
_ENDS_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file or folder of a rehearsal whose process is gone, and its processes that are still there."""

    path: Path
    processes: tuple[tuple[Identity, str], ...] = ()

    @property
    def text(self) -> str:
        """What it is, in words."""
        names = ", ".join(f"{name} ({identity.pid})" for identity, name in self.processes)
        return f"{self.path}{f', with {names} still running' if names else ''}"


def find_leftovers(gamedays: Path, *, scratch: Path | None = None) -> tuple[Leftover, ...]:
    """Return what crashed rehearsals left.

    Args:
        gamedays: where reports and records go.
        scratch: where rehearsals have their folders; the machine's folder for temporary files unless said.
    """
    above = scratch or Path(tempfile.gettempdir())
    folders = [*above.glob(f"{PREFIX}*"), *gamedays.glob(".*")]
    found = [
        Leftover(path=folder, processes=tuple(one for one in processes_of(folder) if one[0].is_there))
        for folder in folders
        if _is_abandoned(folder)
    ]
    return (*found, *(Leftover(path=file) for file in _drafts(gamedays)))


def remove(leftover: Leftover) -> None:
    """End its processes and remove it.

    Raises:
        OSError: it cannot be removed.
    """
    for identity, _ in leftover.processes:
        _end(identity)
    if leftover.path.is_dir():
        shutil.rmtree(leftover.path)
    else:
        leftover.path.unlink(missing_ok=True)


def _is_abandoned(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir() or not _is_own(folder):
        return False
    owner = owner_of(folder)
    return owner is not None and not owner.may_be_there


def _is_own(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:  # it has just gone
        return False


def _drafts(gamedays: Path) -> Iterator[Path]:
    """Yield drafts of records whose writer is gone; their names have its id."""
    for file in gamedays.glob("records/**/.record-*"):
        match = _DRAFT.match(file.name)
        if match is not None and _is_own(file) and not psutil.pid_exists(int(match[1])):
            yield file


def _end(identity: Identity) -> None:
    try:
        process = identity.process()
        if process is not None:
            process.kill()  # a process that stands still heeds nothing else
            process.wait(_ENDS_WITHIN_S)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return

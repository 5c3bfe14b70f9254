"""Who owns a rehearsal's folder, and which processes it has started: what a sweep may end and remove, and nothing else.

A folder names its owner by process id and start time, because ids are used again; and each process that was started for
it, by the same two. So what somebody else started is never taken for ours.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

OWNER = "owner.json"
PROCESSES = "processes.jsonl"


_SLEWED_S = 2.0
"""The kernel tells the beginning of a process by the wall's clock and in whole seconds, so the answer moves with it."""

_STEPPED_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process: its id, and when it began (seconds since the epoch), so that a later one of that id is another."""

    pid: int
    began_s: float

    @property
    def is_there(self) -> bool:
        """Whether this very process is still there, and more than a dead entry in a table."""
        return self.process() is not None

    @property
    def may_be_there(self) -> bool:
        """Whether it could still be there if somebody has set the clock since; asked before anything is removed."""
        return self.process(within_s=_STEPPED_S) is not None

    def process(self, *, within_s: float = _SLEWED_S) -> psutil.Process | None:
        """Return this very process, to be signalled; None where it is gone, or the one of that id is another.

        Args:
            within_s: how far apart the two beginnings may be and still be taken for one.
        """
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.began_s) <= within_s
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None


def identity_of(pid: int) -> Identity | None:
    """Return a process's identity; None if it is gone."""
    try:
        return Identity(pid=pid, began_s=psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def claim(folder: Path) -> None:
    """Write down that a folder is this process's own."""
    own = identity_of(os.getpid())
    assert own is not None
    (folder / OWNER).write_text(json.dumps({"pid": own.pid, "began_s": own.began_s}), encoding="utf-8")


def note_process(folder: Path, pid: int, name: str) -> None:
    """Write down that a process was started for a folder."""
    found = identity_of(pid)
    if found is not None:
        line = json.dumps({"pid": found.pid, "began_s": found.began_s, "name": name})
        with (folder / PROCESSES).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def owner_of(folder: Path) -> Identity | None:
    """Return whose a folder is; None where it does not say so, and then it is nobody's business."""
    try:
        return _identity(json.loads((folder / OWNER).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def processes_of(folder: Path) -> tuple[tuple[Identity, str], ...]:
    """Return the processes that were started for a folder or one in it, by identity and name; no torn last line."""
    found = []
    for line in (line for file in folder.rglob(PROCESSES) for line in file.read_text(encoding="utf-8").splitlines()):
        try:
            data = json.loads(line)
            found.append((_identity(data), str(data.get("name", ""))))
        except ValueError:
            continue
    return tuple(found)


def left_running(folder: Path) -> tuple[str, ...]:
    """Return the names of the processes of a folder that are still there."""
    return tuple(f"{name} ({identity.pid})" for identity, name in processes_of(folder) if identity.is_there)


def _identity(data: object) -> Identity:
    if isinstance(data, dict):
        pid, began_s = data.get("pid"), data.get("began_s")
        if type(pid) is int and 0 < pid < 1 << 31 and isinstance(began_s, int | float):
            return Identity(pid=pid, began_s=began_s)
    raise ValueError("no process is named")

"""A rehearsal's folder, which goes away however the rehearsal ends, also when its process is killed outright.

A small shell waits for the end of a pipe that only this process holds. It removes the folder when the pipe closes:
on purpose, or because the kernel closed it for a process that is no more.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.run_folders import claim

# Processes of the rehearsal may write for a moment longer than their parent lives, so removing is tried again.
_REMOVE = 'cat > /dev/null; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1"; sleep 0.3; [ -e "$1" ] || exit 0; done'
_WAIT_S = 10.0
PREFIX = "gamebird-"
"""What the name of every such folder begins with."""


@contextmanager
def scratch_folder(*, keep: bool = False) -> Iterator[Path]:
    """Give a folder that is gone afterwards, unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    claim(folder)
    if keep:
        yield folder
        return
    janitor = subprocess.Popen(
        ["/bin/sh", "-c", _REMOVE, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it: it has its work yet to do
    )
    try:
        yield folder
    finally:
        assert janitor.stdin is not None
        janitor.stdin.close()
        janitor.wait(timeout=_WAIT_S)

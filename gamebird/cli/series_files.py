"""Recorded series for the commands that evaluate PromQL: where they come from, and what time their "now" is."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from promql.parameters import time_s
from promql.storage import MemoryStore, SeriesFileError, families_in, files_in, load_files
from promql.storage.exposition import Family


def loaded(paths: list[Path]) -> MemoryStore:
    """Return a store with the series of all files and folders; where they contradict each other, say so on stderr.

    Raises:
        SeriesFileError: a file cannot be used; the text says which and why.
    """
    store = MemoryStore()
    for path in paths:
        if not path.exists():
            raise SeriesFileError(f"{path}: there is no such file or folder")
    gathering = load_files(paths, store)
    if gathering.left_out:
        print(
            f"note: {gathering.left_out} samples were left out, because their series has another value at the same "
            f"instant and the one that was read first is kept (as Prometheus does); the first: {gathering.example}",
            file=sys.stderr,
        )
    return store


def families_of(paths: list[Path]) -> list[Family]:
    """Return what exposition files say of their metrics: type, help and unit."""
    return [family for path in paths for file in files_in(path) for family in families_in(file)]


def instant_s(text: str, store: MemoryStore) -> float:
    """Return the time that an option names: unix seconds, RFC 3339, `end` for the newest sample, or `now`.

    Raises:
        BadParameter: it is none of these.
    """
    if text == "now":
        return time.time()
    if text == "end":
        newest_s = store.newest_s
        return time.time() if newest_s is None else newest_s
    return time_s("time", text)

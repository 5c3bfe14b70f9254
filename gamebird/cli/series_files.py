"""Recorded series for the commands that evaluate PromQL: where they come from, and what time their "now" is."""

from __future__ import annotations

import time
from pathlib import Path

from promql.parameters import time_s
from promql.storage import MemoryStore, SeriesFileError, load_file, read_exposition
from promql.storage.exposition import ExpositionError, Family

_EXPOSITION = (".txt", ".prom", ".om")


def loaded(paths: list[Path]) -> MemoryStore:
    """Return a store with the series of all files and folders.

    Raises:
        SeriesFileError: a file cannot be used; the text says which and why.
    """
    store = MemoryStore()
    for path in paths:
        if not path.exists():
            raise SeriesFileError(f"{path}: there is no such file or folder")
        load_file(path, store)
    return store


def families_of(paths: list[Path]) -> list[Family]:
    """Return what exposition files say of their metrics: type, help and unit."""
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    found: list[Family] = []
    for file in files:
        if file.suffix in _EXPOSITION:
            try:
                found.extend(read_exposition(file.read_text(encoding="utf-8")).families)
            except (OSError, UnicodeDecodeError, ExpositionError) as error:
                raise SeriesFileError(f"{file}: {error}") from None
    return found


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

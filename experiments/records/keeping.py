"""Records as files: each is written whole or not at all, and read back with a word about those that cannot be."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.records.record import Record, read_record, record_of
from experiments.report.writing import Rehearsed, plain

FOLDER = Path("gamedays") / "records"


class RecordError(RuntimeError):
    """A record that cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The records of a folder, the oldest first, and those files in it that are none, each with the reason."""

    records: tuple[Record, ...]
    refused: tuple[tuple[Path, str], ...]


def keep_record(folder: Path, rehearsed: Rehearsed, *, world: str) -> Path:
    """Write the record of a rehearsal, Chaos Toolkit's journal whole beside it, and return the record's file.

    Raises:
        NoEvidenceError: nothing may be learnt from the rehearsal.
        RecordError: it cannot be written.
    """
    data = record_of(rehearsed, world=world)
    stamp = data["started_at"].replace("-", "").replace(":", "")
    name = f"{stamp}-{data['game_day']}-{data['policy']}-{data['sha256'][:8]}"
    file = folder / f"{name}.json"
    try:
        (folder / "journals").mkdir(parents=True, exist_ok=True)
        # The journal first: a record never points at one that is not there.
        _write_whole(folder / "journals" / f"{name}.json", rehearsed.journal)
        _write_whole(file, data)
    except OSError as error:
        raise RecordError(f"the record cannot be written to {folder}: {error.strerror or error}") from error
    return file


def read_records(folder: Path) -> Kept:
    """Return every record of a folder; none where there is no such folder."""
    records: list[Record] = []
    refused: list[tuple[Path, str]] = []
    for file in sorted(folder.glob("*.json")):
        try:
            records.append(read_record(json.loads(file.read_text(encoding="utf-8"))))
        except KeyError as error:
            refused.append((file, f"a record without {error.args[0]}"))
        except (RecursionError, TypeError) as error:
            refused.append((file, f"no record can be like this: {error}"))
        except (ValueError, OSError) as error:
            refused.append((file, str(error)))
    records.sort(key=lambda record: record.started_at)
    return Kept(records=tuple(records), refused=tuple(refused))


def by_drill(records: Sequence[Record]) -> dict[tuple[str, str, str], tuple[Record, ...]]:
    """Return the records by game day, policy and world, the oldest of each first; those for people are drills apart."""
    found: dict[tuple[str, str, str], tuple[Record, ...]] = {}
    for record in records:
        policy = f"{record.policy}, by people" if record.by_people else record.policy
        key = (record.game_day, policy, record.world)
        found[key] = (*found.get(key, ()), record)
    return dict(sorted(found.items()))


def _write_whole(file: Path, value: Any) -> None:
    """Let a file appear with everything in it, or not at all, whatever happens to this process or the machine."""
    handle, name = tempfile.mkstemp(prefix=f".record-{os.getpid()}-", dir=file.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(0o644)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)

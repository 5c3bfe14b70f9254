"""Write a game day's reports into a folder that appears whole or not at all.

report.html (opens from disk, needs nothing else), report.json (for programs; docs/gameday-files.md has its schema),
timeline.svg and timeline.png, and for each policy Chaos Toolkit's journal, the load generator's summary, every event.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from experiments.events import Event, event_as_json
from experiments.prediction.predicting import Prediction
from experiments.report.page import page
from experiments.report.series import Series
from experiments.report.timeline import draw
from experiments.run_folders import OWNER, claim
from experiments.scorecard import Scorecard

SCHEMA = "gamebird.dev/gameday-report/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One rehearsal as reports need it.

    Attributes:
        journal: Chaos Toolkit's own record of the experiment.
        load: the load generator's own summary: figures by revision and its verdict on itself.
        prediction: what the simulator said of it before; None where it was not asked or could not play it.
        folder: logs and records, where they are to be kept; they move into the report's folder.
    """

    card: Scorecard
    series: Series
    events: tuple[Event, ...]
    journal: dict[str, Any]
    load: dict[str, Any] = field(default_factory=dict)
    prediction: Prediction | None = None
    folder: Path | None = None


class ReportError(RuntimeError):
    """The reports could not be written."""


def write_reports(folder: Path, rehearsed: Sequence[Rehearsed], *, description: str) -> Path:
    """Write every report of a game day and return the folder.

    Raises:
        ReportError: the folder holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReportError(f"{folder} is not empty; name a folder that is, or none")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ReportError(f"the reports cannot be written to {folder}: {error.strerror or error}") from error
    try:
        claim(draft)  # so that a sweep finds it if this process ends here
        _fill(draft, rehearsed, description)
        (draft / OWNER).unlink()
        draft.chmod(0o755)
        draft.replace(folder)  # also onto an empty folder
    except OSError as error:
        raise ReportError(f"the reports cannot be written to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fill(draft: Path, rehearsed: Sequence[Rehearsed], description: str) -> None:
    columns = [(one.card, one.series) for one in rehearsed]
    svg = draw(columns, "svg")
    (draft / "timeline.svg").write_bytes(svg)
    (draft / "timeline.png").write_bytes(draw(columns, "png"))
    (draft / "report.json").write_text(_json(report_as_json(rehearsed)), encoding="utf-8")
    for one in rehearsed:
        (draft / f"journal-{one.card.policy}.json").write_text(_json(one.journal), encoding="utf-8")
        (draft / f"load-{one.card.policy}.json").write_text(_json(one.load), encoding="utf-8")
        lines = (json.dumps(plain(event_as_json(event))) for event in one.events)
        (draft / f"events-{one.card.policy}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if one.folder is not None:
            kept = draft / f"rehearsal-{one.card.policy}"
            shutil.move(one.folder, kept)
            (kept / OWNER).unlink(missing_ok=True)
    html = page(
        [one.card for one in rehearsed],
        [one.prediction for one in rehearsed],
        description=description,
        picture=svg.decode("utf-8"),
    )
    (draft / "report.html").write_text(html, encoding="utf-8")


def report_as_json(rehearsed: Sequence[Rehearsed]) -> dict[str, Any]:
    """Return the report as plain values."""
    return {
        "schema": SCHEMA,
        "holds": all(one.card.holds for one in rehearsed),
        "void": any(one.card.void for one in rehearsed),
        "rehearsals": [
            {**card_as_json(one.card), "prediction": plain(one.prediction), "series": plain(one.series)}
            for one in rehearsed
        ],
    }


def card_as_json(card: Scorecard) -> dict[str, Any]:
    """Return a scorecard as plain values."""
    values: dict[str, Any] = plain(card)
    return {**values, "holds": card.holds, "void": card.void, "score": card.score}


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: dataclasses as mappings, NaN as null, anything else as its text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def _json(value: Any) -> str:
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"

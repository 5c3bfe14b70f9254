"""`gamebird gameday catalogue`, `history` and `sweep`: what can be played, what was, and what was left behind."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gamebird.cli.exits import Exit

if TYPE_CHECKING:
    from experiments.catalogue.listing import Entry
    from experiments.records.keeping import Kept


def print_catalogue(name: str, *, as_json: bool) -> int:
    """Print the catalogue, or all of one game day of it, and return the exit code."""
    from experiments.catalogue.listing import entries

    found = [entry for entry in entries() if name in ("", entry.name)]
    if not found:
        print(f"{name}: not in the catalogue; `gamebird gameday catalogue` lists it", file=sys.stderr)
        return Exit.INPUT
    if as_json:
        print(json.dumps([asdict(entry) for entry in found], indent=2, ensure_ascii=False))
    elif name:
        _print_entry(found[0])
    else:
        _print_entries(found)
    return Exit.GOOD


def _print_entries(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("name", "expected", "worlds", "what"):
        table.add_column(title, no_wrap=title != "what")
    for entry in found:
        table.add_row(entry.name, entry.expected, " ".join(entry.worlds), entry.title)
    console.print(table)
    refused = [entry for entry in found if entry.not_in_sim]
    console.print(f"\n{len(found)} game days. The simulator cannot play {len(refused)} of them, which need not pass:")
    for entry in refused:
        console.print(f"  {entry.name}: {entry.not_in_sim}", markup=False, soft_wrap=True)
    console.print("\nTell me more: gamebird gameday catalogue NAME", markup=False)
    console.print("Play one:     gamebird gameday run NAME [--policy ROLLOUT.yaml TEMPLATE.yaml …]", markup=False)


def _print_entry(entry: Entry) -> None:
    within = "" if entry.within_s is None else f" within {entry.within_s:g} s of policy time"
    lines = (
        ("purpose", entry.purpose),
        ("hypothesis", entry.hypothesis),
        ("release", entry.release),
        ("faults", ", ".join(entry.faults) or "none but the release"),
        ("expected", f"{entry.expected}{within}"),
        ("blast radius", entry.blast_radius),
        ("pass rule", entry.pass_rule),
        ("worlds", ", ".join(entry.worlds)),
        ("not in the simulator", entry.not_in_sim),
    )
    print(f"{entry.name}: {entry.title}")
    for title, text in lines:
        if text:
            print(f"  {title}: {text}")


def print_history(folder: Path, *, html: Path | None, junit: Path | None, as_json: bool) -> int:
    """Print the history of a folder of records, write its pages, and return the exit code: 0 where all newest hold."""
    from experiments.records.history import history_as_junit, history_page
    from experiments.records.keeping import by_drill, read_records

    kept = read_records(folder)
    for file, text in ((html, history_page), (junit, history_as_junit)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(kept), encoding="utf-8")
    for file, why in kept.refused:
        print(f"{file}: {why}", file=sys.stderr)
    if as_json:
        print(json.dumps([dict(record.data) for record in kept.records], indent=2, ensure_ascii=False))
    else:
        _print_trend(kept, folder)
    newest = [records[-1] for records in by_drill(kept.records).values()]
    return Exit.GOOD if newest and all(record.holds for record in newest) and not kept.refused else Exit.NO


def _print_trend(kept: Kept, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from experiments.records.keeping import by_drill

    console = Console(highlight=False)
    if not kept.records:
        console.print(f"There is no record in {folder}; `gamebird gameday run` writes one.", markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("game day", "policy", "world", "score", "before", "verdict", "last played"):
        table.add_column(title)
    for (name, policy, world), records in by_drill(kept.records).items():
        last = records[-1]
        before = " ".join(str(record.score) for record in records[-6:-1]) or "–"
        score = f"[{'green' if last.holds else 'red'}]{last.score}[/]"
        table.add_row(name, policy, world, score, before, last.verdict, last.started_at)
    console.print(table)


def sweep_leftovers(gamedays: Path, *, only_list: bool) -> int:
    """Remove what crashed rehearsals left, say what it was, and return the exit code: 3 if something stays."""
    from experiments.sweeping import find_leftovers, remove

    found = find_leftovers(gamedays)
    stays = 0
    for leftover in found:
        try:
            if not only_list:
                remove(leftover)
        except OSError as error:
            print(f"{leftover.path} cannot be removed: {error.strerror or error}", file=sys.stderr)
            stays += 1
        else:
            print(f"{'found' if only_list else 'removed'} {leftover.text}")
    if not found:
        print("Nothing was left behind.")
    return Exit.WORLD if stays else Exit.GOOD

"""Faults that a world cannot have, refused before it is started and by the line of the file that asks for them."""

from __future__ import annotations

from typing import Literal

from controller.manifests.documents import read_documents
from controller.manifests.problems import ManifestError
from experiments.gameday_files import GameDay
from experiments.instants import Fault

RealWorld = Literal["local", "cluster"]


def refuse_faults(game_day: GameDay, world: RealWorld) -> None:
    """Refuse faults that only another world can have.

    Raises:
        ManifestError: there are some; each with its line and the worlds that can have it.
    """
    document = read_documents(game_day.path)[0]
    problems = []
    for index, entry in enumerate(game_day.method):
        fault = entry.action
        if isinstance(fault, Fault) and world not in fault.worlds:
            need = f"--world {' or '.join(sorted(fault.worlds))}, which can have this fault"
            problems.append(
                document.problem(("method", index, "provider", "func"), f"{fault.func} in the {world} world", need)
            )
    if problems:
        raise ManifestError(problems)

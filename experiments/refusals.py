"""What a world or a speed cannot have of a game day, refused by its line in the file before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from controller.manifests.documents import FieldPath, read_documents
from controller.manifests.problems import ManifestError
from experiments.activity_checks import pauses_in
from experiments.gameday_files import GameDay
from experiments.instants import Fault
from experiments.method import ChangeTraffic
from sim.releases import Release

RealWorld = Literal["local", "cluster"]
_PEAK_WITHIN_S = 3600.0  # how far ahead the shape of the traffic is searched for its highest rate


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


def refuse_pauses(game_day: GameDay, speed: float) -> None:
    """Refuse Chaos Toolkit's own pauses when policy time is faster than the wall, on which they are counted.

    Raises:
        ManifestError: an entry of the method has pauses and `speed` is not 1.
    """
    if speed == 1:
        return
    document = read_documents(game_day.path)[0]
    need = "to be given as at_s or when in the action's arguments, which are in policy time (or speed 1)"
    problems = [document.problem(at, f"there at speed {speed:g}", need) for at in pauses_in(document)]
    if problems:
        raise ManifestError(problems)


def refuse_traffic(game_day: GameDay, speed: float, *, rps_max: float) -> None:
    """Refuse a speed at which one machine would have to send more than `rps_max` real requests/s.

    Raises:
        ManifestError: the traffic, or an action that changes it, asks for more.
    """
    document = read_documents(game_day.path)[0]
    extensions = document.value["extensions"]
    own = next(index for index, entry in enumerate(extensions) if entry.get("name") == "gamebird")
    asked: list[tuple[FieldPath, float]] = [
        (("extensions", own, "traffic", "rps"), game_day.setup.traffic.peak_rps(_PEAK_WITHIN_S))
    ]
    for index, entry in enumerate(game_day.method):
        if isinstance(entry.action, ChangeTraffic):
            asked.append((("method", index, "provider", "arguments", "rps"), entry.action.rps))
    problems = [
        document.problem(
            at,
            f"up to {rps:g} requests/s at speed {speed:g}, {rps * speed:g} real requests/s",
            f"{rps_max:g} at most, so a speed of {rps_max / rps:g} or less",
        )
        for at, rps in asked
        if rps * speed > rps_max
    ]
    if problems:
        raise ManifestError(problems)


def refuse_releases(game_day: GameDay, unplayable: Callable[[Release], Sequence[tuple[str, str]]]) -> None:
    """Refuse releases that a world cannot play; a world that runs the team's own program plays none of them.

    Args:
        unplayable: of a release, the fields that the world cannot play, each with the reason.

    Raises:
        ManifestError: it cannot play the release under test, or stable.
    """
    if game_day.setup.command is not None:
        return
    document = read_documents(game_day.path)[0]
    extensions = document.value["extensions"]
    own = next(index for index, entry in enumerate(extensions) if entry.get("name") == "gamebird")
    problems = [
        document.problem(("extensions", own, side, *field.split(".")), f"not to be rehearsed, as {why}", "a simulation")
        for side, release in (("release", game_day.setup.release), ("stable", game_day.setup.stable))
        for field, why in unplayable(release)
    ]
    if problems:
        raise ManifestError(problems)

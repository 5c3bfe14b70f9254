"""Which game days the catalogue has, and what each is for.

The files are ordinary game days with short policies of their own, so `gamebird gameday run` and `chaos run` take them
as they take a team's. Whether one must pass is the simulator's to say; those that it cannot play are listed with its
reason. Relied on by the front door and by the tests that play them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.manifests.problems import ManifestError
from experiments.gameday_files import GameDay, load_game_day
from experiments.instants import Fault
from experiments.prediction.scenarios import scenario_of

FOLDER = Path(__file__).with_name("drills")
POLICIES = Path(__file__).with_name("policies")
AS_EXPECTED_MIN = 0.999
"""A game day whose expectations hold in fewer simulated runs is not offered as one that must pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One game day of the catalogue, in words.

    Attributes:
        policy: of its own manifests; `expected` is what this one should make of the release.
        faults: what its method puts in force, beside what the release itself does.
        worlds: where it can be played; `sim` among them where the simulator can.
        not_in_sim: why the simulator cannot; empty where it can.
        tags: what it is about, and `good` where the release is.
    """

    name: str
    title: str
    purpose: str
    hypothesis: str
    blast_radius: str
    pass_rule: str
    policy: str
    expected: str
    within_s: float | None
    release: str
    faults: tuple[str, ...]
    worlds: tuple[str, ...]
    not_in_sim: str
    tags: tuple[str, ...]


def names() -> tuple[str, ...]:
    """Return the names of the catalogue's game days, in order."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def find(name: str) -> Path | None:
    """Return the file of a game day of this name; None where the catalogue has none."""
    return FOLDER / f"{name}.yaml" if name in names() else None


def entries() -> tuple[Entry, ...]:
    """Return every game day of the catalogue in words."""
    return tuple(_entry(load_game_day(FOLDER / f"{name}.yaml")) for name in names())


def why_not_in_sim(game_day: GameDay) -> str:
    """Return why the simulator cannot play a game day; empty where it can."""
    reasons = [
        f"{entry.action.func}: {entry.action.not_in_sim}"
        for entry in game_day.method
        if isinstance(entry.action, Fault) and entry.action.not_in_sim
    ]
    if reasons:
        return "; ".join(reasons)
    try:
        scenario_of(game_day, speed=1.0)
    except ManifestError as error:
        return str(error)
    return ""


def _entry(game_day: GameDay) -> Entry:
    setup = game_day.setup
    policy = next(iter(game_day.policies))
    expect = setup.expect[policy]
    faults = [entry.action for entry in game_day.method if isinstance(entry.action, Fault)]
    real = {"local", "cluster"}.intersection(*(fault.worlds for fault in faults))
    missing = why_not_in_sim(game_day)
    tags = game_day.experiment.get("tags", [])
    return Entry(
        name=game_day.name,
        title=game_day.title,
        purpose=setup.purpose,
        hypothesis=setup.hypothesis,
        blast_radius=setup.blast_radius,
        pass_rule=setup.pass_rule,
        policy=policy,
        expected=expect.verdict,
        within_s=expect.verdict_within_s or expect.detected_within_s,
        release=setup.release.text,
        faults=tuple(fault.func for fault in faults),
        worlds=(*(() if missing else ("sim",)), *sorted(real, reverse=True)),
        not_in_sim=missing,
        tags=tuple(str(tag) for tag in tags if tag != "gameday"),
    )

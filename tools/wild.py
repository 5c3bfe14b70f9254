"""What real, public policies catch: every Rollout of a folder of manifests, simulated as it is.

`make wild` runs it on ../shared/corpus and renews docs/wild.md. A Rollout whose templates stand in another file of the
same repository (INDEX.tsv says which) is loaded with them. What cannot be simulated is listed with the reason.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.manifests.loading import Manifests, load
from controller.manifests.policies import Policy
from controller.manifests.problems import ManifestError
from gamebird.api import Release, Scenario, Traffic, simulate
from gamebird.api.specs import SpecError
from sim.driving import DrivingError
from sim.metrics_model import PlanError
from sim.outcomes.table import Outcome

RPS = 50.0
ERRORS = 0.05
RUNS = 200
PROMOTES_AFTER_S = 60.0
COHORTS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One Rollout: its policy, or why there is none."""

    file: str
    rollout: str
    policy: Policy | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one Rollout's two releases: shares of the runs, by outcome; None where it was not simulated."""

    file: str
    rollout: str
    bad: dict[Outcome, float] | None = None
    good: dict[Outcome, float] | None = None
    why_not: str = ""


def policies(folder: Path) -> Iterator[Found]:
    """Yield every Rollout of the folder, with the templates that it names."""
    neighbours = _by_repository(folder)
    for file in sorted(folder.glob("*.yaml")):
        try:
            manifests = load(file)
        except ManifestError as error:
            if "kind: Rollout" in file.read_text(encoding="utf-8", errors="replace"):
                yield Found(file=file.name, rollout="", refused=_first(error))
            continue
        for rollout in manifests.rollouts:
            yield _policy(file, manifests, rollout.name, neighbours.get(file.name, []))


def _policy(file: Path, manifests: Manifests, name: str, others: list[Path]) -> Found:
    try:
        return Found(file=file.name, rollout=name, policy=manifests.policy(name))
    except ManifestError as error:
        alone = _first(error)
    for group in ([other] for other in others):
        try:
            return Found(file=file.name, rollout=name, policy=load([file, *group]).policy(name))
        except ManifestError:
            continue
    return Found(file=file.name, rollout=name, refused=alone)


def _by_repository(folder: Path) -> dict[str, list[Path]]:
    index = folder / "INDEX.tsv"
    if not index.is_file():
        return {}
    owner: dict[str, str] = {}
    with index.open(encoding="utf-8", newline="") as lines:
        for row in csv.reader(lines, delimiter="\t"):
            name = next((cell for cell in row if cell.endswith(".yaml") and (folder / cell).is_file()), None)
            repository = next((cell for cell in row if cell.count("/") == 1 and not cell.endswith(".yaml")), None)
            if name and repository:
                owner[name] = repository
    return {
        name: [folder / other for other in owner if other != name and owner[other] == owner[name]] for name in owner
    }


def _first(error: ManifestError) -> str:
    problem = error.problems[0]
    return f"{problem.path} is {problem.found}; it needs {problem.need}"


def play(found: Found, *, runs: int, seed: int) -> Row:
    """Simulate a release that fails 5 % of its requests, and a good one."""
    if found.policy is None:
        return Row(file=found.file, rollout=found.rollout, why_not=found.refused)
    try:
        result = simulate(
            found.policy,
            [_scenario("bad", Release(errors=ERRORS)), _scenario("good", Release())],
            runs=runs,
            seed=seed,
            cohorts=COHORTS,
            measurements=False,
        )
    except (SpecError, PlanError, DrivingError, ManifestError) as error:
        return Row(file=found.file, rollout=found.rollout, why_not=" ".join(str(error).split()))
    shares = [{outcome: float((one.table.outcome == outcome).mean()) for outcome in Outcome} for one in result.releases]
    return Row(file=found.file, rollout=found.rollout, bad=shares[0], good=shares[1])


def _scenario(name: Literal["good", "bad"], release: Release) -> Scenario:
    return Scenario(name=name, kind=name, release=release, traffic=Traffic(rps=RPS), promotes_after_s=PROMOTES_AFTER_S)


def page(rows: list[Row], *, runs: int, seed: int) -> str:
    """Return the page."""
    played = [row for row in rows if row.bad is not None and row.good is not None]
    refused = [row for row in rows if row.bad is None]
    never = sum(row.bad is not None and row.bad[Outcome.ABORTED] == 0 for row in played)
    always = sum(row.bad is not None and row.bad[Outcome.ABORTED] >= 0.99 for row in played)
    cry = sum(row.good is not None and row.good[Outcome.ABORTED] > 0.01 for row in played)
    met = f"a canary that fails {ERRORS:.0%} of its requests, and a good one"
    made = f"{runs} runs of each in {COHORTS} platform histories, seed {seed}"
    lines = [
        "# Policies in the wild",
        "",
        f"Rollouts of public repositories, simulated as they are at {RPS:g} requests/s: {met}; {made}.",
        "`make wild` renews this page.",
        "",
        f"Of {len(rows)} Rollouts {len(played)} simulate and {len(refused)} are refused. Of those that simulate:",
        "",
        f"- {never} never abort the bad canary,",
        f"- {always} abort it in 99 % of the runs or more,",
        f"- {cry} abort the good one in more than 1 %.",
        "",
        f"At a pause without a duration a person promotes after {PROMOTES_AFTER_S:g} s. `paused` waits for a person",
        "all the same, after an analysis that was inconclusive; `stuck` makes no progress.",
        "",
        "| file | rollout | bad: aborted | promoted | paused | stuck | good: aborted | promoted |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *(_line(row) for row in played),
        "",
        "## Not simulated",
        "",
        "| file | rollout | why |",
        "|---|---|---|",
        *(f"| {row.file} | {row.rollout} | {row.why_not.replace('|', chr(92) + '|')} |" for row in refused),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    assert row.bad is not None
    assert row.good is not None
    bad = [row.bad[each] for each in (Outcome.ABORTED, Outcome.PROMOTED, Outcome.PAUSED, Outcome.STUCK)]
    good = [row.good[each] for each in (Outcome.ABORTED, Outcome.PROMOTED)]
    return f"| {row.file} | {row.rollout} | {' | '.join(f'{share * 100:g} %' for share in (*bad, *good))} |"


def _said(row: Row) -> str:
    """Return one line for who waits."""
    if row.bad is None or row.good is None:
        return f"{row.file} {row.rollout}: refused: {row.why_not[:100]}"
    aborted = Outcome.ABORTED
    return f"{row.file} {row.rollout}: aborts the bad in {row.bad[aborted]:.0%}, the good in {row.good[aborted]:.0%}"


def main() -> None:
    """Simulate every Rollout of a folder and print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    rows = []
    for found in policies(options.folder):
        rows.append(play(found, runs=options.runs, seed=options.seed))
        row = rows[-1]
        said = (
            row.why_not[:100]
            or f"bad aborted {row.bad[Outcome.ABORTED]:.0%}, good aborted {row.good[Outcome.ABORTED]:.0%}"
        )  # type: ignore[index]
        print(f"{row.file} {row.rollout}: {said}", file=sys.stderr)
    text = page(rows, runs=options.runs, seed=options.seed)
    if options.to is None:
        print(text, end="")
    else:
        options.to.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""`gamebird ready`: may auto-promotion be switched on? The checklist with its evidence; any no or unknown is a no.

Options become a case, `experiments.readiness` answers it, and the answer becomes a table, JSON or a comment for a pull
request. Nothing is decided here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from experiments.readiness.checklist import Checklist

RELEASES = ("good", "errors=5%", "errors=100%", "latency=x4")
"""What the budget is held against unless releases are named."""

_COLOURS = {"yes": "green", "no": "red", "unknown": "yellow"}


class Output(StrEnum):
    """What standard output gets."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class DrillWorld(StrEnum):
    """Where a drill must have been played to count."""

    ANY = "any"
    LOCAL = "local"
    CLUSTER = "cluster"


def ready(
    files: Annotated[
        list[Path],
        typer.Argument(help="The manifests that the drills were run on: a Rollout and all it names.", metavar="FILES"),
    ],
    records: Annotated[Path | None, typer.Option(help="Records of game days; gamedays/records of the root.")] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", "--docs", help="The repository's root; the folder above FILES that holds .git, or FILES' own."
        ),
    ] = None,
    dashboard: Annotated[
        list[Path] | None, typer.Option(help="Grafana JSON; those under deploy/ unless said. May be given again.")
    ] = None,
    prometheus: Annotated[str, typer.Option(help="Ask this Prometheus whether both revisions have the label.")] = "",
    world: Annotated[
        DrillWorld, typer.Option(help="Count drills of this world only: cluster for the manifests' own router.")
    ] = DrillWorld.ANY,
    rollout: Annotated[str, typer.Option(help="Which Rollout, where the files hold several.")] = "",
    release: Annotated[
        list[str] | None,
        typer.Option(help=f"A release for the budget, as in simulate; {', '.join(RELEASES)} unless said."),
    ] = None,
    rps: Annotated[float, typer.Option(min=0.001, help="Requests per second that the budget is simulated at.")] = 100.0,
    runs: Annotated[int, typer.Option(min=1, help="Simulated rollouts of each release.")] = 2_000,
    cohorts: Annotated[
        int | None, typer.Option(min=2, help="Platform histories; as many as the budget needs unless said.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Chance: the same seed, the same answer.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core unless said.")] = None,
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
) -> None:
    """Answer whether auto-promotion may be switched on, from evidence; unknown is never yes.

    Exit codes: 0 every item is yes, 1 one is no or unknown, 2 the input is wrong.

    Example: gamebird ready rollout.yaml analysis-template.yaml routing.yaml --dashboard deploy/canary.json
    """
    from controller.manifests.problems import ManifestError
    from controller.metrics.addresses import AddressError
    from experiments.readiness.case import CaseError, Simulation, gather
    from experiments.readiness.checklist import answer_all
    from experiments.readiness.wording import as_json, as_markdown
    from gamebird.api.specs import SpecError, scenarios_from
    from loadgen.traffic import Traffic, TrafficError

    wrong = (ManifestError, CaseError, SpecError, TrafficError, AddressError)
    with exits(wrong_input=wrong, world_failed=(OSError,)):
        scenarios = scenarios_from(tuple(release or RELEASES), traffic=Traffic(rps=rps), base_errors=0.0)
        case = gather(
            files,
            rollout=rollout,
            records=records,
            world="" if world is DrillWorld.ANY else world.value,
            root=root,
            dashboards=dashboard or (),
            prometheus=prometheus,
            simulation=Simulation(scenarios=scenarios, runs=runs, seed=seed, cohorts=cohorts, workers=workers),
            now=datetime.now(UTC),
        )
        checklist = answer_all(case)
    match output:
        case Output.JSON:
            print(json.dumps(as_json(case, checklist), indent=2, ensure_ascii=False))
        case Output.MARKDOWN:
            print(as_markdown(case, checklist))
        case Output.TABLE:
            _print(checklist)
    raise SystemExit(Exit.GOOD if checklist.ready else Exit.NO)


def _print(checklist: Checklist) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for item in checklist.items:
        answer = item.answer.value
        console.print(f"[{_COLOURS[answer]}]{answer:<8}[/] [bold]{item.question}[/]", soft_wrap=True)
        for finding in item.findings:
            console.print(f"           {finding.answer.value}: {finding.text}", markup=False, soft_wrap=True)
        for step in item.next_steps:
            console.print(f"           next: {step}", markup=False, soft_wrap=True)
    console.print()
    console.print(checklist.sentence, markup=False, soft_wrap=True)

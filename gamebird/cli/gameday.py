"""`gamebird gameday`: rehearse a release and say what came out, in the terminal and as reports.

The only place of a game day that prints and exits. What is rehearsed, measured and written is in `experiments`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from gamebird.cli.exits import Exit, exits
from gamebird.cli.gameday_choice import Choice, UsageError

if TYPE_CHECKING:
    from experiments.gameday_files import GameDay
    from experiments.live import View
    from experiments.prediction.predicting import Prediction
    from experiments.rehearsal import Rehearsal
    from experiments.report.writing import Rehearsed
    from experiments.runner import Options

EXAMPLE = "gamebird gameday run examples/orders-api/gamedays/errors-5pct.yaml --policy both --speed 20"


RECORDS = Path("gamedays") / "records"
"""Where records are kept unless another folder is named."""


class Output(StrEnum):
    """What standard output gets."""

    TABLE = "table"
    JSON = "json"


class World(StrEnum):
    """Where a game day is played."""

    LOCAL = "local"
    SIM = "sim"
    CLUSTER = "cluster"


SPEED = {World.LOCAL: 20.0, World.SIM: 20.0, World.CLUSTER: 1.0}
"""The speed of a world unless another is named; a cluster lives in the wall's time."""


class RunByDefault(typer.core.TyperGroup):
    """`gamebird gameday FILE` is short for `gamebird gameday run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in where none is named."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=RunByDefault,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Rehearse a release: a real proxy, real processes, real load, an injected fault, a scorecard.",
)


@app.callback(invoke_without_command=True)
def _group(
    sweep_now: Annotated[
        bool, typer.Option("--sweep", help="Remove what crashed rehearsals left behind, as `gameday sweep` does.")
    ] = False,
) -> None:
    """Rehearse a release: a real proxy, real processes, real load, an injected fault, a scorecard."""
    if sweep_now:
        sweep()


@app.command(epilog="Example: gamebird gameday catalogue --output json")
def catalogue(
    name: Annotated[str, typer.Argument(help="Tell all of one game day.", show_default=False)] = "",
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
) -> None:
    """List the game days that come with Gamebird: what each is for, who is hurt, what should come out, and where."""
    from gamebird.cli.gameday_history import print_catalogue

    raise SystemExit(print_catalogue(name, as_json=output is Output.JSON))


@app.command(epilog="Example: gamebird gameday history --html history.html --junit gamedays.xml")
def history(
    records: Annotated[Path, typer.Argument(help="The folder of the records.")] = RECORDS,
    html: Annotated[Path | None, typer.Option(help="Write the trend as a page.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the newest of each as JUnit XML, for a CI server.")] = None,
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
) -> None:
    """Show how game days came out, time after time.

    Exit codes: 0 the newest of each holds, 1 one does not, or there is none, or a record was changed by hand.
    """
    from gamebird.cli.gameday_history import print_history

    raise SystemExit(print_history(records, html=html, junit=junit, as_json=output is Output.JSON))


@app.command(epilog="Example: gamebird gameday sweep --list")
def sweep(
    only_list: Annotated[bool, typer.Option("--list", help="Say what was left, and leave it there.")] = False,
) -> None:
    """End processes and remove folders of rehearsals that crashed. What still runs, or is no rehearsal's, stays."""
    from gamebird.cli.gameday_history import sweep_leftovers

    raise SystemExit(sweep_leftovers(RECORDS.parent, only_list=only_list))


@app.command(epilog=f"Example: {EXAMPLE}")
def run(
    file: Annotated[
        Path,
        typer.Argument(
            help="A game day: a Chaos Toolkit experiment with an extension gamebird, or a name of the catalogue."
        ),
    ],
    manifests: Annotated[
        list[Path] | None, typer.Argument(help="More manifests of the policy that --policy begins.", show_default=False)
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Which of the file's policies: as-written, corrected, or both; or your own manifests: "
            "--policy rollout.yaml template.yaml. The file's first unless said."
        ),
    ] = None,
    world: Annotated[
        World,
        typer.Option(
            help="local: real processes on this machine; sim: many runs in virtual time; cluster: Kubernetes."
        ),
    ] = World.LOCAL,
    speed: Annotated[
        float | None, typer.Option(help="Policy seconds in a second of the wall; 20, and 1 on a cluster.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Simulated runs of each policy; some hundreds to thousands unless said.")
    ] = None,
    predict: Annotated[
        bool, typer.Option(help="Simulate the game day too, and put what was predicted beside what was observed.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Chance: the same seed, the same arrivals.")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Where the reports go: a folder that is not there yet, or empty.")
    ] = None,
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
    prometheus: Annotated[
        Path | None, typer.Option(help="A Prometheus 3 binary, instead of the embedded query server.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the logs and records of each rehearsal.")] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="The cluster, instead of $KUBECONFIG or ~/.kube/config.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where in the cluster; the manifests' namespace unless said.")
    ] = "",
    target: Annotated[
        str,
        typer.Option(help="Where the cluster's users come in, http://127.0.0.1:PORT, as kubectl port-forward says."),
    ] = "",
    records: Annotated[Path, typer.Option(help="Where the record of each rehearsal is kept, for the history.")] = Path(
        "gamedays"
    )
    / "records",
    without_faults: Annotated[
        bool, typer.Option("--without-faults", help="Play it with nothing wrong: the score has to notice. No record.")
    ] = False,
    time_box: Annotated[
        float | None,
        typer.Option(
            "--facilitate",
            metavar="MINUTES",
            help="A game day for people: do the harm, put nothing right for so many minutes of policy time, and write "
            "down what people do, from standard input. At speed 1 unless said.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Succeed when every rehearsal ran and was measured, whatever came out.")
    ] = False,
) -> None:
    """Rehearse a release under one or more policies, and write the reports.

    Exit codes: 0 all expectations hold, 1 they do not, 2 the file is wrong, 3 the world failed, or the load was not as
    planned: then nothing was learnt, and the report is no evidence.
    """
    from controller.kubernetes.api import ApiError
    from controller.manifests.problems import ManifestError
    from experiments.leases import FaultError
    from experiments.records.keeping import RecordError
    from experiments.report.writing import ReportError, report_as_json, write_reports
    from experiments.runner import SpeedError
    from experiments.testbeds.local.children import WorldError
    from experiments.worlds import RehearsalError
    from loadgen.openloop import LoadError
    from loadgen.traffic import TrafficError

    speed = (1.0 if time_box is not None else SPEED[world]) if speed is None else speed
    choice = Choice(name=file, policies=policy or (), more=manifests or (), without_faults=without_faults)
    if world is World.SIM:
        from gamebird.cli.gameday_prediction import simulate_game_day

        raise SystemExit(simulate_game_day(choice, speed=speed, seed=seed, runs=runs, as_json=output is Output.JSON))
    with exits(
        wrong_input=(ManifestError, SpeedError, ReportError, TrafficError, UsageError),
        world_failed=(WorldError, RehearsalError, LoadError, FaultError, ApiError, RecordError),
    ):
        game_day = choice.game_day()
        policies = choice.names(game_day)
        options = _options(speed, seed, prometheus, keep, time_box)
        if world is World.CLUSTER:
            named = {"kubeconfig": kubeconfig, "context": context, "namespace": namespace, "target": target}
            options = _on_cluster(game_day, options, named)
        elif kubeconfig or context or namespace or target:
            raise UsageError("--kubeconfig, --context, --namespace and --target go with --world cluster")
        _warn(game_day, policies)
        folder = _report_folder(report, game_day.name)
        predictions = _predictions(game_day, policies, options, runs) if predict else {}
        rehearsed = [
            replace(one, prediction=predictions.get(one.card.policy))
            for one in _rehearse(game_day, policies, options, quiet=output is Output.JSON)
        ]
        written = write_reports(folder, rehearsed, description=game_day.description)
        if not without_faults:
            _keep(records, rehearsed, world)
    if output is Output.JSON:
        print(json.dumps({**report_as_json(rehearsed), "reports": str(written)}, indent=2, ensure_ascii=False))
    else:
        _print(rehearsed, written)
    raise SystemExit(_exit_code(rehearsed, demo=demo))


def _options(speed: float, seed: int, prometheus: Path | None, keep: bool, time_box: float | None) -> Options:
    from experiments.runner import Options

    if prometheus is not None and not prometheus.is_file():
        raise UsageError(f"--prometheus {prometheus}: there is no such file; it needs a Prometheus 3 binary")
    try:
        time_box_s = None if time_box is None else 60 * time_box
        return Options(speed=speed, seed=seed, prometheus=prometheus, keep=keep, time_box_s=time_box_s)
    except ValueError as error:
        raise UsageError(f"--speed, --facilitate: {error}") from error


def _on_cluster(game_day: GameDay, options: Options, named: dict[str, Any]) -> Options:
    from gamebird.cli.gameday_cluster import venue_of

    if options.prometheus is not None:
        raise UsageError("--prometheus: a cluster has its own")
    if options.speed != 1:
        raise UsageError(f"--speed {options.speed:g}: a cluster lives in the wall's time, so it needs 1")
    return replace(options, venue=venue_of(game_day, **named))


def _keep(folder: Path, rehearsed: list[Rehearsed], world: World) -> None:
    """Keep a record of each rehearsal from which something may be learnt."""
    from experiments.records.keeping import keep_record

    for one in rehearsed:
        if not one.card.void:
            keep_record(folder, one, world=world.value)


def _predictions(
    game_day: GameDay, policies: list[str], options: Options, runs: int | None
) -> dict[str, Prediction | None]:
    from gamebird.cli.gameday_prediction import predict_quickly

    return {name: predict_quickly(game_day, name, options, runs) for name in policies}


def _report_folder(named: Path | None, name: str) -> Path:
    """Return where the reports go, and refuse a folder that holds something before an hour is spent."""
    from experiments.report.writing import ReportError

    if named is None:
        stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
        folder, number = Path("gamedays") / stamp, 2
        while folder.exists():
            folder, number = Path("gamedays") / f"{stamp}-{number}", number + 1
    elif named.exists() and not named.is_dir():
        raise ReportError(f"--report {named}: it is a file; name a folder that is empty, or not there yet")
    elif named.exists() and any(named.iterdir()):
        raise ReportError(f"--report {named}: it is not empty; name a folder that is, or one that is not there yet")
    else:
        folder = named
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ReportError(f"--report {folder}: nothing can be written in {above}; name a folder elsewhere")
    return folder


def _warn(game_day: GameDay, policies: list[str]) -> None:
    """Say what the manifests count on and do not hold, once each; it stops nothing."""
    for notice in dict.fromkeys(str(notice) for name in policies for notice in game_day.policies[name].warnings):
        print(f"warning: {notice}", file=sys.stderr)


def _rehearse(game_day: GameDay, policies: list[str], options: Options, *, quiet: bool) -> list[Rehearsed]:
    from rich.console import Console

    from experiments.facilitating import Facilitator
    from experiments.live import PlainLines, watch
    from experiments.refusals import refuse_faults, refuse_pauses
    from experiments.runner import rehearse

    refuse_pauses(game_day, options.speed)
    refuse_faults(game_day, "local" if options.venue is None else "cluster")
    console = Console(stderr=quiet)

    def look(live: Rehearsal) -> View:
        if options.time_box_s is not None:
            view = PlainLines(live, console)  # a block that is redrawn would eat what somebody types
            Facilitator(live, sys.stdin, sys.stderr)
            return view
        return watch(live, console)

    return [rehearse(game_day, policy, options, watch=look) for policy in policies]


def _print(rehearsed: list[Rehearsed], written: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from experiments.report.words import comparison, headline

    console = Console(highlight=False)
    cards = [one.card for one in rehearsed]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), title=cards[0].title, title_justify="left")
    table.add_column("", style="dim")
    for card in cards:
        table.add_column(f"policy {card.policy}")
    for name, values in comparison(cards):
        table.add_row(name, *values)
    console.print()
    console.print(table)
    console.print()
    for card in cards:
        console.print(f"{card.policy}: {headline(card)}", markup=False)
        for line in card.decisions:
            if line.limit:
                _print_record(console, line)
        for check in card.checks:
            if not check.held:
                text = f"  {check.what}: expected {check.expected}, was {check.actual}"
                console.print(text, style="red", markup=False)
    for one in rehearsed:
        if one.prediction is not None:
            _print_prediction(console, one)
    console.print(f"\nReport: {written / 'report.html'}", markup=False, soft_wrap=True)


def _print_prediction(console: Any, one: Rehearsed) -> None:
    from experiments.prediction.beside import beside, interval_note

    assert one.prediction is not None
    title = f"{one.card.policy}: predicted by {one.prediction.runs:,} simulated runs, and observed. {interval_note()}"
    console.print(f"\n{title}", markup=False)
    for line in beside(one.prediction, one.card):
        mark = {True: "", False: "  (outside)", None: ""}[line.inside]
        console.print(f"  {line.what}: {line.predicted}; observed {line.observed}{mark}", markup=False, soft_wrap=True)


def _print_record(console: Any, line: Any) -> None:
    from experiments.report.words import clock, count

    console.print(f"  {clock(line.t_s)} {line.what}", markup=False, soft_wrap=True)
    for measured in line.measurements:
        console.print(
            f"        {measured.metric} was {measured.value} over {count(measured.requests)} requests, needs "
            f"{measured.condition}{f'; {measured.flip}' if measured.flip else ''}",
            markup=False,
            soft_wrap=True,
        )


def _exit_code(rehearsed: list[Rehearsed], *, demo: bool) -> int:
    from experiments.verdicts import Verdict

    for one in rehearsed:
        if one.card.void:
            why = "; ".join(one.card.void_because)
            print(f"policy {one.card.policy}: no evidence, because the load was not as planned: {why}", file=sys.stderr)
        elif not one.card.load.holds:
            load = one.card.load
            said = f"{load.counts} counts, {load.latency} latencies: {'; '.join(load.reasons)}"
            print(f"policy {one.card.policy}: the load generator says of its own run: {said}", file=sys.stderr)
    if any(one.card.void for one in rehearsed):
        return Exit.WORLD
    if demo:
        measured = all(
            one.card.verdict is not Verdict.UNFINISHED and one.card.measurements and one.card.requests
            for one in rehearsed
        )
        if not measured:
            print("gamebird: a rehearsal was not measured; see the notes of the report", file=sys.stderr)
        return Exit.GOOD if measured else Exit.NO
    return Exit.GOOD if all(one.card.holds for one in rehearsed) else Exit.NO

"""A simulation in the terminal: the sentences, one row a release, and the matrix of a suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.outcomes.sentences import clock, count, share

if TYPE_CHECKING:
    from sim.outcomes.figures import Figures
    from sim.outcomes.intervals import Estimate
    from sim.outcomes.result import SimulationResult
    from sim.suite.scoring import Score

WIDTH = 144
"""Letters in a line where there is no terminal to fit into, as in a file or a pipe; below it, some columns go."""


def print_result(result: SimulationResult, score: Score | None) -> None:
    """Print what came out."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for sentence in result.sentences:
        console.print(sentence, markup=False)
    if not result.complete:
        console.print(
            f"Interrupted: {len(result.releases)} of {result.wanted} releases, and not every run.", style="yellow"
        )
    console.print()
    console.print(_releases(result, wide=console.width >= WIDTH))
    if score is not None:
        console.print()
        _print_score(console, score)
    cohorts = max(one.cohorts for one in result.figures)
    runs = max(one.runs for one in result.figures)
    console.print(
        f"\n{count(runs)} runs of each release in {cohorts} cohorts, seed {result.seed}. Intervals are at 95 % and "
        "count cohorts; steps count from 0. Detected: min:s from the canary's first request, the median. Bad requests: "
        "the mean. Worst run: the largest share of all requests that was bad.",
        style="dim",
    )
    for text in result.assumed:
        console.print(f"Assumed: {text}.", markup=False)


def _releases(result: SimulationResult, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("release", no_wrap=True)
    table.add_column("aborted", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("most by, at step", no_wrap=True)
    for name in (*_NUMBERS, *(_MORE if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for one in result.figures:
        table.add_row(*_row(one), *(_more(one) if wide else ()))
    return table


_NUMBERS = ("detected\nafter", "bad\nrequests")
_MORE = ("detected\np95", "bad req.\np95", "worst\nrun", "promoted\nafter")


def _row(one: Figures) -> list[str | Text]:
    wrong = (one.kind == "good" and one.caught.value > 0.05) or (one.kind == "bad" and one.caught.value < 0.05)
    return [
        Text(one.name[:31], style="green" if one.kind == "good" else ""),
        Text(share(one.caught.value), style="bold red" if wrong else ""),
        _ends(one.caught),
        _where(one),
        clock(one.detection_s.median.value if one.detection_s else None),
        count(one.bad_requests.mean.value),
    ]


def _more(one: Figures) -> list[str]:
    return [
        clock(one.detection_s.p95.value if one.detection_s else None),
        count(one.bad_requests.p95.value),
        share(one.users_hurt.worst),
        clock(one.to_promote_s.median.value if one.to_promote_s else None),
    ]


def _where(one: Figures) -> str:
    """Return what aborted most runs and at which step, or how many wait or are stuck where none was aborted."""
    waits = one.outcomes["paused"].value + one.outcomes["stuck"].value
    if waits > one.caught.value:
        return f"{share(waits)} wait or are stuck"
    if not one.by_step:
        return "–"
    step = max(one.by_step, key=lambda key: one.by_step[key].value)
    return f"{next(iter(one.by_metric))[:22]}, {step}"


def _ends(one: Estimate) -> str:
    return f"{share(one.low or 0.0)}–{share(1.0 if one.high is None else one.high)}"


def _print_score(console: Console, score: Score) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in ("scenarios", "aborted", "promoted", "paused", "stuck", "right"):
        table.add_column(name, justify="right")
    for row in score.rows:
        shares = [share(row.shares[name]) for name in ("aborted", "promoted", "paused", "stuck")]
        table.add_row(row.kind, str(row.scenarios), *shares, share(row.right))
    console.print(table)
    if score.score is not None:
        console.print(f"\nScore: {score.score:.0f} of 100 (promoting everything: 50; aborting everything: 50)")
    if score.missed:
        console.print(f"Bad and mostly promoted: {', '.join(score.missed)}.", markup=False)
    if score.false_aborts:
        console.print(f"Good and aborted in over 5 % of the runs: {', '.join(score.false_aborts)}.", markup=False)

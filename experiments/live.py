"""The live view of a rehearsal: step, weight, pods, each measurement with its limit, users hurt so far.

On a terminal one block is redrawn a few times a second; elsewhere each thing that happens is one plain line, so that a
CI log reads as a story. It listens and draws, and changes nothing.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from experiments.events import (
    Deployed,
    Event,
    FaultBegan,
    FaultEnded,
    MeasurementTaken,
    PersonSpoke,
    PodEnded,
    PodsChanged,
    RunChanged,
    StatusChanged,
    WeightSet,
)
from experiments.rehearsal import Rehearsal
from experiments.report.words import clock, count, share
from experiments.story import value_text

REFRESHES_PER_S = 4
MEASUREMENTS_SHOWN = 6
STYLES = {
    "Successful": "green",
    "Failed": "bold red",
    "Error": "bold magenta",
    "Inconclusive": "yellow",
    "MissingEvidence": "yellow",
}
_BAR = 30


class View(Protocol):
    """Something that shows a rehearsal until it is closed."""

    def close(self) -> None: ...


def watch(rehearsal: Rehearsal, console: Console) -> View:
    """Return the view that fits the console: a live block on a terminal, plain lines elsewhere."""
    return LiveBlock(rehearsal, console) if console.is_terminal else PlainLines(rehearsal, console)


class PlainLines:
    """One line for each thing that happens."""

    def __init__(self, rehearsal: Rehearsal, console: Console) -> None:
        self._rehearsal = rehearsal
        self._console = console
        self._lock = threading.Lock()
        self._before: StatusChanged | None = None
        self._percent = 0.0
        console.print(f"policy {rehearsal.policy}: {rehearsal.game_day.title}", style="bold", highlight=False)
        rehearsal.subscribe(self.happened)

    def happened(self, event: Event) -> None:
        """Print what happened, if people follow it."""
        text = self._text(event)
        if text:
            with self._lock:
                line = f"  {clock(since_deployment(self._rehearsal, event.t_s)):>6}  {text}"
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Stop printing."""

    def _text(self, event: Event) -> str:
        match event:
            case Deployed():
                return f"{event.role} deployed: {event.release}"
            case StatusChanged() if self._rehearsal.release_hash:
                before, self._before = self._before, event
                return status_text(before, event)
            case WeightSet() if self._rehearsal.release_hash and event.canary_hash != event.stable_hash:
                before_percent, self._percent = self._percent, event.percent
                return f"the router sends {event.percent:g} % to the canary" if event.percent != before_percent else ""
            case MeasurementTaken():
                return measurement_text(event)
            case RunChanged() if event.phase in ("Failed", "Error", "Inconclusive"):
                return f"analysis {event.phase}: {event.message}"
            case FaultBegan():
                return f"fault: {event.detail}"
            case FaultEnded():
                return f"fault over: {event.fault} ({event.why})"
            case PersonSpoke():
                return f"people: {event.word} {event.text}".rstrip()
            case PodEnded():
                return f"pod {event.pod} ended with exit code {event.exit_code}"
            case _:
                return ""


class LiveBlock:
    """A block of the terminal that is redrawn while the rehearsal goes on, and left as it was at the end."""

    def __init__(self, rehearsal: Rehearsal, console: Console) -> None:
        self._rehearsal = rehearsal
        self._lock = threading.Lock()
        self._status: StatusChanged | None = None
        self._pods: PodsChanged | None = None
        self._measurements: list[MeasurementTaken] = []
        self._faults: dict[str, FaultBegan] = {}
        self._limit = ""
        rehearsal.subscribe(self.happened)
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=REFRESHES_PER_S,
            transient=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def happened(self, event: Event) -> None:
        """Remember what the block shows."""
        with self._lock:
            match event:
                case StatusChanged():
                    self._status = event
                case PodsChanged():
                    self._pods = event
                case MeasurementTaken():
                    self._measurements = [*self._measurements, event][-MEASUREMENTS_SHOWN:]
                case FaultBegan():
                    self._faults[event.fault] = event
                case FaultEnded():
                    self._faults.pop(event.fault, None)
                case RunChanged() if event.phase in ("Failed", "Error", "Inconclusive"):
                    self._limit = event.message
                case _:
                    pass

    def close(self) -> None:
        """Draw once more and give the terminal back."""
        with contextlib.suppress(Exception):
            self._live.stop()

    def render(self) -> RenderableType:
        """Return the block as it is now."""
        with self._lock:
            parts: list[RenderableType] = [self._head(), self._facts(), self._table()]
            if self._limit:
                parts.append(Text(f"limit: {self._limit}", style="red"))
            parts += [Text(f"fault in force: {fault.detail}", style="yellow") for fault in self._faults.values()]
        return Padding(Group(*parts), (0, 0, 1, 1))

    def _head(self) -> Text:
        rehearsal = self._rehearsal
        now_s = since_deployment(rehearsal, rehearsal.world.clock.now_s())
        at = clock(now_s) if rehearsal.release_hash else "starting"
        text = Text.assemble((f"policy {rehearsal.policy}", "bold"), f"  {rehearsal.game_day.title}  ", (at, "dim"))
        verdict = rehearsal.verdict()
        if verdict is not None:
            text.append(f"  {verdict.value}", style="bold red" if verdict.value == "aborted" else "bold green")
        return text

    def _facts(self) -> Table:
        status, rehearsal = self._status, self._rehearsal
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", width=8)
        grid.add_column()
        weight = rehearsal.canary_weight()
        filled = round(weight / 100 * _BAR)
        bar = Text("█" * filled, style="red") + Text("░" * (_BAR - filled), style="dim")
        grid.add_row("weight", bar + Text(f" {weight:g} %"))
        if status is not None:
            step = f"{status.step_index} of {status.steps}: {status.step}" if status.step else "–"
            grid.add_row("step", f"{step}   {status.phase}{f': {status.message}' if status.message else ''}")
        grid.add_row("pods", self._pods_text())
        grid.add_row("users", users_text(rehearsal))
        return grid

    def _pods_text(self) -> str:
        if self._pods is None:
            return "–"
        names = {self._rehearsal.stable_hash: "stable", self._rehearsal.release_hash: "release under test"}
        return ", ".join(
            f"{names.get(one.pod_hash, one.pod_hash)} {one.available} of {one.wanted} available"
            for one in self._pods.revisions
            if one.wanted or one.created
        )

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for name in ("time", "metric", "value", "requests", "needs", "phase"):
            table.add_column(name, justify="right" if name in ("time", "value", "requests") else "left", no_wrap=True)
        for event in self._measurements:
            table.add_row(
                clock(since_deployment(self._rehearsal, event.t_s)),
                event.metric,
                value_text(event.value),
                count(event.requests),
                event.success_condition or f"not {event.failure_condition}",
                Text(event.phase, style=STYLES.get(event.phase, "")),
            )
        return table


def since_deployment(rehearsal: Rehearsal, t_s: float) -> float:
    """Return an instant counted from the deployment; before that, from the start of the traffic."""
    for event in rehearsal.events:
        if isinstance(event, Deployed) and event.role == "under test":
            return t_s - event.t_s
    return t_s - rehearsal.began_s if rehearsal.began_s else 0.0


def status_text(before: StatusChanged | None, now: StatusChanged) -> str:
    """Return what a new status changed, in words; "" for nothing that people follow."""
    if now.aborted and (before is None or not before.aborted):
        return f"ABORTED: {now.message}"
    if before is not None and now.step_index != before.step_index and now.step:
        return f"step {now.step_index} of {now.steps}: {now.step}"
    if before is None or now.phase == before.phase or now.phase not in ("Healthy", "Degraded"):
        return ""
    return f"{now.phase}{f': {now.message}' if now.message else ''}"


def measurement_text(event: MeasurementTaken) -> str:
    """Return a measurement as one line: value, requests behind it, what it needs, phase."""
    needs = event.success_condition or f"not {event.failure_condition}"
    why = f" ({event.message})" if event.message else ""
    return (
        f"{event.metric} {value_text(event.value)} over {count(event.requests)} requests, needs {needs}: "
        f"{event.phase}{why}"
    )


def users_text(rehearsal: Rehearsal) -> str:
    """Return how many users were hurt so far."""
    if rehearsal.load is None:
        return "–"
    progress = rehearsal.load.progress()
    hurt = progress.bad / progress.requests if progress.requests else None
    return f"{count(progress.bad)} bad requests of {count(progress.requests)} ({share(hurt)})"

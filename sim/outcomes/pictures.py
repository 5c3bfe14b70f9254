"""The pictures of a simulation: detection against size, endings along the timeline, bad requests against size.

They draw figures and tables and compute nothing that a table does not say. Figures are made without pyplot, so that no
window is opened and nothing is kept; a notebook shows them as they are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sim.outcomes.sentences import Pair, Sized, errors_by_size, latencies_by_size
from sim.outcomes.table import Outcome, RunTable
from sim.scenarios import Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#1f2933", "#616e7c", "#e4e7eb"
BAD, GOOD, OTHER, STABLE = "#c53030", "#2f855a", "#b7791f", "#486581"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "svg.fonttype": "none",
    "svg.hashsalt": "gamebird",
}
COLOURS = {Outcome.ABORTED: BAD, Outcome.PROMOTED: GOOD, Outcome.PAUSED: OTHER, Outcome.STUCK: MUTED}
WORDS = {
    Outcome.ABORTED: "aborted",
    Outcome.PROMOTED: "promoted",
    Outcome.PAUSED: "waits for a person",
    Outcome.STUCK: "not finished at the bound",
}
BINS = 60
NAME_MAX = 38


def detection(pairs: Sequence[Pair]) -> Figure:
    """Return the share caught against the size of the fault, with 95 % intervals; other releases stand as bars."""
    from matplotlib import rc_context

    errors, slow = errors_by_size(pairs), latencies_by_size(pairs)
    with rc_context(STYLE):
        if len(errors) < 2:
            return _bars(pairs)
        figure = _figure(5.6, 3.4)
        axis = _axis(figure)
        _curve(axis, errors, 100.0)
        axis.set_xscale("log")
        axis.set_xlabel("share of its requests that the release fails, %")
        axis.set_ylabel("caught, % of the runs")
        axis.set_ylim(-4, 104)
        _percent_ticks(axis)
        others = [(one.figures.caught.value, f"latency ×{one.size:g}", STABLE) for one in slow]
        good = [figures.caught.value for scenario, figures in pairs if scenario.kind == "good"]
        if good:
            others.append((max(good), "a good release" if len(good) == 1 else "the worst good release", GOOD))
        _levels(axis, others)
        return figure


def _levels(axis: Any, others: Sequence[tuple[float, str, str]]) -> None:
    """Draw releases without a size as lines at their height; those that would hide one another share a label."""
    shown: dict[int, list[tuple[float, str, str]]] = {}
    for one in others:
        shown.setdefault(round(one[0] * 20), []).append(one)
    for together in shown.values():
        value, _, colour = together[0]
        axis.axhline(value * 100, color=colour, linewidth=0.8, linestyle=(0, (2, 2)))
        text = ", ".join(name for _, name, _ in together)
        axis.annotate(
            text, (0.01, value * 100), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=colour
        )


def _curve(axis: Any, sized: Sequence[Sized], scale: float) -> None:
    size = [one.size * scale for one in sized]
    caught = [one.figures.caught for one in sized]
    value = np.array([one.value for one in caught]) * 100
    low = np.array([one.low or 0.0 for one in caught]) * 100
    high = np.array([1.0 if one.high is None else one.high for one in caught]) * 100
    axis.fill_between(size, low, high, color=BAD, alpha=0.15, linewidth=0)
    axis.plot(size, value, color=BAD, linewidth=1.6, marker="o", markersize=4)


def _bars(pairs: Sequence[Pair]) -> Figure:
    """Return one bar a release: the share aborted, with its interval."""
    figure = _figure(5.6, 1.0 + 0.26 * len(pairs))
    axis = _axis(figure, grid="x")
    for row, (scenario, figures) in enumerate(reversed(pairs)):
        one = figures.caught
        low, high = one.low or 0.0, 1.0 if one.high is None else one.high
        axis.barh(row, one.value * 100, color=BAD if scenario.kind == "bad" else OTHER, height=0.62, alpha=0.85)
        axis.plot([low * 100, high * 100], [row, row], color=INK, linewidth=1)
    _names(axis, [scenario for scenario, _ in reversed(pairs)])
    axis.set_xlim(0, 104)
    axis.set_xlabel("aborted, % of the runs")
    return figure


def timeline(tables: Sequence[tuple[Scenario, RunTable]]) -> Figure:
    """Return when the runs of each release end, and how: one row a release, darker where more runs end."""
    from matplotlib import rc_context
    from matplotlib.patches import Patch

    with rc_context(STYLE):
        figure = _figure(11.4, 1.4 + 0.28 * len(tables))
        axis = _axis(figure, grid="x")
        last_s = max((float(table.ended_s.max()) for _, table in tables if len(table)), default=1.0)
        # Runs that are cut at the bound would push everything else to the left edge.
        done = [table.ended_s[table.outcome != Outcome.STUCK] for _, table in tables]
        shown_s = max((float(one.max()) for one in done if len(one)), default=last_s) * 1.02
        edges = np.linspace(0, shown_s, BINS + 1)
        seen: set[Outcome] = set()
        for row, (_, table) in enumerate(reversed(tables)):
            seen |= _row(axis, row, table, edges)
        _names(axis, [scenario for scenario, _ in reversed(tables)])
        axis.set_xlim(0, shown_s)
        axis.set_ylim(-0.6, len(tables) - 0.4)
        _minutes(axis, shown_s)
        axis.set_xlabel("time of the verdict since the deployment, minutes")
        handles = [Patch(color=COLOURS[one], label=WORDS[one]) for one in Outcome if one in seen]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
        return figure


def _row(axis: Any, row: int, table: RunTable, edges: np.ndarray) -> set[Outcome]:
    """Draw one release's endings, and return the outcomes that occurred."""
    seen = set()
    width = float(edges[1] - edges[0])
    foot = np.full(BINS, row - 0.4)
    for outcome in Outcome:
        mine = table.ended_s[table.outcome == outcome]
        if not len(mine):
            continue
        seen.add(outcome)
        part = np.histogram(np.minimum(mine, edges[-1]), edges)[0] / max(len(table), 1)
        # The root lets a bin with one run in a hundred be seen beside one that holds them all.
        height = 0.8 * np.sqrt(part)
        axis.bar(edges[:-1], height, width, bottom=foot, align="edge", color=COLOURS[outcome], linewidth=0)
    axis.axhline(row - 0.4, color=RULE, linewidth=0.8, zorder=0)
    return seen


def bad_requests(pairs: Sequence[Pair]) -> Figure:
    """Return the bad requests of each release: against the size of the fault where there is one, else as bars."""
    from matplotlib import rc_context

    errors = errors_by_size(pairs)
    with rc_context(STYLE):
        if len(errors) < 2:
            return _bad_bars(pairs)
        figure = _figure(5.6, 3.4)
        axis = _axis(figure)
        size = [one.size * 100 for one in errors]
        bad = [one.figures.bad_requests for one in errors]
        low = [one.mean.value if one.mean.low is None else one.mean.low for one in bad]
        high = [one.mean.value if one.mean.high is None else one.mean.high for one in bad]
        axis.fill_between(size, low, high, color=BAD, alpha=0.15, linewidth=0)
        axis.plot(size, [one.mean.value for one in bad], color=BAD, linewidth=1.6, marker="o", markersize=4)
        axis.plot(size, [one.p95.value for one in bad], color=MUTED, linewidth=1.1, marker=".", markersize=4)
        axis.annotate("mean", (size[-1], bad[-1].mean.value), fontsize=8, color=BAD, va="top", ha="right")
        axis.annotate("p95", (size[-1], bad[-1].p95.value), fontsize=8, color=MUTED, va="bottom", ha="right")
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        _percent_ticks(axis)
        axis.set_xlabel("share of its requests that the release fails, %")
        axis.set_ylabel("bad requests in a rollout")
        return figure


def _bad_bars(pairs: Sequence[Pair]) -> Figure:
    figure = _figure(5.6, 1.0 + 0.26 * len(pairs))
    axis = _axis(figure, grid="x")
    for row, (_, figures) in enumerate(reversed(pairs)):
        bad = figures.bad_requests
        axis.barh(row, bad.mean.value, color=STABLE, height=0.62, alpha=0.85)
        axis.plot([bad.mean.value, bad.p95.value], [row, row], color=INK, linewidth=1)
    _names(axis, [scenario for scenario, _ in reversed(pairs)])
    axis.set_xlim(left=0)
    axis.set_xlabel("bad requests in a rollout: mean, and a line to p95")
    return figure


def as_svg(figure: Figure) -> str:
    """Return a picture as SVG text, the same for the same figure."""
    from matplotlib import rc_context

    target = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def _figure(width: float, height: float) -> Figure:
    from sim.outcomes.drawings import Drawing

    return Drawing(figsize=(width, height), layout="constrained")


def _axis(figure: Figure, grid: Literal["x", "y"] = "y") -> Any:
    axis = figure.subplots()
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.grid(axis=grid, color=RULE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=3)
    return axis


def _names(axis: Any, scenarios: Sequence[Scenario]) -> None:
    names = [one.name if len(one.name) <= NAME_MAX else f"{one.name[: NAME_MAX - 1]}…" for one in scenarios]
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(-0.6, len(names) - 0.4)


def _percent_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _minutes(axis: Any, to_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    minutes = to_s / 60
    step = next((step for step in (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 360) if minutes / step <= 10), 1440)
    axis.xaxis.set_major_locator(MultipleLocator(step * 60))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: f"{at_s / 60:g}"))

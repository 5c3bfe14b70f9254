"""The picture of a game day: weight, error ratio and p95 over policy time, one column for each policy.

Columns share their axes, so that two policies can be compared by eye. Nothing is computed here; what is drawn comes
from the scorecard and its series.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from experiments.report.series import Series
from experiments.scorecard import Scorecard
from experiments.story import MeasurementLine
from experiments.users import STABLE
from experiments.verdicts import Verdict

INK, MUTED, RULE = "#1f2933", "#616e7c", "#e4e7eb"
COLOURS = {STABLE: "#486581", "under test": "#d9480f"}
NAMES = {STABLE: "stable", "under test": "release under test"}
PHASES = {"Successful": "#2f855a", "Failed": "#c53030", "Error": "#6b46c1", "Inconclusive": "#b7791f"}
MISSING = "#9aa5b1"
VERDICT_COLOURS = {Verdict.ABORTED: "#c53030", Verdict.PROMOTED: "#2f855a"}
FAULT = "#faf0d7"

Column = tuple[Scorecard, Series]


def draw(columns: Sequence[Column], kind: str) -> bytes:
    """Return the picture as `svg` or `png`."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    style: Any = {
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
    with matplotlib.rc_context(style):
        figure = _figure(columns)
        target = io.BytesIO()
        options: dict[str, Any] = {"dpi": 150} if kind == "png" else {"metadata": {"Date": None}}
        figure.savefig(target, format=kind, **options)
    return target.getvalue()


def _figure(columns: Sequence[Column]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(columns) + 1.0, 6.6), layout="constrained")
    axes = figure.subplots(3, len(columns), squeeze=False, sharex="all", sharey="row", height_ratios=(1.0, 1.15, 1.15))
    error_top = _error_top(columns)
    for number, (card, series) in enumerate(columns):
        weight, errors, latency = (axes[row][number] for row in range(3))
        for axis in (weight, errors, latency):
            _dress(axis)
            _mark_faults(axis, card)
            _mark_verdict(axis, card)
        _draw_weight(weight, card, series)
        _draw_revisions(errors, series, "error_ratio")
        _draw_revisions(latency, series, "p95_s")
        _draw_measurements(errors, card, "error", error_top)
        _draw_measurements(latency, card, "latency", math.inf)
        latency.set_xlabel("policy time since the deployment, minutes")
        _minutes(latency, max(series.to_s for _, series in columns))
    axes[0][0].set_ylabel("weight, %")
    axes[1][0].set_ylabel("errors, % of requests")
    axes[2][0].set_ylabel("p95, ms")
    axes[0][0].set_ylim(-4, 108)
    axes[1][0].set_ylim(-error_top * 0.04, error_top)
    axes[2][0].set_ylim(bottom=0)
    figure.legend(handles=_legend(columns), loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _dress(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.grid(axis="y", color=RULE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=3)


def _minutes(axis: Any, to_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    minutes = to_s / 60
    step = next((step for step in (0.5, 1, 2, 5, 10, 20, 30, 60) if minutes / step <= 8), 120)
    axis.xaxis.set_major_locator(MultipleLocator(step * 60))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: f"{at_s / 60:g}"))


def _draw_weight(axis: Any, card: Scorecard, series: Series) -> None:
    at_s = [point[0] for point in series.weight]
    percent = [point[1] for point in series.weight]
    axis.fill_between(at_s, percent, step="post", color=COLOURS["under test"], alpha=0.15, linewidth=0)
    axis.step(at_s, percent, where="post", color=COLOURS["under test"], linewidth=1.6)
    axis.set_title(f"policy {card.policy}", loc="left", fontsize=11, fontweight="bold")
    axis.set_title(card.verdict.value, loc="right", fontsize=10, color=VERDICT_COLOURS.get(card.verdict, MUTED))


def _draw_revisions(axis: Any, series: Series, what: str) -> None:
    scale = 100.0 if what == "error_ratio" else 1000.0
    for revision in series.revisions:
        values = [value * scale for value in getattr(revision, what)]
        axis.plot(
            revision.middle_s,
            values,
            color=COLOURS.get(revision.role, MUTED),
            linewidth=1.3,
            marker=".",
            markersize=3,
            alpha=0.9,
        )


def _draw_measurements(axis: Any, card: Scorecard, what: str, top: float) -> None:
    """Draw each measurement where its policy saw it, on the axis that it speaks of."""
    scale = 100.0 if what == "error" else 1000.0
    for line in card.measurements:
        if subject(line) != what:
            continue
        colour = PHASES.get(line.phase, MISSING)
        if line.number is None:
            axis.plot(line.t_s, 0, marker="x", color=colour, markersize=6, markeredgewidth=1.6, zorder=5, clip_on=False)
        else:
            height = min(line.number * scale, top * 0.98)
            axis.plot(line.t_s, height, marker="D", color=colour, markersize=5, markeredgecolor="white", zorder=5)


def subject(line: MeasurementLine) -> str:
    """Return what a measurement is drawn as: `latency` for a quantile, `error` for a ratio of responses, else ""."""
    if "histogram_quantile" in line.query or "_duration_" in line.query or "latency" in line.metric:
        return "latency"
    return "error" if "/" in line.query else ""


def _error_top(columns: Sequence[Column]) -> float:
    """Return the top of the error axis, percent: what was seen, at least 2 %."""
    seen = [
        ratio * 100
        for _, series in columns
        for revision in series.revisions
        for ratio in revision.error_ratio
        if math.isfinite(ratio)
    ]
    seen += [
        line.number * 100
        for card, _ in columns
        for line in card.measurements
        if line.number is not None and subject(line) == "error"
    ]
    return max([2.0, *(value * 1.1 for value in seen)])


def _mark_faults(axis: Any, card: Scorecard) -> None:
    for fault in card.faults:
        end_s = fault.ended_s if fault.ended_s is not None else card.ended_s
        axis.axvspan(fault.began_s, min(end_s, card.ended_s), color=FAULT, zorder=0, linewidth=0)


def _mark_verdict(axis: Any, card: Scorecard) -> None:
    axis.axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    if card.verdict_s is not None:
        axis.axvline(card.verdict_s, color=VERDICT_COLOURS.get(card.verdict, MUTED), linewidth=1.2)


def _legend(columns: Sequence[Column]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=COLOURS[role], linewidth=1.6, label=f"{NAMES[role]}, as users saw it") for role in COLOURS
    ]
    phases = {line.phase for card, _ in columns for line in card.measurements}
    for phase in [*(name for name in PHASES if name in phases), *sorted(phases - set(PHASES))]:
        words = "missing evidence" if phase == "MissingEvidence" else phase.lower()
        colour = PHASES.get(phase, MISSING)
        handles.append(Line2D([], [], color=colour, marker="D", markersize=5, linewidth=0, label=f"measured: {words}"))
    for verdict in dict.fromkeys(card.verdict for card, _ in columns if card.verdict_s is not None):
        handles.append(Line2D([], [], color=VERDICT_COLOURS.get(verdict, MUTED), linewidth=1.2, label=verdict.value))
    if any(card.faults for card, _ in columns):
        handles.append(Patch(color=FAULT, label="fault in force"))
    return handles

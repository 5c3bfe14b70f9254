"""Numbers as people read them, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.scorecard import Scorecard
from experiments.users import NOBODY, UNDER_TEST, RevisionCount
from experiments.verdicts import Verdict


def seconds(value: float | None) -> str:
    """Return a duration: 42 s, 3 min 20 s; a dash for what was not seen."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(value: float | None) -> str:
    """Return an instant since the deployment as minutes and seconds."""
    if value is None:
        return "–"
    sign, whole = ("-" if value < 0 else ""), abs(round(value))
    return f"{sign}{whole // 60}:{whole % 60:02d}"


def millis(value: float | None) -> str:
    """Return a latency in milliseconds."""
    return "–" if value is None else f"{value * 1000:.0f} ms"


def share(value: float | None) -> str:
    """Return a share as a percentage with two digits."""
    if value is None:
        return "–"
    return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def count(value: float | None) -> str:
    """Return a count with separators; `?` where it is unknown."""
    return "?" if value is None else f"{value:,.0f}"


def role(revision: RevisionCount) -> str:
    """Return what a revision is called."""
    return {NOBODY: "no revision answered", UNDER_TEST: "release under test"}.get(revision.role, revision.role)


def headline(card: Scorecard) -> str:
    """Return one sentence that says what became of the release, or why nobody knows."""
    if card.void:
        return f"No evidence, because the load was not as planned: {card.void_because[0]}."
    bad = (
        f"{count(card.bad)} bad requests, {share(card.bad_share)} of all" if card.requests else "nobody asked anything"
    )
    if (route := card.failed_route) is not None:
        bad += f", {count(route.release_bad)} of them the release's on {route.name}"
    match card.verdict:
        case Verdict.ABORTED:
            when = "" if card.detection_s is None else f", {seconds(card.detection_s)} after its first request"
            return f"Aborted at a weight of {card.weight_max:g} %{when}; {bad}."
        case Verdict.PROMOTED:
            return f"Promoted to every user; {bad}."
        case Verdict.PAUSED:
            return f"Paused for a person at a weight of {card.weight_max:g} %; {bad}."
        case Verdict.DEGRADED:
            return f"Stuck without progress at a weight of {card.weight_max:g} %; {bad}."
        case _:
            return f"Not finished when the rehearsal ended; {bad}."


def comparison(cards: Sequence[Scorecard]) -> list[tuple[str, list[str]]]:
    """Return what people compare, row by row: a name, and a text for each scorecard."""
    rows: list[tuple[str, list[str]]] = [
        ("verdict", [card.verdict.value for card in cards]),
        ("expected", [card.expected for card in cards]),
        ("largest weight", [f"{card.weight_max:g} %" for card in cards]),
        ("detected after", [seconds(card.detection_s) for card in cards]),
        ("back on stable after", [_recovery(card) for card in cards]),
        ("bad requests", [count(card.bad) for card in cards]),
        ("share of all requests", [share(card.bad_share) for card in cards]),
        ("requests", [count(card.requests) for card in cards]),
        ("took", [seconds(card.ended_s) for card in cards]),
        ("load", [_load(card) for card in cards]),
        ("score", ["–" if card.score is None else f"{card.score} of 100" for card in cards]),
        ("expectations", ["void" if card.void else "hold" if card.holds else "do not hold" for card in cards]),
    ]
    return rows


def _load(card: Scorecard) -> str:
    if card.load.holds:
        return "valid"
    return f"{card.load.counts} counts, {card.load.latency} latencies"


def _recovery(card: Scorecard) -> str:
    if card.recovery_s is None or card.recovery_wall_s is None:
        return "–"
    return f"{seconds(card.recovery_s)} ({card.recovery_wall_s * 1000:.0f} ms of the wall)"

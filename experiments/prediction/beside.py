"""What was predicted of a game day beside what was observed in it, line by line, as people read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.prediction.predicting import LEVEL, Prediction, Range
from experiments.report import words
from experiments.scorecard import Scorecard
from experiments.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure; `inside` says whether it was observed where it was predicted, None where one of both is missing."""

    what: str
    predicted: str
    observed: str
    inside: bool | None


def beside(prediction: Prediction, card: Scorecard) -> tuple[Line, ...]:
    """Return each figure that both the simulator and the rehearsal know."""
    return (
        Line(
            what="verdict",
            predicted=verdicts(prediction),
            observed=card.verdict.value,
            inside=card.verdict in prediction.verdicts,
        ),
        _line("detected after", prediction.detection_s, card.detection_s, words.seconds),
        _line("largest weight", prediction.weight_max, card.weight_max, lambda value: f"{value or 0:g} %"),
        _line("bad requests of the release", prediction.bad_requests, float(card.bad_until_verdict), words.count),
    )


def verdicts(prediction: Prediction) -> str:
    """Return the verdicts with their shares: `aborted 99.8 %, promoted 0.2 %`."""
    return ", ".join(f"{verdict.value} {_percent(share)}" for verdict, share in prediction.verdicts.items())


def between(span: Range | None, said: Callable[[float | None], str]) -> str:
    """Return a range in words; a dash where nothing was seen."""
    if span is None:
        return "–"
    if said(span.low) == said(span.high):
        return said(span.median)
    return f"{said(span.low)} to {said(span.high)}, median {said(span.median)}"


def sentence(prediction: Prediction) -> str:
    """Return what the simulator says, in one sentence."""
    made = f"{prediction.runs:,} simulated runs in {prediction.cohorts} platform histories, seed {prediction.seed}"
    what = f"{_percent(prediction.verdicts[prediction.verdict])} end {_ADJECTIVES[prediction.verdict]}"
    return f"Of {made}, {what}; everything that this game day expects holds in {_percent(prediction.as_expected)}."


_ADJECTIVES = {
    Verdict.PROMOTED: "promoted",
    Verdict.ABORTED: "aborted",
    Verdict.PAUSED: "paused for a person",
    Verdict.DEGRADED: "stuck without progress",
    Verdict.UNFINISHED: "unfinished",
}


def interval_note() -> str:
    """Return what the ranges mean."""
    return (
        f"Ranges hold {LEVEL:.0%} of the simulated runs, so one figure in {round(1 / (1 - LEVEL))} lies outside where "
        "the model is right; on a busy machine all is later than predicted."
    )


def _line(what: str, span: Range | None, observed: float | None, said: Callable[[float | None], str]) -> Line:
    inside = None if span is None or observed is None else span.holds(observed)
    return Line(what=what, predicted=between(span, said), observed=said(observed), inside=inside)


def _percent(share: float) -> str:
    """Return a share that is never rounded to all or nothing unless it is."""
    percent = share * 100
    if 0 < share < 1:
        percent = min(max(round(percent, 2), 0.01), 99.99)
    return f"{percent:g} %"

"""What a policy is worth over the suite: a confusion matrix, and one score.

A release is judged right where a bad one is aborted or a good one promoted, wrong where it is the other way round, and
handed to a person where it is paused or stuck. Counted are shares of runs, each scenario with the same weight.

The score is from 0 to 100: the mean over bad scenarios of (caught + half of handed over), the mean over good ones of
(promoted + half of handed over), and of the two the mean. A policy that promotes everything scores 50, one that aborts
everything 50, one that always waits for a person 50.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.outcomes.figures import Figures

OUTCOMES = ("aborted", "promoted", "paused", "stuck")
HANDED_OVER = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the matrix: how many scenarios of this kind there are, and the mean share of each outcome."""

    kind: str
    scenarios: int
    shares: dict[str, float]

    @property
    def right(self) -> float:
        """The mean share that was judged right, half of what was handed to a person included."""
        wanted = "aborted" if self.kind == "bad" else "promoted"
        return self.shares[wanted] + HANDED_OVER * (self.shares["paused"] + self.shares["stuck"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The matrix, the score, and the scenarios that cost most.

    Attributes:
        score: 0 to 100; None unless there are scenarios of both kinds.
        missed: names of bad scenarios that are promoted in more than half of the runs, in the order of the suite.
        false_aborts: names of good scenarios that are aborted in more than one run of twenty.
    """

    rows: tuple[Row, ...]
    score: float | None
    missed: tuple[str, ...]
    false_aborts: tuple[str, ...]


def score_of(releases: Sequence[Figures]) -> Score:
    """Return the score of one policy over these releases."""
    rows = tuple(row for kind in ("bad", "good") if (row := _row(kind, releases)) is not None)
    return Score(
        rows=rows,
        score=100 * sum(row.right for row in rows) / 2 if len(rows) == 2 else None,
        missed=tuple(one.name for one in releases if one.kind == "bad" and one.outcomes["promoted"].value > 0.5),
        false_aborts=tuple(one.name for one in releases if one.kind == "good" and one.caught.value > 0.05),
    )


def _row(kind: str, releases: Sequence[Figures]) -> Row | None:
    mine = [one for one in releases if one.kind == kind]
    if not mine:
        return None
    shares = {name: sum(one.outcomes[name].value for one in mine) / len(mine) for name in OUTCOMES}
    return Row(kind=kind, scenarios=len(mine), shares=shares)


def score_as_json(score: Score) -> dict[str, Any]:
    """Return the score as plain data."""
    return {
        "score": None if score.score is None else float(f"{score.score:.9g}"),
        "matrix": {
            row.kind: {
                "scenarios": row.scenarios,
                **{name: float(f"{row.shares[name]:.9g}") for name in OUTCOMES},
                "right": float(f"{row.right:.9g}"),
            }
            for row in score.rows
        },
        "missed": list(score.missed),
        "false_aborts": list(score.false_aborts),
    }

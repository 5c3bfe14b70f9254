"""What a driver hands out: what is to be measured now, and what became of the release in the end. Values only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.manifests.values import Metric
from sim.outcomes.table import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One metric that is due.

    Attributes:
        run: the name of the analysis run.
        analysis: which analysis run it is, counted from 0 in the order of their starts.
    """

    run: str
    analysis: int
    metric: Metric

    @property
    def key(self) -> tuple[str, str]:
        """Run and metric: what an answer is filed under."""
        return self.run, self.metric.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """All that is due in one look of the controller; it is judged together.

    Attributes:
        at_s: when it is asked, and the instant that the questions are about.
        answered_s: when the last answer is there.
    """

    at_s: float
    answered_s: float
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the release. Instants count from the first request, spans are named after what they last.

    Attributes:
        at_s: when it was decided; of a run that was cut, the bound.
        until_s: when nothing more happens to the release's users: later than `at_s` while an abort takes hold.
        step: zero-based index of the step at the verdict.
        metric: the first metric that failed; None: no metric decided this.
        first_canary_s: when users were first sent to the release; inf: never.
        ended_s: from the deployment to the verdict.
        recovered_s: from that decision until no user meets the canary; NaN without an abort, or not before the bound.
        weight_max: the largest share of the traffic that the canary got, percent.
    """

    outcome: Outcome
    at_s: float
    until_s: float
    step: int
    metric: str | None
    first_canary_s: float
    ended_s: float
    recovered_s: float
    weight_max: float
    message: str = ""

    def detected_after(self, met_s: float) -> float:
        """Return the time from a run's first request to the release, at `met_s`, to an abort's decision.

        NaN where nothing was aborted, or nobody had met the release by then.
        """
        return self.at_s - met_s if self.outcome is Outcome.ABORTED and met_s <= self.at_s else math.nan

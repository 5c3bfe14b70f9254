"""How much a measurement is worth as evidence, and what is done when it is worth too little.

Pure, and beside the conditions: a condition turns a value into a phase; this package says whether that phase
may be believed at the number of requests behind the value. What it keeps out: where the count comes from (a
query; `promql` derives it and the caller asks it), and limits, counters and deadlines of a run, which
`controller.core.analysis` keeps. The caller is `controller.core.measuring`, for one run or a whole flock.

In the order in which the questions are asked (`weigh`):

1. The provider did not answer: an error. Strict parity leaves it to the error limit; with parity off the
   policy's action for `error` is taken.
2. A floor is named and the count is below it or unknown: *too few*. Neither a success nor a failure, and it
   counts towards no limit. One exception, so that a floor does not shield a release that is plainly broken:
   the conditions say Failed, and the exact binomial says that a release standing right at the threshold would
   show this much or more at most as often as the odds that the user named. Then it is an ordinary Failed
   measurement. Only for a ratio or a histogram_quantile against a constant (`Shape`), never for anything else.
3. With parity off: no data, an empty vector or NaN in a place that the conditions read is missing evidence,
   whatever the conditions would make of it; the policy's action for that kind is taken.
4. Else the phase that the conditions gave stands.

A floor works the same in strict parity and out of it, and so does the action for `too-few`.
"""

from controller.core.evidence.binomial import tail_at_least
from controller.core.evidence.conclusive import QuantileShape, RatioShape, Shape, conclusive_runs, is_conclusive
from controller.core.evidence.deadlines import (
    MIN_DEADLINE_S,
    deadline_s,
    due_phase,
    missing_since,
    phase_of_action,
)
from controller.core.evidence.outcomes import Outcome, outcome_of
from controller.core.evidence.weighing import Floor, Weighed, WeighedRuns, weigh, weigh_runs

__all__ = [
    "MIN_DEADLINE_S",
    "Floor",
    "Outcome",
    "QuantileShape",
    "RatioShape",
    "Shape",
    "Weighed",
    "WeighedRuns",
    "conclusive_runs",
    "deadline_s",
    "due_phase",
    "is_conclusive",
    "missing_since",
    "outcome_of",
    "phase_of_action",
    "tail_at_least",
    "weigh",
    "weigh_runs",
]

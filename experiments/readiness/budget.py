"""Item 7: misses, false aborts and bad requests of simulated rollouts lie within the budget that the team wrote.

The upper end of each interval has to be within. An interval counts platform histories ("cohorts"), not runs, where
nothing went wrong in any; so a small budget needs many of them, and as many are played as could show it.
"""

from __future__ import annotations

import math

from controller.manifests.values.promises import Budget
from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case, Simulation
from sim.engines import Flock
from sim.outcomes.figures import Figures
from sim.outcomes.intervals import Estimate
from sim.outcomes.result import SimulationResult
from sim.simulating import refusals, simulate

COHORTS_MIN, COHORTS_MAX = 120, 1_000
"""Fewer than 80 do not bound what 95 % of the rollouts stay below."""

_QUANTILE_SQUARED = 4.1
"""Student's quantile for 95 % and forty cohorts or more, squared: 2.02 squared, rounded up."""

PROMOTED = "promoted"


def check_budget(case: Case) -> tuple[Finding, ...]:
    """Return what a simulation of the policy says, beside the budget.

    Raises:
        KeyboardInterrupt: interrupted before a single run was finished.
    """
    budget = case.policy.rollout.extensions.promises.budget
    if budget is None:
        return (
            no(
                "the Rollout has no budget, so nothing can be within it",
                "write what may be lost: gamebird.dev/budget: miss=1%, false-abort=1%, bad-requests=500",
            ),
        )
    asked = case.simulation
    try:
        result = _simulated(case, budget)
    except refusals() as error:
        return (unknown(f"the simulator cannot play this policy: {error}", "see docs/model.md for what it plays"),)
    if not result.complete:
        return (unknown("the simulation was interrupted", "run it again"),)
    how = f"{asked.runs:,} runs in {result.figures[0].cohorts} cohorts, seed {asked.seed}"
    return tuple(finding for one in result.figures for finding in _of(one, budget, how))


def cohorts_for(budget: Budget, asked: Simulation) -> int:
    """Return how many platform histories can show that nothing in any of them is within the budget.

    Wilson's upper end for none of n is z² / (n + z²): below a share b it needs n > z² (1 - b) / b. One and a half
    times that, so that a rare miss does not fail it; never more than there are runs.
    """
    if asked.cohorts is not None:
        return asked.cohorts
    least = max(min(budget.miss, budget.false_abort), 1e-6)
    wanted = math.ceil(1.5 * _QUANTILE_SQUARED * (1 - least) / least)
    return min(max(wanted, COHORTS_MIN), COHORTS_MAX, asked.runs)


def _simulated(case: Case, budget: Budget) -> SimulationResult:
    asked = case.simulation
    engine = Flock(workers=asked.workers, cohorts=cohorts_for(budget, asked))
    return simulate(case.policy, asked.scenarios, engine=engine, runs=asked.runs, seed=asked.seed)


def _of(one: Figures, budget: Budget, how: str) -> tuple[Finding, ...]:
    if one.kind == "good":
        found = _within(f"{one.name}: false aborts", one.caught, budget.false_abort, how, "loosen what aborts it")
    else:
        # What waits for a person is not promoted, but what is still under way at the bound may yet be.
        lost = one.outcomes.get(PROMOTED)
        found = _within(f"{one.name}: misses", lost, budget.miss, how, "tighten what should catch it")
    bad = one.bad_requests.p95
    return (found, _counted(f"{one.name}: bad requests in 95 % of the rollouts", bad, budget.bad_requests, how))


def _within(what: str, share: Estimate | None, limit: float, how: str, advice: str) -> Finding:
    if share is None or share.high is None:
        return _unbounded(what, how)
    text = f"{what} {share.value:.2%}, at most {share.high:.2%} (budget {limit:.2%}; {how})"
    action = f"{advice}: gamebird simulate FILES… says where; or write another budget"
    return _judged(share.value, share.high, limit, text, action)


def _counted(what: str, number: Estimate, limit: float, how: str) -> Finding:
    if number.high is None:
        return _unbounded(what, how)
    text = f"{what} {number.value:,.0f} at most, {number.high:,.0f} with its interval (budget {limit:,.0f}; {how})"
    action = "start with a smaller weight or look sooner; or write another budget"
    return _judged(number.value, number.high, limit, text, action)


def _unbounded(what: str, how: str) -> Finding:
    return unknown(f"{what}: not bounded by {how}", "play more runs: --runs")


def _judged(value: float, high: float, limit: float, text: str, action: str) -> Finding:
    """Return yes where the whole interval is within, unknown where only the estimate is, else no and what to do."""
    if high <= limit:
        return yes(text)
    if value <= limit:
        return unknown(
            f"{text}: the runs do not show that it is within", "play more runs and cohorts: --runs, --cohorts"
        )
    return no(text, action)
